"""Decoding a compressed body as it arrives; upstream is asked for identity but may compress anyway."""

import zlib
from typing import Final, Protocol

from core.copilot.faults import TransportError

_STEP: Final = 1 << 20  # most bytes that one step may unfold, so that a bomb cannot fill the memory
_ANY_HEADER: Final = 47  # zlib: 32 + 15, gzip or zlib header
_NO_HEADER: Final = -15


class Decoder(Protocol):
    """Turns wire bytes into content bytes; `holds_back` when content may be pending after a `feed`."""

    holds_back: bool

    def feed(self, chunk: bytes) -> bytes:
        """Decode; more may be pending than was returned, ask again with b""."""
        ...

    def close(self) -> None:
        """Take note that the body ended; raises TransportError when the compressed data did not."""
        ...


class Identity:
    """No compression."""

    holds_back = False

    def feed(self, chunk: bytes) -> bytes:
        """Return the same bytes."""
        return chunk

    def close(self) -> None:
        """Do nothing."""


class Inflate:
    """gzip (also several members in a row), zlib, and deflate without a header."""

    holds_back = True

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(_ANY_HEADER)
        self._started = False
        self._pending = b""

    def feed(self, chunk: bytes) -> bytes:
        """Decode at most one step of output."""
        content = self._member(chunk)
        while not content and self._inner.eof and self._pending:
            content = self._member(b"")  # else members without content would pile up, unread
        return content

    def _member(self, chunk: bytes) -> bytes:
        source = self._pending + chunk
        if not self._started and len(source) < 2:  # noqa: PLR2004 - the two bytes that tell which kind it is
            self._pending = source
            return b""
        if not self._started or (self._inner.eof and source):
            self._inner = zlib.decompressobj(_window(source))
            self._started = True
        try:
            content = self._inner.decompress(source, _STEP)
        except zlib.error as error:
            raise TransportError("protocol", "the compressed answer is damaged") from error
        self._pending = self._inner.unconsumed_tail or self._inner.unused_data
        return content

    def close(self) -> None:
        """Raise TransportError when the compressed data is incomplete."""
        if self._pending or (self._started and not self._inner.eof):
            raise TransportError("cut", "the compressed answer is incomplete")


def _window(start: bytes) -> int:
    # RFC 1950: the low four bits say "deflate", and the first two bytes are a multiple of 31. RFC 1952: gzip's magic.
    is_zlib = start[0] & 0x0F == 8 and int.from_bytes(start[:2], "big") % 31 == 0  # noqa: PLR2004
    return _ANY_HEADER if is_zlib or start.startswith(b"\x1f\x8b") or len(start) < 2 else _NO_HEADER  # noqa: PLR2004


def decoder_for(encoding: str | None) -> Decoder:
    """Choose by `content-encoding`; raises TransportError for one that is unknown here."""
    name = (encoding or "identity").strip().lower()
    if name in {"", "identity"}:
        return Identity()
    if name in {"gzip", "x-gzip", "deflate"}:
        return Inflate()
    raise TransportError("protocol", "the answer uses a content encoding that was not asked for")
