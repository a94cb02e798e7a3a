"""Calls that lack their thought signature, told in words: Gemini refuses them, and nobody can make a signature up.

Whoever has them is a client that keeps no unknown members of an answer, or a conversation that another model began.
"""

from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from core.dialects.chat.schema import NULL, encode
from core.refused import first_byte, members_of

TOLD: Final = "The tool {name} was called with {arguments} and answered:"
SILENT: Final = frozenset({b"null", b'""', b"[]"})


class _Function(Struct):
    name: str | None = None
    arguments: str | None = None


class _Call(Struct):
    id: str | None = None
    function: _Function | None = None


class _Message(Struct):
    role: str | None = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str | None = None
    reasoning_opaque: str | None = None


_message = msgspec.json.Decoder(_Message).decode
_string = msgspec.json.Decoder(str).decode
_parts = msgspec.json.Decoder(list[Raw]).decode


def tell_unsigned_calls(messages: list[Raw]) -> list[Raw]:
    """Return the messages with unsigned calls gone and their results as the user's words; the others keep their bytes.

    Raises `msgspec.DecodeError` for what is no conversation.
    """
    told: list[Raw] = []
    waiting: dict[str, str] = {}
    for raw in messages:
        message = _message(raw)
        if message.role == "assistant":
            unsigned = message.tool_calls if not message.reasoning_opaque else None
            waiting = {call.id: _heading(call) for call in unsigned or () if call.id}
            told += _without_calls(raw) if unsigned else [raw]
        elif message.role == "tool" and message.tool_call_id in waiting:
            told.append(_as_words(raw, waiting[message.tool_call_id]))
        else:
            told.append(raw)
    return told


def _heading(call: _Call) -> str:
    function = call.function or _Function()
    return TOLD.format(name=function.name or "a tool", arguments=function.arguments or "{}")


def _without_calls(raw: Raw) -> list[Raw]:
    """Return the assistant's turn with what it said beside the calls; none when it only called."""
    members = members_of(raw)
    del members["tool_calls"]
    return [] if bytes(members.get("content", NULL)) in SILENT else [Raw(encode(members))]


def _as_words(raw: Raw, heading: str) -> Raw:
    members = members_of(raw)
    found = members.get("content", NULL)
    content: Any = heading
    if first_byte(found) == b'"':
        content = f"{heading}\n{_string(found)}"
    elif first_byte(found) == b"[":
        content = [{"type": "text", "text": heading}, *_parts(found)]
    for name in ("tool_call_id", "name"):
        members.pop(name, None)
    return Raw(encode({**members, "role": "user", "content": content}))
