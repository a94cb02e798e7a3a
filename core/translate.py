"""The translating lane: one dialect decoded to the canonical model and encoded for another."""

from core.canonical import MessageStop, StreamEvent, Usage
from core.dialect import Dialect, Echo, StreamDecoder, StreamEncoder
from core.errors import GatewayError
from core.grammar import Folder


class StreamTranslator:
    """Join upstream's decoder to the surface's encoder; has the shape of a `StreamRelay`."""

    def __init__(self, decoder: StreamDecoder, encoder: StreamEncoder) -> None:
        self._decoder = decoder
        self._encoder = encoder
        self._done = False

    @property
    def usage(self) -> Usage | None:
        """What upstream has counted so far."""
        return self._decoder.usage

    @property
    def done(self) -> bool:
        """Whether the terminal event was said."""
        return self._done

    @property
    def failure(self) -> GatewayError | None:
        """None: errors are raised, and told by `error`."""
        return None

    def feed(self, chunk: bytes) -> bytes:
        """Translate every event that this chunk completes, in one piece."""
        return self._say(self._decoder.feed(chunk))

    def close(self) -> bytes:
        """Say the end. Raises `UpstreamProtocolError` when upstream stopped before its own."""
        return self._say(self._decoder.close()) + self._encoder.close()

    def error(self, error: GatewayError) -> bytes:
        """End with an error event."""
        return self._encoder.error(error)

    def _say(self, events: list[StreamEvent]) -> bytes:
        if events and isinstance(events[-1], MessageStop):
            self._done = True
        return b"".join([self._encoder.feed(event) for event in events])


class Collector:
    """Fold upstream's stream to the complete reply of a client that asked for no stream."""

    def __init__(self, decoder: StreamDecoder, surface: Dialect, echo: Echo) -> None:
        self._decoder = decoder
        self._surface = surface
        self._echo = echo
        self._folder = Folder()

    @property
    def done(self) -> bool:
        """Whether the reply is complete: nothing that upstream still sends matters."""
        return self._folder.done

    @property
    def usage(self) -> Usage | None:
        """What upstream has counted so far."""
        return self._decoder.usage

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes. Raises `GatewayError`."""
        for event in self._decoder.feed(chunk):
            self._folder.feed(event)

    def close(self) -> bytes:
        """Return the client's body. Raises `UpstreamProtocolError` when the stream was cut."""
        for event in self._decoder.close():
            self._folder.feed(event)
        return self._surface.encode_response(self._folder.reply(), self._echo)
