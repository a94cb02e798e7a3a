"""Upstream's stream to canonical events."""

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec
from msgspec import Raw

from core.canonical import (
    CUT_OFF,
    BlockDelta,
    MessageStart,
    MessageStop,
    Reply,
    StopReason,
    StreamEvent,
    Usage,
)
from core.dialects.responses.errors import error_from_upstream
from core.dialects.responses.live import ITEM_DONE, TELL, Live
from core.dialects.responses.schema import (
    JSON_ERRORS,
    CopilotUsage,
    InputTokensDetails,
    OutputTokensDetails,
    WireError,
    WireEvent,
    WireResponse,
    WireUsage,
    decode_copilot_usage,
    decode_error,
    decode_event,
    decode_item,
    decode_response_object,
    decode_type,
    is_set,
)
from core.errors import GatewayError, UpstreamProtocolError
from core.grammar import fold
from core.sse import EventTooLargeError, ServerSentEvent, SSEDecoder

# Why an answer is cut off. Any other reason counts as the output limit: a client must not take half an answer for a whole one.
INCOMPLETE: Final[dict[str, StopReason]] = {
    "max_output_tokens": "max_tokens",
    "max_tokens": "max_tokens",
    "content_filter": "refusal",
}
T = TypeVar("T")
TEXT_DELTA: Final = "response.output_text.delta"


class ResponsesDecoder:
    """Reads the events of one response.

    Upstream tells its output items one after another, but nothing in the protocol forbids two at once, so:
    `_queue` holds the items that are not told to the end, in the order they came; only the first one (`_live`) speaks,
    what comes for another waits in its `held`. `_items` holds every item by output index; its id is the one that was
    told first, because Copilot changes ids from event to event and wants that first one back.
    An error that ends the stream waits in `_error` until the events before it were handed out.
    """

    def __init__(self, scope: str = "") -> None:
        self._scope = scope
        self._sse = SSEDecoder()
        self._out: list[StreamEvent] = []
        self._started = False
        self._stopped = False
        self._error: GatewayError | None = None
        self._items: dict[int, Live] = {}
        self._queue: list[Live] = []
        self._live: Live | None = None
        self._blocks = 0
        self._nano: int | None = None
        self._usage: Usage | None = None

    @property
    def usage(self) -> Usage | None:
        """What upstream counted; it does so at the end."""
        return self._usage

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """Return the events that this chunk completes. Raises `GatewayError`."""
        if self._stopped:
            return []
        if self._error is not None:
            raise self._error
        try:
            events = self._sse.feed(chunk)
        except EventTooLargeError as error:
            raise UpstreamProtocolError(str(error)) from None
        return self._read(events)

    def close(self) -> list[StreamEvent]:
        """Return the last events. Raises `UpstreamProtocolError` when the stream was cut."""
        if self._stopped:
            return []
        if self._error is None:
            events = self._read(self._sse.close())
            if self._stopped:
                return events
        if self._error is not None:
            raise self._error
        raise UpstreamProtocolError("the stream ended before response.completed")

    def complete(self, response: Raw | bytes) -> Reply:
        """Read a complete reply as though a stream had held nothing else. Raises `GatewayError`."""
        self._guarded(self._finish, response)
        if self._error is not None:
            raise self._error
        return fold(self._out)

    # --- events --------------------------------------------------------------------------------------------------

    def _read(self, events: list[ServerSentEvent]) -> list[StreamEvent]:
        for event in events:
            self._guarded(self._event, event)
            if self._error is not None or self._stopped:
                break
        out, self._out = self._out, []
        if self._error is not None and not out:
            raise self._error
        return out

    def _guarded(self, step: Callable[[T], None], subject: T) -> None:
        """Take a step; what goes wrong in it is kept, so that the events before it are not lost."""
        try:
            step(subject)
        except GatewayError as error:
            self._error = error
        except JSON_ERRORS as error:
            self._error = UpstreamProtocolError(f"upstream sent a broken event: {error}")

    def _event(self, sse: ServerSentEvent) -> None:
        if sse.data[:1] != b"{":
            return  # `[DONE]`, or nothing of this protocol
        try:
            event = decode_event(sse.data)
        except JSON_ERRORS:
            if (decode_type(sse.data).type or sse.event) in EVENTS:
                raise
            return
        live = self._live
        if event.type == TEXT_DELTA and live is not None and live.takes(event):
            live.sent += len(event.delta or "")
            self._out.append(BlockDelta(self._blocks, event.delta or ""))
            return
        event.type = event.type or sse.event
        handle = EVENTS.get(event.type)
        if handle is not None:
            handle(self, event)
        elif not event.type and is_set(event.error):
            self.fail(event)

    def begin(self, event: WireEvent) -> None:
        """Open the message."""
        response = decode_response_object(event.response) if is_set(event.response) else WireResponse()
        self._start(response)

    def _start(self, response: WireResponse) -> None:
        if not self._started:
            self._started = True
            self._out.append(MessageStart(response.id or "", response.model or ""))

    def fail(self, event: WireEvent) -> None:
        """Read an `error` event: its members stand at the top, or under `error`."""
        error = decode_error(event.error) if is_set(event.error) else WireError(event.code, event.message)
        raise error_from_upstream(error, "upstream reported an error")

    def failed(self, event: WireEvent) -> None:
        """Read `response.failed`."""
        response = decode_response_object(event.response) if is_set(event.response) else WireResponse()
        self._price_of(event)
        self._count(response)
        raise error_from_upstream(response.error, "upstream failed to answer")

    # --- items ---------------------------------------------------------------------------------------------------

    def added(self, event: WireEvent) -> None:
        """Make the acquaintance of an item."""
        if is_set(event.item):
            live = self._item(event)
            live.begin(decode_item(event.item))

    def piece(self, event: WireEvent) -> None:
        """Take an event of an item: at once when it is the item's turn, later otherwise."""
        live = self._item(event)
        if live is self._live:
            self._tell(live, event)
        elif not live.done:
            live.held.append(event)

    def _item(self, event: WireEvent) -> Live:
        """Return the item that an event is about; events without an index are about the newest one."""
        self._start(WireResponse())
        index = event.output_index
        if index is None:
            index = max(self._items, default=0)
        live = self._items.get(index)
        if live is None:
            live = self._items[index] = Live(self._scope)
            self._queue.append(live)
            self._live = self._queue[0]
        return live

    def _tell(self, live: Live, event: WireEvent) -> None:
        """Tell an event of the item whose turn it is; when it is done, what was held back for the next ones."""
        self._say(live, event)
        while live.done:
            self._queue.pop(0)
            self._live = self._queue[0] if self._queue else None
            if self._live is None:
                return
            live = self._live
            held, live.held = live.held, []
            for waiting in held:
                self._say(live, waiting)

    def _say(self, live: Live, event: WireEvent) -> None:
        if not live.done:
            live.index = self._blocks
            self._out.extend(live.tell(event))
            self._blocks = live.index

    # --- the end -------------------------------------------------------------------------------------------------

    def terminal(self, event: WireEvent) -> None:
        """End the message."""
        self._price_of(event)
        self._finish(event.response if is_set(event.response) else b"{}")

    def _finish(self, raw: Raw | bytes) -> None:
        response = decode_response_object(raw)
        self._count(response)
        if response.status == "failed" or (response.error is not None and response.output is None):
            raise error_from_upstream(response.error, "upstream failed to answer")
        if response.status in {"in_progress", "queued", "cancelled"}:
            raise UpstreamProtocolError(f"upstream ended with a response that is {response.status}")
        self._start(response)
        self._settle(response.output or [])
        stop, word = self._stop_reason(response)
        self._stopped = True
        self._out.append(MessageStop(stop, self._usage or Usage(), raw=word))

    def _settle(self, output: list[Raw]) -> None:
        """Tell from the complete output what no event told, then end every item that is still open."""
        calls = {live.call_id for live in self._items.values() if live.call_id}
        known = sorted(self._items)
        for position, raw in enumerate(output):
            index = known[position] if len(known) == len(output) else position
            if index in self._items or decode_item(raw).call_id not in calls:
                self.piece(WireEvent(type=ITEM_DONE, output_index=index, item=raw))
        while self._live is not None:
            self._tell(self._live, WireEvent(type=ITEM_DONE))

    def _stop_reason(self, response: WireResponse) -> tuple[StopReason, str]:
        details = response.incomplete_details
        reason = "" if details is None else details.reason or ""
        incomplete = response.status == "incomplete" or bool(reason)
        stop: StopReason = INCOMPLETE.get(reason, "max_tokens") if incomplete else "end_turn"
        if stop not in CUT_OFF:
            for live in self._items.values():
                live.check()
        if incomplete:
            return stop, reason or "incomplete"
        if any(live.call_id for live in self._items.values()):
            return "tool_use", "completed"
        if any(live.refused for live in self._items.values()):
            return "refusal", "completed"
        return "end_turn", "completed"

    def _price(self, usage: CopilotUsage) -> None:
        if usage.total_nano_aiu is not None:
            self._nano = int(usage.total_nano_aiu)

    def _price_of(self, event: WireEvent) -> None:
        if is_set(event.copilot_usage):
            self._price(decode_copilot_usage(event.copilot_usage))

    def _count(self, response: WireResponse) -> None:
        if response.copilot_usage is not None:
            self._price(response.copilot_usage)
        if response.usage is not None:
            self._usage = usage_of(response.usage, self._nano)
        elif self._nano is not None:
            self._usage = Usage(nano_credits=self._nano)


def usage_of(wire: WireUsage, nano_credits: int | None = None) -> Usage:
    """Return upstream's count; every part of it may be missing or null."""
    inputs = wire.input_tokens_details or InputTokensDetails()
    outputs = wire.output_tokens_details or OutputTokensDetails()
    return Usage(
        input_tokens=wire.input_tokens or 0,
        output_tokens=wire.output_tokens or 0,
        cache_read_tokens=inputs.cached_tokens or 0,
        cache_write_tokens=inputs.cache_write_tokens or 0,
        reasoning_tokens=outputs.reasoning_tokens or 0,
        nano_credits=nano_credits,
    )


class _Counted(msgspec.Struct):
    usage: WireUsage | None = None
    copilot_usage: CopilotUsage | None = None


_decode_counted = msgspec.json.Decoder(_Counted).decode


def reply_usage(body: bytes) -> Usage | None:
    """Read what a complete reply says it used; None where it does not say, or cannot be read."""
    try:
        counted = _decode_counted(body)
    except JSON_ERRORS:
        return None
    if counted.usage is None:
        return None
    nano = None if counted.copilot_usage is None else counted.copilot_usage.total_nano_aiu
    return usage_of(counted.usage, None if nano is None else int(nano))


def decode_response(body: bytes, scope: str = "") -> Reply:
    """Read upstream's complete reply. Raises `GatewayError`."""
    try:
        if not body.isascii():
            body.decode()  # items that are only passed on are not looked into
    except UnicodeDecodeError:
        raise UpstreamProtocolError("upstream sent a reply that is not UTF-8") from None
    return ResponsesDecoder(scope).complete(body)


EVENTS: Final[dict[str, Callable[[ResponsesDecoder, WireEvent], None]]] = {
    "response.created": ResponsesDecoder.begin,
    "response.queued": ResponsesDecoder.begin,
    "response.in_progress": ResponsesDecoder.begin,
    "response.output_item.added": ResponsesDecoder.added,
    "response.completed": ResponsesDecoder.terminal,
    "response.incomplete": ResponsesDecoder.terminal,
    "response.failed": ResponsesDecoder.failed,
    "error": ResponsesDecoder.fail,
    **dict.fromkeys(TELL, ResponsesDecoder.piece),
}
