"""The response reader, fed whole, in pieces and with what does not belong."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.copilot.faults import TransportError
from core.copilot.http1 import ResponseParser, request_head

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\nx-a: 2\r\n\r\n5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nt: x\r\n\r\n"
COUNTED = b"HTTP/1.1 200\r\ncontent-length: 11\r\n\r\nhello world"
OPEN = b"HTTP/1.0 200 OK\r\n\r\nhello world"
EARLY = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + COUNTED


def read(wire: bytes, size: int) -> tuple[ResponseParser, bytes]:
    parser = ResponseParser()
    body = b"".join(parser.feed(wire[at : at + size]) for at in range(0, len(wire), size))
    if not parser.done:
        parser.end()
    return parser, body


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
@pytest.mark.parametrize("wire", [CHUNKED, COUNTED, OPEN, EARLY], ids=["chunked", "counted", "open", "early"])
def test_every_framing_yields_the_body_however_it_is_cut(wire: bytes, size: int) -> None:
    parser, body = read(wire, size)
    assert (200, b"hello world", True) == (parser.status, body, parser.done)


def test_one_read_gives_all_its_chunks_at_once() -> None:
    assert ResponseParser().feed(CHUNKED) == b"hello world"


def test_repeated_headers_are_joined() -> None:
    assert read(CHUNKED, 10_000)[0].headers["x-a"] == "1, 2"


def test_a_field_folded_over_lines_is_one() -> None:
    wire = b"HTTP/1.1 200 OK\r\nx-a: 1; \r\n\t b: 2\r\n \r\n  3\r\ncontent-length: 2\r\nx-c:\r\n d\r\n\r\nhi"
    parser, body = read(wire, 10_000)
    assert (b"hi", {"x-a": "1; b: 2  3", "content-length": "2", "x-c": "d"}) == (body, parser.headers)


@pytest.mark.parametrize(
    ("wire", "kept"),
    [
        (CHUNKED, "yes"),
        (COUNTED, "yes"),
        (OPEN, "no"),
        (COUNTED + b"HTTP/1.1 200 OK", "no"),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", "no"),
        (b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n", "yes"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "yes"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n", "no"),
    ],
)
def test_a_connection_is_kept_only_when_its_end_is_sure(wire: bytes, kept: str) -> None:
    assert (kept == "yes") == read(wire, 10_000)[0].keep_alive


@pytest.mark.parametrize("wire", [CHUNKED, COUNTED])
def test_every_cut_is_noticed(wire: bytes) -> None:
    for end in range(len(wire)):
        parser = ResponseParser()
        parser.feed(wire[:end])
        with pytest.raises(TransportError) as caught:
            parser.end()
        assert caught.value.kind == "cut"


@pytest.mark.parametrize(
    "wire",
    [
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na: b\nc: d\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: \xb2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"1" * 5000,
        b"x" * 70_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 3000,
    ],
)
def test_illegal_framing_is_refused(wire: bytes) -> None:
    with pytest.raises(TransportError) as caught:
        ResponseParser().feed(wire)
    assert caught.value.kind == "protocol"


@pytest.mark.parametrize("value", ["a\r\nx: y", "a\nb", "\x00", "snow ☃"])
def test_a_header_that_would_break_the_framing_is_refused_without_showing_it(value: str) -> None:
    with pytest.raises(TransportError) as caught:
        request_head("POST", "/", "h", {"authorization": value}, 0)
    assert value not in caught.value.message
    assert "'authorization'" in caught.value.message


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\nx", "é"])
def test_a_header_without_a_name_that_http_allows_is_refused(name: str) -> None:
    with pytest.raises(TransportError) as caught:
        request_head("POST", "/", "h", {"a": "b", name: "c"}, 0)
    assert repr(name) in caught.value.message


def test_a_request_head_needs_no_headers() -> None:
    assert (
        request_head("GET", "/", "h", {}, 0)
        == b"GET / HTTP/1.1\r\nhost: h\r\naccept-encoding: identity\r\n\r\n"
    )


def test_a_request_head_names_its_length() -> None:
    expected = (
        b"POST /x HTTP/1.1\r\nhost: h:1\r\naccept-encoding: identity\r\na: b\r\ncontent-length: 2\r\n\r\n"
    )
    assert expected == request_head("POST", "/x", "h:1", {"a": "b"}, 2)


@given(st.binary(max_size=200), st.integers(1, 50))
def test_no_bytes_break_the_reader(noise: bytes, size: int) -> None:
    wire = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n" + noise
    with contextlib.suppress(TransportError):
        read(wire, size)
