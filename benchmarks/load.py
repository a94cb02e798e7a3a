"""The load driver: connections on one event loop that keep every byte and when it came; nothing is read into them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

PATIENCE = 60.0
LAST_CHUNK = b"\r\n0\r\n\r\n"  # with the end of the line before it: a head may end in a nought


@dataclass(frozen=True)
class Target:
    """Where requests go: the gateway, or upstream itself with the headers that the gateway would send."""

    host: str
    port: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    is_gateway: bool = True

    def request(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
        """Return a request's bytes."""
        named = {
            "host": f"{self.host}:{self.port}",
            "content-type": "application/json",
            "content-length": str(len(body)),
            **self.headers,
            **(headers or {}),
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


@dataclass
class Heard:
    """One answer. Times are monotonic nanoseconds; `arrivals` has the end of each piece in `wire` and its time."""

    sent_at: int = 0
    done_at: int = 0
    wire: bytes = b""
    arrivals: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])

    @property
    def status(self) -> int:
        return int(self.wire[9:12] or b"0")

    @property
    def is_last(self) -> bool:
        """Whether the server closes the connection after it."""
        return b"\r\nconnection: close\r\n" in self.wire.partition(b"\r\n\r\n")[0].lower() + b"\r\n"

    @property
    def body(self) -> bytes:
        head, _, rest = self.wire.partition(b"\r\n\r\n")
        return unchunked(rest) if b"chunked" in head.lower() else rest

    def time_of(self, end: int) -> int:
        """When the byte before this offset had come."""
        return next(at for offset, at in self.arrivals if offset >= end)

    def seconds_to(self, word: bytes) -> float:
        """Seconds from the sending of the request to the arrival of this word."""
        end = self.wire.index(word) + len(word)
        return (self.time_of(end) - self.sent_at) / 1e9

    @property
    def seconds(self) -> float:
        return (self.done_at - self.sent_at) / 1e9


class Line(asyncio.Protocol):
    """One connection; `ask` sends a request and yields the answer when its last byte is there."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._times: list[int] = []
        self._waiting: asyncio.Future[None] | None = None
        self._missing = -1  # bytes of a body of known length; -1: chunked, or the head is not there
        self.open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.open = True

    def data_received(self, data: bytes) -> None:
        first = not self._pieces
        self._pieces.append(data)
        self._times.append(time.monotonic_ns())
        if first:
            self._missing = missing(data)
        elif self._missing >= 0:
            self._missing -= len(data)
        if self._missing == 0 or (self._missing < 0 and self._is_last(data)):
            self._finish()

    def _is_last(self, data: bytes) -> bool:
        if len(data) >= len(LAST_CHUNK):
            return data.endswith(LAST_CHUNK)
        return b"".join(self._pieces[-5:]).endswith(LAST_CHUNK)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.open = False
        self._finish()

    def _finish(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def ask(self, request: bytes) -> Heard:
        """Send, and wait for the whole answer; the caller checks that it is one."""
        self._pieces, self._times = [], []
        self._waiting = asyncio.get_running_loop().create_future()
        sent_at = time.monotonic_ns()
        self._transport.write(request)
        await asyncio.wait_for(self._waiting, PATIENCE)
        ends, size = [], 0
        for piece, at in zip(self._pieces, self._times, strict=True):
            size += len(piece)
            ends.append((size, at))
        return Heard(sent_at, self._times[-1] if self._times else sent_at, b"".join(self._pieces), ends)

    def close(self) -> None:
        self._transport.close()


def missing(first: bytes) -> int:
    """Bytes that an answer of known length still lacks after its first piece; -1 for a chunked one."""
    head, _, rest = first.partition(b"\r\n\r\n")
    _, found, value = head.lower().partition(b"content-length:")
    return int(value.split(b"\r\n")[0]) - len(rest) if found else -1


def unchunked(wire: bytes) -> bytes:
    """Return a body without its chunks' frames."""
    parts, at = [], 0
    while at < len(wire):
        end = wire.index(b"\r\n", at)
        size = int(wire[at:end], 16)
        parts.append(wire[end + 2 : end + 2 + size])
        at = end + 4 + size
    return b"".join(parts)


class Lines:
    """Connections to one target, used again where it keeps them."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._idle: list[Line] = []

    async def ask(self, request: bytes) -> Heard:
        while self._idle:
            line = self._idle.pop()
            if line.open:
                break
        else:
            line = await self.fresh()
        heard = await line.ask(request)
        if line.open and not heard.is_last:
            self._idle.append(line)
        else:
            line.close()
        return heard

    async def fresh(self) -> Line:
        loop = asyncio.get_running_loop()
        _, line = await loop.create_connection(Line, self._target.host, self._target.port)
        return line

    def close(self) -> None:
        for line in self._idle:
            line.close()
        self._idle.clear()


async def together(target: Target, request: bytes, streams: int) -> list[Heard]:
    """Ask on so many new connections at once."""
    lines = Lines(target)
    return list(await asyncio.gather(*[lines.ask(request) for _ in range(streams)]))


async def in_turn(target: Target, request: bytes, workers: int, seconds: float) -> tuple[list[Heard], float]:
    """Let so many clients ask one request after the other for a while; return the answers and the seconds taken."""
    lines, heard = Lines(target), list[Heard]()
    began = time.monotonic()

    async def work() -> None:
        while time.monotonic() - began < seconds:
            heard.append(await lines.ask(request))

    await asyncio.gather(*[work() for _ in range(workers)])
    took = time.monotonic() - began
    lines.close()
    return heard, took
