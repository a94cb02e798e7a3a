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
    """Judge from the last turn only (AC-54); what clients add by themselves, system turns and reminders, is looked past."""
    for position in range(len(messages) - 1, -1, -1):
        message = read(_message, messages[position], f"$.messages[{position}]")
        if message.role == "system":
            continue
        if message.role == "assistant":
            return "agent"
        asked = _asked_by(message.content, f"$.messages[{position}].content")
        if asked is not None:
            return asked
    return "user"


def _asked_by(content: str | list[Raw], path: str) -> Initiator | None:
    """Judge a user's turn; None when it holds nothing but reminders."""
    if isinstance(content, str):
        return "user" if without_reminders(content) else None
    blocks = [read(_glance, raw, f"{path}[{at}]") for at, raw in enumerate(content)]
    results = any(block.type == "tool_result" for block in blocks)
    own = _ITS_OWN if results else ()
    if any(_is_human(block, own) for block in blocks):
        return "user"
    return "agent" if results else None


def _is_human(block: _Glance, own: tuple[str, ...]) -> bool:
    if block.type == "tool_result":
        return False
    said = without_reminders(block.text)
    return block.type != "text" or (bool(said) and not said.startswith(own))
