"""What the app answers, as Lambda takes it: a prelude and a stream, or one buffered object."""

from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import msgspec

from handlers.deadline import SecondsLeft
from infra.aws.events import HttpEvent

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

# Between the prelude and the body.
SEPARATOR: Final = bytes(8)
_EXC_INFO = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None] | None
# RFC 9110 section 7.6.1: they belong to one connection, not to the answer.
_HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


class Answer:
    """The app's answer under way: status and headers are known, the body is one chunk ahead.

    `first` is empty only where the body is. `close` must be called.
    """

    def __init__(
        self,
        status: str,
        headers: list[tuple[str, str]],
        first: bytes,
        rest: Iterator[bytes],
        *,
        close: Callable[[], object],
        seconds_left: SecondsLeft,
    ) -> None:
        self.status_line = status
        self.status = int(status.partition(" ")[0])
        self.headers = [(name, value) for name, value in headers if name.lower() not in _HOP_BY_HOP]
        self.first = first
        self.seconds_left = seconds_left
        self._rest = rest
        self._close = close

    def rest(self) -> Iterator[bytes]:
        """Return the chunks that follow the first; none is empty. Iterating raises what the app raises."""
        return filter(None, self._rest)

    def close(self) -> None:
        """Let go of the body, read or not; may be called twice."""
        close, self._close = self._close, _nothing
        close()

    @property
    def cookies(self) -> list[str]:
        """The values of `Set-Cookie`, which cannot be joined."""
        return [value for name, value in self.headers if name.lower() == "set-cookie"]

    @property
    def joined(self) -> dict[str, str]:
        """Every other header, those that came several times joined."""
        joined: dict[str, str] = {}
        for name, value in self.headers:
            if name.lower() != "set-cookie":
                joined[name] = f"{joined[name]}, {value}" if name in joined else value
        return joined


def run(app: "WSGIApplication", environ: "WSGIEnvironment", seconds_left: SecondsLeft) -> Answer:
    """Call the app and wait for the first chunk of its body. Raises what the app raises."""
    started = _Started()
    body = app(environ, started)
    close: Callable[[], object] = getattr(body, "close", _nothing)
    try:
        rest = iter(body)
        first = b"".join(started.written) or next(filter(None, rest), b"")
        return Answer(started.status, started.headers, first, rest, close=close, seconds_left=seconds_left)
    except BaseException:
        close()
        raise


def prelude(answer: Answer) -> bytes:
    """Return what goes before a streamed body: the answer's head as JSON, and eight NULs.

    The length is left out: AWS chooses how the stream travels on.
    """
    headers = {name: value for name, value in answer.joined.items() if name.lower() != "content-length"}
    head = {"statusCode": answer.status, "headers": headers, "cookies": answer.cookies}
    return msgspec.json.encode(head) + SEPARATOR


def buffered(answer: Answer, event: HttpEvent) -> dict[str, Any]:
    """Read the answer to its end and return it as one object, in the shape that the event's source takes.

    As `awsgi.response` returns it, but for numbers as status codes, base64 wherever the body is no text, cookies in
    the place that each source has for them, and a body that is always closed. A load balancer that was not told to
    send several values a header takes one cookie only: the first.
    """
    try:
        body = answer.first + b"".join(answer.rest())
    finally:
        answer.close()
    encoded = "content-encoding" in {name.lower() for name in answer.joined}
    text = None if encoded else _decoded(body)
    return {
        "statusCode": answer.status,
        "isBase64Encoded": text is None,
        "body": b64encode(body).decode() if text is None else text,
        **_heads(answer, event),
    }


def _heads(answer: Answer, event: HttpEvent) -> dict[str, Any]:
    headers, cookies = answer.joined, answer.cookies
    match event.source:
        case "url" | "http":
            return {"headers": headers, "cookies": cookies}
        case "rest":
            return {"headers": headers, "multiValueHeaders": {"Set-Cookie": cookies} if cookies else {}}
        case "alb" if event.multi_value:
            multiple = {name: [value] for name, value in headers.items()}
            multiple |= {"Set-Cookie": cookies} if cookies else {}
            return {"multiValueHeaders": multiple, "statusDescription": answer.status_line}
        case "alb":
            headers |= {"Set-Cookie": cookies[0]} if cookies else {}
            return {"headers": headers, "statusDescription": answer.status_line}


class _Started:
    """The `start_response` of PEP 3333: keeps the last head that the app gave."""

    def __init__(self) -> None:
        self.status = "500 Internal Server Error"
        self.headers: list[tuple[str, str]] = []
        self.written: list[bytes] = []

    def __call__(
        self, status: str, headers: Iterable[tuple[str, str]], _exc_info: _EXC_INFO = None, /
    ) -> Callable[[bytes], object]:
        self.status, self.headers = status, list(headers)
        return self.written.append


def _decoded(body: bytes) -> str | None:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def _nothing() -> None:
    pass
