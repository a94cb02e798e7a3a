"""HTTP/1.1 as bytes, without I/O: writing a request, reading a response in whatever pieces arrive.

The standard library's reader blocks inside a chunk header and hands out one HTTP chunk a call. This one never blocks,
gives all body bytes of one network read at once, and cannot lose its place when a read times out.
"""

import re
from collections.abc import Mapping
from enum import IntEnum, auto
from typing import Final

from core.copilot.faults import TransportError

_MAX_HEAD: Final = 65_536
_MAX_LINE: Final = 4_096
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\r\n]*)?")
_FOLD: Final = re.compile(rb"[ \t]*\r\n[ \t]+")  # RFC 9112 section 5.2: each stands for a space
_CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?")
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]*")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_FIELDS: Final = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*")
_BODILESS: Final = frozenset({204, 304})


def request_head(method: str, target: str, host: str, headers: Mapping[str, str], length: int) -> bytes:
    """Write a request head; raises TransportError for a header that would break the framing."""
    lines = [f"{method} {target} HTTP/1.1", f"host: {host}", "accept-encoding: identity"]
    # All at once: what HTTP forbids are single characters.
    legal = _NAME.fullmatch("".join(headers)) and _VALUE.fullmatch("".join(headers.values()))
    if not legal or "" in headers:
        bad = next(
            name for name, value in headers.items()
            if not (name and _NAME.fullmatch(name) and _VALUE.fullmatch(value))
        )  # fmt: skip
        raise TransportError("protocol", f"the request header {bad!r} holds characters that HTTP forbids")
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if length or method != "GET":
        lines.append(f"content-length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class _State(IntEnum):  # as a key an Enum is hashed in Python, several times an event
    HEAD = auto()
    LENGTH = auto()
    CHUNK_SIZE = auto()
    CHUNK = auto()
    CHUNK_END = auto()
    TRAILERS = auto()
    UNTIL_CLOSE = auto()
    DONE = auto()


class ResponseParser:
    """Reads one response.

    Invariants: `status` is 0 until the head is complete; `_left` counts the bytes that LENGTH and CHUNK still expect;
    `_interim` counts those of all heads so far; `_rest` holds input that no state could use yet, always less than one head
    or one line.
    """

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.keep_alive = False
        self._state = _State.HEAD
        self._left = 0
        self._interim = 0
        self._rest = b""
        self._pieces: list[bytes] = []

    @property
    def done(self) -> bool:
        """Whether the whole response was read."""
        return self._state is _State.DONE

    def feed(self, chunk: bytes) -> bytes:
        """Take what the network brought, return the body bytes in it; raises TransportError for illegal framing."""
        chunk = self._rest + chunk
        at = 0
        while self._state is not _State.DONE:
            after = _STEP[self._state](self, chunk, at)
            if after < 0:
                break
            at = after
        self._rest = chunk[at:]
        if self.done and self._rest:
            self.keep_alive = False
        pieces, self._pieces = self._pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def end(self) -> None:
        """Take note that the connection ended; raises TransportError unless the body was complete."""
        if self._state is _State.UNTIL_CLOSE:
            self._state = _State.DONE
        elif self._state is not _State.DONE:
            raise TransportError("cut", "the connection ended in the middle of the answer")

    # The steps below are called by `feed` only. Each returns the position after what it used, or -1 for more input.

    def on_head(self, chunk: bytes, at: int) -> int:
        """Read the status line and the fields."""
        end = chunk.find(b"\r\n\r\n", at)
        if end < 0:
            if len(chunk) - at > _MAX_HEAD:
                raise TransportError("protocol", "the response head is too long")
            return -1
        line, _, fields = chunk[at : end + 2].partition(b"\r\n")
        match = _STATUS_LINE.fullmatch(line)
        if match is None:
            raise TransportError("protocol", "the answer is not HTTP/1.1")
        status = int(match[2])
        if status == 101:  # noqa: PLR2004 - an upgrade nobody asked for
            raise TransportError("protocol", "the server switched protocols")
        if status >= 200:  # noqa: PLR2004 - 1xx replies precede the real one
            self.headers = _fields(fields)
            self.status = status
            self._frame(minor=match[1])
        self._interim += end + 4 - at
        if not self.status and self._interim > _MAX_HEAD:
            raise TransportError("protocol", "the answer has interim heads without end")
        return end + 4

    def _frame(self, *, minor: bytes) -> None:
        connection = self.headers.get("connection", "").lower()
        self.keep_alive = "close" not in connection if minor == b"1" else "keep-alive" in connection
        coding = self.headers.get("transfer-encoding")
        length = self.headers.get("content-length")
        if self.status in _BODILESS:
            self._state = _State.DONE
        elif coding is not None:
            if coding.strip().lower() != "chunked":
                raise TransportError("protocol", "the answer uses an unknown transfer encoding")
            self.keep_alive = self.keep_alive and length is None
            self._state = _State.CHUNK_SIZE
        elif length is not None:
            self._left = _content_length(length)
            self._state = _State.LENGTH if self._left else _State.DONE
        else:
            self.keep_alive = False
            self._state = _State.UNTIL_CLOSE

    def on_counted(self, chunk: bytes, at: int) -> int:
        """Read bytes whose number is known."""
        piece = chunk[at : at + self._left]
        if not piece:
            return -1
        self._pieces.append(piece)
        self._left -= len(piece)
        if not self._left:
            self._state = _State.DONE if self._state is _State.LENGTH else _State.CHUNK_END
        return at + len(piece)

    def on_chunk_size(self, chunk: bytes, at: int) -> int:
        """Read the line before a chunk."""
        end = _line_end(chunk, at)
        if end < 0:
            return -1
        match = _CHUNK_SIZE.fullmatch(chunk, at, end)
        if match is None:
            raise TransportError("protocol", "the answer has an illegal chunk size")
        self._left = int(match[1], 16)
        self._state = _State.CHUNK if self._left else _State.TRAILERS
        return end + 2

    def on_chunk_end(self, chunk: bytes, at: int) -> int:
        """Read the line end after a chunk."""
        mark = chunk[at : at + 2]
        if mark not in {b"\r\n", b"\r", b""}:
            raise TransportError("protocol", "a chunk of the answer is longer than announced")
        if len(mark) < 2:  # noqa: PLR2004 - the length of CRLF
            return -1
        self._state = _State.CHUNK_SIZE
        return at + 2

    def on_trailers(self, chunk: bytes, at: int) -> int:
        """Skip one line after the last chunk."""
        end = _line_end(chunk, at)
        if end == at:
            self._state = _State.DONE
        return end + 2 if end >= 0 else -1

    def on_until_close(self, chunk: bytes, at: int) -> int:
        """Read a body that ends with the connection."""
        if at == len(chunk):
            return -1
        self._pieces.append(chunk[at:])
        return len(chunk)


_STEP: Final = {
    _State.HEAD: ResponseParser.on_head,
    _State.LENGTH: ResponseParser.on_counted,
    _State.CHUNK_SIZE: ResponseParser.on_chunk_size,
    _State.CHUNK: ResponseParser.on_counted,
    _State.CHUNK_END: ResponseParser.on_chunk_end,
    _State.TRAILERS: ResponseParser.on_trailers,
    _State.UNTIL_CLOSE: ResponseParser.on_until_close,
}


def _line_end(chunk: bytes, at: int) -> int:
    end = chunk.find(b"\r\n", at, at + _MAX_LINE)
    if end < 0 and len(chunk) - at >= _MAX_LINE:
        raise TransportError("protocol", "the answer has an endless line in its framing")
    return end


def _content_length(text: str) -> int:
    lengths = {part.strip() for part in text.split(",")}
    length = lengths.pop()
    if lengths or not (length.isascii() and length.isdigit()) or len(length) > 15:  # noqa: PLR2004 - a petabyte
        raise TransportError("protocol", "the answer has an illegal content-length")
    return int(length)


def _fields(lines: bytes) -> dict[str, str]:
    """Read fields, each with its line end."""
    if not _FIELDS.fullmatch(lines):
        lines = _FOLD.sub(b" ", lines)
        if not _FIELDS.fullmatch(lines):
            raise TransportError("protocol", "the answer has an illegal header")
    headers: dict[str, str] = {}
    for line in lines.decode("latin-1").split("\r\n")[:-1]:
        name, _, value = line.partition(":")
        key, text = name.lower(), value.strip(" \t")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers
