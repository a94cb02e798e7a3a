"""A Copilot that misbehaves as each request asks for; run as a process of its own, it prints its URL.

Its streams are those that the fake renders, recorded once; each request gets them with words of its own. At
`/soak/report` it says which replies are still open, and how and when the others ended.
"""

import asyncio
import contextlib
import json
import random
import signal
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from tests.e2e.hosting import new_fake
from tests.emulators.calling import Caller
from tests.emulators.copilot import FakeCopilot
from tests.emulators.copilot.models import CHAT, MESSAGES, RESPONSES, catalogue, entry
from tests.soak.plans import DIALECTS, MODEL, REFUSING, SIZES, Order, order_of, tag

ENDPOINT: Final = {"chat": CHAT, "messages": MESSAGES, "responses": RESPONSES}
DIALECT: Final = {path: dialect for dialect, path in ENDPOINT.items()}
SILENCE: Final = 2.5  # seconds; the gateway of the soak pings after one
FOR_GOOD: Final = 600.0
Recorded = dict[tuple[str, int, bool], bytes]


def record(fake: FakeCopilot) -> Recorded:
    """Return what a healthy Copilot says, by dialect, number of words and whether it streams."""
    caller = Caller(fake)
    recorded: Recorded = {}
    for words in SIZES:
        turns = [{"role": "user", "content": f"[[words:{words}]]"}]
        for dialect in DIALECTS:
            ask: Callable[..., Any] = getattr(caller, dialect)
            for streams in (False, True):
                usage = {"stream_options": {"include_usage": True}} if dialect == "chat" and streams else {}
                recorded[dialect, words, streams] = ask(MODEL[dialect], turns, stream=streams, **usage).body
    return recorded


def models() -> list[Any]:
    """Return the catalogue, with a model for every cell."""
    sizes = (200_000, 168_000, 64_000)
    claude = entry(MODEL["messages"], [MESSAGES], sizes, min_thinking_budget=1024, max_thinking_budget=32_000)
    refusing = [entry(REFUSING[dialect], [ENDPOINT[dialect]], sizes) for dialect in DIALECTS]
    return [*catalogue(), claude, *refusing]


class Upstream:
    """One server. `ended` says of every finished reply how it ended and when (monotonic seconds)."""

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded
        self._models = json.dumps({"data": models(), "object": "list"}).encode()
        self._tries: dict[int, int] = {}
        self._tokens = 0
        self.open: dict[int, int] = {}
        self.ended: dict[int, tuple[str, float]] = {}
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests, one at a time."""
        self.connections += 1
        try:
            start: bytes | None = b""
            while start is not None:
                start = await self._exchange(reader, writer, start)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.connections -= 1
            writer.close()

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, start: bytes
    ) -> bytes | None:
        """Answer one request; return the first byte of the next one, None when the connection is over."""
        head = start + await reader.readuntil(b"\r\n\r\n")
        path = head.split(b" ", 2)[1].decode()
        length = next(
            (line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0"
        )
        body = await reader.readexactly(int(length.partition(b":")[2]))
        order = order_of(body)
        if order is None or path not in DIALECT:
            writer.write(self._document(path))
            return await reader.read(1) or None
        watch = asyncio.ensure_future(reader.read(1))
        playing = asyncio.ensure_future(self._play(writer, order, path, body))
        self.open[order.number] = self.open.get(order.number, 0) + 1
        try:
            await asyncio.wait({watch, playing}, return_when=asyncio.FIRST_COMPLETED)
            if not playing.done():
                playing.cancel()
            keeps = await _outcome(playing)
        finally:
            self.open[order.number] -= 1
            if not self.open[order.number]:
                del self.open[order.number]
        self.ended[order.number] = ("left" if keeps is None else "played", time.monotonic())
        if not keeps:
            watch.cancel()
            return None
        return await watch or None

    def _document(self, path: str) -> bytes:
        if path == "/soak/report":
            report = {
                "open": self.open,
                "ended": self.ended,
                "connections": self.connections,
                "tokens": self._tokens,
            }
            return answer(200, json.dumps(report).encode())
        if path == "/models":
            return answer(200, self._models)
        if path == "/copilot_internal/v2/token":
            self._tokens += 1
            expires = int(time.time()) + 1800
            grant = {
                "token": f"tid=soak{self._tokens};exp={expires}",
                "expires_at": expires,
                "refresh_in": 1500,
            }
            return answer(200, json.dumps(grant).encode())
        return answer(404, b'{"message": "Not Found"}')

    async def _play(self, writer: asyncio.StreamWriter, order: Order, path: str, body: bytes) -> bool:
        """Obey the order; return whether the connection may serve another request."""
        tries = self._tries[order.number] = self._tries.get(order.number, 0) + 1
        refusal = REFUSALS.get(order.fault)
        if refusal is not None and (order.fault not in ONCE or tries == 1):
            writer.write(refusal)
            return True
        if order.fault == "reset_first" and tries == 1:
            return _reset(writer)
        if order.fault in {"deaf", "late_head"}:
            await asyncio.sleep(SILENCE if order.fault == "late_head" else FOR_GOOD)
        streams = json.loads(body).get("stream", False)
        reply = self._recorded[DIALECT[path], order.words, streams].replace(
            b"word", tag(order.number).encode()
        )
        if not streams:
            return await _whole(writer, order, reply)
        return await _stream(writer, order, reply)


async def _outcome(playing: "asyncio.Future[bool]") -> bool | None:
    """Return whether the connection may be kept; None when the other side has left."""
    try:
        return await playing
    except (asyncio.CancelledError, ConnectionError):
        return None


def answer(status: int, body: bytes, kind: str = "application/json", *headers: str) -> bytes:
    """Return a whole reply."""
    lines = [f"HTTP/1.1 {status} Told", f"content-type: {kind}", f"content-length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


REFUSALS: Final = {
    "limited": answer(429, b'{"error":{"message":"slow down","code":"user_model_rate_limited"}}', "text/plain", "retry-after: 1"),
    "busy": answer(503, b"upstream connect error", "text/plain"),
    "failing": answer(500, b"<html><title>Unicorn!</title></html>", "text/html"),
    "stumble": answer(500, b"", "text/plain"),
    "renew": answer(401, b"unauthorized: token expired\n", "text/plain"),
    "page": answer(200, b"<html><title>Sign in</title><p>captive</p></html>", "text/html"),
}  # fmt: skip
ONCE: Final = frozenset({"stumble", "renew"})
STREAM: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


async def _whole(writer: asyncio.StreamWriter, order: Order, body: bytes) -> bool:
    reply = answer(200, body)
    at = max(1, int(len(reply) * order.at))
    if order.fault in {"cut", "reset", "end_early", "garbage", "stall"}:
        writer.write(reply[:at])
        await writer.drain()
        if order.fault == "stall":
            await asyncio.sleep(FOR_GOOD)
        return _reset(writer) if order.fault == "reset" else False
    if order.fault == "pause":
        writer.write(reply[:at])
        await asyncio.sleep(SILENCE)
        reply = reply[at:]
    writer.write(reply)
    await writer.drain()
    return True


async def _stream(writer: asyncio.StreamWriter, order: Order, wire: bytes) -> bool:
    writer.write(STREAM)
    async for piece in _pieces(writer, order, [event + b"\n\n" for event in wire.split(b"\n\n")[:-1]]):
        writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        await writer.drain()
    if order.fault in {"cut", "garbage"}:
        return False
    if order.fault == "reset":
        return _reset(writer)
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True


async def _pieces(writer: asyncio.StreamWriter, order: Order, events: list[bytes]) -> AsyncIterator[bytes]:
    """Yield what each write carries, up to the fault where there is one."""
    rng = random.Random(order.number)  # noqa: S311 - a soak must repeat itself
    stop = int(len(events) * order.at)
    if order.fault == "burst":
        yield b"".join(events)
        return
    for index, event in enumerate(events):
        if index == stop and order.fault in SHORT:
            if order.fault == "garbage":
                yield b"data: {broken \xff\xfe" + rng.randbytes(200) + b"\n\n"
            if order.fault == "stall":
                await asyncio.sleep(FOR_GOOD)
            return
        if index == stop and order.fault == "pause":
            await asyncio.sleep(SILENCE)
        if order.fault == "split":
            at = rng.randrange(1, len(event))
            yield event[:at]
            await asyncio.sleep(0)
            event = event[at:]  # noqa: PLW2901 - the rest of it
        yield event
        await asyncio.sleep(order.pace)
    if order.fault == "late_frames":
        yield b"".join(events[-3:])


SHORT: Final = frozenset({"cut", "reset", "end_early", "garbage", "stall"})


def _reset(writer: asyncio.StreamWriter) -> bool:
    sock = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):  # the gateway was first, and it is closed
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    return False


async def main() -> None:
    """Serve until ended."""
    fake = new_fake()
    recorded = record(fake)
    fake.stop()
    upstream = Upstream(recorded)
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.close)
    await server.wait_closed()


if __name__ == "__main__":
    asyncio.run(main())
