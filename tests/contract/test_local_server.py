"""The local server over real sockets: streams, leavers, signals, ports and hostile bytes."""

import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.local.server import ListenError, serve, serve_dev

ROOT = Path(__file__).parents[2]

# `/held` sends one event and the next when released (`/release` or a line on stdin); `/beats` sends events for ever;
# `/patient` sends one, then only asks whether the client has left; `/closed` waits until a stream was closed.
SCRIPT = """
import sys, threading
from infra.local import server

released, closed = threading.Event(), threading.Event()

def stream(path, environ):
    try:
        yield b"data: 1\\n\\n"
        if path == "/held":
            released.wait(60)
        while path == "/beats" or (path == "/patient" and not environ[server.CLIENT_GONE]()):
            threading.Event().wait(0.01)
            if path == "/beats":
                yield b": beat\\n\\n"
        yield b"data: 2\\n\\n"
    finally:
        closed.set()

def app(environ, start):
    path = environ["PATH_INFO"]
    if path in ("/held", "/beats", "/patient"):
        start("200 OK", [("content-type", "text/event-stream")])
        return stream(path, environ)
    if path == "/release":
        released.set()
    text = str(closed.wait(30)) if path == "/closed" else str(len(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))))
    start("200 OK", [("content-type", "text/plain"), ("content-length", str(len(text)))])
    return [text.encode()]

threading.Thread(target=lambda: sys.stdin.readline() and released.set(), daemon=True).start()
serve = getattr(server, sys.argv[1])
serve(app, sys.argv[2], 0, on_ready=lambda port: print(port, flush=True))
"""


@dataclass
class Served:
    process: subprocess.Popen[bytes]
    host: str
    port: int

    def open(self, request: bytes) -> socket.socket:
        connection = socket.create_connection((self.host, self.port), timeout=60)
        connection.sendall(request)
        return connection

    def get(self, path: str) -> socket.socket:
        return self.open(f"GET {path} HTTP/1.1\r\nhost: a\r\n\r\n".encode())

    def text(self, path: str) -> bytes:
        with self.get(path) as connection:
            return read_until(connection, b"\r\n\r\n").partition(b"\r\n\r\n")[2] or connection.recv(100)

    def status(self, request: bytes) -> int:
        with self.open(request) as connection:
            return int(read_until(connection, b"\r\n").split()[1])


def read_until(connection: socket.socket, end: bytes) -> bytes:
    received = b""
    while end not in received:
        piece = connection.recv(65536)
        if not piece:
            raise AssertionError(f"closed before {end!r}: {received!r}")
        received += piece
    return received


@contextlib.contextmanager
def serving(function: str = "serve", host: str = "127.0.0.1") -> Iterator[Served]:
    pipe = subprocess.PIPE
    command = [sys.executable, "-W", "error", "-c", SCRIPT, function, host]
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        try:
            assert process.stdout is not None
            yield Served(process, host, int(process.stdout.readline()))
        finally:
            process.kill()


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving() as server:
        yield server


@pytest.mark.parametrize("function", ["serve", "serve_dev"])
def test_events_arrive_as_they_are_made(function: str) -> None:
    with serving(function) as server, server.get("/held") as stream:
        first = read_until(stream, b"data: 1\n\n")
        server.text("/release")
        rest = read_until(stream, b"data: 2\n\n")
    assert b"data: 2" not in first
    assert b"data: 1" not in rest


def test_a_hundred_streams_are_open_at_once() -> None:
    with serving() as server, contextlib.ExitStack() as stack:
        streams = [stack.enter_context(server.get("/held")) for _ in range(100)]
        for stream in streams:
            read_until(stream, b"data: 1\n\n")
        server.text("/release")
        for stream in streams:
            read_until(stream, b"\r\n0\r\n\r\n")


def test_a_leaving_client_closes_the_generator() -> None:
    """The upstream request is given back; peers keep it running (cases, 'client leaves')."""
    with serving() as server:
        with server.get("/beats") as stream:
            read_until(stream, b"data: 1\n\n")
        assert server.text("/closed") == b"True"


def test_a_silent_generator_can_see_that_the_client_left() -> None:
    with serving() as server:
        with server.get("/patient") as stream:
            read_until(stream, b"data: 1\n\n")
        assert server.text("/closed") == b"True"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without asking it")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("function", ["serve", "serve_dev"])
def test_an_idle_server_ends_cleanly_on_a_signal(function: str, number: signal.Signals) -> None:
    with serving(function) as server:
        server.process.send_signal(number)
        _, errors = server.process.communicate(timeout=30)
    assert (server.process.returncode, errors) == (0, b"")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without asking it")
def test_an_open_stream_is_finished_before_the_server_ends() -> None:
    with serving() as server, server.get("/held") as stream:
        read_until(stream, b"data: 1\n\n")
        server.process.send_signal(signal.SIGTERM)
        server.process.communicate(b"release\n", timeout=30)
        rest = read_until(stream, b"\r\n0\r\n\r\n")
    assert b"data: 2\n\n" in rest
    assert server.process.returncode == 0


@pytest.mark.parametrize("function", [serve, serve_dev])
def test_a_taken_port_is_a_clear_error(function: Callable[..., None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=f"cannot listen on 127.0.0.1 port {port}: the port is in use"):
            function(None, "127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "port", "reason"),
    [
        ("192.0.2.1", 0, "this machine has no such address"),
        ("127.0.0.1", 70_000, "cannot listen on 127.0.0.1 port 70000"),
        ("a" * 64 + ".invalid", 0, "cannot listen on a"),
    ],
)
def test_an_impossible_address_is_a_clear_error(host: str, port: int, reason: str) -> None:
    with pytest.raises(ListenError, match=reason):
        serve(lambda _environ, _start: [], host, port)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without asking it")
def test_a_second_signal_ends_the_server_without_waiting() -> None:
    with serving() as server, server.get("/held") as stream:
        read_until(stream, b"data: 1\n\n")
        while server.process.poll() is None:  # the first begins the wait, a later one ends it
            server.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.process.wait(0.02)
    assert -signal.SIGTERM == server.process.returncode


def test_ipv6_loopback_is_served() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    with serving(host="::1") as server:
        assert server.text("/") == b"0"


BODY = b"POST / HTTP/1.1\r\nhost: a\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"\x00\xff garbage\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"y" * 70_000 + b"\r\n\r\n", 431),
        (BODY + b"content-length: -1\r\n\r\n", 400),
        (BODY + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab", 400),
        (BODY + b"transfer-encoding: xchunked\r\n\r\n", 501),
        (BODY + b"transfer-encoding: chunked\r\n\r\nZZ\r\n", 400),
        (BODY + b"content-length: 100000000000\r\n\r\n", 413),
        (BODY + b"expect: 100-continue\r\ncontent-length: 2\r\n\r\n", 100),
        (b"HEAD /held HTTP/1.1\r\nhost: a\r\n\r\n", 200),
    ],
)
def test_hostile_bytes_get_a_status(served: Served, request_bytes: bytes, status: int) -> None:
    assert served.status(request_bytes) == status


def test_a_request_with_two_framings_is_refused_with_its_connection(served: Served) -> None:
    """What follows it must not be taken for a second request (request smuggling)."""
    two = b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n"
    received = b""
    with served.open(BODY + two + b"GET /hidden HTTP/1.1\r\nhost: a\r\n\r\n") as connection:
        while piece := connection.recv(65536):
            received += piece
    assert received.startswith(b"HTTP/1.1 400 ")
    assert received.count(b"HTTP/1.1 ") == 1


def test_chunked_bodies_reach_the_app_whole(served: Served) -> None:
    request = BODY + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\nyou\r\n0\r\n\r\n"
    with served.open(request) as connection:
        assert read_until(connection, b"\r\n\r\n8").endswith(b"\r\n\r\n8")


def test_replies_do_not_name_the_server(served: Served) -> None:
    with served.get("/") as connection:
        assert b"server:" not in read_until(connection, b"\r\n\r\n").lower()


def test_plain_replies_keep_the_connection(served: Served) -> None:
    with served.get("/") as connection:
        read_until(connection, b"\r\n\r\n0")
        connection.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert read_until(connection, b"\r\n\r\n0").startswith(b"HTTP/1.1 200")
