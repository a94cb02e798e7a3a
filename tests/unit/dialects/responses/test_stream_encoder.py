import json
from typing import Any

import pytest

from core.canonical import (
    BlockCitation,
    BlockDelta,
    BlockOpaque,
    BlockStart,
    BlockStop,
    Citation,
    MessageStart,
    MessageStop,
    Opaque,
    Refusal,
    Reply,
    ServerToolResult,
    ServerToolUse,
    StopReason,
    StreamEvent,
    Text,
    Thinking,
    ToolUse,
    Usage,
)
from core.custom_tools import wrap_input
from core.dialects.responses import RESPONSES
from core.errors import GatewayError, UpstreamProtocolError
from core.names import short_name
from tests.grammar.responses import check_responses_stream, events_of
from tests.unit.dialects.responses.shapes import echo, encode_stream, request

COUNT = Usage(100, 9, 40, 7, 3)
START = MessageStart("up", "upstream-model")


def block(index: int, opened: Any, *deltas: str) -> list[StreamEvent]:
    return [BlockStart(index, opened), *[BlockDelta(index, delta) for delta in deltas], BlockStop(index)]


def answer(*blocks: list[StreamEvent], stop: StopReason = "end_turn") -> list[StreamEvent]:
    return [START, *[event for events in blocks for event in events], MessageStop(stop, COUNT)]


def test_every_block_is_a_legal_item() -> None:
    source = Citation("https://a.example", "A", start=0, end=3)
    search = ServerToolUse("s", "web_search", '{"query":"cats"}')
    stream = encode_stream(
        answer(
            [
                BlockStart(0, Thinking("")),
                BlockDelta(0, "hm"),
                BlockOpaque(0, Opaque("messages", "sig")),
                BlockStop(0),
            ],
            block(1, search),
            block(2, ServerToolResult("s", "web_search", (source,))),
            [BlockStart(3, Text("")), BlockDelta(3, "One"), BlockCitation(3, source), BlockStop(3)],
            block(4, Text("", phase="final_answer"), "Two", " Thr\u2028ee"),
            block(5, ToolUse("call_1", "f", ""), '{"a"', ":1}"),
            block(6, ToolUse("call_2", "g", "")),
            block(7, ToolUse("call_3", "patch", "", custom=True), "*** Begin"),
            stop="tool_use",
        )
    )
    folded = check_responses_stream(stream)
    assert [item["type"] for item in folded.response["output"]] == [
        "reasoning", "web_search_call", "message", "message", "function_call", "function_call", "custom_tool_call",
    ]  # fmt: skip
    assert (folded.text, folded.reasoning, folded.status) == ("OneTwo Thr\u2028ee", "hm", "completed")
    assert [call.get("arguments", call.get("input")) for call in folded.calls] == [
        '{"a":1}',
        "{}",
        "*** Begin",
    ]
    assert folded.response["output"][1]["action"]["sources"] == [
        {"type": "url", "url": "https://a.example", "title": "A"}
    ]
    assert folded.response["usage"] == {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 7},
        "output_tokens": 9,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 109,
    }


def test_neighbouring_texts_are_parts_of_one_message() -> None:
    stream = encode_stream(answer(block(0, Text("a")), block(1, Text(""), "b"), block(2, Refusal("no"))))
    (item,) = check_responses_stream(stream).response["output"]
    assert [part["type"] for part in item["content"]] == ["output_text", "output_text", "refusal"]


def test_the_response_repeats_its_request() -> None:
    """AC-27."""
    tool = {
        "type": "function",
        "name": "f",
        "description": "d",
        "parameters": {"type": "object"},
        "strict": True,
    }
    asked = request(
        instructions="be brief", tools=[tool], tool_choice="required", parallel_tool_calls=False, temperature=0.5,
        max_output_tokens=99, reasoning={"effort": "low"}, text={"verbosity": "low"}, metadata={"k": "v"},
        prompt_cache_key="key", truncation="auto",
    )  # fmt: skip
    response = check_responses_stream(encode_stream(answer(block(0, Text("x"))), echo(asked))).response
    repeated = {name: response[name] for name in (
        "id", "model", "created_at", "instructions", "tools", "tool_choice", "parallel_tool_calls", "temperature",
        "top_p", "max_output_tokens", "reasoning", "text", "metadata", "prompt_cache_key", "truncation",
        "previous_response_id", "store",
    )}  # fmt: skip
    assert repeated == {
        "id": "resp_abc",
        "model": "asked",
        "created_at": 1763846400,
        "instructions": "be brief",
        "tools": [tool],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "temperature": 0.5,
        "top_p": 1.0,
        "max_output_tokens": 99,
        "reasoning": {"effort": "low", "summary": None},
        "text": {"format": {"type": "text"}, "verbosity": "low"},
        "metadata": {"k": "v"},
        "prompt_cache_key": "key",
        "truncation": "auto",
        "previous_response_id": None,
        "store": False,
    }


def test_a_free_text_tool_gets_its_text_back() -> None:
    asked = request(tools=[{"type": "custom", "name": "apply_patch", "format": {"type": "text"}}])
    wrapped = wrap_input("*** Begin\nx")
    events = answer(block(0, ToolUse("c", "apply_patch", ""), wrapped[:9], wrapped[9:]), stop="tool_use")
    (call,) = check_responses_stream(encode_stream(events, echo(asked))).calls
    assert (call["type"], call["input"]) == ("custom_tool_call", "*** Begin\nx")


def test_namespaces_and_long_names_are_restored() -> None:
    """AC-61."""
    long = "x" * 80
    asked = request(
        tools=[
            {
                "type": "namespace",
                "name": "files",
                "description": "",
                "tools": [{"type": "function", "name": "read"}],
            },
            {"type": "function", "name": long},
        ]
    )
    events = answer(
        block(0, ToolUse("a", "files__read", "{}")), block(1, ToolUse("b", short_name(long), "{}"))
    )
    calls = check_responses_stream(encode_stream(events, echo(asked))).calls
    assert [(call["name"], call.get("namespace")) for call in calls] == [("read", "files"), (long, None)]


@pytest.mark.parametrize(
    ("stop", "status", "reason"),
    [
        ("end_turn", "completed", None),
        ("stop_sequence", "completed", None),
        ("other", "completed", None),
        ("max_tokens", "incomplete", "max_output_tokens"),
        ("context_window", "incomplete", "max_output_tokens"),
        ("refusal", "incomplete", "content_filter"),
    ],
)
def test_the_end_says_how_it_came(stop: StopReason, status: str, reason: str | None) -> None:
    response = check_responses_stream(encode_stream(answer(block(0, Text("x")), stop=stop))).response
    assert (response["status"], (response["incomplete_details"] or {}).get("reason")) == (status, reason)


def test_a_models_own_refusal_is_complete() -> None:
    folded = check_responses_stream(encode_stream(answer(block(0, Refusal(""), "No"), stop="refusal")))
    assert (folded.status, folded.refusal) == ("completed", "No")


def test_a_cut_call_is_marked_and_never_invented() -> None:
    """AC-19."""
    events = answer(block(0, ToolUse("c", "f", ""), '{"a'), stop="max_tokens")
    (call,) = check_responses_stream(encode_stream(events)).calls
    assert (call["status"], call["arguments"]) == ("incomplete", '{"a')


@pytest.mark.parametrize("count", range(7))
def test_an_error_ends_the_stream_from_any_state(count: int) -> None:
    """AC-05."""
    events = answer(block(0, Text(""), "a"), block(1, ToolUse("c", "f", ""), "{"))
    encoder = RESPONSES.encoder(echo())
    stream = b"".join([encoder.feed(event) for event in events[:count]])
    stream += encoder.error(GatewayError("busy", kind="rate_limit", retry_after=7))
    folded = check_responses_stream(stream)
    assert folded.response["error"] == {
        "code": "rate_limit_exceeded",
        "message": "busy. Please try again in 7s.",
    }
    assert encoder.error(GatewayError("again", kind="internal")) == b""


def test_nothing_follows_the_terminal_event() -> None:
    encoder = RESPONSES.encoder(echo())
    for event in answer(block(0, Text("x"))):
        encoder.feed(event)
    assert encoder.error(GatewayError("late", kind="upstream")) + encoder.close() == b""


def test_foreign_signatures_are_sealed_and_come_back() -> None:
    """AC-07."""
    for thinking in (
        Thinking("hm", Opaque("messages", "sig", scope="me")),
        Thinking("", Opaque("messages", "data"), redacted=True),
        Thinking("x", Opaque("responses", "enc", "rs_up", "me")),
    ):
        (item,) = check_responses_stream(encode_stream(answer(block(0, thinking)))).response["output"]
        asked = request(input=[item, {"role": "user", "content": "go on"}])
        assert asked.messages[0].content == (thinking,)


def test_a_signature_on_a_call_survives_the_round_trip() -> None:
    call = ToolUse("c", "f", "{}", opaque=Opaque("chat", "thought"))
    items = check_responses_stream(encode_stream(answer(block(0, call), stop="tool_use"))).response["output"]
    assert [item["type"] for item in items] == ["function_call", "reasoning"]
    assert request(input=items).messages[0].content[1] == Thinking("", Opaque("chat", "thought"))


def test_a_complete_reply_is_the_streams_last_word() -> None:
    reply = Reply(id="", model="m", content=(Thinking("t"), Text("x")), stop_reason="end_turn", usage=COUNT)
    stream = encode_stream(answer(block(0, Thinking("t")), block(1, Text("x"))))
    assert json.loads(RESPONSES.encode_response(reply, echo())) == events_of(stream)[-1]["response"]


def test_a_complete_reply_leaves_a_cut_call_out() -> None:
    """AC-19."""
    content = (Text("x"), ToolUse("c", "f", '{"a'))
    reply = Reply(id="", model="m", content=content, stop_reason="max_tokens")
    body = json.loads(RESPONSES.encode_response(reply, echo()))
    assert ([item["type"] for item in body["output"]], body["status"]) == (["message"], "incomplete")


@pytest.mark.parametrize("arguments", ['{"a', "[]"])
def test_a_complete_reply_with_a_broken_call_is_an_error(arguments: str) -> None:
    """AC-23."""
    reply = Reply(id="", model="m", content=(ToolUse("c", "f", arguments),), stop_reason="tool_use")
    with pytest.raises(UpstreamProtocolError):
        RESPONSES.encode_response(reply, echo())


def test_an_empty_answer_is_legal() -> None:
    """AC-15."""
    assert check_responses_stream(encode_stream(answer())).response["output"] == []
