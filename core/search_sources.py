"""Sources for a hosted search whose upstream names none: those that its answer cites.

Clients of Messages show what a search found from its result block, and an empty one reads as "found nothing".
"""

from msgspec import structs

from core.canonical import (
    BlockCitation,
    BlockStart,
    BlockStop,
    Citation,
    MessageStart,
    MessageStop,
    ServerToolResult,
    StreamEvent,
    Text,
    Usage,
)
from core.dialect import StreamDecoder


class SourcingDecoder:
    """Passes canonical events on, but holds an empty search result back until the answer's citations are known.

    Invariants: `_held` are the results held back so far, so every later block is told that many places earlier;
    `_hidden` is the index of the held block that is still open, or None. `_cited` are the citations by address.
    """

    def __init__(self, decoder: StreamDecoder) -> None:
        self._decoder = decoder
        self._held: list[ServerToolResult] = []
        self._hidden: int | None = None
        self._cited: dict[str, Citation] = {}
        self._next = 0

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """Return the events that this chunk completes. Raises `GatewayError`."""
        return [told for event in self._decoder.feed(chunk) for told in self._tell(event)]

    def close(self) -> list[StreamEvent]:
        """Return the last events. Raises `UpstreamProtocolError` when the stream was cut."""
        return [told for event in self._decoder.close() for told in self._tell(event)]

    @property
    def usage(self) -> Usage | None:
        """What upstream has counted so far."""
        return self._decoder.usage

    def _tell(self, event: StreamEvent) -> list[StreamEvent]:
        match event:
            case MessageStart():
                return [event]
            case MessageStop():
                return [*self._results(), event]
            case BlockStart(index=index, block=ServerToolResult() as result) if _is_empty(result):
                self._held.append(result)
                self._hidden = index
                return []
            case BlockStop(index=index) if index == self._hidden:
                self._hidden = None
                return []
            case BlockStart(block=Text(citations=citations)):
                self._note(*citations)
            case BlockCitation(citation=citation):
                self._note(citation)
            case _:
                pass
        moved = event if not self._held else structs.replace(event, index=event.index - len(self._held))
        self._next = moved.index + 1
        return [moved]

    def _note(self, *citations: Citation) -> None:
        for citation in citations:
            if citation.url:
                self._cited.setdefault(citation.url, Citation(citation.url, citation.title))

    def _results(self) -> list[StreamEvent]:
        """Tell the held results; which search found what is not known, so the last one gets all."""
        told: list[StreamEvent] = []
        for index, result in enumerate(self._held, start=self._next):
            is_last = result is self._held[-1]
            sources = tuple(self._cited.values()) if is_last else ()
            told += [BlockStart(index, structs.replace(result, sources=sources)), BlockStop(index)]
        return told


def _is_empty(result: ServerToolResult) -> bool:
    return not result.sources and result.error_code is None
