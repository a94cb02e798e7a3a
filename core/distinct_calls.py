"""Ids for calls that the conversation does not have yet, whatever upstream calls them.

Some models count their calls anew in each answer (`call_0`). Claude Code finds a result by the id alone and would go round
in circles (Switchyard#502), and Claude refuses the history (claude-code#20631).
"""

from msgspec import structs

from core.canonical import BlockStart, Request, StreamEvent, ToolUse, Usage
from core.dialect import StreamDecoder
from core.names import unseen


class DistinctDecoder:
    """Passes canonical events on; a call whose id is in `taken` gets another, which is taken from then on."""

    def __init__(self, decoder: StreamDecoder, taken: set[str]) -> None:
        self._decoder = decoder
        self._taken = taken

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """Return the events that this chunk completes. Raises `GatewayError`."""
        return self._distinct(self._decoder.feed(chunk))

    def close(self) -> list[StreamEvent]:
        """Return the last events. Raises `UpstreamProtocolError` when the stream was cut."""
        return self._distinct(self._decoder.close())

    @property
    def usage(self) -> Usage | None:
        """What upstream has counted so far."""
        return self._decoder.usage

    def _distinct(self, events: list[StreamEvent]) -> list[StreamEvent]:
        for place, event in enumerate(events):
            if type(event) is BlockStart and type(event.block) is ToolUse:
                call = structs.replace(event.block, call_id=unseen(event.block.call_id, self._taken))
                events[place] = BlockStart(event.index, call)
        return events


def call_ids(request: Request) -> set[str]:
    """Return the ids that the conversation's calls have."""
    return {
        block.call_id
        for message in request.messages
        for block in message.content
        if isinstance(block, ToolUse)
    }
