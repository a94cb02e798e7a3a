"""The log's line for a request, in the embedded metric format: CloudWatch makes metrics of it, at no call's cost.

The format: docs.aws.amazon.com, "Specification: Embedded metric format". A line holds numbers and names that this gateway chose:
no header of the client's, no path as it came, no query, no body.
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from msgspec import Struct

from core.exchange import Exchange
from core.redaction import redact
from handlers.record import RECORD
from infra.logs.requests import EVENT, members
from infra.settings import PREFIX

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

NAMESPACE: Final = "CopilotGateway"
# By these alone: each combination of values is a set of metrics of its own, and CloudWatch bills them beyond ten an account.
DIMENSIONS: Final = ("Service", "Stage")
# Names and units. An answer is counted under one class of errors at most, and 429 as throttled only.
METRICS: Final[dict[str, str]] = {
    "Requests": "Count",
    "ClientErrors": "Count",
    "ServerErrors": "Count",
    "Throttled": "Count",
    "StreamErrors": "Count",
    "FirstByte": "Milliseconds",
    "Duration": "Milliseconds",
    "ColdStart": "Count",
}
# In the functions' environment, after the gateway's prefix. METRICS=0: the lines stay, CloudWatch takes no metrics from them.
SERVICE, STAGE, SWITCH = "SERVICE", "STAGE", "METRICS"
_OFF: Final = frozenset({"0", "false"})
# Headers of the answer that are told, by the name that they get.
_TOLD: Final = {"x-gateway-model": "model", "x-gateway-upstream": "upstream", "x-request-id": "request_id"}
_LONGEST: Final = 100  # characters of a told header
# How the surfaces begin the event that ends a failed stream; no text of a model stands at the start of a line.
_STREAM_ERRORS: Final = (b"event: error", b"event: response.failed", b'data: {"error"')
_THROTTLED: Final = 429
_DIRECTIVES: Final[list[dict[str, Any]]] = [
    {
        "Namespace": NAMESPACE,
        "Dimensions": [DIMENSIONS],
        "Metrics": [{"Name": name, "Unit": unit} for name, unit in METRICS.items()],
    }
]


def metered(app: "WSGIApplication", environ: Mapping[str, str]) -> "Metered":
    """Return the app of this function with its lines on stdout. environ: the function's, which names service and stage."""
    labels = (environ.get(PREFIX + SERVICE) or "copilot-gateway", environ.get(PREFIX + STAGE) or "dev")
    return Metered(
        app,
        _write,
        labels=dict(zip(DIMENSIONS, labels, strict=True)),
        extracted=environ.get(PREFIX + SWITCH, "").lower() not in _OFF,
        now=time.time,
        ticks=time.perf_counter,
    )


class Metered:
    """A WSGI application around another one: writes a line whenever an answer is closed.

    write: takes a line with its end. labels: values of the dimensions. extracted: whether CloudWatch shall make metrics.
    now: seconds since 1970. ticks: seconds of a clock that never goes back.
    """

    def __init__(
        self,
        app: "WSGIApplication",
        write: Callable[[str], object],
        *,
        labels: Mapping[str, str],
        extracted: bool,
        now: Callable[[], float],
        ticks: Callable[[], float],
    ) -> None:
        self._app = app
        self._write = write
        self._labels = labels
        self._extracted = extracted
        self._now = now
        self._ticks = ticks
        self._cold = True

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Call the app. Raises what the app raises."""
        course = Course(started=self._ticks())
        try:
            body = self._app(environ, course.listen(environ, start_response))
        except BaseException:
            course.ended = "failed"
            self._tell(environ, course)
            raise
        return Body(body, course, self._ticks, partial(self._tell, environ, course))

    def _tell(self, environ: "WSGIEnvironment", course: "Course") -> None:
        # A log that takes no line, or text that is no Unicode, must not cost the client its answer.
        with suppress(OSError, ValueError):
            over = self._ticks()
            cold, self._cold = self._cold, False
            line = {**self._metadata(), **self._labels, **course.figures(over), "ColdStart": int(cold)}
            line |= _request(environ) | course.told() | _invocation(environ)
            # In one piece: Lambda makes an event of every write that ends a line.
            self._write(redact(msgspec.json.encode(line).decode()) + "\n")

    def _metadata(self) -> dict[str, Any]:
        if not self._extracted:
            return {}
        return {"_aws": {"Timestamp": int(self._now() * 1000), "CloudWatchMetrics": _DIRECTIVES}}


class Course(Struct):
    """How one answer goes. started, first_byte: ticks. last: the last piece of the body. `ended` is "cut" until more is known."""

    started: float
    first_byte: float | None = None
    status_line: str = ""
    route: str = "unknown"
    headers: list[tuple[str, str]] = []
    last: bytes = b""
    ended: Literal["whole", "failed", "cut"] = "cut"

    def listen(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> "StartResponse":
        """Return a `start_response` that keeps the head, too, and the route: Flask forgets it once the head is given."""

        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Callable[[bytes], object]:
            self.status_line, self.headers, self.route = status, headers, _route(environ)
            return start_response(status, headers, *exc_info)

        return start

    @property
    def status(self) -> int:
        """What the client got, 500 for an answer that failed before its first byte. Raises ValueError for a bad line."""
        if not self.status_line or (self.ended == "failed" and self.first_byte is None):
            return 500
        return int(self.status_line[:3])

    def figures(self, over: float) -> dict[str, float]:
        """Return all metrics but one; `over` is the tick at the end."""
        status = self.status
        first = over if self.first_byte is None else self.first_byte
        return {
            "Requests": 1,
            "ClientErrors": int(status // 100 == 4 and status != _THROTTLED),  # noqa: PLR2004 - HTTP's classes
            "ServerErrors": int(status // 100 == 5),  # noqa: PLR2004
            "Throttled": int(status == _THROTTLED),
            "StreamErrors": int(self._stream_failed()),
            "FirstByte": round((first - self.started) * 1000, 2),
            "Duration": round((over - self.started) * 1000, 2),
        }

    def told(self) -> dict[str, str | int]:
        """Return what can be searched for."""
        named = {
            _TOLD[name.lower()]: value[:_LONGEST] for name, value in self.headers if name.lower() in _TOLD
        }
        return {"route": self.route, "status": self.status, "ended": self.ended, **named}

    def _stream_failed(self) -> bool:
        if self.ended == "failed":
            return self.first_byte is not None
        kind = next((value for name, value in self.headers if name.lower() == "content-type"), "")
        return kind.startswith("text/event-stream") and any(
            self.last.startswith(mark) or b"\n" + mark in self.last for mark in _STREAM_ERRORS
        )


class Body:
    """The app's own body, piece by piece as it comes; `close` ends the course."""

    def __init__(
        self, body: Iterable[bytes], course: Course, ticks: Callable[[], float], tell: Callable[[], object]
    ) -> None:
        self._body = body
        self._course = course
        self._ticks = ticks
        self._tell = tell

    def __iter__(self) -> Iterator[bytes]:
        course = self._course
        try:
            for piece in self._body:
                if piece:
                    course.last = piece
                    if course.first_byte is None:
                        course.first_byte = self._ticks()
                yield piece
            course.ended = "whole"
        except Exception:
            course.ended = "failed"
            raise

    def close(self) -> None:
        """Close the app's body, then tell, once. Raises what the app's body raises."""
        tell, self._tell = self._tell, _nothing
        try:
            getattr(self._body, "close", _nothing)()
        finally:
            tell()


def _route(environ: "WSGIEnvironment") -> str:
    """Return method and path as an endpoint declares them, never the path that was asked for."""
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
    return "unknown" if rule is None else f"{environ['REQUEST_METHOD']} {rule.rule}"


def _request(environ: "WSGIEnvironment") -> dict[str, Any]:
    """Return what the log says of a request elsewhere: this line is also that one."""
    exchange: Exchange | None = environ.get(RECORD)
    return {} if exchange is None else {"event": EVENT, "level": "info", **members(exchange)}


def _invocation(environ: "WSGIEnvironment") -> dict[str, str]:
    """Return Lambda's own name for the request, which leads to its other lines."""
    name = getattr(environ.get("awsgi.context"), "aws_request_id", None)
    return {} if name is None else {"lambda_request_id": name}


def _write(line: str) -> None:
    sys.stdout.write(line)  # looked up late: AWS's loop puts its own there


def _nothing() -> None:
    pass
