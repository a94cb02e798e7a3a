"""HTTP/1.1 on an asyncio protocol: parse requests, deliver replies, nothing else."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import Final, cast
from urllib.parse import parse_qsl, unquote

from tests.emulators.copilot.delivery import deliver
from tests.emulators.copilot.wire import PLAIN, Reply, Request

REASON: Final[dict[int, str]] = {
    200: "OK", 201: "Created", 204: "No Content", 400: "Bad Request", 401: "Unauthorized",
    402: "Payment Required", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    413: "Request Entity Too Large", 421: "Misdirected Request", 422: "Unprocessable Entity",
    424: "Failed Dependency", 429: "Too Many Requests", 500: "Internal Server Error",
    502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
}  # fmt: skip
MAX_HEAD: Final = 262_144

Route = Callable[[Request], Reply]
Finished = Callable[[Request, Reply, str], None]


class BadRequestError(Exception):
    """The bytes are not HTTP/1.1 as this server reads it."""


class Connection(asyncio.Protocol):
    """One client connection: requests are answered in order, one at a time."""

    # Invariant: `_task` is set exactly while a reply is being delivered.

    def __init__(self, route: Route, finished: Finished, host: str, peers: set["Connection"]) -> None:
        self._route, self._finished, self._host, self._peers = route, finished, host, peers
        self._buffer = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self.closed = asyncio.Event()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's class does not derive from asyncio's
        self._peers.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop delivering: the client is gone."""
        self._peers.discard(self)
        self._writable.set()
        self.closed.set()
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        """Hold writes until the client has read."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Go on writing."""
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        """Collect bytes and answer every request that is complete."""
        self._buffer += data
        if self._task is None:
            self._advance()

    def _advance(self) -> None:
        try:
            while self._task is None and not self.transport.is_closing():
                request = self._next_request()
                if request is None:
                    return
                self._answer(request)
        except BadRequestError:
            self.transport.write(
                b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            )
            self.transport.close()

    def _next_request(self) -> Request | None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEAD:
                raise BadRequestError
            return None
        method, target, headers = parse_head(bytes(self._buffer[:end]))
        taken = take_body(self._buffer, end + 4, headers)
        if taken is None:
            if headers.pop("expect", "").lower() == "100-continue" and len(self._buffer) == end + 4:
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return None
        body, used = taken
        del self._buffer[:used]
        path, _, query = target.partition("?")
        return Request(method, unquote(path), dict(parse_qsl(query)), headers, body, self._host)

    def _answer(self, request: Request) -> None:
        reply = self._route(request)
        keep = request.headers.get("connection", "").lower() != "close"
        head = render_head(reply, keep=keep)
        if reply.pieces is None and reply.delivery == PLAIN:
            self.transport.write(head + reply.body)
            self._done(request, reply, "complete", keep=keep)
            return
        self._task = asyncio.get_running_loop().create_task(self._deliver(request, reply, head, keep=keep))

    async def _deliver(self, request: Request, reply: Reply, head: bytes, *, keep: bool) -> None:
        outcome = "client_left"
        try:
            outcome = await deliver(self.transport, self._writable, reply, head)
        except asyncio.CancelledError:
            pass
        finally:
            self._task = None
            self._done(request, reply, outcome, keep=keep and outcome == "complete")
        self._advance()

    def _done(self, request: Request, reply: Reply, outcome: str, *, keep: bool) -> None:
        self._finished(request, reply, outcome)
        if not keep:
            self.transport.close()


def parse_head(head: bytes) -> tuple[str, str, dict[str, str]]:
    """Return method, target and headers (names in lower case, repeats joined)."""
    first, *lines = head.decode("latin-1").split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise BadRequestError
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise BadRequestError
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return parts[0], parts[1], headers


def take_body(buffer: bytearray, start: int, headers: dict[str, str]) -> tuple[bytes, int] | None:
    """Return the body and the bytes used up to its end, or None while it is incomplete."""
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return take_chunked(buffer, start)
    length = headers.get("content-length", "0")
    if not length.isdigit():
        raise BadRequestError
    end = start + int(length)
    return None if len(buffer) < end else (bytes(buffer[start:end]), end)


def take_chunked(buffer: bytearray, start: int) -> tuple[bytes, int] | None:
    """Return a chunked body and the bytes used up to its end, or None while it is incomplete."""
    body = bytearray()
    while True:
        line_end = buffer.find(b"\r\n", start)
        if line_end < 0:
            return None
        try:
            size = int(bytes(buffer[start:line_end]).split(b";")[0], 16)
        except ValueError:
            raise BadRequestError from None
        start = line_end + 2
        if len(buffer) < start + size + 2:
            return None
        if size == 0:
            end = buffer.find(b"\r\n", start)
            return None if end < 0 else (bytes(body), end + 2)
        body += buffer[start : start + size]
        start += size + 2


def render_head(reply: Reply, *, keep: bool) -> bytes:
    """Render the status line and headers."""
    lines = [
        f"HTTP/1.1 {reply.status} {REASON.get(reply.status, 'Unknown')}",
        f"content-type: {reply.content_type}",
    ]
    lines += [f"{name}: {value}" for name, value in reply.headers.items()]
    if reply.pieces is None:
        lines.append(f"content-length: {len(reply.body)}")
    else:
        lines.append("transfer-encoding: chunked")
    if not keep:
        lines.append("connection: close")
    return "\r\n".join(lines).encode("utf-8", "replace") + b"\r\n\r\n"


class Listeners:
    """The listening sockets of one fake, one for each Copilot host it plays."""

    def __init__(self, route: Route, finished: Finished, tls: ssl.SSLContext | None) -> None:
        self._route, self._finished, self._tls = route, finished, tls
        self._servers: list[asyncio.Server] = []
        self._peers: set[Connection] = set()

    async def open(self, host: str, address: str, port: int) -> int:
        """Listen for one Copilot host and return the port taken."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: Connection(self._route, self._finished, host, self._peers),
            address, port, ssl=self._tls, backlog=1024,
        )  # fmt: skip
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Close the sockets and drop every connection."""
        for server in self._servers:
            server.close()
        peers = list(self._peers)
        for peer in peers:
            peer.transport.abort()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                for peer in peers:
                    await peer.closed.wait()
