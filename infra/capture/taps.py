"""Where exchanges are overheard: around the app, and between the client of Copilot and its connections.

Both are put in place only when there is something to be captured, so that nothing is paid otherwise.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast
from urllib.parse import urlsplit

from core.copilot.faults import TransportError
from core.copilot.transport import Pending, RawReply, Transport
from handlers.stream import PUMP
from infra.capture.recording import CURRENT, Message, Recording

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger("gateway")

# Whoever has no key may not fill the directory.
_TURNED_AWAY: Final = frozenset({401, 403})

Keep = Callable[[Recording, str], None]
Result = TypeVar("Result")


class CapturedApp:
    """A WSGI application around another one: gives each recording to `keep`, with the request's id.

    Only JSON is recorded: the forms of the pages hold keys.
    """

    def __init__(self, app: "WSGIApplication", keep: Keep) -> None:
        self._app = app
        self._keep = keep

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Call the app. Raises what the app raises."""
        if environ["REQUEST_METHOD"] != "POST" or "json" not in environ.get("CONTENT_TYPE", ""):
            return self._app(environ, start_response)
        recording = Recording(time.perf_counter)
        query = environ.get("QUERY_STRING", "")
        asked = recording.message(
            "client_request",
            method="POST",
            path=environ.get("PATH_INFO", "") + (f"?{query}" if query else ""),
            headers=_headers(environ),
        )
        environ["wsgi.input"] = _Input(environ["wsgi.input"], asked)
        CURRENT.set(recording)
        reply = _Reply(recording, self._keep)
        # A server that forwards streams behind the app's back would leave nothing to be heard.
        heard = {name: value for name, value in environ.items() if name != PUMP}
        try:
            reply.body = self._app(heard, reply.starting(start_response))
        except BaseException:
            CURRENT.set(None)
            raise
        return reply


class _Input:
    """The request's body, overheard while it is read."""

    def __init__(self, stream: Any, message: Message) -> None:
        self._stream = stream
        self._message = message

    def read(self, *size: int) -> bytes:
        return self._heard(self._stream.read(*size))

    def readline(self, *size: int) -> bytes:
        return self._heard(self._stream.readline(*size))

    def readlines(self, *hint: int) -> list[bytes]:
        return [self._heard(line) for line in self._stream.readlines(*hint)]

    def __iter__(self) -> Iterator[bytes]:
        return map(self._heard, self._stream)

    def _heard(self, piece: bytes) -> bytes:
        self._message.add(piece)
        return piece


class _Reply:
    """The answer, overheard while the server takes it; `close` ends the recording."""

    def __init__(self, recording: Recording, keep: Keep) -> None:
        self._recording = recording
        self._keep = keep
        self._message: Message | None = None
        self._id = ""
        self.body: Iterable[bytes] = ()

    def starting(self, start_response: "StartResponse") -> "StartResponse":
        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Callable[[bytes], object]:
            told = {name.lower(): value for name, value in headers}
            self._id = told.get("x-request-id", "")
            self._message = self._recording.message("client_reply", status=int(status[:3]), headers=told)
            return start_response(status, headers, *exc_info)

        return start

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.body:
            if self._message is not None:
                self._message.add(piece)
            yield piece

    def close(self) -> None:
        CURRENT.set(None)
        try:
            getattr(self.body, "close", _nothing)()
        finally:
            self._finish()

    def _finish(self) -> None:
        keep, self._keep = self._keep, _keep_nothing
        if (
            self._message is not None
            and self._message.head["status"] in _TURNED_AWAY
            and not self._recording.calls()
        ):
            return
        try:
            keep(self._recording, self._id)
        except Exception:
            log.exception("capture.failed id=%s", self._id)


def tap(transport: Transport) -> Transport:
    """Return the transport with its requests overheard, as part of the exchange that asks for them."""
    send = transport.send

    def overheard(
        method: str, url: str, headers: Mapping[str, str], body: bytes = b"", *, repeatable: bool = True
    ) -> Pending:
        recording = CURRENT.get()
        if recording is None:
            return send(method, url, headers, body, repeatable=repeatable)
        number = recording.calls() + 1
        at = urlsplit(url)
        path = at.path + (f"?{at.query}" if at.query else "")
        asked = recording.message(
            "upstream_request", call=number, method=method, path=path, headers=dict(headers)
        )
        asked.add(body)
        pending = _told(asked, lambda: send(method, url, headers, body, repeatable=repeatable))
        return cast("Pending", _Pending(pending, asked, recording))

    transport.send = overheard  # type: ignore[method-assign]  # the one place through which every request goes
    return transport


class _Pending:
    """A request on its way, overheard."""

    def __init__(self, pending: Pending, asked: Message, recording: Recording) -> None:
        self._pending = pending
        self._asked = asked
        self._recording = recording

    def wait(self, timeout: float) -> RawReply | None:
        raw = _told(self._asked, lambda: self._pending.wait(timeout))
        if raw is None:
            return None
        number = self._asked.head["call"]
        message = self._recording.message(
            "upstream_reply", call=number, status=raw.status, headers=dict(raw.headers)
        )
        return cast("RawReply", _Raw(raw, message))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pending, name)


class _Raw:
    """A reply, overheard while it is read."""

    def __init__(self, raw: RawReply, message: Message) -> None:
        self.status = raw.status
        self.headers = raw.headers
        self._raw = raw
        self._message = message

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def read(self, timeout: float) -> bytes | None:
        piece = _told(self._message, lambda: self._raw.read(timeout))
        self._message.add(piece)
        return piece

    def read_all(self, *limit: int, timeout: float) -> bytes:
        body = _told(self._message, lambda: self._raw.read_all(*limit, timeout=timeout))
        self._message.add(body)
        return body


def _told(message: Message, step: Callable[[], Result]) -> Result:
    """Take a step; its failure is part of the message. Raises what the step raises."""
    try:
        return step()
    except TransportError as error:
        message.failure = f"{error.kind}: {error.message}"
        raise


def _headers(environ: "WSGIEnvironment") -> dict[str, str]:
    named = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): str(value)
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    return {"content-type": str(environ.get("CONTENT_TYPE", "")), **named}


def _nothing() -> None:
    pass


def _keep_nothing(_recording: Recording, _id: str) -> None:
    pass
