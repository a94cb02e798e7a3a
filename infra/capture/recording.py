"""One exchange as it goes by: what the client asked, what upstream was asked and said, what the client got."""

import base64
import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final, Literal

import msgspec

from core.redaction import mask, redact
from infra.capture.filler import fill

VERSION: Final = 1
LARGEST: Final = 16 * 1024 * 1024  # bytes of one exchange; what comes later is not kept
# Headers that are known and say who nobody is; of any other only the name is kept.
_PLAIN_HEADER: Final = re.compile(
    r"accept.*|anthropic-(?:beta|version)|cache-control|content-.*|copilot-integration-id|date|editor-.*|openai-intent"
    r"|openai-beta|retry-after|server|transfer-encoding|user-agent|vary|(?:x-)?request-id|x-accel-.*|x-app|x-gateway-.*"
    r"|x-github-(?:api-version|request-id)|x-initiator|x-(?:quota|ratelimit|should|stainless)-.*|copilot-vision-request"
)
_QUERY_VALUE: Final = re.compile(r"(?<==)[^&]*")
_HARMLESS: Final = frozenset({"true", "false", "0", "1"})
_REFUSED: Final = 400
# What is at least this long is a word that may give something away.
_WORD: Final = re.compile(rb"[A-Za-z0-9_\x80-\xff]{4,}")

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

    def body(self) -> bytes:
        """Return the whole body, without secrets, of the same size."""
        body = b"".join(piece for _, piece in self.pieces)
        masked = mask(body.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
        # A secret with bytes that are no text: nothing of such a body is kept.
        return masked if len(masked) == len(body) else b"*" * len(body)

    def filled(self) -> bytes:
        """Return the body without its words; upstream's text that is no JSON is an error, and stays."""
        body = self.body()
        is_said = self.head.get("status", 0) >= _REFUSED and body.lstrip()[:1] not in {b"{", b"["}
        headers: Mapping[str, str] = self.head.get("headers", {})
        kind = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
        return body if is_said else fill(body, kind)

    def items(self, bodies: Bodies, asked: frozenset[bytes]) -> list[Item]:
        """Return what is to be written: the head, then a line for each piece. asked: the request's own words."""
        head: Item = self.head | {"headers": without_secrets(self.head.get("headers", {}))}
        if "path" in head:
            head["path"] = _QUERY_VALUE.sub(_query_value, head["path"])
        failure = {"failure": redact(self.failure)} if self.failure else {}
        whole = self.body() if bodies == "full" else _WORD.sub(lambda m: _unasked(m, asked), self.filled())
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
        asked = frozenset[bytes]().union(*(_words_of(m) for m in self.messages if m.kind == "client_request"))
        items = [head, *(item for message in self.messages for item in message.items(bodies, asked))]
        return [msgspec.json.encode(item) for item in items]


# The exchange that this thread is at work on.
CURRENT: ContextVar[Recording | None] = ContextVar("gateway_recording", default=None)


def without_secrets(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers with the values of those that everybody knows, and these without secrets."""
    return {
        name: redact(value) if _PLAIN_HEADER.fullmatch(name.lower()) else "***"
        for name, value in headers.items()
    }


def _words_of(message: Message) -> frozenset[bytes]:
    """Return the words that the filler takes out of a body: an error may quote them."""
    return frozenset(_WORD.findall(message.body())) - frozenset(_WORD.findall(message.filled()))


def _unasked(match: re.Match[bytes], asked: frozenset[bytes]) -> bytes:
    return fill(match[0], "") if match[0] in asked else match[0]


def _query_value(match: re.Match[str]) -> str:
    return match[0] if match[0] in _HARMLESS else "***"


def _written(piece: bytes) -> Item:
    try:
        return {"text": piece.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(piece).decode()}
