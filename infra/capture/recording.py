"""One exchange as it goes by: what the client asked, what upstream was asked and said, what the client got."""

import base64
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final, Literal

import msgspec

from core.redaction import mask, redact
from infra.capture.filler import fill

VERSION: Final = 1
LARGEST: Final = 16 * 1024 * 1024  # bytes of one exchange; what comes later is not kept
_SECRET_HEADERS: Final = ("auth", "cookie", "key", "secret", "session", "token")
_REFUSED: Final = 400

Item = dict[str, Any]
Bodies = Literal["redacted", "full"]


class Message:
    """A request or a reply: its head, and its body in the pieces in which it came, each with its time."""

    def __init__(self, kind: str, recording: "Recording", **head: Any) -> None:
        self.kind = kind
        self.head = head
        self.pieces: list[tuple[float, bytes]] = []
        self.failure = ""
        self._recording = recording

    def add(self, piece: bytes | None) -> None:
        """Keep a piece of the body."""
        if piece and self._recording.has_room(len(piece)):
            self.pieces.append((self._recording.at(), piece))

    def items(self, bodies: Bodies) -> list[Item]:
        """Return what is to be written: the head, then a line for each piece."""
        head = self.head | {"headers": without_secrets(self.head.get("headers", {}))}
        failure = {"failure": redact(self.failure)} if self.failure else {}
        whole = _without_words(b"".join(piece for _, piece in self.pieces), self.head, bodies)
        items: list[Item] = [{"kind": self.kind, **head, **failure}]
        begin = 0
        for at, piece in self.pieces:
            part = whole[begin : begin + len(piece)]
            begin += len(piece)
            items.append({"kind": f"{self.kind}_body", "at": at, **_written(part)})
        return items


class Recording:
    """The exchange under way. `call` numbers count upstream's requests; ticks: seconds of a clock that never goes back."""

    def __init__(self, ticks: Callable[[], float]) -> None:
        self._ticks = ticks
        self._began = ticks()
        self._size = 0
        self.messages: list[Message] = []
        self.truncated = False

    def at(self) -> float:
        """Return the seconds since the beginning."""
        return round(self._ticks() - self._began, 4)

    def message(self, kind: str, **head: Any) -> Message:
        """Begin a message."""
        made = Message(kind, self, at=self.at(), **head)
        self.messages.append(made)
        return made

    def calls(self) -> int:
        """Return how many requests upstream has got."""
        return sum(message.kind == "upstream_request" for message in self.messages)

    def has_room(self, size: int) -> bool:
        """Say whether so many bytes more are kept."""
        self._size += size
        self.truncated = self.truncated or self._size > LARGEST
        return not self.truncated

    def lines(self, about: Item, bodies: Bodies) -> list[bytes]:
        """Return the file's lines; the first one says what it is."""
        head = {"kind": "capture", "version": VERSION, "bodies": bodies, "truncated": self.truncated, **about}
        items = [head, *(item for message in self.messages for item in message.items(bodies))]
        return [msgspec.json.encode(item) for item in items]


# The exchange that this thread is at work on.
CURRENT: ContextVar[Recording | None] = ContextVar("gateway_recording", default=None)


def without_secrets(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers with the values of those that say who somebody is taken out, and secrets out of the others."""
    return {
        name: "***" if any(mark in name.lower() for mark in _SECRET_HEADERS) else redact(value)
        for name, value in headers.items()
    }


def _without_words(body: bytes, head: Item, bodies: Bodies) -> bytes:
    """Return the body as it may be kept, of the same size."""
    masked = mask(body.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
    if len(masked) != len(body):  # a secret with bytes that are no text: nothing of it is kept
        masked = b"*" * len(body)
    headers: Mapping[str, str] = head.get("headers", {})
    media_type = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
    is_said = head.get("status", 0) >= _REFUSED and body.lstrip()[:1] not in {b"{", b"["}
    return masked if bodies == "full" or is_said else fill(masked, media_type)


def _written(piece: bytes) -> Item:
    try:
        return {"text": piece.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(piece).decode()}
