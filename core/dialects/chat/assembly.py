"""From loose deltas to whole blocks, one after the other: the boundaries that chat does not have."""

from collections import deque
from typing import Final

from core.canonical import (
    Block,
    BlockCitation,
    BlockDelta,
    BlockOpaque,
    BlockStart,
    BlockStop,
    Citation,
    MessageStart,
    Opaque,
    Refusal,
    StreamEvent,
    Text,
    Thinking,
    ToolUse,
)
from core.dialects.chat.calls import LEGACY, Call, CallBook, is_object, made_up_id
from core.dialects.chat.citations import decode_annotations, decode_copilot_annotations
from core.dialects.chat.schema import NULL, CallPiece, Delta
from core.errors import UpstreamProtocolError

_EMPTY: Final[dict[type[Block], Block]] = {Text: Text(""), Thinking: Thinking(""), Refusal: Refusal("")}


class _Part:
    """One block to be. `held` is what could not be said yet; `index` is -1 until the block is open."""

    __slots__ = ("call", "held", "index", "kind", "sealed")

    def __init__(self, kind: type[Block], call: Call | None = None) -> None:
        self.kind = kind
        self.call = call
        self.held: list[str | Opaque | Citation] = []
        self.index = -1
        self.sealed = False


class Assembly:
    """Turn the deltas of one answer into canonical blocks.

    Invariants: `_head` is the part whose block is open, or will be next; `_queue` holds the later parts in the order
    of their first delta, and everything said to them. Only the head speaks. The head makes room for the queue as soon
    as nothing more can belong to it: text at once, a call when its arguments are a whole object (AC-02, AC-03).
    """

    def __init__(self, scope: str) -> None:
        self._scope = scope
        self._book = CallBook()
        self._called: dict[int, _Part] = {}
        self._head: _Part | None = None
        self._last: _Part | None = None
        self._queue: deque[_Part] = deque()
        self._next = 0
        self._opaque = ""
        self._early: list[Citation] = []
        self.started: MessageStart | None = None
        self.refused = False

    @property
    def spoke(self) -> bool:
        """Whether anything was said at all."""
        return self._last is not None

    @property
    def called(self) -> bool:
        """Whether a tool was called."""
        return bool(self._book.calls)

    def start(self, message_id: str, model: str, out: list[StreamEvent]) -> None:
        """Open the message, once."""
        self.started = MessageStart(message_id, model)
        out.append(self.started)

    def feed(self, delta: Delta, out: list[StreamEvent]) -> None:
        """Take one delta. Raises `UpstreamProtocolError` for a call that goes on after its end."""
        thought = (
            delta.reasoning_text
            or delta.reasoning_content
            or delta.reasoning
            or delta.thinking
            or delta.cot_summary
        )
        if thought:
            self._say(Thinking, thought, out)
        opaque = delta.reasoning_opaque or delta.signature
        if opaque:
            self._seal(opaque, out)
        if delta.content:
            self._say(Text, delta.content, out)
        if delta.annotations or delta.copilot_annotations != NULL:
            self._cite(delta, out)
        if delta.refusal:
            self.refused = True
            self._say(Refusal, delta.refusal, out)
        for piece in delta.tool_calls or ():
            self._call(piece, out)
        if delta.function_call is not None:
            self._call(CallPiece(LEGACY, function=delta.function_call), out)

    def finish(self, out: list[StreamEvent], *, cut: bool) -> None:
        """Close every block. `cut`: the answer hit its limit, so that a call's broken arguments are to be expected.

        Raises `UpstreamProtocolError` for a call without a name or without a JSON object (AC-19, AC-23).
        """
        if self._head is not None:
            self._queue.appendleft(self._head)
            self._head = None
        while self._queue:
            part = self._queue.popleft()
            if part.call is not None and not self._settle(part.call, cut=cut) and part.index < 0:
                continue
            self._open(part, out)
            out.append(BlockStop(part.index))

    # --- what the deltas say ---

    def _say(self, kind: type[Block], text: str, out: list[StreamEvent]) -> None:
        last = self._last
        if last is None or last.kind is not kind or last.sealed:
            last = self._begin(kind, out)
        self._add(last, text, out)

    def _seal(self, value: str, out: list[StreamEvent]) -> None:
        if value == self._opaque:
            return
        self._opaque = value
        last = self._last
        if last is None or last.kind is not Thinking or last.sealed:
            last = self._begin(Thinking, out)
        self._add(last, Opaque("chat", value, scope=self._scope), out)
        last.sealed = True

    def _cite(self, delta: Delta, out: list[StreamEvent]) -> None:
        found = [
            *decode_annotations(delta.annotations or ()),
            *decode_copilot_annotations(delta.copilot_annotations),
        ]
        last = self._last
        if last is None or last.kind is not Text:
            self._early += found  # they are said ahead of the text they belong to
            return
        for citation in found:
            self._add(last, citation, out)

    def _call(self, piece: CallPiece, out: list[StreamEvent]) -> None:
        call = self._book.take(piece)
        part = self._called.get(call.ordinal)
        if part is None:
            part = self._called[call.ordinal] = self._begin(ToolUse, out, call)
        text = piece.said.arguments or ""
        if part is not self._head and part.index >= 0:
            if text.strip():
                raise UpstreamProtocolError(
                    f"upstream went on with the arguments of {call.name!r} after their end"
                )
            return
        if text:
            call.pieces.append(text)
            self._add(part, text, out)
        if part is self._head:
            self._open_call(part, out)
            if self._queue and (not text or text.rstrip().endswith("}")):
                self._advance(out)

    # --- how they become blocks ---

    def _begin(self, kind: type[Block], out: list[StreamEvent], call: Call | None = None) -> _Part:
        part = self._last = _Part(kind, call)
        if kind is Text and self._early:
            part.held += self._early
            self._early = []
        self._queue.append(part)
        self._advance(out)
        return part

    def _advance(self, out: list[StreamEvent]) -> None:
        while self._queue:
            head = self._head
            if head is not None:
                if head.call is not None and (head.index < 0 or not head.call.complete()):
                    return
                out.append(BlockStop(head.index))
            self._head = head = self._queue.popleft()
            if head.call is None:
                self._open(head, out)
            else:
                self._open_call(head, out)

    def _open_call(self, part: _Part, out: list[StreamEvent]) -> None:
        """Open a call's block once its id, its name and the first of its arguments are known (AC-11)."""
        call = part.call
        if part.index < 0 and call is not None and call.id and call.name and part.held:
            self._open(part, out)

    def _open(self, part: _Part, out: list[StreamEvent]) -> None:
        if part.index >= 0:
            return
        part.index = self._next
        self._next += 1
        call = part.call
        block = _EMPTY[part.kind] if call is None else _opening(call)
        out.append(BlockStart(part.index, block))
        out += [_event(part.index, piece) for piece in part.held]
        part.held = []

    def _add(self, part: _Part, piece: str | Opaque | Citation, out: list[StreamEvent]) -> None:
        if part.index < 0:
            part.held.append(piece)
        else:
            out.append(_event(part.index, piece))

    def _settle(self, call: Call, *, cut: bool) -> bool:
        """Complete a call at the end of the answer; return whether it can be run."""
        whole = call.custom or is_object(call.arguments or ("" if cut else "{}"))
        if whole and call.name:
            call.id = call.id or made_up_id(self.started.id if self.started else "", call.ordinal)
            return True
        if cut:
            return False
        if not call.name:
            raise UpstreamProtocolError("upstream called a tool without naming it")
        raise UpstreamProtocolError(f"upstream called {call.name!r} with arguments that are no JSON object")


def _opening(call: Call) -> ToolUse:
    empty = "" if call.pieces or call.custom else "{}"
    return ToolUse(call.id, call.name, empty, custom=call.custom)


def _event(index: int, piece: str | Opaque | Citation) -> StreamEvent:
    if isinstance(piece, str):
        return BlockDelta(index, piece)
    if isinstance(piece, Opaque):
        return BlockOpaque(index, piece)
    return BlockCitation(index, piece)
