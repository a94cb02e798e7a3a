"""Ports in memory, a clock set by hand, and a server whose every byte is scripted."""

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from core.copilot.github import GitHub
from core.copilot.token import CopilotTokens
from core.copilot.transport import Transport
from core.ports import GITHUB_TOKEN
from core.settings import Settings

GITHUB = "gho_test0000000000000000000000000000000000"
PATIENCE = 60  # seconds for what must come, on a busy machine


@dataclass
class Clock:
    time: float = 1_000_000.0

    def __call__(self) -> float:
        return self.time

    def wait(self, seconds: float) -> None:
        self.time += seconds


class MemorySecrets:
    def __init__(self, token: str | None = GITHUB) -> None:
        self.secrets = {} if token is None else {GITHUB_TOKEN: token}

    def load(self, name: str) -> str | None:
        return self.secrets.get(name)

    def save(self, name: str, secret: str) -> None:
        self.secrets[name] = secret

    def delete(self, name: str) -> None:
        self.secrets.pop(name, None)


@dataclass
class MemoryState:
    now: Callable[[], float]
    records: dict[tuple[str, str], tuple[bytes, float]] = field(default_factory=dict)
    leases: dict[tuple[str, str], tuple[str, float]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def load(self, kind: str, key: str) -> bytes | None:
        value, end = self.records.get((kind, key), (None, 0.0))
        return value if value is not None and self.now() < end else None

    def save(self, kind: str, key: str, value: bytes, *, expires_at: float | None = None) -> None:
        self.records[kind, key] = (value, float("inf") if expires_at is None else expires_at)

    def delete(self, kind: str, key: str, *, expected: bytes | None = None) -> bool:
        with self.lock:
            held = self.load(kind, key)
            if held is None or (expected is not None and held != expected):
                return False
            del self.records[kind, key]
            return True

    def entries(self, kind: str) -> dict[str, bytes]:
        return {
            key: value
            for (at, key), (value, end) in sorted(self.records.items())
            if at == kind and self.now() < end
        }

    def claim(self, kind: str, key: str, owner: str, *, expires_at: float) -> bool:
        with self.lock:
            holder, end = self.leases.get((kind, key), (owner, 0.0))
            if holder != owner and self.now() < end:
                return False
            self.leases[kind, key] = (owner, expires_at)
            return True

    def release(self, kind: str, key: str, owner: str) -> None:
        with self.lock:
            if self.leases.get((kind, key), ("", 0.0))[0] == owner:
                del self.leases[kind, key]

    def add(
        self, kind: str, key: str, amounts: Mapping[str, int], *, expires_at: float | None = None
    ) -> dict[str, int]:
        raise NotImplementedError

    def counters(self, kind: str) -> dict[str, dict[str, int]]:
        raise NotImplementedError


@dataclass
class Ids:
    count: int = 0

    def __call__(self) -> str:
        self.count += 1
        return f"id-{self.count}"


_OPEN: list[Transport] = []


@pytest.fixture(autouse=True)
def closed_transports() -> Iterator[None]:
    """Close what a test opened; modules that use `transport` import this."""
    yield
    while _OPEN:
        _OPEN.pop().close()


def transport(clock: Clock, **options: Any) -> Transport:
    _OPEN.append(Transport(now=clock, connect_timeout=PATIENCE, **options))
    return _OPEN[-1]


def tokens_at(
    url: str,
    clock: Clock,
    *,
    state: MemoryState | None = None,
    secrets: MemorySecrets | None = None,
    settings: Settings | None = None,
) -> CopilotTokens:
    return CopilotTokens(
        settings or settings_at(url),
        secrets or MemorySecrets(),
        state or MemoryState(clock),
        GitHub(now=clock),
        now=clock,
        new_id=Ids(),
        wait=clock.wait,
    )


def settings_at(url: str, **more: Any) -> Settings:
    return Settings(github_url=url, github_api_url=url, **more)


def grant(url: str, token: str = "tid=one", **more: object) -> dict[str, object]:
    return {
        "token": token,
        "expires_at": 0,
        "refresh_in": 1500,
        "endpoints": {"api": url},
        "sku": "yearly",
        **more,
    }


Script = Callable[[socket.socket], None]


@contextmanager
def scripted(*scripts: Script) -> Iterator[str]:
    """Serve one connection a script, in order, and yield the base URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    open_sockets: list[socket.socket] = []

    def serve() -> None:
        for script in scripts:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            open_sockets.append(connection)
            with suppress(OSError):
                script(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in open_sockets:
            with suppress(OSError):
                connection.shutdown(
                    socket.SHUT_RDWR
                )  # its script sees the end; closed now, it would be pulled away
        thread.join(5)
        for connection in open_sockets:
            connection.close()


def read_request(connection: socket.socket) -> bytes:
    """Read one request with its body."""
    request = b""
    while b"\r\n\r\n" not in request:
        part = connection.recv(65536)
        if not part:
            return request
        request += part
    head, _, body = request.partition(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    while len(body) < length:
        part = connection.recv(65536)
        if not part:
            break
        body += part
    return head + b"\r\n\r\n" + body


def answers(*parts: bytes, then: Callable[[socket.socket], None] = lambda _c: None) -> Script:
    """Read a request, send the parts, then do `then` (by default leave the connection open)."""

    def script(connection: socket.socket) -> None:
        if not read_request(connection):
            return
        for part in parts:
            connection.sendall(part)
        then(connection)

    return script


def close(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def whole(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers, f"content-length: {len(body)}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body
