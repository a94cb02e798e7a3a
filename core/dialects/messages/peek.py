"""The routing facts of a request, read without decoding the whole body."""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from core.dialect import Peek
from core.dialects.messages.request_decode import refuse_thread
from core.dialects.messages.schema import MessageIn, read
from core.errors import InvalidRequestError
from core.opaque import PREFIX
from core.outgoing import Initiator, without_reminders


class _Body(Struct):
    model: str
    stream: bool | None = None
    messages: list[Raw] = []
    thread: Raw | UnsetType = UNSET


class _Glance(Struct):
    type: str = ""
    text: str = ""


_body: Final = msgspec.json.Decoder(_Body).decode
_message: Final = msgspec.json.Decoder(MessageIn).decode
_glance: Final = msgspec.json.Decoder(_Glance).decode

_SEALED: Final = PREFIX.encode()
# How Claude Code begins what it says itself beside a tool's result: after a search for tools, and before a skill's text.
_ITS_OWN: Final = ("Tool loaded.", "Base directory for this skill: ")


def peek(body: bytes) -> Peek:
    """Read model, stream and who asked. Raises `InvalidRequestError`."""
    wire = read(_body, body, "$")
    if not wire.model:
        raise InvalidRequestError("model: a model id is required (at $.model)", param="$.model")
    refuse_thread(wire.thread)
    return Peek(
        model=wire.model,
        stream=bool(wire.stream),
        initiator=_initiator(wire.messages),
        sealed=_SEALED in body,
    )


def _initiator(messages: Sequence[Raw]) -> Initiator:
    """Judge from the last turn only (AC-54); system turns that clients append after it do not count."""
    for position in range(len(messages) - 1, -1, -1):
        message = read(_message, messages[position], f"$.messages[{position}]")
        if message.role == "system":
            continue
        if message.role == "assistant":
            return "agent"
        return _asked_by(message.content, f"$.messages[{position}].content")
    return "user"


def _asked_by(content: str | list[Raw], path: str) -> Initiator:
    if isinstance(content, str):
        return "user"
    blocks = [read(_glance, raw, f"{path}[{at}]") for at, raw in enumerate(content)]
    if not any(block.type == "tool_result" for block in blocks):
        return "user"
    return "user" if any(_is_human(block) for block in blocks) else "agent"


def _is_human(block: _Glance) -> bool:
    if block.type == "tool_result":
        return False
    said = without_reminders(block.text)
    return block.type != "text" or (bool(said) and not said.startswith(_ITS_OWN))
