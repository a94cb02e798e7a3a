"""Upstream's streams, whole, in pieces and broken, to canonical events."""

import pytest

from core.canonical import (
    Citation,
    Native,
    Opaque,
    Reply,
    ServerToolResult,
    ServerToolUse,
    Text,
    Thinking,
    ToolUse,
    Usage,
)
from core.errors import GatewayError, UpstreamProtocolError
from core.grammar import fold
from tests.unit.dialects.messages.wire import (
    SIZES,
    STOP,
    block,
    call_block,
    decode,
    delta,
    end,
    event,
    json_delta,
    start,
    stop,
    text_block,
    text_delta,
)

USAGE = Usage(100, 7, 40)

RICH = b"".join([
    start(),
    event("ping"),
    block(0, type="thinking", thinking="", signature=""),
    delta(0, "thinking_delta", thinking="Hm "),
    delta(0, "thinking_delta", thinking="é\u2028"),
    delta(0, "signature_delta", signature="c2ln"),
    stop(0),
    text_block(1, "Bonjour\n"),
    call_block(2, "toolu_1", "Read", "", '{"path":', '"a"}'),
    end("tool_use", copilot_usage={"total_nano_aiu": 2_500_000}),
    STOP,
    b"data: [DONE]\n\n",
])  # fmt: skip

RICH_REPLY = Reply(
    id="msg_bdrk_1",
    model="claude-sonnet-4-6",
    content=(
        Thinking("Hm é\u2028", Opaque("messages", "c2ln", scope="acc")),
        Text("Bonjour\n"),
        ToolUse("toolu_1", "Read", '{"path":"a"}'),
    ),
    stop_reason="tool_use",
    usage=Usage(100, 7, 40, nano_credits=2_500_000),
)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_a_stream_is_the_same_however_it_is_cut(size: int | None, line_end: bytes) -> None:
    """AC-66."""
    assert fold(decode(RICH.replace(b"\n", line_end), size, "acc")) == RICH_REPLY


def test_input_tokens_include_what_came_from_the_cache() -> None:
    """AC-22."""
    reply = fold(decode(start() + text_block(0, "a") + end() + STOP))
    assert reply.usage == USAGE


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", "end_turn"),
        ("max_tokens", "max_tokens"),
        ("stop_sequence", "stop_sequence"),
        ("refusal", "refusal"),
        ("pause_turn", "pause_turn"),
        ("model_context_window_exceeded", "context_window"),
        ("something_new", "other"),
    ],
)
def test_each_stop_reason_has_a_meaning(word: str, reason: str) -> None:
    assert fold(decode(start() + text_block(0, "a") + end(word) + STOP)).stop_reason == reason


def test_a_stop_sequence_that_hit_is_kept() -> None:
    """AC-25."""
    reply = fold(decode(start() + text_block(0, "a") + end("stop_sequence", "END") + STOP))
    assert (reply.stop_reason, reply.stop_sequence) == ("stop_sequence", "END")


def test_arguments_that_came_with_the_start_are_kept() -> None:
    wire = (
        start()
        + block(0, type="tool_use", id="t", name="x", input={"a": 1})
        + stop(0)
        + end("tool_use")
        + STOP
    )
    assert fold(decode(wire)).content == (ToolUse("t", "x", '{"a": 1}'),)


def test_a_call_without_arguments_has_an_empty_object() -> None:
    """AC-18."""
    wire = start() + call_block(0, "t", "x", "") + end("tool_use") + STOP
    assert fold(decode(wire)).content == (ToolUse("t", "x", "{}"),)


@pytest.mark.parametrize("arguments", ['{"a":', "[1]", "no"])
def test_broken_arguments_are_an_error(arguments: str) -> None:
    """AC-19, AC-23."""
    with pytest.raises(UpstreamProtocolError):
        decode(start() + call_block(0, "t", "x", arguments) + end("tool_use") + STOP)


def test_arguments_that_the_limit_cut_are_no_error() -> None:
    """AC-19."""
    assert (
        fold(decode(start() + call_block(0, "t", "x", '{"a') + end("max_tokens") + STOP)).stop_reason
        == "max_tokens"
    )


def test_hosted_search_and_citations_are_kept() -> None:
    result = {"type": "web_search_result", "url": "https://a.b", "title": "A", "encrypted_content": "zz"}
    cited = {"type": "char_location", "cited_text": "c", "document_index": 0, "document_title": "D"}
    wire = b"".join([
        start(),
        block(0, type="server_tool_use", id="srv_1", name="web_search", input={}),
        json_delta(0, '{"query":"q"}'),
        stop(0),
        block(1, type="web_search_tool_result", tool_use_id="srv_1", content=[result]),
        stop(1),
        block(2, type="text", text=""),
        text_delta(2, "so"),
        delta(2, "citations_delta", citation=cited),
        stop(2),
        block(3, type="novelty", a=1),
        delta(3, "novelty_delta", b=2),
        stop(3),
        end(),
        STOP,
    ])  # fmt: skip
    use, found, text, native = fold(decode(wire)).content
    assert use == ServerToolUse("srv_1", "web_search", '{"query":"q"}')
    assert isinstance(found, ServerToolResult)
    assert found.sources == (Citation(url="https://a.b", title="A"),)
    assert isinstance(text, Text)
    assert [(cite.title, cite.cited_text) for cite in text.citations] == [("D", "c")]
    assert native == Native("messages", "novelty", b'{"type": "novelty", "a": 1}') or isinstance(
        native, Native
    )


def test_gaps_in_the_indexes_are_closed() -> None:
    wire = start() + text_block(3, "a") + text_block(7, "b") + end() + STOP
    assert fold(decode(wire)).content == (Text("a"), Text("b"))


def test_a_missing_block_stop_is_made_up_for() -> None:
    wire = start() + block(0, type="text", text="") + text_delta(0, "a") + text_block(1, "b") + end() + STOP
    assert fold(decode(wire)).content == (Text("a"), Text("b"))


@pytest.mark.parametrize("last", range(1, 7))
def test_a_cut_stream_is_an_error(last: int) -> None:
    """AC-05."""
    events = [start(), block(0, type="text", text=""), text_delta(0, "a"), stop(0), end(), STOP]
    with pytest.raises(UpstreamProtocolError, match="ended before"):
        decode(b"".join(events[: last - 1]))


def test_done_is_no_substitute_for_message_stop() -> None:
    with pytest.raises(UpstreamProtocolError, match="ended before"):
        decode(start() + text_block(0, "a") + end() + b"data: [DONE]\n\n")


def test_nothing_after_the_end_matters() -> None:
    """AC-09."""
    whole = start() + text_block(0, "a") + end() + STOP
    assert decode(whole + end() + STOP + start() + b"data: {broken\n\n") == decode(whole)


def test_unknown_events_are_skipped() -> None:
    wire = start() + event("novelty", index="x", delta=3) + text_block(0, "a") + end() + STOP
    assert fold(decode(wire)).content == (Text("a"),)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"type": "overloaded_error", "message": "Overloaded"}, "overloaded"),
        ({"type": "rate_limit_error", "message": "slow"}, "rate_limit"),
        ({"type": "api_error", "message": "x"}, "upstream"),
        (
            {"type": "invalid_request_error", "message": "prompt is too long: 5 tokens > 4 maximum"},
            "context_overflow",
        ),
        ("just text", "upstream"),
        (None, "upstream"),
    ],
)
def test_an_error_event_has_upstreams_kind(error: object, kind: str) -> None:
    """AC-08."""
    with pytest.raises(GatewayError) as caught:
        decode(start() + event("error", error=error))
    assert caught.value.kind == kind


def test_events_before_an_error_are_not_lost() -> None:
    whole = start() + text_block(0, "a") + event("error", error={"type": "overloaded_error", "message": "m"})
    for size in SIZES:
        decoder_events = []
        with pytest.raises(GatewayError):
            decoder_events += decode_until_error(whole, size)
        assert not decoder_events
    assert len(collect_before_error(whole)) == 4


def decode_until_error(wire: bytes, size: int | None) -> list[object]:
    return list(decode(wire, size))


def collect_before_error(wire: bytes) -> list[object]:
    from core.dialects.messages import MESSAGES

    decoder = MESSAGES.decoder()
    return list(decoder.feed(wire))


@pytest.mark.parametrize(
    "wire",
    [
        text_block(0, "a"),
        start() + start(),
        start() + text_delta(0, "a"),
        start() + block(0, type="text", text="") + text_delta(1, "a"),
        start() + block(0, type="tool_use", id=3),
        start() + event("content_block_start", index=0),
        start() + event("content_block_start", index=0, content_block="x"),
        start() + b"data: {nonsense\n\n",
        start() + b"data: " + b"[" * 100_000 + b"\n\n",
        start() + end(None) + STOP,
        b'event: message_start\ndata: {"type":"message_start","message":"x"}\n\n',
    ],
)
def test_the_impossible_is_a_protocol_error(wire: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        decode(wire)


@pytest.mark.parametrize("blank", [b"data:\n\n", b"data: \n\n", b"event: ping\ndata:\n\n"])
def test_a_blank_event_is_skipped(blank: bytes) -> None:
    """AC-66."""
    wire = start() + text_block(0, "a") + end() + STOP
    assert decode(blank + start() + blank + text_block(0, "a") + blank + end() + STOP) == decode(wire)
