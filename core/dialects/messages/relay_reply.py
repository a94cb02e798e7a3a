"""Pass-through of a complete reply: upstream's own body, with what clients insist on."""

from typing import Final

import msgspec
from msgspec import Raw

from core.dialect import Echo
from core.dialects.messages.model_name import with_model
from core.dialects.messages.relay_names import restored_reply
from core.dialects.messages.reply_in import read_reply
from core.dialects.messages.reply_out import REQUIRED, message_wire
from core.dialects.messages.schema import TypeOf
from core.dialects.messages.turns import raw_members
from core.dialects.messages.values import usage_in, usage_out

_encode: Final = msgspec.json.Encoder().encode
_type: Final = msgspec.json.Decoder(TypeOf).decode


def relay_response(body: bytes, echo: Echo) -> bytes:
    """Pass a complete reply through, with the asked model id. Raises `GatewayError`."""
    wire = read_reply(body)
    members = raw_members(body)
    if restored_reply(members, echo.full_names()):
        body = _encode(members)
        members = raw_members(body)
    if wire.stop_reason == "end_turn" and any(map(_is_call, wire.content)):
        body = _encode({**members, "stop_reason": "tool_use"})
        members = raw_members(body)
    if members.keys() >= REQUIRED and wire.usage is not None:
        if bytes(members["model"]) == _encode(echo.model):
            return body
        return with_model(body, members, echo.model)
    usage = usage_out(usage_in(wire.usage, wire.copilot_usage), echo.input_tokens)
    blank = message_wire(echo, [], wire.stop_reason, wire.stop_sequence, usage)
    present = {name: value for name, value in members.items() if bytes(value) != b"null"}
    return _encode({**blank, **present, "model": echo.model})


def _is_call(block: Raw) -> bool:
    """Tell whether a block is one that the client has to act on: it does only where the reply ends with `tool_use` (AC-24)."""
    if b'"tool_use"' not in bytes(block):
        return False
    try:
        return _type(block).type == "tool_use"
    except msgspec.DecodeError:  # no block at all
        return False
