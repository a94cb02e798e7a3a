"""The eye on a stream: changes what its lifecycle events say of memory, and lets everything else by."""

import re
from typing import Any, Final, Protocol

import msgspec
from msgspec import UNSET, Raw, Struct

from core.canonical import Usage
from core.dialect import StreamRelay
from core.dialects.responses.known import LIFECYCLE, TERMINAL
from core.dialects.responses.relay_frame import cut
from core.dialects.responses.schema import JSON_ERRORS, Absent, decode_members, encode, is_set
from core.errors import GatewayError
from core.sse import ServerSentEvent, SSEDecoder

# Cheap to seek in every chunk; what only looks like it is sorted out by reading the event.
MARK: Final = re.compile(rb"response\.(?:created|queued|in_progress|completed|incomplete|failed)")


class Settle(Protocol):
    """Returns the response object as the client shall read it; `last` is the one of the terminal event."""

    def __call__(self, response: Raw, *, last: bool) -> Raw:
        """Judge one response object."""
        ...


class _Event(Struct):
    type: str = ""
    response: Raw | Absent = UNSET


_decode_event = msgspec.json.Decoder(_Event).decode


class StoredRelay:
    """A `StreamRelay` around another one, which hands out whole events; `settle` sees each response object."""

    def __init__(self, relay: StreamRelay, settle: Settle) -> None:
        self._relay = relay
        self._settle = settle

    @property
    def usage(self) -> Usage | None:
        """What upstream counted."""
        return self._relay.usage

    @property
    def done(self) -> bool:
        """Whether the terminal event was forwarded."""
        return self._relay.done

    @property
    def failure(self) -> GatewayError | None:
        """What upstream's own terminal event said of a failure."""
        return self._relay.failure

    def feed(self, chunk: bytes) -> bytes:
        """Return the bytes to forward."""
        return self._seen(self._relay.feed(chunk))

    def close(self) -> bytes:
        """Return the last bytes."""
        return self._seen(self._relay.close())

    def error(self, error: GatewayError) -> bytes:
        """End with an error."""
        return self._seen(self._relay.error(error))

    def _seen(self, said: bytes) -> bytes:
        if MARK.search(said) is None:
            return said
        blocks, rest = cut(said)
        return b"".join([*(self._event(block) for block in blocks), rest])

    def _event(self, block: bytes) -> bytes:
        if MARK.search(block) is None:
            return block
        try:
            [sse] = SSEDecoder().feed(block)
            event = _decode_event(sse.data)
            kind = event.type or sse.event
            if kind not in LIFECYCLE or not is_set(event.response):
                return block
            settled = self._settle(event.response, last=kind in TERMINAL)
            if settled is event.response:
                return block
            members: dict[str, Any] = {**decode_members(sse.data), "response": settled}
        except (ValueError, *JSON_ERRORS):
            return block
        return ServerSentEvent(encode(members), sse.event).encode()
