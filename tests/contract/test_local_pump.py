"""Streams that the local server forwards without a thread each, over real sockets."""

import contextlib
import errno
import select
import selectors
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from handlers.stream import PUMP
from infra.local.channel import DoorChannel, House
from infra.local.doorkeeper import DoorServer
from infra.local.patience import Patience
from infra.local.pump import PumpedTask
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


class Stumbling(Upstream):
    """A defect: what has come cannot be said."""

    def advance(self) -> bytes:
        raise RuntimeError("a defect")


class Dumbstruck(Upstream):
    """A defect: there are no words for a silence."""

    def quiet(self) -> bytes:
        raise RuntimeError("a defect")


class Deaf(Upstream):
    """A defect: the socket that was there for the worker cannot be waited for."""

    asked = False

    def fileno(self) -> int | None:
        number, self.asked = -1 if self.asked else self.ours.fileno(), True
        return number


class Place:
    """A server whose every request is a stream; `streams` are those that it has begun, `steps` what became of them."""

    def __init__(self) -> None:
        self.kind = Upstream
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
        stream = self.kind(self.steps)
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

    def second(self) -> socket.socket:
        """Ask when the first stream has begun: two that begin together come in any order."""
        self.stream()
        return self.ask()


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
    with place.ask() as lazy, place.second() as busy:
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


# Defects


@pytest.mark.parametrize("kind", [Stumbling, Dumbstruck, Deaf])
def test_a_stream_that_crashes_is_cut_and_no_other(
    place: Place, kind: type[Upstream], caplog: pytest.LogCaptureFixture
) -> None:
    with place.ask() as whole:
        place.stream().other.sendall(b"one")
        read_until(whole, b"one")
        place.kind = kind
        with place.ask() as cut:
            wire = b"".join(iter(lambda: cut.recv(65_536), b""))
        assert not wire.endswith(b"0\r\n\r\n")
        assert place.stream(1).closed.wait(PATIENCE)
        place.stream().other.sendall(b"two")
        place.stream().other.close()
        read_until(whole, b"end\r\n0\r\n\r\n")
    assert ["stream.crashed"] == caplog.messages
    assert place.server.pump.drain(PATIENCE)


def test_a_stream_whose_end_crashes_takes_no_other_with_it(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As where the system has no thread left for the worker that ends it."""

    def resume(channel: DoorChannel, task: PumpedTask) -> None:
        monkeypatch.undo()
        channel.resume(task)
        raise RuntimeError("can't start new thread")

    with place.ask() as first, place.second() as second:
        place.stream(1).other.sendall(b"one")
        read_until(second, b"one")
        monkeypatch.setattr(DoorChannel, "resume", resume)
        place.stream().other.close()
        read_until(first, b"end\r\n0\r\n\r\n")
        place.stream(1).other.close()
        read_until(second, b"end\r\n0\r\n\r\n")
    assert ["stream.crashed"] == caplog.messages
    assert place.server.pump.drain(PATIENCE)


@pytest.mark.parametrize("breaks", ["bell", "selector"])
def test_the_streams_outlive_what_they_are_waited_for_with(
    place: Place, breaks: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def select(_selector: selectors.BaseSelector, _timeout: float | None) -> None:
        monkeypatch.undo()
        raise OSError(errno.EBADF, "Bad file descriptor")

    pump = place.server.pump
    with place.ask() as before:
        for word in (b"zero", b"one"):  # a worker may say the first, the thread says the second
            place.stream().other.sendall(word)
            read_until(before, word)
        if breaks == "selector":
            monkeypatch.setattr(selectors.DefaultSelector, "select", select)
        else:
            assert pump._bell is not None
            pump._bell.shutdown(socket.SHUT_RDWR)
        place.stream().other.sendall(b"two")
        read_until(before, b"two")
        with place.ask() as after:
            place.stream(1).other.sendall(b"word")
            read_until(after, b"word")
            for number, connection in enumerate((before, after)):
                place.stream(number).other.close()
                read_until(connection, b"end\r\n0\r\n\r\n")
    assert ["pump.crashed"] == caplog.messages


def refuse_thread(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let the system have no thread left for the next one of this name."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith(name):
            monkeypatch.undo()
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)


def test_a_stream_is_cut_where_there_is_no_thread_for_it(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refuse_thread(monkeypatch, "pump")
    with place.ask() as cut, place.second() as whole:
        wire = b"".join(iter(lambda: cut.recv(65_536), b""))
        assert not wire.endswith(b"0\r\n\r\n")
        place.stream(1).other.close()
        read_until(whole, b"end\r\n0\r\n\r\n")
    assert ["stream.crashed"] == caplog.messages
    assert place.server.pump.drain(PATIENCE)


def test_a_request_waits_where_there_is_no_thread_for_it(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refuse_thread(monkeypatch, "waitress")
    with place.ask() as first, place.ask() as second:
        for number in range(2):
            place.stream(number).other.close()
        for connection in (first, second):
            read_until(connection, b"end\r\n0\r\n\r\n")
    assert ["server.no_thread reason=can't start new thread"] == caplog.messages
    counted = {f"waitress-{number}" for number in place.server.task_dispatcher.threads}
    assert counted <= {thread.name for thread in threading.enumerate()}
