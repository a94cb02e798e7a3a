import re
from typing import Any

import pytest

from core.canonical import Text, Thinking, ToolUse, Usage
from core.dialects.responses import RESPONSES
from core.errors import GatewayError, UpstreamProtocolError
from core.names import short_name
from core.sse import MAX_EVENT_BYTES
from tests.grammar.responses import check_responses_stream, events_of
from tests.unit.dialects.responses.shapes import (
    SIZES,
    added,
    call,
    completed,
    created,
    done,
    echo,
    encode_stream,
    message,
    pieces,
    relay,
    request,
    response,
    said,
    sse,
)
from tests.unit.dialects.responses.test_stream_encoder import START, answer, block

CLEAN = encode_stream(
    answer(
        block(0, Thinking(""), "hm"),
        block(1, Text(""), "Hé", "llo"),
        block(2, ToolUse("c", "f", ""), '{"a"', ":1}"),
        stop="tool_use",
    )
)
ASKED = echo(model="asked")


def rotating() -> bytes:
    """Return a stream whose ids change from event to event, with Copilot's extras in between."""
    part = {"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}
    return sse(
        {"type": "response.created", "response": full("in_progress")},
        added(0, id="msg_a", type="message", status="in_progress", role="assistant", content=[]),
        said("content_part.added", 0, "msg_b", part={**part, "text": ""}),
        said("output_text.delta", 0, "msg_c", delta="Hel", logprobs=[]),
        {"type": "keepalive"},
        said("output_text.delta", 0, "msg_d", delta="lo", logprobs=[]),
        said("output_text.done", 0, "msg_e", text="Hello", logprobs=[]),
        said("content_part.done", 0, "msg_f", part=part),
        done(0, **message("Hello", "msg_g", content=[part])),
        {
            "type": "response.completed",
            "response": full("completed", [message("Hello", "msg_h", content=[part])]),
        },
        done=True,
    )


def full(status: str, output: list[Any] | None = None) -> dict[str, Any]:
    """Return a response object with every member."""
    complete = events_of(CLEAN)[0]["response"]
    return {**complete, **response(status, output, model="gpt-up")}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_a_clean_stream_goes_through_byte_for_byte(size: int | None, line_end: bytes) -> None:
    stream = CLEAN.replace(b"\n", line_end)
    assert relay(stream, size, ASKED) == stream


@pytest.mark.parametrize("size", SIZES)
def test_rotating_ids_are_anchored_to_the_first(size: int | None) -> None:
    """AC-59."""
    folded = check_responses_stream(relay(rotating(), size))
    assert folded.response["output"][0]["id"] == "msg_a"
    assert (folded.text, folded.response["model"]) == ("Hello", "asked")


def rotating_compact() -> bytes:
    """Return CLEAN as Copilot would send it: every delta has another id, and a `keepalive` moves the numbers."""
    beat = b'event: keepalive\ndata: {"type":"keepalive","sequence_number":2}\n\n'
    blocks = CLEAN.removesuffix(b"\n\n").split(b"\n\n")
    out = []
    for number, whole in enumerate(blocks):
        later = number + (number >= 2)
        moved = whole.replace(b'"sequence_number":%d,' % number, b'"sequence_number":%d,' % later)
        out += [beat] if number == 2 else []
        out.append(re.sub(rb'"item_id":"[a-z_0-9]+"', b'"item_id":"other%d"' % number, moved) + b"\n\n")
    return b"".join(out)


@pytest.mark.parametrize("size", SIZES)
def test_rotating_ids_of_deltas_are_put_right_in_place(size: int | None) -> None:
    """AC-59."""
    stream = rotating_compact()
    assert b"other4" in stream
    assert relay(stream, size, ASKED) == CLEAN


def test_foreign_events_and_trailers_are_dropped_and_numbers_close_up() -> None:
    """AC-56."""
    relayed = relay(rotating())
    assert b"keepalive" not in relayed
    assert b"[DONE]" not in relayed
    assert [event["sequence_number"] for event in events_of(relayed)] == list(range(9))


def test_comments_are_forwarded() -> None:
    assert relay(b": ping\n\n" + CLEAN, None, ASKED) == b": ping\n\n" + CLEAN


def test_a_stream_without_numbers_stays_without() -> None:
    stream = sse({**created(), "sequence_number": None}, {**completed(), "sequence_number": None})
    events = events_of(relay(stream))
    assert [event["sequence_number"] for event in events] == [None, None]


def test_a_missing_beginning_is_made_up() -> None:
    stream = CLEAN[CLEAN.index(b"event: response.output_item.added") :]
    check_responses_stream(relay(stream, None, ASKED))


@pytest.mark.parametrize("cut", range(0, len(CLEAN), 61))
def test_a_cut_stream_ends_in_one_failure(cut: int) -> None:
    """AC-05, AC-66."""
    folded = check_responses_stream(relay(CLEAN[:cut], 50, ASKED))
    assert (folded.status, folded.response["error"]["code"]) == ("failed", "server_error")


def test_the_stream_ends_at_its_first_terminal_event() -> None:
    """AC-09."""
    assert relay(CLEAN + sse(completed()) + b"data: [DONE]\n\n", None, ASKED) == CLEAN


def test_a_last_event_without_its_blank_line_counts() -> None:
    assert relay(CLEAN.rstrip(b"\n"), None, ASKED).rstrip(b"\n") == CLEAN.rstrip(b"\n")


@pytest.mark.parametrize(
    "event",
    [
        {"type": "error", "code": "model_overloaded", "message": "busy", "param": None},
        {"type": "error", "error": {"code": "model_overloaded", "message": "busy"}},
    ],
)
def test_an_error_event_becomes_the_one_terminal_event(event: dict[str, Any]) -> None:
    """AC-08."""
    begin = CLEAN[: CLEAN.index(b"event: response.completed")]
    number = begin.count(b"event: ")
    failed = {"type": "response.failed", "response": full("failed")}
    stream = begin + sse({**event, "sequence_number": number}, {**failed, "sequence_number": number + 1})
    folded = check_responses_stream(relay(stream, None, ASKED))
    assert folded.response["error"] == {"code": "server_error", "message": "busy"}


def test_an_error_before_anything_was_forwarded_rises() -> None:
    relayed = RESPONSES.relay(echo())
    with pytest.raises(GatewayError) as caught:
        relayed.feed(sse({"type": "error", "code": "rate_limited", "message": "slow"}))
    assert caught.value.kind == "rate_limit"


def test_upstreams_own_failure_is_forwarded() -> None:
    error = {"code": "server_error", "message": "boom"}
    stream = sse(
        {"type": "response.created", "response": full("in_progress")},
        {"type": "response.failed", "response": {**full("failed"), "error": error}},
    )
    assert check_responses_stream(relay(stream)).response["error"] == error


def test_usage_is_tapped() -> None:
    relayed = RESPONSES.relay(echo())
    relayed.feed(sse(created()))
    assert (relayed.usage, relayed.done) == (None, False)
    relayed.feed(sse({**completed(), "copilot_usage": {"total_nano_aiu": 5}}))
    assert (relayed.usage, relayed.done) == (Usage(100, 9, 40, 7, 3, 5), True)


def test_long_names_are_restored_where_the_request_is_known() -> None:
    """AC-61."""
    long = "x" * 80
    to = echo(request(tools=[{"type": "function", "name": long}]))
    item = call(short_name(long), "{}")
    stream = sse(created(), added(0, **item), done(0, **item), completed(item))
    events = events_of(relay(stream, None, to))
    assert [events[1]["item"]["name"], events[3]["response"]["output"][0]["name"]] == [long, long]


def test_an_event_without_end_is_refused() -> None:
    relayed = RESPONSES.relay(echo())
    with pytest.raises(UpstreamProtocolError, match="larger"):
        relayed.feed(b"data: " + b"x" * (MAX_EVENT_BYTES + 1))


def test_a_broken_event_is_a_failure() -> None:
    stream = sse({"type": "response.created", "response": full("in_progress")}) + b"data: {broken\n\n"
    assert check_responses_stream(relay(stream)).status == "failed"


def test_broken_utf8_is_a_failure_and_never_forwarded() -> None:
    folded = check_responses_stream(relay(CLEAN.replace("é".encode(), b"\xc3"), 64, ASKED))
    assert (folded.status, folded.text) == ("failed", "")


def test_pieces_cover_the_stream() -> None:
    assert b"".join(pieces(CLEAN, 7)) == CLEAN
    assert START.model == "upstream-model"
