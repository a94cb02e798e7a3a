"""What the HTTP layer hands to the routes and what they hand back."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tests.emulators.copilot.shapes import encode

JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"
SSE: Final = "text/event-stream; charset=utf-8"
MARK: Final = "the text goes here"


@dataclass(slots=True)
class Request:
    """One request as received; header names are in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    host: str = "individual"


@dataclass(slots=True, frozen=True)
class Delivery:
    """How the bytes of a reply travel; times are in seconds."""

    pace: float = 0.0
    events_per_write: int = 1
    silent_before_headers: float = 0.0
    silent_after_events: int = -1
    silent_for: float = 0.0
    first_byte_delay: float = 0.0
    cut_after: int = -1
    reset: bool = False
    split_utf8: bool = False
    crlf: bool = False
    gzip: bool = False
    stamp: bool = False


PLAIN: Final = Delivery()


@dataclass(slots=True)
class Reply:
    """A whole reply (`body`) or a stream (`pieces`, one server-sent event each)."""

    status: int
    content_type: str
    body: bytes = b""
    pieces: list[bytes] | None = None
    headers: dict[str, str] = field(default_factory=dict[str, str])
    delivery: Delivery = PLAIN


def json_reply(status: int, value: object) -> Reply:
    """Answer with JSON that says so."""
    return Reply(status, JSON, encode(value))


def text_reply(status: int, text: str) -> Reply:
    """Answer with plain text."""
    return Reply(status, TEXT, text.encode())


def capi_error(status: int, message: str, code: str, **extra: str) -> Reply:
    """Answer as Copilot's own front does: a JSON error labelled as plain text."""
    error = {"message": message, "code": code, **extra}
    reply = Reply(status, TEXT, encode({"error": error}) + b"\n")
    reply.headers["x-content-type-options"] = "nosniff"
    return reply


def bare_error(message: str) -> Reply:
    """Answer 400 as a model backend behind Copilot does: only a message."""
    return json_reply(400, {"message": message})


def anthropic_error(message: str, request_id: str) -> Reply:
    """Answer 400 in Anthropic's own envelope."""
    error = {"type": "invalid_request_error", "message": message}
    return json_reply(400, {"type": "error", "error": error, "request_id": request_id})


def repeated(render: Callable[[str], bytes], texts: list[str]) -> list[bytes]:
    """Render events that differ in one string only, encoding the rest once."""
    head, found, tail = render(MARK).partition(encode(MARK))
    if not found or len(texts) < 2:
        return [render(text) for text in texts]
    return [head + encode(text) + tail for text in texts]


def event(value: object) -> bytes:
    """Render one nameless server-sent event."""
    return b"data: %b\n\n" % encode(value)


def named_event(name: str, value: object) -> bytes:
    """Render one named server-sent event."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), encode(value))
