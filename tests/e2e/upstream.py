"""A Copilot that plays scripts: it sends these bytes, waits until it is told to go on, cuts, or watches the other side leave."""

import json
import queue
import socket
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from tests.emulators.copilot.models import catalogue
from tests.listening import Listening

PATIENCE = 60
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
END = b"0\r\n\r\n"


class Step(Enum):
    """What a script may do beside sending."""

    HOLD = auto()  # wait for `release`
    RESET = auto()  # end the connection with a reset
    WATCH = auto()  # wait until the other side has left


def chunk(piece: bytes) -> bytes:
    """Return bytes as one chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def answer(status: int, body: bytes, *headers: bytes) -> bytes:
    """Return a whole reply."""
    lines = [b"HTTP/1.1 %d Told" % status, b"content-length: %d" % len(body), b"connection: close", *headers]
    return b"\r\n".join([*lines, b"", body])


@dataclass
class Exchange:
    """One request that is answered by a script."""

    steps: Sequence[bytes | Step]
    asked: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)
    gate: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    path: str = ""
    body: bytes = b""

    def release(self) -> None:
        """Go on after a HOLD."""
        self.gate.release()

    def wait_until_left(self) -> bool:
        """Say whether the other side closed its connection."""
        return self.left.wait(PATIENCE)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Upstream(Listening):
    """Every POST takes the next script."""

    def __init__(self) -> None:
        super().__init__()
        self._scripts: queue.Queue[Exchange] = queue.Queue()

    def play(self, *steps: bytes | Step) -> Exchange:
        """Answer the next POST by these steps."""
        exchange = Exchange(steps)
        self._scripts.put(exchange)
        return exchange

    def stream(self, *steps: bytes | Step) -> Exchange:
        """Answer the next POST with a stream; bytes become chunks."""
        chunks = [chunk(step) if isinstance(step, bytes) else step for step in steps]
        return self.play(STREAM, *chunks, END)

    def serve(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(PATIENCE)
            method, path, body = _request(connection)
            if method == "GET":
                listed = json.dumps({"data": catalogue()}).encode()
                connection.sendall(answer(200, listed, b"content-type: application/json"))
                return
            exchange = self._scripts.get(timeout=PATIENCE)
            exchange.path, exchange.body = path, body
            exchange.asked.set()
            try:
                for step in exchange.steps:
                    _do(connection, exchange, step)
            except OSError:  # the other side has left
                exchange.left.set()


def _do(connection: socket.socket, exchange: Exchange, step: bytes | Step) -> None:
    match step:
        case bytes():
            connection.sendall(step)
        case Step.HOLD:
            exchange.gate.acquire(timeout=PATIENCE)
        case Step.RESET:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise ConnectionResetError
        case Step.WATCH:
            while connection.recv(1024):
                pass
            raise ConnectionResetError


def _request(connection: socket.socket) -> tuple[str, str, bytes]:
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65_536)
        if not piece:
            return "GET", "", b""
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    method, path, _ = lines[0].split(" ", 2)
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    while len(body) < int(fields.get("content-length", "0")):
        body += connection.recv(65_536)
    return method, path, body
