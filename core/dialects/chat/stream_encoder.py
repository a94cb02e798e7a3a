"""Canonical events to the chunks that a chat client reads."""

from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct, structs

from core.canonical import (
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
    StreamEvent,
    Text,
    Thinking,
    ToolUse,
)
from core.dialect import Echo
from core.dialects.chat.citations import encode_citation
from core.dialects.chat.errors import encode_error
from core.dialects.chat.response import ToolNames, completion_id, finish_reason_of, out_call
from core.dialects.chat.schema import Annotation, OutCall, OutFunction, encode
from core.dialects.chat.thinking import seal_thinking
from core.dialects.chat.usage import encode_usage
from core.errors import GatewayError

DONE: Final = b"data: [DONE]\n\n"


class _Calls(Struct, frozen=True):
    tool_calls: tuple[OutCall, ...]


class _Annotations(Struct, frozen=True):
    annotations: tuple[Annotation, ...]


# What stands around a delta's text. Thinking is said twice: clients know it by one name or the other.
_SHAPE: Final[dict[type[Block], tuple[bytes, bytes]]] = {
    Text: (b'{"content":', b"}"),
    Thinking: (b'{"reasoning_content":', b"}"),
    Refusal: (b'{"refusal":', b"}"),
}


class ChatStreamEncoder:
    """Say an answer in chunks.

    Invariants: `_open` is the open block and `_pieces` what thinking and calls said so far; a delta's text stands
    between `_before` and `_after`, and is not said at all when `_before` is empty (a custom tool's input is unwrapped
    at the end of its block). `_over` is None until the answer is complete, then what `close` has still to say: after
    an error not even `[DONE]`, as a client must not take it for success.
    """

    def __init__(self, echo: Echo) -> None:
        self._echo = echo
        self._names = ToolNames(echo)
        head = {
            "id": completion_id(echo),
            "object": "chat.completion.chunk",
            "created": echo.created,
            "model": echo.model,
            "system_fingerprint": None,
        }
        self._head = b"data: " + encode(head)[:-1]
        self._delta = self._head + b',"choices":[{"index":0,"delta":'
        self._end = b"}]" + (b',"usage":null' if echo.include_usage else b"") + b"}\n\n"
        self._tail = b',"logprobs":null,"finish_reason":null' + self._end
        self._open: Block | None = None
        self._before = self._after = b""
        self._pieces: list[str] = []
        self._thoughts: list[Thinking] = []
        self._opaque: Opaque | None = None
        self._calls = self._sealed = 0
        self._base = self._length = 0
        self._refused = False
        self._over: bytes | None = None

    def feed(self, event: StreamEvent) -> bytes:
        """Say one event."""
        if self._over is not None:
            return b""
        if type(event) is BlockDelta:
            return self._grow(event.text)
        return _SAY[type(event)](self, event)

    def close(self) -> bytes:
        """Say `[DONE]`, once, after a complete answer."""
        last, self._over = self._over or b"", b""
        return last

    def error(self, error: GatewayError) -> bytes:
        """End the stream with an error, which SDKs raise; nothing when the answer is complete already."""
        if self._over is not None:
            return b""
        self._over = b""
        return b"data: " + encode_error(error).body + b"\n\n"

    # --- one event each ---

    def start(self, _event: MessageStart) -> bytes:
        """Say who speaks."""
        return self._chunk(b'{"role":"assistant","content":"","refusal":null}')

    def start_block(self, event: BlockStart) -> bytes:
        """Open a block, with what it already holds."""
        block = self._open = event.block
        self._pieces, self._opaque, self._length = [], None, 0
        if isinstance(block, Thinking):
            self._opaque = block.opaque
            return self._start_words(block)
        sealed = b"" if self._sealed else self._seal()
        if isinstance(block, ToolUse):
            return sealed + self._start_call(block)
        if not isinstance(block, Text | Refusal):
            self._before = b""  # what chat clients have no word for: a hosted tool's own steps
            return sealed
        self._refused = self._refused or isinstance(block, Refusal)
        cited = block.citations if isinstance(block, Text) else ()
        return sealed + self._start_words(block) + b"".join([self._cite(citation) for citation in cited])

    def note_opaque(self, event: BlockOpaque) -> bytes:
        """Keep the value for the end of the answer."""
        self._opaque = event.opaque
        return b""

    def note_citation(self, event: BlockCitation) -> bytes:
        """Say a citation."""
        return self._cite(event.citation)

    def stop_block(self, _event: BlockStop) -> bytes:
        """Close the block."""
        block, self._open = self._open, None
        self._base += self._length
        self._length = 0
        if isinstance(block, Thinking):
            self._thoughts.append(Thinking("".join(self._pieces), self._opaque, block.redacted))
        return self._stop_call(block) if isinstance(block, ToolUse) else b""

    def stop(self, event: MessageStop) -> bytes:
        """Say what is left of the thinking's seal, the finish reason and the usage."""
        said = self._seal()
        reason = finish_reason_of(event.stop_reason, tools=self._calls > 0, refused=self._refused)
        said += self._delta + b'{},"logprobs":null,"finish_reason":' + encode(reason) + self._end
        if self._echo.include_usage:
            said += self._head + b',"choices":[],"usage":' + encode(encode_usage(event.usage)) + b"}\n\n"
        self._over = DONE
        return said

    # --- pieces of chunks ---

    def _seal(self) -> bytes:
        """Say the thinking's opaque value: after the first thoughts, and once more in full if there were later ones."""
        opaque = seal_thinking(self._thoughts) if len(self._thoughts) > self._sealed else None
        if opaque is None:
            return b""
        self._sealed = len(self._thoughts)
        return self._chunk(b'{"reasoning_opaque":' + encode(opaque) + b"}")

    def _start_words(self, block: Text | Thinking | Refusal) -> bytes:
        before, after = _SHAPE[type(block)]
        self._before, self._after = self._delta + before, after + self._tail
        return self._grow(block.text) if block.text else b""

    def _grow(self, text: str) -> bytes:
        block = self._open
        if type(block) is Text:
            self._length += len(text)
        else:
            self._pieces.append(text)
        if not self._before:
            return b""
        encoded = encode(text)
        if type(block) is Thinking:
            return b'%b%b,"reasoning_text":%b%b' % (self._before, encoded, encoded, self._after)
        return b"%b%b%b" % (self._before, encoded, self._after)

    def _start_call(self, call: ToolUse) -> bytes:
        ordinal, self._calls = self._calls, self._calls + 1
        self._pieces = [call.arguments] if call.arguments else []
        if self._names.is_custom(call):
            self._before = b""
            return b""
        self._before = self._delta + b'{"tool_calls":[{"index":%d,"function":{"arguments":' % ordinal
        self._after = b"}}]}" + self._tail
        function = OutFunction(self._names.own(call), call.arguments)
        return self._call_chunk(OutCall(call.call_id, "function", ordinal, function))

    def _stop_call(self, call: ToolUse) -> bytes:
        if self._before:
            return b"" if self._pieces else b'%b"{}"%b' % (self._before, self._after)
        whole = out_call(structs.replace(call, arguments="".join(self._pieces)), self._names)
        return self._call_chunk(structs.replace(whole, index=self._calls - 1))

    def _call_chunk(self, call: OutCall) -> bytes:
        return self._chunk(encode(_Calls((call,))))

    def _cite(self, citation: Citation) -> bytes:
        annotation = encode_citation(citation, base=self._base, length=self._length)
        return b"" if annotation is None else self._chunk(encode(_Annotations((annotation,))))

    def _chunk(self, delta: bytes) -> bytes:
        return self._delta + delta + self._tail


_SAY: Final[dict[type[StreamEvent], Callable[[ChatStreamEncoder, Any], bytes]]] = {
    MessageStart: ChatStreamEncoder.start,
    BlockStart: ChatStreamEncoder.start_block,
    BlockOpaque: ChatStreamEncoder.note_opaque,
    BlockCitation: ChatStreamEncoder.note_citation,
    BlockStop: ChatStreamEncoder.stop_block,
    MessageStop: ChatStreamEncoder.stop,
}
