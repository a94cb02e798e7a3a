"""The canonical stream's grammar, its fold to a complete reply, and the way back.

Stream := MessageStart Block* MessageStop
Block  := BlockStart (BlockDelta | BlockOpaque | BlockCitation)* BlockStop, indices 0, 1, 2 … without gaps
"""

from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import structs

from core.canonical import (
    Block,
    BlockCitation,
    BlockDelta,
    BlockOpaque,
    BlockStart,
    BlockStop,
    MessageStart,
    MessageStop,
    Refusal,
    Reply,
    ServerToolUse,
    StreamEvent,
    Text,
    Thinking,
    ToolUse,
)
from core.errors import UpstreamProtocolError

# Which member of a block its deltas append to; a block that is not here takes none.
GROWS: Final[dict[type[Block], str]] = {
    Text: "text",
    Thinking: "text",
    Refusal: "text",
    ToolUse: "arguments",
    ServerToolUse: "arguments",
}
TAKES_OPAQUE: Final = (Thinking, ToolUse)


class GrammarError(UpstreamProtocolError):
    """An event that the grammar does not allow here: a defect of the decoder that made it."""


class Folder:
    """Check a canonical stream event by event and fold it to a `Reply`.

    State is one value: `_open` is the open block or None; `_start` and `_stop` are the two ends once seen.
    """

    def __init__(self) -> None:
        self._start: MessageStart | None = None
        self._stop: MessageStop | None = None
        self._done: list[Block] = []
        self._open: Block | None = None
        self._pieces: list[str] = []

    @property
    def done(self) -> bool:
        """Whether the stream has ended."""
        return self._stop is not None

    def feed(self, event: StreamEvent) -> None:
        """Take the next event. Raises `GrammarError`."""
        if self._stop is not None:
            raise GrammarError(f"{type(event).__name__} after MessageStop")
        if isinstance(event, MessageStart):
            if self._start is not None:
                raise GrammarError("a second MessageStart")
            self._start = event
            return
        if self._start is None:
            raise GrammarError(f"{type(event).__name__} before MessageStart")
        self._inside(event)

    def reply(self) -> Reply:
        """Return the complete reply. Raises `GrammarError` when the stream has not ended."""
        if self._start is None or self._stop is None:
            raise GrammarError("the stream has no MessageStop")
        return Reply(
            id=self._start.id,
            model=self._start.model,
            content=tuple(self._done),
            stop_reason=self._stop.stop_reason,
            stop_sequence=self._stop.stop_sequence,
            usage=self._stop.usage,
        )

    def _inside(self, event: StreamEvent) -> None:
        match event:
            case BlockStart():
                self._expect(event.index, is_open=False)
                self._open = event.block
            case BlockDelta():
                self._expect(event.index, is_open=True)
                if type(self._open) not in GROWS:
                    raise GrammarError(f"{type(self._open).__name__} takes no deltas")
                self._pieces.append(event.text)
            case BlockOpaque():
                self._expect(event.index, is_open=True)
                if not isinstance(self._open, TAKES_OPAQUE):
                    raise GrammarError(f"{type(self._open).__name__} takes no opaque value")
                self._open = structs.replace(self._open, opaque=event.opaque)
            case BlockCitation():
                self._expect(event.index, is_open=True)
                if not isinstance(self._open, Text):
                    raise GrammarError(f"{type(self._open).__name__} takes no citation")
                self._open = structs.replace(self._open, citations=(*self._open.citations, event.citation))
            case BlockStop():
                self._expect(event.index, is_open=True)
                self._close_block()
            case _:
                self._end(event)

    def _end(self, event: StreamEvent) -> None:
        if self._open is not None:
            raise GrammarError(f"{type(event).__name__} inside a block")
        if isinstance(event, MessageStop):
            self._stop = event

    def _expect(self, index: int, *, is_open: bool) -> None:
        if (self._open is not None) is not is_open:
            raise GrammarError("a block is open" if self._open is not None else "no block is open")
        if index != len(self._done):
            raise GrammarError(f"block index {index} where {len(self._done)} was due")

    def _close_block(self) -> None:
        block = self._open
        if block is None:
            return
        if self._pieces:
            member = GROWS[type(block)]
            block = structs.replace(block, **{member: getattr(block, member) + "".join(self._pieces)})
        self._done.append(block)
        self._open, self._pieces = None, []


def fold(events: Iterable[StreamEvent]) -> Reply:
    """Return the reply that the events tell. Raises `GrammarError` when they break the grammar."""
    folder = Folder()
    for event in events:
        folder.feed(event)
    return folder.reply()


def unfold(reply: Reply) -> Iterator[StreamEvent]:
    """Tell a complete reply as events, one whole block a time; `fold(unfold(reply)) == reply`."""
    yield MessageStart(reply.id, reply.model)
    for index, block in enumerate(reply.content):
        yield BlockStart(index, block)
        yield BlockStop(index)
    yield MessageStop(reply.stop_reason, reply.usage, reply.stop_sequence)
