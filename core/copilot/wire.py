"""One connection: opening it (proxy, TLS) with a limit, then sending and receiving without ever blocking."""

import base64
import contextlib
import re
import select
import socket
import ssl
import sys
import time
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from core.copilot.faults import TransportError
from core.copilot.obstacles import connect_fault, tunnel_refused

_PORTS: Final = {"https": 443, "http": 80}
# Seconds for an address that has another one behind it: a broken IPv6 route must not cost the whole limit.
_FIRST_TRY: Final = 3.0
_READ: Final = 65_536
_PROXY_HEAD: Final = 16_384
_STATUS: Final = re.compile(rb"[0-9]{3}")
_OTHER_PROXY: Final = "only http:// proxies are supported (they carry TLS by CONNECT): name one in HTTPS_PROXY, or pass --no-proxy-env"
_BAD_PROXY: Final = (
    "the proxy's URL is not valid; in its user and password, percent-encode all but letters and digits"
)


class Origin(NamedTuple):
    """Where a connection leads; connections are shared between requests to the same origin."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """The `host` header: without the scheme's own port."""
        host, _, _ = self.full_authority.rpartition(":")
        return host if self.port == _PORTS[self.scheme] else self.full_authority

    @property
    def full_authority(self) -> str:
        """Host and port, whichever it is: what a tunnel and NO_PROXY name."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class Proxy(NamedTuple):
    """Where a proxy listens, and the value of its `proxy-authorization` header (empty: none)."""

    host: str
    port: int
    authorization: str


class Connection:
    """A connected non-blocking socket.

    holds_more: whether decrypted bytes may be left here that the socket no longer shows.
    """

    def __init__(self, origin: Origin, sock: socket.socket) -> None:
        self.origin = origin
        self.reused = False
        self.idle_since = 0.0
        self._sock = sock
        self.holds_more = False
        self._secure = isinstance(sock, ssl.SSLSocket)
        sock.setblocking(False)  # noqa: FBT003 - the standard library's signature

    def send(self, part: memoryview) -> int:
        """Send what the socket takes now, return how many bytes that was; raises OSError when it is dead."""
        try:
            return self._sock.send(part)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0

    def receive(self) -> bytes | None:
        """Return what is there: None for nothing yet, b"" for the end; raises OSError when the connection is dead."""
        try:
            first = self._sock.recv(_READ)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except ssl.SSLZeroReturnError:
            return b""
        return self._more(first) if self._secure and first else first

    def _more(self, first: bytes) -> bytes:
        # A TLS read yields one record; many small records wait behind it when upstream is ahead of us.
        parts, size = [first], len(first)
        with contextlib.suppress(OSError):  # an error comes back at the next receive
            while size < _READ and (part := self._sock.recv(_READ)):
                parts.append(part)
                size += len(part)
        self.holds_more = size >= _READ
        return first if len(parts) == 1 else b"".join(parts)

    def fileno(self) -> int:
        """Return the socket's number, to wait for it among others."""
        return self._sock.fileno()

    def wait(self, *, write: bool, timeout: float) -> bool:
        """Wait until the socket is readable (or writable, with `write`); return whether it is."""
        return _ready(self._sock, write=write, timeout=timeout)

    def close(self) -> None:
        """Close at once; upstream sees it and stops."""
        with contextlib.suppress(OSError):
            self._sock.close()


if sys.platform == "win32":

    def _ready(sock: socket.socket, *, write: bool, timeout: float) -> bool:
        sending = [sock] if write else []
        return any(select.select([sock], sending, sending, max(timeout, 0)))
else:

    def _ready(sock: socket.socket, *, write: bool, timeout: float) -> bool:
        # poll, not select: select fails for descriptors above 1023.
        poller = select.poll()
        poller.register(sock, select.POLLIN | select.POLLOUT if write else select.POLLIN)
        return bool(poller.poll(max(timeout, 0) * 1000))


def connect(origin: Origin, *, proxy: Proxy | None, tls: ssl.SSLContext | None, timeout: float) -> Connection:
    """Open a connection; raises TransportError `connect` or `timeout`."""
    sock: socket.socket | None = None
    try:
        if proxy is None:
            sock = _socket(origin.host, origin.port, timeout)
        else:
            sock = _tunnel(origin, proxy, timeout)
        if tls is not None:
            sock = tls.wrap_socket(sock, server_hostname=origin.host)
        return Connection(origin, sock)
    except (OSError, UnicodeError) as error:  # UnicodeError: a label that no name server can be asked for
        if sock is not None:
            sock.close()
        raise connect_fault(origin.host, error, proxied=proxy is not None) from error


def _socket(host: str, port: int, timeout: float) -> socket.socket:
    sock = _first_open(host, port, timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return sock


def _first_open(host: str, port: int, timeout: float) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    *others, last = dict.fromkeys(str(address[4][0]) for address in found)
    for address in others:
        with contextlib.suppress(OSError):
            sock = socket.create_connection((address, port), min(timeout, _FIRST_TRY))
            sock.settimeout(timeout)
            return sock
    return socket.create_connection((last, port), timeout)


def _tunnel(origin: Origin, proxy: Proxy, timeout: float) -> socket.socket:
    sock = _socket(proxy.host, proxy.port, timeout)
    try:
        target = origin.full_authority
        credentials = f"proxy-authorization: {proxy.authorization}\r\n" if proxy.authorization else ""
        sock.sendall(f"CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n{credentials}\r\n".encode("latin-1"))
        head = _proxy_reply(sock, time.monotonic() + timeout)
        sock.settimeout(timeout)
    except OSError:
        sock.close()
        raise
    status = head.split(b" ", 2)[1:2]
    if not head.endswith(b"\r\n\r\n") or status != [b"200"]:
        sock.close()
        raise tunnel_refused(status[0].decode("latin-1") if status and _STATUS.fullmatch(status[0]) else "")
    return sock


def proxy_address(proxy: str) -> Proxy:
    """Take a proxy's URL apart; raises TransportError, which never shows the URL: it may hold a password."""
    try:
        at = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        port = at.port or 80
    except ValueError:
        raise TransportError("connect", _BAD_PROXY, "proxy_url") from None
    if at.scheme != "http":
        raise TransportError("connect", _OTHER_PROXY, "proxy_url")
    if not at.hostname or at.path not in {"", "/"} or at.query or at.fragment:
        raise TransportError("connect", _BAD_PROXY, "proxy_url")
    if at.username is None:
        return Proxy(at.hostname, port, "")
    pair = f"{unquote(at.username)}:{unquote(at.password or '')}".encode()
    return Proxy(at.hostname, port, f"Basic {base64.b64encode(pair).decode()}")


def _proxy_reply(sock: socket.socket, until: float) -> bytes:
    # Byte by byte, once a connection: what follows the head belongs to TLS.
    head = bytearray()
    while not head.endswith(b"\r\n\r\n") and len(head) < _PROXY_HEAD:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        sock.settimeout(left)
        byte = sock.recv(1)
        if not byte:
            break
        head += byte
    return bytes(head)
