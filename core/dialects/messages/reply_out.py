"""A complete reply for a Messages client, and the blocks that the stream says the same way."""

from typing import Any, Final

import msgspec
from msgspec import Raw, structs

from core.canonical import (
    CUT_OFF,
    Block,
    Native,
    Opaque,
    Refusal,
    Reply,
    Request,
    ServerToolResult,
    ServerToolUse,
    Text,
    Thinking,
    ToolUse,
)
from core.custom_tools import wrap_input
from core.dialect import Echo
from core.dialects.messages.blocks_out import (
    citations_wire,
    input_wire,
    server_result_wire,
    server_use_wire,
)
from core.dialects.messages.values import (
    is_object,
    one_line,
    safe_id,
    searches_out,
    stop_word,
    usage_out,
)
from core.errors import UpstreamProtocolError
from core.names import restore
from core.opaque import seal

_encode: Final = msgspec.json.Encoder().encode

ID_PREFIX: Final = "msg_"
# What every message has.
REQUIRED: Final = frozenset(
    {"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"}
)

Wires = list[dict[str, Any] | Raw]


class NameTable:
    """The client's own tool names, for calls that come back under a stand-in (AC-61)."""

    def __init__(self, request: Request | None) -> None:
        tools = request.tools if request is not None else ()
        self._names = restore(tool.name for tool in tools)

    def call_wire(self, call: ToolUse, arguments: Raw) -> dict[str, Any]:
        """Return a tool_use block."""
        return {
            "type": "tool_use",
            "id": safe_id(call.call_id),
            "name": self._names.get(call.name, call.name),
            "input": arguments,
        }


def thought_wires(call_id: str, opaque: Opaque) -> Wires:
    """Return the block that carries a call's thought signature through the client; decoding hangs it back on."""
    return [{"type": "redacted_thinking", "data": seal(structs.replace(opaque, item_id=call_id), "messages")}]


def encode_response(reply: Reply, echo: Echo) -> bytes:
    """Write a complete reply. Raises `UpstreamProtocolError` for a call whose arguments are broken (AC-19)."""
    names = NameTable(echo.request)
    content: Wires = []
    calls = searches = 0
    refused = False
    for block in reply.content:
        if isinstance(block, ToolUse) and not block.custom and not is_object(block.arguments or "{}"):
            if reply.stop_reason in CUT_OFF:
                continue
            raise UpstreamProtocolError(
                f"the model called {block.name} with arguments that are no JSON object"
            )
        calls += isinstance(block, ToolUse)
        searches += isinstance(block, ServerToolResult)
        refused |= isinstance(block, Refusal)
        content.extend(reply_wires(block, names))
    usage: dict[str, Any] = usage_out(reply.usage, echo.input_tokens)
    if searches:
        usage["server_tool_use"] = searches_out(searches)
    reason = stop_word(reply.stop_reason, calls=calls > 0, refused=refused)
    return _encode(message_wire(echo, content, reason, reply.stop_sequence, usage))


def message_wire(
    echo: Echo, content: Wires, stop_reason: str | None, stop_sequence: str | None, usage: dict[str, Any]
) -> dict[str, Any]:
    """Return a message object with every member that strict clients want."""
    return {
        "id": echo.id if echo.id.startswith(ID_PREFIX) else ID_PREFIX + (echo.id or echo.new_id("")),
        "type": "message",
        "role": "assistant",
        "model": echo.model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": stop_sequence,
        "usage": usage,
    }


def reply_wires(block: Block, names: NameTable) -> Wires:
    """Return a block of a reply as none, one or two wire blocks (an empty text is none: clients may not send it back)."""
    match block:
        case Text():
            return _text(block)
        case Refusal():
            return [{"type": "text", "text": block.text}] if block.text else []
        case Thinking():
            return _thinking(block)
        case ToolUse():
            arguments = wrap_input(block.arguments) if block.custom else block.arguments
            call = names.call_wire(block, input_wire(arguments))
            return [call, *(thought_wires(block.call_id, block.opaque) if block.opaque is not None else [])]
        case ServerToolUse():
            return [server_use_wire(block)]
        case ServerToolResult():
            return [server_result_wire(block)]
        case Native(dialect="messages"):
            return [Raw(one_line(block.raw))]
        case _:
            return []


def _text(block: Text) -> Wires:
    if not block.text and not block.citations:
        return []
    wire: dict[str, Any] = {"type": "text", "text": block.text}
    if block.citations:
        wire["citations"] = citations_wire(block.citations)
    return [wire]


def _thinking(block: Thinking) -> Wires:
    signature = seal(block.opaque, "messages") if block.opaque is not None else ""
    if block.redacted:
        return [{"type": "redacted_thinking", "data": signature}] if signature else []
    if not block.text and not signature:
        return []
    return [{"type": "thinking", "thinking": block.text, "signature": signature}]
