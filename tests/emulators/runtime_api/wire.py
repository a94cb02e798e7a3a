"""HTTP/1.1 from a socket, read as strictly as it needs to be and as early as it can."""

import select
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

PATIENCE = 60.0


class BrokenError(Exception):
    """The other side closed the connection in the middle, or speaks no HTTP."""


class Reader:
    """Reads from a socket what was asked for, and no more."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        self._connection = connection
        self._rest = b""

    def line(self) -> bytes:
        while b"\r\n" not in self._rest:
            self._more()
        line, self._rest = self._rest.split(b"\r\n", 1)
        return line

    def exactly(self, size: int) -> bytes:
        while len(self._rest) < size:
            self._more()
        content, self._rest = self._rest[:size], self._rest[size:]
        return content

    def wait(self, seconds: float) -> bool:
        """Say whether there is something to read within so many seconds."""
        return bool(self._rest or select.select([self._connection], [], [], seconds)[0])

    def is_over(self) -> bool:
        """Say whether the other side has closed, without waiting; False while it is only silent."""
        if self._rest or not select.select([self._connection], [], [], 0)[0]:
            return False
        try:
            return not self._connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    def _more(self) -> None:
        try:
            piece = self._connection.recv(262_144)
        except OSError as error:
            raise BrokenError(str(error)) from error
        if not piece:
            raise BrokenError("closed")
        self._rest += piece


@dataclass
class Request:
    """The head of a request; header names are lower case."""

    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict[str, str])


def read_head(reader: Reader) -> Request:
    """Read a request's head. Raises BrokenError when none comes."""
    try:
        method, target, _ = reader.line().decode("latin-1").split(" ", 2)
    except ValueError as error:
        raise BrokenError("no request line") from error
    request = Request(method, target)
    for name, value in read_fields(reader):
        held = request.headers.get(name)
        separator = "; " if name == "cookie" else ","
        request.headers[name] = value if held is None else f"{held}{separator}{value}"
    return request


def read_fields(reader: Reader) -> Iterator[tuple[str, str]]:
    """Read headers or trailers, up to their blank line."""
    while line := reader.line():
        name, _, value = line.decode("latin-1").partition(":")
        yield name.lower(), value.strip()


def read_chunks(reader: Reader) -> Iterator[bytes]:
    """Yield the chunks of a chunked body as they arrive, and stop before the trailers."""
    while size := int(reader.line(), 16):
        yield reader.exactly(size)
        if reader.exactly(2) != b"\r\n":
            raise BrokenError("a chunk is longer than it says")


def read_body(reader: Reader, request: Request) -> bytes:
    """Read a whole body, chunked or counted."""
    if request.headers.get("transfer-encoding", "").lower() == "chunked":
        body = b"".join(read_chunks(reader))
        list(read_fields(reader))
        return body
    return reader.exactly(int(request.headers.get("content-length", "0")))


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


def reply(status: int, body: bytes, headers: dict[str, str] | None = None) -> bytes:
    """Return a whole answer."""
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {"Content-Type": "application/json"}).items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
