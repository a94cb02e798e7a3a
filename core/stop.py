"""Stop sequences for an upstream that has none: the gateway cuts the text itself.

The Responses API knows no `stop`. What a client of another surface asked for is cut here, between the decoder and the
encoder, so that the surface says `stop_sequence` as its own upstream would have.
"""

from typing import Final

from msgspec import structs

from core.canonical import (
    BlockCitation,
    BlockDelta,
    BlockStart,
    BlockStop,
    MessageStop,
    StreamEvent,
    Text,
    Usage,
)
from core.dialect import StreamDecoder

CHARACTERS_PER_TOKEN: Final = 4


class StopCutter:
    """Passes canonical events on until the text of one block holds a stop sequence.

    Invariants: `_block` is the index of the open text block or None; `_held` is the end of its text that may be the
    beginning of a stop sequence, not yet passed on. `_hit` is the sequence that ended the answer, or None: after it
    only `MessageStop` passes, with upstream's usage. The match that is complete first wins, however the text
    is cut into deltas.
    """

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._block: int | None = None
        self._held = ""
        self._hit: str | None = None
        self._over = False

    @property
    def hit(self) -> str | None:
        """The sequence that ended the answer; once it is set, upstream may be left (then call `finish`)."""
        return self._hit

    def feed(self, event: StreamEvent) -> list[StreamEvent]:
        """Return what may be passed on."""
        if self._hit is not None:
            return self._stopped(event.usage) if isinstance(event, MessageStop) else []
        match event:
            case BlockDelta() if event.index == self._block:
                return self._text(event.text)
            case BlockStart(block=Text() as block) if self._stops:
                return self._start(event.index, block)
            case BlockStop() if event.index == self._block:
                return [*self._flush(), event]
            case _:
                return [event]

    def finish(self, usage: Usage) -> list[StreamEvent]:
        """End an answer that was cut, without waiting for upstream's own end; nothing otherwise."""
        return self._stopped(usage) if self._hit is not None else []

    def _start(self, index: int, block: Text) -> list[StreamEvent]:
        self._block, self._held = index, ""
        opening = BlockStart(index, structs.replace(block, text="", citations=()))
        text = self._text(block.text) if block.text else []
        if self._hit is not None:
            return [opening, *text]
        return [opening, *text, *[BlockCitation(index, citation) for citation in block.citations]]

    def _text(self, more: str) -> list[StreamEvent]:
        text = self._held + more
        matches = [(text.find(stop) + len(stop), text.find(stop)) for stop in self._stops if stop in text]
        if matches:
            end, place = min(matches)
            self._hit, self._held = text[place:end], ""
            return [*self._say(text[:place]), BlockStop(self._index())]
        keep = self._beginning(text)
        self._held = text[len(text) - keep :]
        return self._say(text[: len(text) - keep])

    def _beginning(self, text: str) -> int:
        """Return how many of the last characters may be the beginning of a stop sequence."""
        most = min(len(text), max(map(len, self._stops)) - 1)
        for length in range(most, 0, -1):
            tail = text[len(text) - length :]
            if any(stop.startswith(tail) for stop in self._stops):
                return length
        return 0

    def _flush(self) -> list[StreamEvent]:
        events = self._say(self._held)
        self._block, self._held = None, ""
        return events

    def _say(self, text: str) -> list[StreamEvent]:
        return [BlockDelta(self._index(), text)] if text else []

    def _index(self) -> int:
        return self._block or 0

    def _stopped(self, usage: Usage) -> list[StreamEvent]:
        if self._over:
            return []
        self._over = True
        return [MessageStop("stop_sequence", usage, self._hit)]


class StoppingDecoder:
    """A decoder whose answer ends at the first stop sequence; upstream is not waited for then.

    What upstream would have counted is unknown after a cut, so the usage is an estimate: `input_tokens`, and a token for
    every four characters said.
    """

    def __init__(self, decoder: StreamDecoder, stops: tuple[str, ...], input_tokens: int) -> None:
        self._decoder = decoder
        self._cutter = StopCutter(stops)
        self._input_tokens = input_tokens
        self._said = 0
        self._estimate: Usage | None = None

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """Return the events that this chunk completes, up to the cut. Raises `GatewayError`."""
        return [] if self._cutter.hit is not None else self._cut(self._decoder.feed(chunk))

    def close(self) -> list[StreamEvent]:
        """Return the last events. Raises `UpstreamProtocolError` when the stream ended before a cut and before its end."""
        return [] if self._cutter.hit is not None else self._cut(self._decoder.close())

    @property
    def usage(self) -> Usage | None:
        """What upstream has counted so far, or the estimate after a cut."""
        return self._decoder.usage or self._estimate

    def _cut(self, events: list[StreamEvent]) -> list[StreamEvent]:
        passed: list[StreamEvent] = []
        for event in events:
            passed += self._cutter.feed(event)
        self._said += sum(len(event.text) for event in passed if isinstance(event, BlockDelta))
        usage = Usage(self._input_tokens, max(1, self._said // CHARACTERS_PER_TOKEN))
        if self._cutter.hit is not None:
            self._estimate = usage
        return [*passed, *self._cutter.finish(usage)]
