"""Server-sent events: a byte-wise decoder and a writer (WHATWG HTML, section 9.2)."""

from typing import Final

from msgspec import Struct

MAX_EVENT_BYTES: Final = 32 * 1024 * 1024


class ServerSentEvent(Struct, frozen=True, gc=False):
    """One event as it stands on the wire. `event` is empty where the stream does not name its events."""

    data: bytes
    event: str = ""

    def encode(self) -> bytes:
        """Render the event; `data` must not hold line ends (JSON does not)."""
        if self.event:
            return b"event: %b\ndata: %b\n\n" % (self.event.encode(), self.data)
        return b"data: %b\n\n" % self.data


class EventTooLargeError(ValueError):
    """An event grew past the limit: the stream is broken or hostile."""


class SSEDecoder:
    """Cut a byte stream into events.

    Invariants: `_rest` holds the bytes after the last complete line; `_data` the data lines of the open
    event. Lines end with LF, CRLF or CR; a CR at the end of what was fed waits for its LF. Comments, `id` and
    `retry` are skipped; an event without a data line is no event. Line ends are sought in bytes, so that U+2028 in
    a JSON string is not one.
    """

    def __init__(self, limit: int = MAX_EVENT_BYTES) -> None:
        self._limit = limit
        self._rest = b""
        self._event = ""
        self._data: list[bytes] = []
        self._size = 0
        self._at_start = True

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """Return the events that this chunk completes. Raises `EventTooLargeError`."""
        buffer = self._rest + chunk if self._rest else chunk
        if self._at_start:
            if len(buffer) < 3 and b"\xef\xbb\xbf".startswith(buffer):  # noqa: PLR2004 - a BOM may be cut
                self._rest = buffer
                return []
            buffer = buffer.removeprefix(b"\xef\xbb\xbf")
            self._at_start = False
        lines, self._rest = _split_lines(buffer)
        if self._size + len(self._rest) > self._limit:
            raise EventTooLargeError(f"an event is larger than {self._limit} bytes")
        events: list[ServerSentEvent] = []
        for line in lines:
            event = self._line(line)
            if event is not None:
                events.append(event)
        return events

    def close(self) -> list[ServerSentEvent]:
        """Return what the stream held when it ended without a blank line."""
        last = [self._rest.removesuffix(b"\r"), b""] if self._rest else [b""]
        self._rest = b""
        return [event for event in map(self._line, last) if event is not None]

    def _line(self, line: bytes) -> ServerSentEvent | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        if name == b"data":
            value = value.removeprefix(b" ")
            self._size += len(value)
            if self._size > self._limit:
                raise EventTooLargeError(f"an event is larger than {self._limit} bytes")
            self._data.append(value)
        elif name == b"event":
            self._event = value.removeprefix(b" ").decode("utf-8", "replace")
        elif name[:1] in {b"{", b"["} and not self._data:
            # Copilot may end a stream with a bare JSON error that has no `data:` before it.
            self._data.append(line)
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        data, event = self._data, self._event
        self._data, self._event, self._size = [], "", 0
        if not data:
            return None
        return ServerSentEvent(data[0] if len(data) == 1 else b"\n".join(data), event)


def _split_lines(buffer: bytes) -> tuple[list[bytes], bytes]:
    """Split into complete lines and the rest; a trailing CR stays in the rest."""
    if b"\r" not in buffer:
        *lines, rest = buffer.split(b"\n")
        return lines, rest
    held = b""
    if buffer.endswith(b"\r"):
        buffer, held = buffer[:-1], b"\r"
    *lines, rest = buffer.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    return lines, rest + held
