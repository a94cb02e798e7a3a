"""Streams and complete replies that pass through: upstream's bytes, but legal and under the asked name."""

import json

import pytest

from core.canonical import Usage
from core.dialects.messages import MESSAGES
from core.errors import GatewayError, UpstreamProtocolError
from tests.grammar.messages import check_messages_stream
from tests.unit.dialects.messages.strategies import echo
from tests.unit.dialects.messages.test_stream_decoder import RICH
from tests.unit.dialects.messages.wire import (
    SIZES,
    STOP,
    block,
    call_block,
    delta,
    end,
    event,
    split,
    start,
    stop,
    text_block,
    text_delta,
)

UPSTREAM_NAME, ASKED_NAME = b'"model": "claude-sonnet-4-6"', b'"model":"asked"'
DONE = b"data: [DONE]\n\n"


def relayed(wire: bytes, size: int | None = None) -> bytes:
    relay = MESSAGES.relay(echo())
    return b"".join(relay.feed(piece) for piece in split(wire, size)) + relay.close()


@pytest.mark.parametrize("size", SIZES)
def test_a_clean_stream_is_forwarded_byte_for_byte(size: int | None) -> None:
    """AC-27, AC-56."""
    out = relayed(RICH, size)
    first, _, rest = out.partition(b"\n\n")
    clean_first, _, clean_rest = RICH.removesuffix(DONE).partition(b"\n\n")
    assert rest == clean_rest
    expected = json.loads(clean_first.partition(b"data: ")[2])
    expected["message"]["model"] = "asked"
    assert json.loads(first.partition(b"data: ")[2]) == expected


def test_missing_event_names_are_added() -> None:
    nameless = b"".join(line + b"\n" for line in RICH.split(b"\n") if not line.startswith(b"event:"))
    assert check_messages_stream(relayed(nameless)) == check_messages_stream(relayed(RICH))


@pytest.mark.parametrize("line_end", [b"\r\n", b"\r"])
def test_other_line_ends_are_made_ours(line_end: bytes) -> None:
    assert relayed(RICH.replace(b"\n", line_end), 3) == relayed(RICH)


def test_unknown_events_are_dropped_and_unknown_members_stay() -> None:
    wire = start() + event("novelty") + text_block(0, "a") + end(copilot_usage={"total_nano_aiu": 5}) + STOP
    out = relayed(wire)
    assert b"novelty" not in out
    assert b"copilot_usage" in out


def test_usage_is_tapped() -> None:
    relay = MESSAGES.relay(echo())
    assert relay.usage is None
    relay.feed(RICH)
    assert relay.usage == Usage(100, 7, 40, nano_credits=2_500_000)


def test_gaps_in_indexes_and_missing_stops_are_repaired() -> None:
    wire = start() + block(2, type="text", text="") + text_delta(2, "a") + text_block(5, "b") + end() + STOP
    assert check_messages_stream(relayed(wire)).text == "ab"


def test_missing_usage_is_filled_in() -> None:
    bare = event("message_start", message={"id": "msg_1", "content": []})
    wire = bare + text_block(0, "a") + event("message_delta", delta={"stop_reason": "end_turn"}) + STOP
    folded = check_messages_stream(relayed(wire))
    assert folded.message["id"] == "msg_1"
    assert folded.message["model"] == "asked"


def test_deltas_of_another_kind_are_dropped() -> None:
    wire = start() + block(0, type="text", text="") + delta(0, "novel_delta", a=1) + delta(0, "input_json_delta", partial_json="{") + stop(0) + end() + STOP  # fmt: skip
    assert b"novel" not in relayed(wire)
    check_messages_stream(relayed(wire))


def test_a_call_that_nobody_can_run_is_an_error() -> None:
    """AC-19."""
    wire = start() + call_block(0, "t", "x", '{"a":') + end("tool_use") + STOP
    relay = MESSAGES.relay(echo())
    out = relay.feed(wire)
    with pytest.raises(UpstreamProtocolError) as caught:
        relay.close()
    assert check_messages_stream(out + relay.error(caught.value)).error is not None


@pytest.mark.parametrize("size", SIZES)
def test_a_cut_stream_ends_in_one_error_event(size: int | None) -> None:
    """AC-05."""
    relay, out = MESSAGES.relay(echo()), b""
    for piece in split(start() + block(0, type="text", text="") + text_delta(0, "a"), size):
        out += relay.feed(piece)
    with pytest.raises(UpstreamProtocolError) as caught:
        relay.close()
    out += relay.error(caught.value)
    folded = check_messages_stream(out)
    assert folded.text == "a"
    assert folded.error == {"type": "api_error", "message": "the upstream stream ended before message_stop"}


def test_an_event_that_the_cut_left_without_its_blank_line_is_not_lost() -> None:
    """AC-05."""
    relay = MESSAGES.relay(echo())
    out = relay.feed((start() + text_block(0, "a"))[:-1])
    with pytest.raises(UpstreamProtocolError) as caught:
        relay.close()
    assert check_messages_stream(out + relay.error(caught.value)).text == "a"


def test_upstreams_error_event_is_ours_to_say() -> None:
    """AC-08."""
    relay = MESSAGES.relay(echo())
    out = relay.feed(start() + event("error", error={"type": "overloaded_error", "message": "busy"}))
    with pytest.raises(GatewayError) as caught:
        relay.close()
    error = check_messages_stream(out + relay.error(caught.value)).error
    assert error == {"type": "overloaded_error", "message": "busy"}


def test_bytes_that_are_no_text_are_never_forwarded() -> None:
    """AC-66."""
    with pytest.raises(UpstreamProtocolError, match="UTF-8"):
        relayed(start().replace(b"assistant", b"ass\x80stant"))


def test_a_bare_error_at_the_end_of_the_stream_is_read() -> None:
    relay = MESSAGES.relay(echo())
    relay.feed(start() + b'{"error":{"message":"boom","type":"api_error"}}')
    with pytest.raises(UpstreamProtocolError, match="boom"):
        relay.close()


REPLY = {
    "id": "msg_bdrk_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-6",
    "content": [{"type": "tool_use", "id": "t", "name": "x", "input": {"model": "inner"}}],
    "stop_reason": "tool_use", "stop_sequence": None, "stop_details": None, "usage": {"input_tokens": 84, "output_tokens": 5},
}  # fmt: skip


def test_a_complete_reply_changes_only_its_model() -> None:
    """AC-27."""
    body = json.dumps(REPLY).encode()
    assert MESSAGES.relay_response(body, echo()) == body.replace(UPSTREAM_NAME, b'"model": "asked"')
    assert MESSAGES.relay_response(body, echo(model="claude-sonnet-4-6")) is not None


def test_a_complete_reply_with_gaps_is_filled_in() -> None:
    body = json.dumps(
        {"type": "message", "content": [], "stop_reason": "end_turn", "stop_sequence": None}
    ).encode()
    assert json.loads(MESSAGES.relay_response(body, echo())) == {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "asked", "content": [], "stop_reason": "end_turn", "stop_sequence": None,
        "usage": {"input_tokens": 0, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 0},
    }  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b"<html>", b'{"content":[]}', b'{"type":"error","error":{"type":"api_error"}}'],
)
def test_what_is_no_reply_is_an_upstream_error(body: bytes) -> None:
    with pytest.raises(GatewayError) as caught:
        MESSAGES.relay_response(body, echo())
    assert caught.value.status == 502


@pytest.mark.parametrize("blank", [b"data:\n\n", b"data: \n\n", b"event: ping\ndata:\n\n"])
def test_a_blank_event_is_skipped(blank: bytes) -> None:
    """AC-66."""
    wire = start() + blank + text_block(0, "a") + blank + end() + STOP
    assert relayed(blank + wire) == relayed(start() + text_block(0, "a") + end() + STOP)
