"""The routing facts of a chat body, read without decoding it."""

from collections.abc import Iterable

import msgspec
from msgspec import Raw, Struct

from core.dialect import Peek
from core.dialects.chat.reading import check_utf8, first_byte, read
from core.dialects.chat.schema import NULL
from core.dialects.chat.thinking import SEALED
from core.outgoing import Initiator, without_reminders


class _StreamOptions(Struct):
    include_usage: bool | None = None


class _Body(Struct):
    model: str
    messages: list[Raw]
    stream: bool | None = None
    stream_options: _StreamOptions | None = None


class _Message(Struct):
    role: str
    content: Raw = NULL


class _Part(Struct):
    type: str = ""
    text: str = ""


_body = msgspec.json.Decoder(_Body)
_message = msgspec.json.Decoder(_Message)
_parts = msgspec.json.Decoder(list[_Part])
_text = msgspec.json.Decoder(str)


def peek(body: bytes) -> Peek:
    """Read the routing facts. Raises `InvalidRequestError`."""
    found = read(_body, body)
    check_utf8(body)
    return Peek(
        model=found.model,
        stream=found.stream or False,
        include_usage=bool(found.stream_options and found.stream_options.include_usage),
        initiator=_initiator(found.messages),
        sealed=SEALED in body,
    )


def _initiator(messages: list[Raw]) -> Initiator:
    """Judge by the last item (AC-54); what an agent adds by itself, system turns and reminders, is looked past."""
    for index in range(len(messages) - 1, -1, -1):
        path = f"$.messages[{index}]"
        message = read(_message, messages[index], path)
        if message.role in {"system", "developer"}:
            continue
        if message.role != "user":
            return "agent"
        if not _only_reminders(_texts(message.content, path)):
            return "user"
    return "user"


def _texts(content: Raw, path: str) -> Iterable[str | None]:
    """Return the texts of a message, None for a part that is no text."""
    first = first_byte(content)
    if first == b'"':
        return (read(_text, content, f"{path}.content"),)
    if first != b"[":
        return (None,)
    parts = read(_parts, content, f"{path}.content")
    return [part.text if part.type == "text" else None for part in parts]


def _only_reminders(texts: Iterable[str | None]) -> bool:
    found = False
    for text in texts:
        if not (text and text.strip()) or without_reminders(text):
            return False
        found = True
    return found
