"""The SSE decoder reads any byte stream, cut anywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.sse import EventTooLargeError, ServerSentEvent, SSEDecoder

PIECES = [1, 2, 3, 7, 64, None]


def events_of(stream: bytes, size: int | None = None) -> list[ServerSentEvent]:
    decoder = SSEDecoder()
    step = size or max(1, len(stream))
    events = [event for at in range(0, len(stream), step) for event in decoder.feed(stream[at : at + step])]
    return [*events, *decoder.close()]


@pytest.mark.parametrize("size", PIECES)
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_events_do_not_depend_on_cuts_or_line_ends(size: int | None, line_end: bytes) -> None:
    """AC-66."""
    stream = (
        ': comment\nevent: message_start\nid: 7\nretry: 10\ndata: {"t":"ü\u2028€"}\n\n\n\ndata:a\ndata: b\n\ndata\n\ndata: [DONE]\n\n'
    ).encode()
    expected = [
        ServerSentEvent('{"t":"ü\u2028€"}'.encode(), "message_start"),
        ServerSentEvent(b"a\nb"),
        ServerSentEvent(b""),
        ServerSentEvent(b"[DONE]"),
    ]
    assert expected == events_of(stream.replace(b"\n", line_end), size)


def test_last_event_without_a_blank_line_is_reported() -> None:
    assert [ServerSentEvent(b"x")] == events_of(b"data: x")


def test_bare_json_at_the_end_is_an_event() -> None:
    assert [ServerSentEvent(b"x"), ServerSentEvent(b'{"error":{}}')] == events_of(b'data: x\n\n{"error":{}}')


@pytest.mark.parametrize("size", PIECES)
def test_byte_order_mark_is_skipped(size: int | None) -> None:
    assert [ServerSentEvent(b"x")] == events_of(b"\xef\xbb\xbfdata: x\n\n", size)


@pytest.mark.parametrize("piece", [b"data: 0123456789\n", b"data: 0123456789", b": x"])
def test_an_endless_event_is_refused(piece: bytes) -> None:
    with pytest.raises(EventTooLargeError):
        feed_all(SSEDecoder(limit=100), [piece] * 100)


def feed_all(decoder: SSEDecoder, pieces: list[bytes]) -> None:
    for piece in pieces:
        decoder.feed(piece)


TEXT = st.text(st.characters(blacklist_characters="\r\n", blacklist_categories=["Cs"]))


@given(st.lists(st.tuples(TEXT, st.sampled_from(["", "ping", "message_stop"]))), st.integers(1, 9))
def test_what_is_written_is_read(pairs: list[tuple[str, str]], size: int) -> None:
    events = [ServerSentEvent(data.encode(), name) for data, name in pairs]
    assert events == events_of(b"".join(event.encode() for event in events), size)


@given(st.binary(), st.integers(1, 9))
def test_any_bytes_give_the_same_events_in_any_pieces(stream: bytes, size: int) -> None:
    """AC-66."""
    assert events_of(stream) == events_of(stream, size)
