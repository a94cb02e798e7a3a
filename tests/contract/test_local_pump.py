"""Streams that the local server forwards without a thread each, over real sockets."""

import contextlib
import select
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from handlers.stream import PUMP
from infra.local.channel import House
from infra.local.doorkeeper import DoorServer
from infra.local.patience import Patience
from infra.local.server import OPTIONS, listening

HEAD_END = b"\r\n\r\n"
PATIENCE = 30
PLENTY = 256 * 1024 * 1024
MARK = b"\x01"


class Upstream:
    """A stream in the hands of a test: what is written to `other` is said, its end is the end."""

    tick = 0.02

    def __init__(self, steps: list[str]) -> None:
        self.ours, self.other = socket.socketpair()
        self.ours.settimeout(0)
        self.over = False
        self.closed = threading.Event()
        self._steps = steps

    def fileno(self) -> int | None:
        return self.ours.fileno()

    def advance(self) -> bytes:
        try:
            said = self.ours.recv(65_536)
        except BlockingIOError:
            return b""
        self.over = not said
        return said or b"end"

    def quiet(self) -> bytes:
        return b":"

    def __iter__(self) -> Iterator[bytes]:
        yield b"a stream that can be pumped is not iterated over"

    def close(self) -> None:
        self._steps.append("closed")
        self.ours.close()
        self.closed.set()


class Place:
    """A server whose every request is a stream; `streams` are those that it has begun, `steps` what became of them."""

    def __init__(self) -> None:
        self.streams: list[Upstream] = []
        self.steps: list[str] = []
        self._begun = threading.Condition()
        self.server: DoorServer

    @property
    def port(self) -> int:
        return int(self.server.effective_port)

    def is_full(self) -> bool:
        return any(channel.is_full for channel in list(self.server.active_channels.values()))

    def app(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        start("200 OK", [("Content-Type", "text/event-stream")])
        stream = Upstream(self.steps)
        environ[PUMP](stream)
        with self._begun:
            self.streams.append(stream)
            self._begun.notify_all()
        return stream

    def stream(self, number: int = 0) -> Upstream:
        with self._begun:
            assert self._begun.wait_for(lambda: len(self.streams) > number, PATIENCE)
        return self.streams[number]

    def ask(self, version: str = "1.1") -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        connection.sendall(f"GET / HTTP/{version}\r\nhost: a\r\n\r\n".encode())
        return connection


@pytest.fixture
def place() -> Iterator[Place]:
    found = Place()
    house = House(patience=Patience(), max_body_bytes=1000, allowance=None, now=lambda: 0.0)
    with listening("127.0.0.1", 0) as listener:
        server = found.server = DoorServer(found.app, listener, house, 4, **OPTIONS)
        server.pump._ticks = iter_ticks()
        stop = threading.Event()
        thread = threading.Thread(target=run, args=(server, stop))
        thread.start()
        try:
            yield found
        finally:
            stop.set()
            server.pull_trigger()
            thread.join()
            for channel in list(server.active_channels.values()):
                channel.handle_close()
            server.task_dispatcher.shutdown()
            server.close()
            for stream in found.streams:
                stream.other.close()
                stream.ours.close()


def iter_ticks() -> Callable[[], float]:
    """A clock that goes on by a second with each look: every silence is long enough."""
    seconds = iter(range(1_000_000))
    return lambda: float(next(seconds))


def run(server: DoorServer, stop: threading.Event) -> None:
    while not stop.is_set():
        server.asyncore.loop(timeout=0.05, map=server._map, use_poll=True, count=1)  # type: ignore[attr-defined]


def read_until(connection: socket.socket, end: bytes) -> bytes:
    received = bytearray()
    while end not in received[-len(end) - 65_536 :]:
        piece = connection.recv(65_536)
        assert piece, received[-200:]
        received += piece
    return bytes(received)


def said(wire: bytes) -> bytes:
    """What stands in the chunks, pings aside."""
    body, found = wire.partition(HEAD_END)[2], b""
    while body:
        size, _, body = body.partition(b"\r\n")
        found += body[: int(size, 16)]
        body = body[int(size, 16) + 2 :]
    return found.replace(b":", b"")


def test_more_streams_than_workers_are_open_at_once(place: Place) -> None:
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(place.ask()) for _ in range(40)]
        streams = [place.stream(number) for number in range(40)]
        for stream in streams:
            stream.other.sendall(b"one")
        for connection in connections:
            read_until(connection, b"one")
        for stream in streams:
            stream.other.close()
        for connection in connections:
            read_until(connection, b"end\r\n0\r\n\r\n")


def test_the_connection_is_kept_and_serves_the_next_stream(place: Place) -> None:
    with place.ask() as connection:
        for number in range(20):
            stream = place.stream(number)
            stream.other.sendall(b"word")
            stream.other.close()
            wire = read_until(connection, b"\r\n0\r\n\r\n")
            assert b"connection: close" not in wire.lower()
            assert b"wordend" == said(wire)
            connection.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")


def test_requests_that_did_not_wait_are_answered_in_order(place: Place) -> None:
    with place.ask() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        for number, word in enumerate((b"first", b"second")):
            place.stream(number).other.sendall(word)
            place.stream(number).other.close()
        wire = read_until(connection, b"second")
    assert wire.index(b"first") < wire.index(b"\r\n0\r\n\r\nHTTP/1.1 200 OK") < wire.index(b"second")


def test_a_stream_is_closed_before_its_last_byte_is_sent(place: Place) -> None:
    """A client that has read the end may ask again: what it held must be free then."""
    with place.ask() as connection:
        place.stream().other.close()
        read_until(connection, b"\r\n0\r\n\r\n")
        assert ["closed"] == place.steps


def test_a_leaving_client_closes_its_stream(place: Place) -> None:
    with place.ask() as connection:
        place.stream().other.sendall(b"word")
        read_until(connection, b"word")
    assert place.stream().closed.wait(PATIENCE)


def test_silence_is_filled(place: Place) -> None:
    with place.ask() as connection:
        read_until(connection, b":")


def test_an_old_client_reads_to_the_end_of_the_connection(place: Place) -> None:
    with place.ask("1.0") as connection:
        place.stream().other.sendall(b"word")
        read_until(connection, b"word")
        place.stream().other.close()
        assert b"end" == b"".join(iter(lambda: connection.recv(100), b"")).replace(b":", b"")


def test_a_client_that_does_not_read_stops_its_stream_and_no_other(place: Place) -> None:
    with place.ask() as lazy, place.ask() as busy:
        full, other = place.stream(), place.stream(1)
        full.other.settimeout(0)
        sent = 0
        while not place.is_full() and sent < PLENTY:
            if select.select([], [full.other], [], 0.05)[1]:
                sent += full.other.send(MARK * 65_536)
        assert place.is_full()
        other.other.sendall(b"word")
        read_until(busy, b"word")
        full.other.close()
        assert sent == read_until(lazy, b"end\r\n0\r\n\r\n").count(MARK)
