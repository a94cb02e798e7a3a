"""Canonical events to the stream that Messages clients read."""

from enum import Enum
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct, structs

from core.canonical import (
    CUT_OFF,
    Block,
    BlockCitation,
    BlockDelta,
    BlockOpaque,
    BlockStart,
    BlockStop,
    Citation,
    MessageStart,
    MessageStop,
    Opaque,
    Refusal,
    ServerToolResult,
    ServerToolUse,
    StreamEvent,
    Text,
    Thinking,
    ToolUse,
    Usage,
)
from core.dialect import Echo
from core.dialects.messages.blocks_out import citation_wire
from core.dialects.messages.errors import error_event
from core.dialects.messages.reply_out import NameTable, Wires, message_wire, reply_wires, thought_wires
from core.dialects.messages.values import is_object, searches_out, stop_word, usage_out
from core.errors import GatewayError, UpstreamProtocolError
from core.opaque import seal

_encode: Final = msgspec.json.Encoder().encode

# A text delta is these bytes around the encoded string: the hot path builds no object.
PREFIX: Final = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"%b","%b":'
)
SUFFIX: Final = b"}}\n\n"
BLOCK_STOP: Final = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'
MESSAGE_STOP: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'

DELTA: Final[dict[type[Block], tuple[bytes, bytes]]] = {
    Text: (b"text_delta", b"text"),
    Refusal: (b"text_delta", b"text"),
    Thinking: (b"thinking_delta", b"thinking"),
    ToolUse: (b"input_json_delta", b"partial_json"),
}


class _Phase(Enum):
    BEFORE = 0  # nothing said
    BETWEEN = 1  # message_start said, no block open for the client
    INSIDE = 2  # a block is open for the client
    AFTER = 3  # the terminal event is said


class _Tally(Struct):
    """What the end of the message depends on."""

    calls: int = 0
    broken: str = ""
    refused: bool = False
    searches: int = 0


class MessagesEncoder:
    """Encode a stream.

    Invariants: `_phase` says what the client has seen; `_index` is the index of the client's open or next block.
    `_block` is the canonical block that is open, and `_pieces` what it grew by as far as that is still needed:
    an empty text is never opened, a call's arguments are checked when it ends, a redacted or foreign block is said whole.
    """

    def __init__(self, echo: Echo) -> None:
        self._echo = echo
        self._names = NameTable(echo.request)
        self._phase = _Phase.BEFORE
        self._index = 0
        self._block: Block | None = None
        self._pieces: list[str] = []
        self._prefix = b""
        self._opaque: Opaque | None = None
        self._tally = _Tally()

    def feed(self, event: StreamEvent) -> bytes:
        """Say one event."""
        if isinstance(event, BlockDelta):
            if self._prefix and type(self._block) is not ToolUse:
                return b"".join((self._prefix, _encode(event.text), SUFFIX))
            return self._grow(event.text)
        if self._phase is _Phase.AFTER:
            return b""
        match event:
            case MessageStart():
                return self._start(event)
            case BlockStart():
                return self._open(event.block)
            case BlockOpaque():
                self._opaque = event.opaque
                return b""
            case BlockCitation():
                return self._cite(event.citation)
            case BlockStop():
                return self._close_block()
            case MessageStop():
                return self._stop(event)

    def close(self) -> bytes:
        """Messages has no trailer."""
        return b""

    def error(self, error: GatewayError) -> bytes:
        """End the stream with an error event; nothing when a terminal event was said."""
        if self._phase is _Phase.AFTER:
            return b""
        closing = BLOCK_STOP % self._index if self._phase is _Phase.INSIDE else b""
        self._phase = _Phase.AFTER
        return closing + error_event(error)

    def _start(self, event: MessageStart) -> bytes:
        self._phase = _Phase.BETWEEN
        usage = event.usage or Usage(input_tokens=self._echo.input_tokens)
        message = message_wire(self._echo, [], None, None, usage_out(usage))
        return _event("message_start", {"type": "message_start", "message": message})

    def _open(self, block: Block) -> bytes:
        self._block, self._pieces, self._prefix, self._opaque = block, [], b"", None
        match block:
            case Text(text=text) | Refusal(text=text):
                self._tally.refused |= isinstance(block, Refusal)
                return self._grow(text) + b"".join(
                    [self._cite(cited) for cited in getattr(block, "citations", ())]
                )
            case Thinking() if not block.redacted:
                self._opaque = block.opaque
                return self._begin(block) + self._grow(block.text) if block.text else b""
            case ToolUse() if not block.custom:
                self._tally.calls += 1
                return self._begin(block) + self._grow(block.arguments)
            case _:
                return b""

    def _begin(self, block: Block) -> bytes:
        """Open the block for the client, empty."""
        wire = self._empty(block)
        self._phase = _Phase.INSIDE
        self._prefix = PREFIX % (self._index, *DELTA[type(block)])
        return self._block_start(wire)

    def _empty(self, block: Block) -> dict[str, Any]:
        match block:
            case Thinking():
                return {"type": "thinking", "thinking": "", "signature": ""}
            case ToolUse():
                return self._names.call_wire(block, Raw(b"{}"))
            case _:
                return {"type": "text", "text": ""}

    def _grow(self, text: str) -> bytes:
        if not text or self._block is None:
            return b""
        if (
            not self._prefix
            and isinstance(self._block, (Text, Refusal, Thinking))
            and not _is_redacted(self._block)
        ):
            return self._begin(self._block) + b"".join((self._prefix, _encode(text), SUFFIX))
        self._pieces.append(text)
        return b"".join((self._prefix, _encode(text), SUFFIX)) if self._prefix else b""

    def _cite(self, citation: Citation) -> bytes:
        if not isinstance(self._block, Text):
            return b""
        opening = b"" if self._prefix else self._begin(self._block)
        return opening + self._delta({"type": "citations_delta", "citation": citation_wire(citation)})

    def _close_block(self) -> bytes:
        block, self._block = self._block, None
        if block is None:
            return b""
        if isinstance(block, Thinking) and not block.redacted:
            return self._close_thinking(block)
        if isinstance(block, ToolUse):
            return self._close_call(block)
        if self._prefix:
            return self._end_block()
        return self._whole(block) if not isinstance(block, (Text, Refusal)) else b""

    def _close_thinking(self, block: Thinking) -> bytes:
        """The signature comes last. One that nobody issued is never made up: it stays empty."""
        if not self._prefix and self._opaque is None:
            return b""
        opening = b"" if self._prefix else self._begin(block)
        signature = b""
        if self._opaque is not None:
            signature = self._delta({"type": "signature_delta", "signature": seal(self._opaque, "messages")})
        return opening + signature + self._end_block()

    def _close_call(self, block: ToolUse) -> bytes:
        arguments = "".join(self._pieces)
        opaque = self._opaque or block.opaque
        if block.custom:
            self._tally.calls += 1
            whole = structs.replace(block, arguments=block.arguments + arguments, opaque=opaque)
            return self._whole(whole)
        if arguments and not is_object(arguments):
            self._tally.broken = block.name
        said = self._end_block()
        return said if opaque is None else said + self._whole_wires(thought_wires(block.call_id, opaque))

    def _whole(self, block: Block) -> bytes:
        """Say a block that takes no deltas."""
        if isinstance(block, Thinking):
            block = structs.replace(block, opaque=self._opaque or block.opaque)
        if isinstance(block, ServerToolUse):
            block = structs.replace(block, arguments=block.arguments + "".join(self._pieces))
        self._tally.searches += isinstance(block, ServerToolResult)
        return self._whole_wires(reply_wires(block, self._names))

    def _whole_wires(self, wires: Wires) -> bytes:
        """Say complete blocks; a call's input always comes as a delta, since clients read no other."""
        said: list[bytes] = []
        for wire in wires:
            if isinstance(wire, dict) and "input" in wire:
                partial = bytes(wire["input"]).decode()
                said.append(self._block_start({**wire, "input": Raw(b"{}")}))
                said.append(self._delta({"type": "input_json_delta", "partial_json": partial}))
            else:
                said.append(self._block_start(wire))
            said.append(self._end_block())
        return b"".join(said)

    def _stop(self, event: MessageStop) -> bytes:
        tally = self._tally
        if tally.broken and event.stop_reason not in CUT_OFF:
            return self.error(
                UpstreamProtocolError(
                    f"the model called {tally.broken} with arguments that are no JSON object"
                )
            )
        self._phase = _Phase.AFTER
        reason = stop_word(event.stop_reason, calls=tally.calls > 0, refused=tally.refused)
        usage: dict[str, Any] = usage_out(event.usage, self._echo.input_tokens)
        if tally.searches:
            usage["server_tool_use"] = searches_out(tally.searches)
        delta = {"stop_reason": reason, "stop_sequence": event.stop_sequence}
        return (
            _event("message_delta", {"type": "message_delta", "delta": delta, "usage": usage}) + MESSAGE_STOP
        )

    def _block_start(self, wire: Any) -> bytes:
        body = {"type": "content_block_start", "index": self._index, "content_block": wire}
        return _event("content_block_start", body)

    def _delta(self, delta: dict[str, Any]) -> bytes:
        body = {"type": "content_block_delta", "index": self._index, "delta": delta}
        return _event("content_block_delta", body)

    def _end_block(self) -> bytes:
        said = BLOCK_STOP % self._index
        self._index += 1
        self._prefix, self._phase = b"", _Phase.BETWEEN
        return said


def _is_redacted(block: Block) -> bool:
    return isinstance(block, Thinking) and block.redacted


def _event(name: str, body: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _encode(body))
