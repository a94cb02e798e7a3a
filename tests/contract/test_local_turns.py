"""When the local server's main thread looks at its connections: it sleeps until it is woken, so a missing wake would show."""

import socket
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import pytest

from infra.local.channel import House
from infra.local.doorkeeper import DoorServer
from infra.local.patience import Patience
from infra.local.server import OPTIONS, listening

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

GET = b"GET %b HTTP/1.1\r\nhost: a\r\n\r\n"
LARGE = 20_000_000


class Counted(DoorServer):
    turns = 0

    def _turn(self, seconds: float) -> None:
        self.turns += 1
        super()._turn(seconds)


class Place:
    """A server that nothing but a wake or a socket stirs. `/held` is answered after `/release`."""

    server: Counted

    def __init__(self) -> None:
        self.released = threading.Event()

    def app(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/held":
            self.released.wait(30)
        if path == "/release":
            self.released.set()
        said = b"x" * LARGE if path == "/large" else path.encode()
        start("200 OK", [("Content-Length", str(len(said)))])
        return [said]

    def open(self, sent: bytes) -> socket.socket:
        connection = socket.create_connection(self.server.socket.getsockname(), timeout=30)
        connection.sendall(sent)
        return connection


def read_until(connection: socket.socket, end: bytes) -> bytes:
    received = bytearray()
    while not received.endswith(end):
        piece = connection.recv(1_000_000)
        assert piece, bytes(received[-200:])
        received += piece
    return bytes(received)


@pytest.fixture
def place() -> Iterator[Place]:
    found = Place()
    house = House(patience=Patience(), max_body_bytes=1000, allowance=None, now=lambda: 0.0)
    with listening("127.0.0.1", 0) as listener:
        options = {**OPTIONS, "asyncore_loop_timeout": 3600}
        server = found.server = Counted(found.app, listener, house, 4, **options)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            yield found
        finally:
            server.stop()
            thread.join()
            for channel in list(server.active_channels.values()):
                channel.handle_close()
            server.close()


def test_the_main_thread_is_not_woken_after_answers_that_leave_it_nothing_to_do(place: Place) -> None:
    with place.open(b"") as connection:
        for _ in range(50):
            connection.sendall(GET % b"/one")
            read_until(connection, b"/one")
        turns = place.server.turns
    # One to accept, one for each request, and the one that it now waits in; a wake too many is no harm, one each time is.
    assert turns < 75, turns


def test_a_connection_is_listened_to_again_after_requests_that_came_together(place: Place) -> None:
    three = GET % b"/held" + GET % b"/two" + GET % b"/three"
    with place.open(three) as connection, place.open(GET % b"/release") as other:
        read_until(other, b"/release")  # by now the main thread has stopped listening to the first
        read_until(connection, b"/three")
        connection.sendall(GET % b"/four")
        assert read_until(connection, b"/four").startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_connection_is_closed_after_its_last_answer(place: Place) -> None:
    with place.open(b"GET /last HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n") as connection:
        read_until(connection, b"/last")
        assert b"" == connection.recv(1)


def test_what_the_socket_did_not_take_at_once_is_sent(place: Place) -> None:
    with place.open(GET % b"/large") as connection:
        _, _, body = read_until(connection, b"x" * 1000).partition(b"\r\n\r\n")
        size = len(body)
        while size < LARGE:
            size += len(connection.recv(1_000_000))
    assert LARGE == size
