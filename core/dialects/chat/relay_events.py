"""Whole events out of a byte stream, as they stand, so that what needs no repair is forwarded byte for byte."""

from typing import Final

from core.errors import UpstreamProtocolError
from core.sse import MAX_EVENT_BYTES, EventTooLargeError, SSEDecoder

END: Final = b"\n\n"
PREFIX: Final = b"data: "


class EventCutter:
    """Cut a stream at its blank lines.

    `_rest` is what came after the last of them; a CR at its end waits for its LF. CRLF and CR become LF: JSON holds
    neither.
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the whole events, without their blank lines. Raises `UpstreamProtocolError` for an endless one."""
        buffer = self._rest + chunk if self._rest else chunk
        held = b""
        if b"\r" in buffer:
            if buffer.endswith(b"\r"):
                buffer, held = buffer[:-1], b"\r"
            buffer = buffer.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *events, rest = buffer.split(END)
        self._rest = rest + held
        if len(self._rest) > MAX_EVENT_BYTES:
            raise UpstreamProtocolError("upstream sent an event without an end")
        return events

    def close(self) -> list[bytes]:
        """Return what the stream held when it ended without a blank line."""
        rest, self._rest = self._rest.replace(b"\r", b"\n"), b""
        return [event for event in rest.split(END) if event]


def is_comment(event: bytes) -> bool:
    """Tell whether an event is a heartbeat: comment lines only."""
    return event.startswith(b":") and all(line.startswith(b":") for line in event.split(b"\n"))


def data_of(event: bytes) -> bytes | None:
    """Return an event's data, None when it has none."""
    if event.startswith(PREFIX) and b"\n" not in event:
        return event[len(PREFIX) :]
    try:
        found = SSEDecoder().feed(event + END)
    except EventTooLargeError as error:
        raise UpstreamProtocolError(str(error)) from error
    return found[0].data if found else None
