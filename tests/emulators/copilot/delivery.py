"""Put a reply on the wire: pace, stalls, cuts, odd line ends, split characters, gzip, time stamps."""

import asyncio
import re
import time
import zlib
from collections.abc import Iterator
from typing import Final

from tests.emulators.copilot.wire import Delivery, Reply

STAMP: Final = "<stamp-{:06d}>"
_STAMP_PATTERN: Final = re.compile(rb"<stamp-(\d{6})>")


class Stamps:
    """Replace numbered marks by the time (monotonic ns, 20 digits) at which each was first sent."""

    def __init__(self) -> None:
        self._sent: dict[bytes, bytes] = {}

    def apply(self, piece: bytes) -> bytes:
        """Return the piece with its marks replaced; a mark seen before keeps its time."""
        return _STAMP_PATTERN.sub(self._time_of, piece)

    def _time_of(self, match: re.Match[bytes]) -> bytes:
        return self._sent.setdefault(match[1], b"%020d" % time.monotonic_ns())


async def deliver(transport: asyncio.Transport, writable: asyncio.Event, reply: Reply, head: bytes) -> str:
    """Write a reply and return how it ended: `complete` or `cut`."""
    how = reply.delivery
    if how.silent_before_headers:
        await asyncio.sleep(how.silent_before_headers)
    transport.write(head)
    if how.first_byte_delay:
        await asyncio.sleep(how.first_byte_delay)
    if reply.pieces is None:
        return await _deliver_whole(transport, reply)
    budget, stamps = how.cut_after, Stamps()
    for number, ready in enumerate(_written(reply.pieces, how, stamps)):
        await _wait_turn(number, how, writable)
        piece = stamps.apply(ready) if how.stamp else ready  # now, not before the pause
        if 0 <= budget <= len(piece):
            return await _cut(transport, _chunk(piece[:budget]), how)
        budget -= len(piece) if budget >= 0 else 0
        transport.write(_chunk(piece))
        # uvloop joins writes made in one turn of the loop; one turn a write keeps events apart.
        await asyncio.sleep(0)
    transport.write(b"0\r\n\r\n")
    return "complete"


async def _wait_turn(number: int, how: Delivery, writable: asyncio.Event) -> None:
    if how.pace and number:
        await asyncio.sleep(how.pace)
    if number == how.silent_after_events:
        await asyncio.sleep(how.silent_for)
    if not writable.is_set():
        await writable.wait()


async def _deliver_whole(transport: asyncio.Transport, reply: Reply) -> str:
    if 0 <= reply.delivery.cut_after < len(reply.body):
        return await _cut(transport, reply.body[: reply.delivery.cut_after], reply.delivery)
    transport.write(reply.body)
    return "complete"


async def _cut(transport: asyncio.Transport, last: bytes, how: Delivery) -> str:
    transport.write(last)
    if how.reset:
        await asyncio.sleep(0.01)
        transport.abort()
    return "cut"


def _chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""


def _written(pieces: list[bytes], how: Delivery, stamps: Stamps) -> Iterator[bytes]:
    """Yield what each write carries; only what is compressed is stamped here."""
    gzip = zlib.compressobj(wbits=31) if how.gzip else None
    for piece in _grouped(pieces, how.events_per_write):
        stamped = stamps.apply(piece) if how.stamp and how.gzip else piece
        text = stamped.replace(b"\n", b"\r\n") if how.crlf else stamped
        if gzip is not None:
            yield gzip.compress(text) + gzip.flush(zlib.Z_SYNC_FLUSH)
        elif how.split_utf8:
            yield from split_characters(text)
        else:
            yield text
    if gzip is not None:
        yield gzip.flush()


def _grouped(pieces: list[bytes], size: int) -> Iterator[bytes]:
    if size <= 1:
        yield from pieces
        return
    for start in range(0, len(pieces), size):
        yield b"".join(pieces[start : start + size])


def split_characters(piece: bytes) -> Iterator[bytes]:
    """Split after the first byte of every character that has more than one byte."""
    start = 0
    for position, byte in enumerate(piece):
        if byte >= 0xC0:
            yield piece[start : position + 1]
            start = position + 1
    yield piece[start:]
