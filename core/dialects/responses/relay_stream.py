"""Pass-through of a stream: whole events as they came, but for what strict clients cannot bear."""

from typing import Any, Final, Literal

import msgspec
from msgspec import Raw, Struct

from core.canonical import Usage
from core.dialect import Echo
from core.dialects.responses.envelope import Envelope
from core.dialects.responses.errors import error_from_upstream, failed_error
from core.dialects.responses.items import EMPTY_ARGUMENTS
from core.dialects.responses.known import KNOWN, LIFECYCLE, NEW_ID, TERMINAL
from core.dialects.responses.live import ITEM_DONE
from core.dialects.responses.relay_calls import cut_off, settled, sound
from core.dialects.responses.relay_frame import cut
from core.dialects.responses.schema import (
    JSON_ERRORS,
    Absent,
    CopilotUsage,
    WireError,
    WireUsage,
    decode_error,
    decode_members,
    encode,
    is_set,
)
from core.dialects.responses.stream_decoder import usage_of
from core.dialects.responses.wire import Wire, one_line
from core.errors import GatewayError, UpstreamProtocolError
from core.sse import MAX_EVENT_BYTES, ServerSentEvent, SSEDecoder

BOM: Final = b"\xef\xbb\xbf"
COMPLETED: Final = "response.completed"
ARGUMENTS: Final = "response.function_call_arguments"
# Deltas that go by in great numbers, by the line that they begin with: those need no more than a glance.
FAST: Final = {
    b"event: " + kind.encode(): kind
    for kind in (
        "response.output_text.delta",
        "response.function_call_arguments.delta",
        "response.reasoning_summary_text.delta",
        "response.custom_tool_call_input.delta",
    )
}
State = Literal["new", "open", "over"]


class EventFacts(Struct):
    """What the relay looks at in an event."""

    type: str = ""
    sequence_number: int | None = None
    output_index: int | None = None
    item_id: str | None = None
    item: Raw | Absent = msgspec.UNSET
    arguments: Raw | Absent = msgspec.UNSET
    response: Raw | Absent = msgspec.UNSET
    error: Raw | Absent = msgspec.UNSET
    code: str | int | None = None
    message: str | None = None
    copilot_usage: CopilotUsage | None = None


class DeltaFacts(Struct):
    """What the relay looks at in a delta."""

    type: str
    sequence_number: int
    output_index: int
    item_id: str


class ItemFacts(Struct):
    """What the relay looks at in an output item."""

    type: str = ""
    id: str | None = None
    name: str | None = None


class ResponseFacts(Struct):
    """What the relay looks at in a response object."""

    id: str | None = None
    model: str | None = None
    output: list[Raw] | None = None
    usage: WireUsage | None = None


_decode_delta = msgspec.json.Decoder(DeltaFacts).decode
_decode_facts = msgspec.json.Decoder(EventFacts).decode
_decode_item = msgspec.json.Decoder(ItemFacts).decode
_decode_response = msgspec.json.Decoder(ResponseFacts).decode


class ResponsesRelay:
    """Forwards one stream.

    Invariants: `_state` goes new, open, over and never back; nothing is forwarded before `response.created` or after
    a terminal event. `_anchors` holds each item's first id by output index, and every later event is made to agree
    with it (Copilot changes ids from event to event; the openai SDK, opencode and Continue break on that). `_items` are
    the finished items as forwarded. `_held` are finished calls that nobody can run: the answer's end says whether its
    limit cut them, or whether they are an error. `_next` is the number that the next event must have. `_error` waits
    until the bytes before it were handed out.
    """

    def __init__(self, echo: Echo) -> None:
        self._echo = echo
        self._names = echo.full_names()
        self._state: State = "new"
        self._rest = b""
        self._next = 0
        self._anchors: dict[int, str] = {}
        self._items: dict[int, Raw] = {}
        self._held: dict[int, Raw] = {}
        self._response_id: str | None = None
        self._usage: Usage | None = None
        self._failure: GatewayError | None = None
        self._error: GatewayError | None = None

    @property
    def usage(self) -> Usage | None:
        """What upstream counted."""
        return self._usage

    @property
    def done(self) -> bool:
        """Whether the terminal event was forwarded."""
        return self._state == "over"

    @property
    def failure(self) -> GatewayError | None:
        """What a forwarded `response.failed` said."""
        return self._failure

    def feed(self, chunk: bytes) -> bytes:
        """Return the bytes to forward. Raises `GatewayError`."""
        if self.done:
            return b""
        if self._error is not None:
            raise self._error
        blocks, self._rest = cut(self._rest + chunk if self._rest else chunk)
        if len(self._rest) > MAX_EVENT_BYTES:
            raise UpstreamProtocolError(f"an event is larger than {MAX_EVENT_BYTES} bytes")
        out: list[bytes] = []
        for block in blocks:
            plain = block.isascii() or _is_utf8(block)
            out.append((self._delta(block) if plain else b"") or self._guarded(block))
            if self._ends():
                break
        forwarded = b"".join(out)
        if self._error is not None and not forwarded:
            raise self._error
        return forwarded

    def close(self) -> bytes:
        """Return the last bytes. Raises `UpstreamProtocolError` when there was no terminal event."""
        if self.done:
            return b""
        before = self._state, self._next
        last = self._guarded(self._rest) if self._rest and self._error is None else b""
        if self.done:
            return last  # only the blank line after the last event was missing
        self._state, self._next = before
        raise self._error or UpstreamProtocolError("the stream ended before response.completed")

    def _ends(self) -> bool:
        return self._error is not None or self._state == "over"

    def error(self, error: GatewayError) -> bytes:
        """End with `response.failed`."""
        if self._state == "over":
            return b""
        opening = self._open()
        self._state = "over"
        response = Envelope(self._echo, self._response_id).render("failed", [], error=failed_error(error))
        return opening + self._own("response.failed", {"response": Raw(response)})

    def _delta(self, block: bytes) -> bytes:
        """Return a delta as it came, or with the right id and number in place; nothing where it needs a closer look."""
        head, _, data = block.partition(b"\ndata: ")
        kind = FAST.get(head)
        if kind is None or b"\n" in data[:-2]:
            return b""
        try:
            facts = _decode_delta(data)
        except JSON_ERRORS:
            return b""  # the thorough way will say what is wrong
        first = self._anchors.get(facts.output_index)
        if facts.type != kind:
            return b""
        if facts.sequence_number == self._next and facts.item_id == first:
            self._next += 1
            return block
        number = b'"sequence_number":%d,' % facts.sequence_number
        item = b'"item_id":%b' % encode(facts.item_id)
        if first is None or block.count(number) != 1 or block.count(item) != 1:
            return b""
        block = block.replace(number, b'"sequence_number":%d,' % self._next)
        self._next += 1
        return block.replace(item, b'"item_id":%b' % encode(first))

    # --- one event -----------------------------------------------------------------------------------------------

    def _guarded(self, block: bytes) -> bytes:
        before = self._state, self._next
        try:
            return self._judge(block)
        except GatewayError as error:
            self._error = error
        except JSON_ERRORS as error:
            self._error = UpstreamProtocolError(f"upstream sent a broken event: {error}")
        self._state, self._next = before  # nothing of the event was forwarded
        return b""

    def _judge(self, block: bytes) -> bytes:
        block = block.removeprefix(BOM)  # legal only where a stream begins, and a heartbeat may have begun it
        block.decode()  # broken UTF-8 would break the client's reader
        events = SSEDecoder().feed(block.rstrip(b"\r\n") + b"\n\n")
        if not events:
            return block if block.startswith(b":") else b""  # a comment is a heartbeat
        sse = events[0]
        if sse.data[:1] != b"{":
            return b""  # `[DONE]` belongs to another API
        facts = self._facts(sse)
        if facts is None:
            return b""
        kind = facts.type or sse.event
        if kind == "error" or (not kind and is_set(facts.error)):
            error = decode_error(facts.error) if is_set(facts.error) else WireError(facts.code, facts.message)
            raise error_from_upstream(error, "upstream reported an error")
        if kind not in KNOWN or (kind == "response.created" and self._state != "new"):
            return b""  # `keepalive` and the like: openai-node throws on events that it does not know
        if kind == ITEM_DONE and self._holds(facts):
            return b""
        opening = b"" if kind == "response.created" else self._open()
        self._state = "over" if kind in TERMINAL else "open"
        if kind == "response.failed":
            self._failure = _failure_of(facts.response)
        opening += self._missing(kind, facts)
        changes = self._changes(kind, facts)
        if not changes and not opening and sse.event == kind:
            return block
        members: dict[str, Any] = {**decode_members(sse.data), **changes}
        return opening + ServerSentEvent(one_line(encode(members)), kind).encode()

    def _facts(self, sse: ServerSentEvent) -> EventFacts | None:
        """Read an event; one that is unknown may have any shape, a known one may not."""
        try:
            return _decode_facts(sse.data)
        except JSON_ERRORS:
            kind = decode_members(sse.data).get("type")
            name = sse.event if kind is None else bytes(kind).decode("utf-8", "replace").strip('"')
            if name in KNOWN:
                raise
            return None

    def _holds(self, facts: EventFacts) -> bool:
        """Keep back a finished call that nobody can run; tell whether it is one."""
        if not is_set(facts.item) or sound(facts.item) is not None:
            return False
        self._held[facts.output_index or 0] = facts.item
        return True

    def _missing(self, kind: str, facts: EventFacts) -> bytes:
        """Return what must go before an event: the arguments of a call that has none, and calls that the limit cut."""
        index = facts.output_index or 0
        if _is_silent(kind, facts):
            item_id = self._anchors.get(index, facts.item_id)
            piece = {"item_id": item_id, "output_index": index, "delta": EMPTY_ARGUMENTS}
            return self._own(f"{ARGUMENTS}.delta", piece)
        told = b""
        for index, held in self._held.items() if kind in TERMINAL else ():
            item = self._items[index] = cut_off(self._item(held, index), cut=kind != COMPLETED)
            told += self._own(ITEM_DONE, {"output_index": index, "item": item})
        return told

    def _changes(self, kind: str, facts: EventFacts) -> dict[str, Any]:
        """Return the members that must be other than upstream sent them."""
        changes: dict[str, Any] = {}
        if not facts.type:
            changes["type"] = kind
        if facts.sequence_number is not None and facts.sequence_number != self._next:
            changes["sequence_number"] = self._next
        self._next += 1
        if kind in LIFECYCLE:
            response = self._response(kind, facts)
            if response is not None:
                changes["response"] = response
            return changes
        if facts.output_index is not None:
            changes |= self._item_changes(kind, facts, facts.output_index)
        return changes

    def _item_changes(self, kind: str, facts: EventFacts, index: int) -> dict[str, Any]:
        changes: dict[str, Any] = {}
        if _is_silent(kind, facts):
            changes["arguments"] = EMPTY_ARGUMENTS
        if is_set(facts.item):
            whole = sound(facts.item) if kind == ITEM_DONE else None
            item = self._item(whole or facts.item, index)
            if item is not facts.item:
                changes["item"] = item
            if kind == ITEM_DONE:
                self._items[index] = item
        elif facts.item_id is not None and self._anchor(index, facts.item_id) != facts.item_id:
            changes["item_id"] = self._anchors[index]
        return changes

    def _anchor(self, index: int, item_id: str) -> str:
        return self._anchors.setdefault(index, item_id)

    def _item(self, raw: Raw, index: int) -> Raw:
        """Return the item under its first id and its tool's own name."""
        facts = _decode_item(raw)
        first = facts.id or self._anchors.get(index) or self._echo.new_id(NEW_ID.get(facts.type, "item_"))
        changes: dict[str, Any] = {}
        if self._anchor(index, first) != facts.id:
            changes["id"] = self._anchors[index]
        if facts.name in self._names:
            changes["name"] = self._names[facts.name]
        return Raw(encode({**decode_members(raw), **changes})) if changes else raw

    def _response(self, kind: str, facts: EventFacts) -> Raw | None:
        """Return the response object as it must be, or None when it is right as it is."""
        if not is_set(facts.response):
            return self._missing_response(kind)
        response = _decode_response(facts.response)
        changes: dict[str, Any] = {}
        if response.model != self._echo.model:
            changes["model"] = self._echo.model
        if self._response_id is None:
            self._response_id = response.id or Envelope(self._echo).id
        if response.id != self._response_id:
            changes["id"] = self._response_id
        output = self._output(kind, response.output) if response.output else self._finished(kind)
        if output is not None:
            changes["output"] = output
        if response.usage is not None:
            nano = None if facts.copilot_usage is None else facts.copilot_usage.total_nano_aiu
            self._usage = usage_of(response.usage, None if nano is None else int(nano))
        return Raw(encode({**decode_members(facts.response), **changes})) if changes else None

    def _missing_response(self, kind: str) -> Raw:
        status = "in_progress" if kind not in TERMINAL else kind.removeprefix("response.")
        envelope = Envelope(self._echo, self._response_id)
        self._response_id = envelope.id
        return Raw(envelope.render(status, self._finished(kind) or []))

    def _finished(self, kind: str) -> list[Raw] | None:
        """Return what was streamed, for a last event that repeats nothing of it: SDKs give out what stands there."""
        told = kind in TERMINAL and self._items
        return [self._items[index] for index in sorted(self._items)] if told else None

    def _output(self, kind: str, raws: list[Raw]) -> list[Raw] | None:
        """Return the output with the items' first ids and calls that can be run, or None when it is so."""
        known = sorted(self._anchors)
        indexes = known if len(known) == len(raws) else range(len(raws))
        whole = settled(raws, cut=kind != COMPLETED) if kind in TERMINAL else raws
        items = [self._item(raw, index) for raw, index in zip(whole, indexes, strict=True)]
        return items if any(new is not old for new, old in zip(items, raws, strict=True)) else None

    # --- events of our own ---------------------------------------------------------------------------------------

    def _open(self) -> bytes:
        """Begin a stream that upstream did not begin."""
        if self._state != "new":
            return b""
        self._state = "open"
        envelope = Envelope(self._echo, self._response_id)
        self._response_id = envelope.id
        members = {"response": Raw(envelope.render("in_progress", []))}
        return self._own("response.created", members) + self._own("response.in_progress", members)

    def _own(self, kind: str, members: dict[str, Any]) -> bytes:
        wire = Wire(self._next)
        self._next += 1
        return wire.event(kind, members)


def _is_silent(kind: str, facts: EventFacts) -> bool:
    """Tell whether an event says that a call has no arguments (AC-18)."""
    return kind == f"{ARGUMENTS}.done" and is_set(facts.arguments) and bytes(facts.arguments) == b'""'


def _is_utf8(block: bytes) -> bool:
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True


def _failure_of(response: Raw | Absent) -> GatewayError:
    try:
        error = decode_error(decode_members(response)["error"]) if is_set(response) else WireError()
    except (KeyError, *JSON_ERRORS):
        error = WireError()
    return error_from_upstream(error, "upstream failed to answer")
