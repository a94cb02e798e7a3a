"""The local server's door over real sockets: heads are judged before bodies are read, and slow clients are shown out."""

import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
POST = b"POST / HTTP/1.1\r\nhost: a\r\n"
ALLOWED = 5_000_000

# Bodies of up to ALLOWED bytes with `x-key: good`, none without. The app says what it was told and how much it read;
# `/flood` answers without end, `/closed` says whether such an answer was closed.
SCRIPT = f"""
import json, resource, sys, threading
from infra.local import server
from infra.local.patience import Patience

closed = threading.Event()
files, limits = json.loads(sys.argv[1]), json.loads(sys.argv[2])
if files:
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

def flood():
    try:
        while True:
            yield b"x" * 65536
    finally:
        closed.set()

def app(environ, start):
    if environ["PATH_INFO"] == "/flood":
        start("200 OK", [("content-type", "text/plain")])
        return flood()
    if environ["PATH_INFO"] == "/closed":
        closed.wait(60)
    fault, withheld = environ.get("gateway.fault"), environ.get("gateway.body_withheld", False)
    said = json.dumps({{
        "fault": fault, "withheld": withheld, "path": environ["PATH_INFO"], "read": len(environ["wsgi.input"].read()),
    }}).encode()
    status = fault[0] if fault else 401 if withheld else 200
    start(f"{{status}} Said", [("content-type", "application/json"), ("content-length", str(len(said)))])
    return [said]

def allowance(environ):
    return {ALLOWED} if environ.get("HTTP_X_KEY") == "good" else 0

server.serve(
    app, "127.0.0.1", 0, allowance=allowance, patience=Patience(**limits), on_ready=lambda port: print(port, flush=True),
)
"""


class Door:
    def __init__(self, port: int) -> None:
        self.port = port

    def open(self, sent: bytes) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        connection.sendall(sent)
        return connection

    def ask(self, *pieces: bytes) -> tuple[int, dict[str, object]]:
        """Send the pieces one by one, then return the status and what the app said."""
        with self.open(b"") as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for piece in pieces:
                connection.sendall(piece)
            return answer(connection)


def answer(connection: socket.socket) -> tuple[int, dict[str, object]]:
    received = b""
    while not received.endswith(b"}"):
        piece = connection.recv(65536)
        assert piece, f"closed before the end: {received!r}"
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def until_closed(connection: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            received += piece
    return received


@contextlib.contextmanager
def open_door(files: int = 0, **limits: float) -> Iterator[Door]:
    command = [sys.executable, "-W", "error", "-c", SCRIPT, json.dumps(files), json.dumps(limits)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield Door(int(process.stdout.readline()))
        finally:
            process.kill()


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    with open_door() as opened:
        yield opened


# Before the body


@pytest.mark.parametrize(
    "framing", [b"content-length: 1000000", b"content-length: 1", b"transfer-encoding: chunked"]
)
def test_a_refused_head_is_answered_although_its_body_never_comes(door: Door, framing: bytes) -> None:
    with door.open(POST + framing + b"\r\n\r\n") as connection:
        status, said = answer(connection)
        assert (401, True, 0) == (status, said["withheld"], said["read"])
        assert b"" == until_closed(connection)


def test_a_refused_sender_gets_to_read_the_answer_after_its_whole_body(door: Door) -> None:
    """A connection that is closed with bytes unread is reset, and the answer is lost with it."""
    head = POST + b"content-length: 20000000\r\n\r\n"
    status, said = door.ask(head, b"x" * 20_000_000)
    assert (401, 0) == (status, said["read"])


@pytest.mark.parametrize(("key", "first"), [(b"good", b"HTTP/1.1 100 "), (b"bad", b"HTTP/1.1 401 ")])
def test_the_word_to_go_on_is_for_admitted_bodies_only(door: Door, key: bytes, first: bytes) -> None:
    head = POST + b"x-key: " + key + b"\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n"
    with door.open(head) as connection:
        received = b""
        while len(received) < len(first):
            received += connection.recv(1)
        assert first == received


def test_a_body_that_is_larger_than_allowed_is_not_read(door: Door) -> None:
    head = POST + b"x-key: good\r\ncontent-length: 5000001\r\n\r\n"
    status, said = door.ask(head)
    assert (401, True, 0) == (status, said["withheld"], said["read"])


def test_a_body_in_chunks_is_measured_while_it_comes(door: Door) -> None:
    head = POST + b"x-key: good\r\ntransfer-encoding: chunked\r\n\r\n"
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    status, said = door.ask(head, *[chunk] * 5)
    assert (413, [413, "more than 5000000 bytes"]) == (status, said["fault"])


# Bodies that may come


@pytest.mark.parametrize("size", [0, 1, 10, 70_000, 3_000_000])
def test_a_body_with_its_head_or_after_it_is_read_whole(door: Door, size: int) -> None:
    head, body = POST + b"x-key: good\r\ncontent-length: %d\r\n\r\n" % size, b"x" * size
    for pieces in ([head + body], [head, body], [head + body[: size // 2], body[size // 2 :]]):
        assert (200, size) == summary(door.ask(*pieces))


@pytest.mark.parametrize("size", [1, 2, 7])
def test_a_request_in_small_pieces_is_read_whole(door: Door, size: int) -> None:
    for request in (
        POST + b"x-key: good\r\ncontent-length: 26\r\n\r\nabcdefghijklmnopqrstuvwxyz",
        POST
        + b"x-key: good\r\ntransfer-encoding: chunked\r\n\r\n1a\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n",
    ):
        pieces = [request[at : at + size] for at in range(0, len(request), size)]
        assert (200, 26) == summary(door.ask(*pieces))


def test_requests_on_one_connection_are_answered_in_their_order(door: Door) -> None:
    head = b"POST /%d HTTP/1.1\r\nhost: a\r\nx-key: good\r\ncontent-length: 4\r\n\r\n"
    with door.open(b"GET /0 HTTP/1.1\r\nhost: a\r\n\r\n" + head % 1 + b"ab") as connection:
        connection.sendall(b"cd" + head % 2)
        connection.sendall(b"abcdGET /3 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        received = until_closed(connection)
    answers = [json.loads(part.partition(b"\r\n\r\n")[2]) for part in received.split(b"HTTP/1.1 200")[1:]]
    assert [("/0", 0), ("/1", 4), ("/2", 4), ("/3", 0)] == [(said["path"], said["read"]) for said in answers]


def test_nothing_after_a_refused_request_is_taken_for_another_one(door: Door) -> None:
    hidden = b"GET /hidden HTTP/1.1\r\nhost: a\r\n\r\n"
    with door.open(POST + b"content-length: 5000\r\n\r\n" + hidden * 3) as connection:
        received = until_closed(connection)
    assert (1, 0) == (received.count(b"HTTP/1.1 "), received.count(b"hidden"))


def summary(answered: tuple[int, dict[str, object]]) -> tuple[int, object]:
    return answered[0], answered[1]["read"]


# What is no request

CHUNKED = POST + b"x-key: good\r\ntransfer-encoding: chunked\r\n\r\n"
BROKEN = {
    "target of another host": (b"GET http://evil.example/v1 HTTP/1.1\r\nhost: a\r\n\r\n", 400),
    "target of another port": (b"GET http://a:1/v1 HTTP/1.1\r\nhost: a\r\n\r\n", 400),
    "target with a user": (b"GET http://a@evil.example/v1 HTTP/1.1\r\nhost: a\r\n\r\n", 400),
    "target of another scheme": (b"GET ftp://a/v1 HTTP/1.1\r\nhost: a\r\n\r\n", 400),
    "target without a host": (b"GET file:/etc/passwd HTTP/1.1\r\nhost: a\r\n\r\n", 400),
    "target of a tunnel": (b"CONNECT evil.example:443 HTTP/1.1\r\nhost: a\r\n\r\n", 400),
    "target of nothing": (b"OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n", 400),
    "target without a slash": (b"GET v1 HTTP/1.1\r\nhost: a\r\n\r\n", 400),
    "two framings": (POST + b"transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n", 400),
    "chunks in http/1.0": (b"POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n", 400),
    "http/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "http/0.9": (b"GET /\r\n\r\n", 400),
    "length of 5000 digits": (POST + b"content-length: " + b"9" * 5000 + b"\r\n\r\n", 400),
    "negative length": (POST + b"content-length: -1\r\n\r\n", 400),
    "two lengths": (POST + b"content-length: 1\r\ncontent-length: 2\r\n\r\n", 400),
    "bare line feed": (b"GET / HTTP/1.1\r\nhost: a\nx: y\r\n\r\n", 400),
    "folded name": (b"GET / HTTP/1.1\r\n host: a\r\n\r\n", 400),
    "space before the colon": (b"GET / HTTP/1.1\r\nhost : a\r\n\r\n", 400),
    "too many fields": (b"GET / HTTP/1.1\r\nhost: a\r\n" + b"x: y\r\n" * 300 + b"\r\n", 431),
    "too large a head": (b"GET /v1/messages HTTP/1.1\r\nx: " + b"y" * 70_000 + b"\r\n\r\n", 431),
    "endless head": (b"GET /v1/messages HTTP/1.1\r\nx: " + b"y" * 70_000, 431),
    "odd transfer encoding": (POST + b"transfer-encoding: gzip, chunked\r\n\r\n", 501),
    "endless chunk size": (CHUNKED + b"0" * 70_000, 400),
    "endless chunk extension": (CHUNKED + b"1;" + b"x" * 70_000, 400),
    "endless trailer": (CHUNKED + b"0\r\nx: " + b"y" * 70_000, 400),
    "no chunk size": (CHUNKED + b"zz\r\n", 400),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_no_request_is_the_apps_to_answer(door: Door, case: str) -> None:
    sent, status = BROKEN[case]
    with door.open(sent) as connection:
        assert status == answer(connection)[0]
        assert b"" == until_closed(connection)


def test_the_answer_to_a_broken_head_knows_its_path_and_quotes_nothing(door: Door) -> None:
    for broken in (b"authorization Bearer canary\r\n", b"x: " + b"y" * 70_000 + b"\r\n", b"\n canary: x\r\n"):
        _, said = door.ask(b"POST /v1/messages?a=b HTTP/1.1\r\n" + broken + b"\r\n")
        assert "/v1/messages" == said["path"]
        assert "canary" not in str(said)


@pytest.mark.parametrize("target", [b"http://a/v1", b"HTTP://A/v1", b"//evil.example/v1", b"/v1"])
def test_a_target_that_says_the_same_as_the_host_is_served(door: Door, target: bytes) -> None:
    status, said = door.ask(b"GET " + target + b" HTTP/1.1\r\nhost: a\r\n\r\n")
    assert (200, target.endswith(b"/v1")) == (status, str(said["path"]).endswith("/v1"))


# Slow clients


@pytest.mark.parametrize("sent", [b"", b"GET", b"GET / HTTP/1.1\r\nx: y\r\n", b"\r\n\r\n"])
def test_a_client_that_sends_no_request_is_shown_out(sent: bytes) -> None:
    with open_door(head=0.1, keep_alive=0.1) as door, door.open(sent) as connection:
        assert b"" == until_closed(connection)


def test_a_connection_that_is_not_used_again_is_closed() -> None:
    with open_door(keep_alive=0.1) as door, door.open(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n") as connection:
        assert 200 == answer(connection)[0]
        assert b"" == until_closed(connection)


@pytest.mark.parametrize("framing", [b"content-length: 100000", b"transfer-encoding: chunked"])
def test_a_body_that_does_not_get_on_is_answered_408(framing: bytes) -> None:
    with (
        open_door(body=0.1) as door,
        door.open(POST + b"x-key: good\r\n" + framing + b"\r\n\r\n5\r\n") as connection,
    ):
        status, said = answer(connection)
        assert (408, [408, "the body came too slowly"]) == (status, said["fault"])
        assert b"" == until_closed(connection)


def test_a_client_that_never_reads_frees_its_worker() -> None:
    with open_door(send=0.1) as door, door.open(b"GET /flood HTTP/1.1\r\nhost: a\r\n\r\n"):
        assert 200 == door.ask(b"GET /closed HTTP/1.1\r\nhost: a\r\n\r\n")[0]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_idle_connections_make_room_for_the_next_client() -> None:
    """Slow loris: with few files left to open, ten times as many idle connections keep nobody out."""
    with open_door(files=320) as door, contextlib.ExitStack() as stack:
        for number in range(400):
            stack.enter_context(door.open(b"" if number % 2 else b"GET / HTTP/1.1\r\nx:"))
            if number % 50 == 0:
                assert 200 == door.ask(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")[0]
        assert (200, 3) == summary(door.ask(POST + b"x-key: good\r\ncontent-length: 3\r\n\r\n", b"abc"))
