"""Pass-through of a stream: upstream's own events, held to the rules that clients insist on."""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct, UnsetType

from core.canonical import CUT_OFF, ServerToolUse, ToolUse, Usage
from core.dialect import Echo
from core.dialects.messages.errors import error_event, upstream_error
from core.dialects.messages.model_name import with_model
from core.dialects.messages.relay_names import restored_block
from core.dialects.messages.reply_out import REQUIRED, message_wire
from core.dialects.messages.schema import DeltaIn, EventIn, ReplyIn
from core.dialects.messages.stream_decoder import read_event, stream_block
from core.dialects.messages.stream_encoder import BLOCK_STOP
from core.dialects.messages.turns import raw_members
from core.dialects.messages.values import (
    STOP_REASON,
    UsageTap,
    is_object,
    one_line,
    usage_in,
    usage_out,
)
from core.errors import GatewayError, UpstreamProtocolError
from core.sse import EventTooLargeError, ServerSentEvent, SSEDecoder

_encode: Final = msgspec.json.Encoder().encode
_string: Final = msgspec.json.Decoder(str).decode
_message: Final = msgspec.json.Decoder(ReplyIn).decode

# What a client may see grow a block of each type; a block type that is not here takes whatever comes.
CALL_DELTAS: Final = frozenset({"input_json_delta"})
DELTAS: Final[dict[str, frozenset[str]]] = {
    "text": frozenset({"text_delta", "citations_delta"}),
    "thinking": frozenset({"thinking_delta", "signature_delta"}),
    "redacted_thinking": frozenset(),
    "tool_use": CALL_DELTAS,
    "server_tool_use": CALL_DELTAS,
}
# What a block must have when it opens, for deltas to be added to.
BLANKS: Final[dict[str, dict[str, Raw]]] = {
    "text": {"text": Raw(b'""')},
    "thinking": {"thinking": Raw(b'""')},
    "tool_use": {"input": Raw(b"{}")},
    "server_tool_use": {"input": Raw(b"{}")},
}
# The member that each delta must have.
CARRIES: Final[dict[str, str]] = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "input_json_delta": "partial_json",
    "signature_delta": "signature",
    "citations_delta": "citation",
}
DELTA_HEAD: Final = b"event: content_block_delta\ndata: "
END: Final = b"\n\n"


class _Open(Struct):
    """The open block: upstream's index for it, the deltas it takes (None: whatever comes), a call's name and arguments.

    waits: whether the call is one that the client runs.
    """

    wire_index: int
    takes: frozenset[str] | None
    call: str = ""
    waits: bool = False
    pieces: list[str] = []


class MessagesRelay:
    """Relay a stream.

    Invariants: `_index` is the index of the client's open or next block, `_open` the open block or None. `_phase` goes
    "before" -> "inside" -> "after" (a terminal event was forwarded). `_failure` waits until the bytes before it are out; `_unsent`
    are the bytes of an event that upstream's cut left without its blank line, for `error` to send.
    """

    def __init__(self, echo: Echo) -> None:
        self._echo = echo
        self._names = echo.full_names()
        self._sse = SSEDecoder()
        self._tap = UsageTap()
        self._phase = "before"
        self._index = 0
        self._open: _Open | None = None
        self._stopped = self._called = False
        self._broken_call = ""
        self._unsent = b""
        self._failure: GatewayError | None = None
        self._on: Final[dict[str, Callable[[EventIn, bytes, list[bytes]], None]]] = {
            "message_start": self._message_start,
            "content_block_start": self._block_start,
            "content_block_delta": self._block_delta,
            "content_block_stop": self._block_stop,
            "message_delta": self._message_delta,
            "message_stop": self._message_stop,
            "error": self._error,
            "ping": self._ping,
        }

    @property
    def usage(self) -> Usage | None:
        """What upstream counted, once it said so."""
        return self._tap.usage if self._tap.heard else None

    @property
    def done(self) -> bool:
        """Whether a terminal event was forwarded."""
        return self._phase == "after"

    @property
    def failure(self) -> GatewayError | None:
        """None: errors are raised, and told by `error`."""
        return None

    def feed(self, chunk: bytes) -> bytes:
        """Return the bytes to forward. Raises `GatewayError`."""
        if self._phase == "after":
            return b""
        try:
            events = self._sse.feed(chunk)
        except EventTooLargeError as error:
            raise UpstreamProtocolError(str(error)) from None
        return self._take(events)

    def close(self) -> bytes:
        """Return the last bytes. Raises `UpstreamProtocolError` when the stream was cut."""
        if self._phase == "after":
            return b""
        out = self._take(self._sse.close())
        if self._phase != "after":
            self._unsent = out
            raise self._failure or UpstreamProtocolError("the upstream stream ended before message_stop")
        return out

    def error(self, error: GatewayError) -> bytes:
        """End the stream with an error event; nothing when a terminal event was forwarded."""
        if self._phase == "after":
            return b""
        closing = BLOCK_STOP % self._index if self._open is not None else b""
        self._phase, self._open = "after", None
        return self._unsent + closing + error_event(error)

    def _take(self, events: list[ServerSentEvent]) -> bytes:
        out: list[bytes] = []
        try:
            if self._failure is not None:
                raise self._failure
            for event in events:
                if self._phase == "after":
                    break
                self._read(event, out)
        except GatewayError as error:
            if not out:
                raise
            self._failure = error
        return b"".join(out)

    def _read(self, wire: ServerSentEvent, out: list[bytes]) -> None:
        event = read_event(wire)
        if event is None:
            return
        data = _legible(wire.data)
        delta, opened = event.delta, self._open
        if delta is not None and opened is not None and event.index == opened.wire_index == self._index:
            kind = delta.type
            said = (
                delta.text
                if kind == "text_delta"
                else delta.partial_json
                if kind == "input_json_delta"
                else ""
            )
            if (
                said
                and event.type == "content_block_delta"
                and (opened.takes is None or kind in opened.takes)
            ):
                out += (DELTA_HEAD, data, END)
                if opened.call:
                    opened.pieces.append(said)
                return
        on = self._on.get(event.type)
        if on is not None:
            on(event, data, out)
        elif not event.type and not isinstance(event.error, UnsetType):
            raise upstream_error(event.error)

    def _message_start(self, event: EventIn, data: bytes, out: list[bytes]) -> None:
        if self._phase != "before":
            raise UpstreamProtocolError("upstream sent a second message_start")
        try:
            message = ReplyIn() if isinstance(event.message, UnsetType) else _message(event.message)
            members = {} if isinstance(event.message, UnsetType) else raw_members(event.message)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise UpstreamProtocolError("upstream sent a malformed message_start") from None
        self._phase = "inside"
        self._tap.take(message.usage, event.copilot_usage)
        whole = _is_whole(members, message)
        if whole and bytes(members["model"]) == _encode(self._echo.model):
            out.append(_event(b"message_start", data))
            return
        if whole:
            shown: Any = Raw(with_model(bytes(_raw(event.message)), members, self._echo.model))
        else:
            shown = self._filled(members, message)
        rest = raw_members(data)
        out.append(_event(b"message_start", _encode({**rest, "type": "message_start", "message": shown})))

    def _filled(self, members: dict[str, Any], message: ReplyIn) -> dict[str, Any]:
        """Return the message object with every member that strict clients want."""
        usage = (
            usage_in(message.usage, msgspec.UNSET)
            if message.usage is not None
            else Usage(self._echo.input_tokens)
        )
        blank = message_wire(self._echo, [], None, None, usage_out(usage))
        if message.id:
            blank["id"] = message.id
        kept = {name: value for name, value in members.items() if name not in blank}
        return {**blank, **kept}

    def _block_start(self, event: EventIn, data: bytes, out: list[bytes]) -> None:
        self._inside("content_block_start")
        self._close_block(out)
        if isinstance(event.content_block, UnsetType):
            raise UpstreamProtocolError("upstream sent a content_block_start without a block")
        block = stream_block(event.content_block, "")
        block_type = _string(raw_members(event.content_block)["type"])
        call = block.name if isinstance(block, ToolUse | ServerToolUse) else ""
        self._open = _Open(event.index, DELTAS.get(block_type), call, isinstance(block, ToolUse))
        data = self._numbered(event, data)
        shown = _completed(event.content_block, block_type)
        shown = restored_block(shown, self._names) if self._names else shown
        if shown is not event.content_block:
            data = _encode({**raw_members(data), "content_block": shown})
        out.append(_event(b"content_block_start", data))

    def _block_delta(self, event: EventIn, data: bytes, out: list[bytes]) -> None:
        self._inside("content_block_delta")
        opened, delta = self._open, event.delta
        if opened is None or event.index != opened.wire_index:
            raise UpstreamProtocolError("upstream sent a delta of a block that is not open")
        if delta is None:
            raise UpstreamProtocolError("upstream sent a content_block_delta without a delta")
        if (opened.takes is None or delta.type in opened.takes) and _carries(delta, data):
            out.append(_event(b"content_block_delta", self._numbered(event, data)))
            opened.pieces.append(delta.partial_json)

    def _block_stop(self, event: EventIn, data: bytes, out: list[bytes]) -> None:
        self._inside("content_block_stop")
        if self._open is not None and event.index == self._open.wire_index:
            out.append(_event(b"content_block_stop", self._numbered(event, data)))
            self._closed()

    def _message_delta(self, event: EventIn, data: bytes, out: list[bytes]) -> None:
        self._inside("message_delta")
        self._close_block(out)
        self._tap.take(event.usage, event.copilot_usage)
        if event.delta is None:
            return
        reason = event.delta.stop_reason
        if self._broken_call and reason is not None and STOP_REASON.get(reason, "other") not in CUT_OFF:
            raise UpstreamProtocolError(
                f"upstream called {self._broken_call} with arguments that are no JSON object"
            )
        self._stopped = self._stopped or reason is not None
        if reason == "end_turn" and self._called:
            told = {**raw_members(raw_members(data)["delta"]), "stop_reason": "tool_use"}
            data = _encode({**raw_members(data), "delta": told})
        if event.usage is None or event.usage.output_tokens is None:
            data = _encode(
                {**raw_members(data), "usage": usage_out(self._tap.usage, self._echo.input_tokens)}
            )
        out.append(_event(b"message_delta", data))

    def _message_stop(self, event: EventIn, data: bytes, out: list[bytes]) -> None:
        self._inside("message_stop")
        self._tap.take(event.usage, event.copilot_usage)
        if not self._stopped:
            raise UpstreamProtocolError("the upstream stream ended before a stop_reason")
        self._close_block(out)
        out.append(_event(b"message_stop", data))
        self._phase = "after"

    def _error(self, event: EventIn, _data: bytes, _out: list[bytes]) -> None:
        raise upstream_error(event.error)

    def _ping(self, _: EventIn, data: bytes, out: list[bytes]) -> None:
        out.append(_event(b"ping", data))

    def _inside(self, name: str) -> None:
        if self._phase != "inside":
            raise UpstreamProtocolError(f"upstream sent {name} before message_start")
        if self._stopped and name.startswith("content_block_start"):
            raise UpstreamProtocolError("upstream sent a block after the stop_reason")

    def _close_block(self, out: list[bytes]) -> None:
        """Close a block that upstream left open."""
        if self._open is not None:
            out.append(BLOCK_STOP % self._index)
            self._closed()

    def _closed(self) -> None:
        """Note that the open block has ended, and whether it was a call, or one that nobody can run."""
        arguments = "".join(self._open.pieces) if self._open is not None else ""
        self._called = self._called or (self._open is not None and self._open.waits)
        if self._open is not None and self._open.call and arguments and not is_object(arguments):
            self._broken_call = self._open.call
        self._open = None
        self._index += 1

    def _numbered(self, event: EventIn, data: bytes) -> bytes:
        """Return the event with the client's index: clients lose text where the indexes have gaps."""
        if event.index == self._index:
            return data
        return _encode({**raw_members(data), "index": self._index})


def _carries(delta: DeltaIn, data: bytes) -> bool:
    """Tell whether a delta has the member that its type promises; an empty one counts."""
    name = CARRIES.get(delta.type)
    if name is None:
        return bool(delta.type)
    return name in raw_members(raw_members(data)["delta"])


def _is_whole(members: dict[str, Any], message: ReplyIn) -> bool:
    """Tell whether a `message_start` has all that strict clients want of it."""
    usage = message.usage
    return (
        members.keys() >= REQUIRED
        and (message.type, bytes(members["role"])) == ("message", b'"assistant"')
        and message.id != ""
        and not message.content
        and message.stop_reason is None
        and usage is not None
        and usage.input_tokens is not None
        and usage.output_tokens is not None
    )


def _completed(block: Raw, block_type: str) -> Raw:
    """Return a block that opens with every member that its deltas are added to."""
    blanks = BLANKS.get(block_type, {})
    if all(b'"%b"' % name.encode() in bytes(block) for name in blanks):
        return block
    return Raw(_encode({**blanks, **raw_members(block)}))


def _legible(data: bytes) -> bytes:
    """Return an event's JSON on one line. Raises `UpstreamProtocolError` where a member nobody looked at is no UTF-8."""
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError:
            raise UpstreamProtocolError("upstream sent an event that is not UTF-8") from None
    return one_line(data)


def _raw(value: Raw | UnsetType) -> Raw:
    return Raw(b"{}") if isinstance(value, UnsetType) else value


def _event(name: bytes, data: bytes) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name, data)
