"""Upstream's Messages stream to canonical events."""

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct, UnsetType, structs

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
    ServerToolUse,
    StreamEvent,
    Text,
    Thinking,
    ToolUse,
    Usage,
)
from core.dialects.messages.blocks_in import block_in, citation_in
from core.dialects.messages.errors import upstream_error
from core.dialects.messages.schema import DeltaIn, EventIn, ReplyIn, TypeOf
from core.dialects.messages.values import STOP_REASON, UsageTap, is_object
from core.errors import GatewayError, UpstreamProtocolError
from core.sse import EventTooLargeError, ServerSentEvent, SSEDecoder

_event: Final = msgspec.json.Decoder(EventIn).decode
_type: Final = msgspec.json.Decoder(TypeOf).decode
_message: Final = msgspec.json.Decoder(ReplyIn).decode

KNOWN: Final = frozenset({
    "message_start", "content_block_start", "content_block_delta", "content_block_stop",
    "message_delta", "message_stop", "error", "ping",
})  # fmt: skip
TEXT_DELTAS: Final = frozenset({"text_delta", "thinking_delta"})


def read_event(event: ServerSentEvent) -> EventIn | None:
    """Read one wire event; None for what has no meaning here. Raises `UpstreamProtocolError`."""
    try:
        return _event(event.data)
    except msgspec.ValidationError as error:
        # A newer event may use our members' names for other things: only the known ones are held to their shape.
        if _type_of(event.data) not in KNOWN:
            return None
        raise UpstreamProtocolError(f"upstream sent a malformed event: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if event.data.strip() in {b"", b"[DONE]"}:
            return None
        raise UpstreamProtocolError("upstream sent an event that is not JSON") from None


class _Open(Struct):
    """The open block: upstream's own index for it, what is known of it, and the pieces of a call's arguments."""

    wire_index: int
    block: Block
    pieces: list[str]


class MessagesDecoder:
    """Decode upstream's stream.

    Invariants: `_index` is the next canonical index; `_open` the open block or None. `_failure` is an error that is
    raised once the events before it are out. After `MessageStop` or a failure everything is ignored.
    """

    def __init__(self, scope: str = "") -> None:
        self._sse = SSEDecoder()
        self._scope = scope
        self._tap = UsageTap()
        self._index = 0
        self._open: _Open | None = None
        self._phase: str = "before"  # "before", "inside", "after"
        self._stop = DeltaIn()
        self._broken_call = ""
        self._failure: GatewayError | None = None
        self._on: Final[dict[str, Callable[[EventIn, list[StreamEvent]], None]]] = {
            "message_start": self._message_start,
            "content_block_start": self._block_start,
            "content_block_delta": self._block_delta,
            "content_block_stop": self._block_stop,
            "message_delta": self._message_delta,
            "message_stop": self._message_stop,
            "error": self._error,
        }

    @property
    def usage(self) -> Usage | None:
        """What upstream has counted so far."""
        return self._tap.usage if self._tap.heard else None

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """Return the events that this chunk completes. Raises `GatewayError`."""
        if self._phase == "after":
            return []
        try:
            events = self._sse.feed(chunk)
        except EventTooLargeError as error:
            raise UpstreamProtocolError(str(error)) from None
        return self._take(events)

    def close(self) -> list[StreamEvent]:
        """Return the last events. Raises `UpstreamProtocolError` when the stream was cut."""
        if self._failure is not None:
            raise self._failure
        if self._phase == "after":
            return []
        out = self._take(self._sse.close())
        if self._failure is not None:
            raise self._failure
        if self._phase != "after":
            raise UpstreamProtocolError("the upstream stream ended before message_stop")
        return out

    def _take(self, events: list[ServerSentEvent]) -> list[StreamEvent]:
        out: list[StreamEvent] = []
        try:
            if self._failure is not None:
                raise self._failure
            for event in events:
                if self._phase == "after":
                    break
                self._read(event, out)
        except GatewayError as error:
            if not out:
                self._phase = "after"
                raise
            self._failure = error
        return out

    def _read(self, wire: ServerSentEvent, out: list[StreamEvent]) -> None:
        event = read_event(wire)
        if event is None:
            return
        delta, opened = event.delta, self._open
        if (
            delta is not None
            and opened is not None
            and delta.type in TEXT_DELTAS
            and event.index == opened.wire_index
        ):
            text = delta.text or delta.thinking
            if text and isinstance(opened.block, (Text, Thinking)):
                out.append(BlockDelta(self._index, text))
            return
        on = self._on.get(event.type)
        if on is not None:
            on(event, out)
        elif not event.type and not isinstance(event.error, UnsetType):
            raise upstream_error(event.error)

    def _message_start(self, event: EventIn, out: list[StreamEvent]) -> None:
        if self._phase != "before":
            raise UpstreamProtocolError("upstream sent a second message_start")
        try:
            message = ReplyIn() if isinstance(event.message, UnsetType) else _message(event.message)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise UpstreamProtocolError("upstream sent a malformed message_start") from None
        self._phase = "inside"
        self._tap.take(message.usage, event.copilot_usage)
        out.append(MessageStart(message.id, message.model, self.usage))

    def _block_start(self, event: EventIn, out: list[StreamEvent]) -> None:
        self._inside("content_block_start")
        self._close_block(out)
        if isinstance(event.content_block, UnsetType):
            raise UpstreamProtocolError("upstream sent a content_block_start without a block")
        block = stream_block(event.content_block, self._scope)
        pieces: list[str] = []
        if isinstance(block, (ToolUse, ServerToolUse)):
            pieces, block = [block.arguments], structs.replace(block, arguments="")
        self._open = _Open(event.index, block, pieces)
        out.append(BlockStart(self._index, block))

    def _block_delta(self, event: EventIn, out: list[StreamEvent]) -> None:
        self._inside("content_block_delta")
        opened, delta = self._open, event.delta
        if opened is None or event.index != opened.wire_index:
            raise UpstreamProtocolError("upstream sent a delta of a block that is not open")
        if delta is None:
            raise UpstreamProtocolError("upstream sent a content_block_delta without a delta")
        block = opened.block
        if delta.type == "input_json_delta" and isinstance(block, (ToolUse, ServerToolUse)):
            if delta.partial_json:
                opened.pieces.append(delta.partial_json)
                out.append(BlockDelta(self._index, delta.partial_json))
        elif delta.type == "signature_delta" and delta.signature and isinstance(block, Thinking):
            opaque = Opaque("messages", delta.signature, scope=self._scope)
            out.append(BlockOpaque(self._index, opaque))
        elif (
            delta.type == "citations_delta"
            and isinstance(block, Text)
            and not isinstance(delta.citation, UnsetType)
        ):
            out.append(BlockCitation(self._index, _citation(delta.citation)))

    def _block_stop(self, event: EventIn, out: list[StreamEvent]) -> None:
        self._inside("content_block_stop")
        if self._open is not None and event.index == self._open.wire_index:
            self._close_block(out)

    def _message_delta(self, event: EventIn, out: list[StreamEvent]) -> None:
        self._inside("message_delta")
        self._close_block(out)
        self._tap.take(event.usage, event.copilot_usage)
        if event.delta is not None and event.delta.stop_reason is not None:
            self._stop = event.delta

    def _message_stop(self, event: EventIn, out: list[StreamEvent]) -> None:
        self._inside("message_stop")
        self._close_block(out)
        self._tap.take(event.usage, event.copilot_usage)
        raw = self._stop.stop_reason
        if raw is None:
            raise UpstreamProtocolError("the upstream stream ended before a stop_reason")
        reason = STOP_REASON.get(raw, "other")
        if self._broken_call and reason not in CUT_OFF:
            raise UpstreamProtocolError(
                f"upstream called {self._broken_call} with arguments that are no JSON object"
            )
        self._phase = "after"
        out.append(MessageStop(reason, self._tap.usage, self._stop.stop_sequence, raw))

    def _error(self, event: EventIn, _out: list[StreamEvent]) -> None:
        raise upstream_error(event.error)

    def _inside(self, name: str) -> None:
        if self._phase != "inside":
            raise UpstreamProtocolError(f"upstream sent {name} before message_start")

    def _close_block(self, out: list[StreamEvent]) -> None:
        """Close the open block. A call whose arguments came with its start, or not at all, gets them now."""
        opened = self._open
        if opened is None:
            return
        if isinstance(opened.block, (ToolUse, ServerToolUse)):
            if len(opened.pieces) == 1:
                out.append(BlockDelta(self._index, opened.pieces[0]))
            elif isinstance(opened.block, ToolUse) and not is_object("".join(opened.pieces[1:])):
                self._broken_call = opened.block.name
        out.append(BlockStop(self._index))
        self._index += 1
        self._open = None


def stream_block(raw: bytes, scope: str) -> Block:
    """Read a block that upstream made; its opaque value is tagged with the account. Raises `UpstreamProtocolError`."""
    try:
        block = block_in(raw, "content_block")
    except GatewayError as error:
        raise UpstreamProtocolError(f"upstream sent a malformed block: {error.message}") from None
    if isinstance(block, Thinking) and block.opaque is not None:
        return structs.replace(block, opaque=Opaque("messages", block.opaque.value, scope=scope))
    return block


def _citation(raw: bytes) -> Citation:
    try:
        return citation_in(raw, "citation")
    except GatewayError as error:
        raise UpstreamProtocolError(f"upstream sent a malformed citation: {error.message}") from None


def _type_of(data: bytes) -> str:
    try:
        return _type(data).type
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
