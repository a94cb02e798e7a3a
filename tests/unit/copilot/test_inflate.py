"""Compressed bodies."""

import gzip
import zlib

import pytest

from core.copilot.faults import TransportError
from core.copilot.inflate import decoder_for

TEXT = b"data: hello\n\n" * 500
RAW = zlib.compressobj(wbits=-15)
DEFLATED = RAW.compress(TEXT) + RAW.flush()


def gzipped(content: bytes) -> bytes:
    """The same bytes whenever it is called: they name tests, and every worker must find the same ones."""
    return gzip.compress(content, mtime=0)


def read(encoding: str, wire: bytes, size: int) -> bytes:
    decoder = decoder_for(encoding)
    parts: list[bytes] = []
    for at in range(0, len(wire), size):
        parts.append(decoder.feed(wire[at : at + size]))
        while part := decoder.feed(b""):
            parts.append(part)
    decoder.close()
    return b"".join(parts)


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize(
    ("encoding", "wire"),
    [
        ("gzip", gzipped(TEXT)),
        ("GZIP", gzipped(TEXT[:100]) + gzipped(TEXT[100:])),
        ("gzip", gzipped(b"") * 99 + gzipped(TEXT) + gzipped(b"") * 9),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", DEFLATED),
        ("identity", TEXT),
        ("", TEXT),
    ],
    ids=["gzip", "two-members", "empty-members", "zlib", "deflate", "identity", "none"],
)
def test_every_encoding_is_undone(encoding: str, wire: bytes, size: int) -> None:
    assert read(encoding, wire, size) == TEXT


def test_a_flushed_part_comes_out_at_once() -> None:
    squeeze = zlib.compressobj(wbits=31)
    wire = squeeze.compress(b"data: 1\n\n") + squeeze.flush(zlib.Z_SYNC_FLUSH)
    assert decoder_for("gzip").feed(wire) == b"data: 1\n\n"


def test_a_bomb_unfolds_in_small_steps() -> None:
    decoder = decoder_for("gzip")
    assert len(decoder.feed(gzipped(b"\0" * (50 << 20)))) <= 1 << 20


def test_members_without_content_do_not_pile_up() -> None:
    decoder = decoder_for("gzip")
    assert b"" == decoder.feed(gzipped(b"") * 500 + gzipped(b"").removesuffix(b"\0"))
    assert b"end" == decoder.feed(b"\0" + gzipped(b"end"))


@pytest.mark.parametrize("wire", [gzipped(TEXT)[:-1], gzipped(TEXT)[:20]], ids=["end", "middle"])
def test_a_truncated_body_is_no_success(wire: bytes) -> None:
    with pytest.raises(TransportError) as caught:
        read("gzip", wire, 100_000)
    assert caught.value.kind == "cut"


@pytest.mark.parametrize(("encoding", "wire"), [("gzip", b"not gzip at all"), ("br", b"x"), ("zstd", b"x")])
def test_damage_and_unknown_encodings_are_refused(encoding: str, wire: bytes) -> None:
    with pytest.raises(TransportError) as caught:
        read(encoding, wire, 100_000)
    assert caught.value.kind == "protocol"
