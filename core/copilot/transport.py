"""The HTTP client of the way to Copilot: pooled connections, waits in slices, bodies read as they arrive.

Why not `requests`, which GitHub's own API is asked with: a kept-alive call costs a fifth of the CPU here, no read blocks
longer than asked (so a heartbeat needs no helper thread), and redirects are never followed, so no bearer travels to a
host that nobody checked.
"""

import os
import ssl
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from core.copilot.faults import TransportError
from core.copilot.http1 import ResponseParser, request_head
from core.copilot.inflate import decoder_for
from core.copilot.wire import Connection, Origin, connect, proxy_address

_IDLE_LIMIT: Final = 50.0  # seconds; load balancers close idle connections after about a minute
_IDLE_MOST: Final = 64  # kept connections an origin
_DEFAULT_LIMIT: Final = 64 * 1024 * 1024
_PORTS: Final = {"https": 443, "http": 80}


class Transport:
    """Sends requests over kept-alive connections; shared by all threads.

    `now` is unix seconds: a laptop's sleep counts when it is judged how old a kept connection is. `ticks` is seconds of
    a clock that never goes back, for waiting (None: the same clock).
    `ca_bundle` is a file or folder of certificates (None: certifi's). `proxies` maps `https` to an `http://` proxy URL;
    `bypass` says of a `host:port` whether it is reached directly. Plain http never goes through a proxy: it is for
    loopback only.
    """

    def __init__(
        self,
        *,
        now: Callable[[], float],
        ticks: Callable[[], float] | None = None,
        connect_timeout: float = 10.0,
        ca_bundle: str | None = None,
        proxies: Mapping[str, str] | None = None,
        bypass: Callable[[str], bool] = lambda _host: False,
    ) -> None:
        self._now = now
        self._ticks = ticks or now
        self._connect_timeout = connect_timeout
        self._ca_bundle = ca_bundle
        self._proxy = (proxies or {}).get("https") or None
        self._bypass = bypass
        self._lock = threading.Lock()
        self._idle: dict[Origin, list[Connection]] = {}
        self._tls: ssl.SSLContext | None = None
        self._pid = os.getpid()

    def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"", *, repeatable: bool = True
    ) -> "Pending":
        """Connect and begin to send; raises TransportError.

        A `repeatable` request may go over a kept connection and, when that turns out dead before the first byte of a
        reply, once more over a fresh one; any other always gets a fresh one.
        """
        at = urlsplit(url)
        origin = Origin(at.scheme, at.hostname or "", at.port or _PORTS[at.scheme])
        target = (at.path or "/") + (f"?{at.query}" if at.query else "")
        head = request_head(method, target, origin.authority, headers, len(body))
        return Pending(self, origin, head, body, repeatable=repeatable)

    def close(self) -> None:
        """Close every kept connection."""
        with self._lock:
            kept, self._idle = self._idle, {}
        for connections in kept.values():
            for connection in connections:
                connection.close()

    # For Pending and RawReply.

    def now(self) -> float:
        """Return the seconds that waiting is measured in."""
        return self._ticks()

    def take(self, origin: Origin, *, fresh: bool) -> Connection:
        """Return a connection: the most recently used live one unless `fresh`; raises TransportError."""
        if not fresh:
            while (connection := self._pop(origin)) is not None:
                # Bytes or an end of file on an idle connection: the server has closed it, or is out of step.
                if self._now() - connection.idle_since < _IDLE_LIMIT and not connection.wait(
                    write=False, timeout=0
                ):
                    connection.reused = True
                    return connection
                connection.close()
        secure = origin.scheme == "https"
        proxied = self._proxy is not None and secure and not self._bypass(origin.full_authority)
        proxy = proxy_address(self._proxy) if self._proxy and proxied else None
        tls = self._context() if secure else None
        return connect(origin, proxy=proxy, tls=tls, timeout=self._connect_timeout)

    def give_back(self, connection: Connection) -> None:
        """Keep a connection whose reply was read to its end."""
        connection.idle_since = self._now()
        with self._lock:
            kept = self._idle.setdefault(connection.origin, [])
            # The front of the list has been idle for longest, and would be asked for last.
            stale = [old for old in kept[:2] if connection.idle_since - old.idle_since >= _IDLE_LIMIT]
            del kept[: len(stale)]
            if len(kept) < _IDLE_MOST:
                kept.append(connection)
            else:
                stale.append(connection)
        for old in stale:
            old.close()

    def _pop(self, origin: Origin) -> Connection | None:
        with self._lock:
            if self._pid != os.getpid():
                # Two processes on one connection would read each other's answers.
                self._pid, self._idle = os.getpid(), {}
            kept = self._idle.get(origin)
            return kept.pop() if kept else None

    def _context(self) -> ssl.SSLContext:
        with self._lock:
            if self._tls is None:
                self._tls = tls_context(self._ca_bundle)
            return self._tls


class Pending:
    """A request on its way. `wait` until it yields the reply, or `close`."""

    def __init__(
        self, transport: Transport, origin: Origin, head: bytes, body: bytes, *, repeatable: bool
    ) -> None:
        self._transport = transport
        self._origin = origin
        self._request = memoryview(head + body)
        self._repeatable = repeatable
        self._open(fresh=not repeatable)

    def _open(self, *, fresh: bool) -> None:
        self._connection = self._transport.take(self._origin, fresh=fresh)
        self._parser = ResponseParser()
        self._unsent = self._request
        self._answered = False
        try:
            self._push()
        except OSError:
            self._unsent = memoryview(b"")  # the reply, or its absence, says why

    def wait(self, timeout: float) -> "RawReply | None":
        """Return the reply once its head is there, None after `timeout` silent seconds; raises TransportError."""
        deadline = self._transport.now() + timeout
        while True:
            # Waiting first: an answer is never there at once, and to find nothing costs as much as to wait.
            left = deadline - self._transport.now()
            if not self._connection.wait(write=bool(self._unsent), timeout=left):
                return None
            reply = self._advance()
            if reply is not None or left <= 0:
                return reply

    def close(self) -> None:
        """Give up."""
        self._connection.close()

    def _advance(self) -> "RawReply | None":
        try:
            return self._step()
        except TransportError:
            self.close()
            raise
        except OSError as error:
            self.close()
            if self._answered or not (self._repeatable and self._connection.reused):
                raise TransportError("cut", "the connection broke before an answer came") from error
            self._open(fresh=True)
            return None

    def _step(self) -> "RawReply | None":
        try:
            self._push()
        except OSError:
            self._unsent = memoryview(b"")
        chunk = self._connection.receive()
        if chunk is None:
            return None
        if not chunk:
            raise ConnectionResetError
        self._answered = True
        body = self._parser.feed(chunk)
        if not self._parser.status:
            return None
        if self._unsent:
            self._parser.keep_alive = False  # answered before it read everything, as 413 does
        return RawReply(self._transport, self._connection, self._parser, body)

    def _push(self) -> None:
        while self._unsent:
            sent = self._connection.send(self._unsent)
            if not sent:
                return
            self._unsent = self._unsent[sent:]


class RawReply:
    """A reply whose head is known; its body is read as it comes. Header names are lower case.

    `_connection` is None once the body was read to its end (`_ended`) or the reply was closed.
    """

    def __init__(
        self, transport: Transport, connection: Connection, parser: ResponseParser, first: bytes
    ) -> None:
        self.status = parser.status
        self.headers = parser.headers
        self._transport = transport
        self._connection: Connection | None = connection
        self._parser = parser
        try:
            self._decoder = decoder_for(parser.headers.get("content-encoding"))
        except TransportError:
            connection.close()
            raise
        self._first = first
        self._ended = False
        if not first and parser.done:
            self._finish()

    def fileno(self) -> int | None:
        """Return the socket that more will come from; None when the body is at its end, or closed."""
        return None if self._connection is None else self._connection.fileno()

    @property
    def at_hand(self) -> bool:
        """Whether the next read may say something although the socket shows nothing."""
        connection = self._connection
        return connection is None or connection.holds_more or bool(self._first) or self._decoder.holds_back

    def read(self, timeout: float) -> bytes | None:
        """Return what has arrived: None after `timeout` silent seconds, b"" at the clean end; raises TransportError."""
        content = self._decode()
        deadline: float | None = None
        while not content and (connection := self._connection) is not None:
            chunk = self._receive(connection)
            if chunk is not None:
                self._first = chunk
                content = self._decode()
                if content or self._ended:
                    break
            # Bytes that bring no content, as trailers without end, are silence to the reader.
            now = self._transport.now()
            deadline = now + timeout if deadline is None else deadline
            if now > deadline or (chunk is None and not connection.wait(write=False, timeout=deadline - now)):
                return None
        return content

    def read_all(self, limit: int = _DEFAULT_LIMIT, *, timeout: float) -> bytes:
        """Return the whole body; raises TransportError when it is over `limit` bytes, or not there in `timeout`."""
        deadline = self._transport.now() + timeout
        parts: list[bytes] = []
        size = 0
        while (part := self.read(max(deadline - self._transport.now(), 0.0))) != b"":
            if part is None:
                self.close()
                raise TransportError("timeout", "the answer stopped in the middle")
            size += len(part)
            if size > limit:
                self.close()
                raise TransportError("too_large", f"the answer is longer than {limit} bytes")
            parts.append(part)
        return b"".join(parts)

    def close(self) -> None:
        """Stop reading; a body that was not read to its end costs the connection, so upstream stops too."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _receive(self, connection: Connection) -> bytes | None:
        try:
            chunk = connection.receive()
            if chunk is None:
                return None
            if chunk:
                return self._parser.feed(chunk)
            self._parser.end()
        except TransportError:
            self.close()
            raise
        except OSError as error:
            self.close()
            raise TransportError("cut", "the connection broke in the middle of the answer") from error
        return b""

    def _decode(self) -> bytes:
        if self._connection is None:
            if not self._ended:
                raise TransportError("cut", "the reply is closed")
            return b""
        chunk, self._first = self._first, b""
        try:
            content = self._decoder.feed(chunk)
            # A plain body's last bytes free the connection at once: many readers stop at their own end mark.
            if self._parser.done and not (content and self._decoder.holds_back):
                self._decoder.close()
                self._finish()
        except TransportError:
            self.close()
            raise
        return content

    def _finish(self) -> None:
        self._ended = True
        if self._connection is not None and self._parser.keep_alive:
            self._transport.give_back(self._connection)
            self._connection = None
        self.close()


def tls_context(ca_bundle: str | None) -> ssl.SSLContext:
    """Trust these certificates (None: certifi's); raises TransportError when they cannot be read."""
    try:
        at = ca_bundle or _certifi()
        folder = Path(at).is_dir()
        context = ssl.create_default_context(cafile=None if folder else at, capath=at if folder else None)
    except OSError as error:
        raise TransportError(
            "connect", "the certificate bundle cannot be read (REQUESTS_CA_BUNDLE)", "bundle"
        ) from error
    context.set_alpn_protocols(["http/1.1"])
    return context


def _certifi() -> str:
    import certifi  # noqa: PLC0415 - a cold start that never speaks TLS need not load it

    return certifi.where()
