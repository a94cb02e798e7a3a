"""Replies for Messages clients, streamed and complete."""

import json
from typing import Any

import pytest

from core.canonical import (
    Block,
    BlockDelta,
    BlockOpaque,
    BlockStart,
    BlockStop,
    Citation,
    MessageStart,
    MessageStop,
    Native,
    Opaque,
    Refusal,
    Reply,
    Request,
    ServerToolResult,
    ServerToolUse,
    StopReason,
    StreamEvent,
    Text,
    Thinking,
    Tool,
    ToolUse,
    Usage,
)
from core.dialects.messages import MESSAGES
from core.errors import GatewayError, UpstreamProtocolError
from core.grammar import unfold
from core.names import short_name
from tests.grammar.messages import FoldedReply, check_messages_stream
from tests.unit.dialects.messages.strategies import echo


def stream(events: list[StreamEvent], **members: object) -> FoldedReply:
    encoder = MESSAGES.encoder(echo(**members))
    return check_messages_stream(b"".join(encoder.feed(event) for event in events) + encoder.close())


def both(
    *content: Block, stop_reason: StopReason = "end_turn", **members: object
) -> tuple[FoldedReply, dict[str, Any]]:
    """Return the stream as a client folds it, and the complete reply; they must agree."""
    reply = Reply(id="u", model="up", content=content, stop_reason=stop_reason, usage=Usage(100, 7, 40, 10))
    folded = stream(list(unfold(reply)), **members)
    whole = json.loads(MESSAGES.encode_response(reply, echo(**members)))
    assert folded.content == whole["content"]
    assert folded.stop_reason == whole["stop_reason"]
    assert folded.usage == whole["usage"]
    return folded, whole


def test_text_streams_as_one_block() -> None:
    encoder = MESSAGES.encoder(echo(input_tokens=12))
    out = [
        encoder.feed(event)
        for event in (
            MessageStart("", ""),
            BlockStart(0, Text("")),
            BlockDelta(0, 'a"\n'),
            BlockDelta(0, "e"),
            BlockStop(0),
            MessageStop("end_turn", Usage(5, 2)),
        )
    ]
    expected = (
        b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant",'
        b'"model":"asked","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":12,'
        b'"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}}}\n\n'
        b'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n'
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a\\"\\n"}}\n\n'
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"e"}}\n\n'
        b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
        b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},'
        b'"usage":{"input_tokens":5,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":2}}\n\n'
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    )
    assert b"".join(out) == expected
    assert out[1] == b""


def test_usage_excludes_what_was_cached() -> None:
    """AC-22, AC-01."""
    folded, _ = both(Text("a"))
    assert folded.usage == {
        "input_tokens": 50, "cache_creation_input_tokens": 10, "cache_read_input_tokens": 40, "output_tokens": 7,
    }  # fmt: skip


def test_ids_have_the_prefix_and_the_model_is_the_one_asked_for() -> None:
    """AC-26, AC-27."""
    folded, whole = both(Text("a"), id="abc")
    assert (folded.message["id"], folded.message["model"]) == ("msg_abc", "asked")
    assert (whole["id"], whole["model"]) == ("msg_abc", "asked")


def test_empty_text_is_no_block() -> None:
    """AC-20, AC-15."""
    folded, _ = both(Text(""), ToolUse("c", "x", "{}"), Text(""))
    assert folded.content == [{"type": "tool_use", "id": "c", "name": "x", "input": {}}]
    assert both()[0].content == []


def test_a_tool_call_always_ends_with_tool_use() -> None:
    """AC-24, AC-12."""
    assert both(ToolUse("c", "x", '{"a":1}'))[0].stop_reason == "tool_use"
    assert both(ToolUse("c", "x", "{}"), stop_reason="other")[0].stop_reason == "tool_use"


def test_tool_use_is_never_said_without_a_call() -> None:
    """AC-04, AC-12."""
    assert both(Text("a"), stop_reason="tool_use")[0].stop_reason == "end_turn"
    assert both(Text("a"), stop_reason="other")[0].stop_reason == "end_turn"


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("context_window", "model_context_window_exceeded"),
        ("refusal", "refusal"),
        ("pause_turn", "pause_turn"),
    ],
)
def test_other_reasons_keep_their_word(reason: StopReason, word: str) -> None:
    """AC-06."""
    assert both(Text("a"), stop_reason=reason)[0].stop_reason == word


def test_a_refusal_is_text_with_its_reason() -> None:
    """AC-06."""
    folded, _ = both(Refusal("I will not."))
    assert folded.content == [{"type": "text", "text": "I will not."}]
    assert folded.stop_reason == "refusal"


def test_thinking_carries_its_signature_last() -> None:
    """AC-07."""
    opaque = Opaque("chat", "zzz", scope="acc")
    events: list[StreamEvent] = [
        MessageStart("", ""), BlockStart(0, Thinking("")), BlockDelta(0, "hm"), BlockOpaque(0, opaque), BlockStop(0),
        MessageStop("end_turn", Usage()),
    ]  # fmt: skip
    block = stream(events).content[0]
    assert block["thinking"] == "hm"
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": [block]}],
    }
    assert MESSAGES.decode_request(json.dumps(body).encode()).messages[1].content == (Thinking("hm", opaque),)


def test_no_signature_is_ever_made_up() -> None:
    assert both(Thinking("hm"))[0].content == [{"type": "thinking", "thinking": "hm", "signature": ""}]
    assert both(Thinking(""))[0].content == []
    assert both(Thinking("", redacted=True))[0].content == []


def test_hidden_thinking_is_kept() -> None:
    folded, _ = both(
        Thinking("", Opaque("messages", "d"), redacted=True), Thinking("", Opaque("messages", "s"))
    )
    assert folded.content == [
        {"type": "redacted_thinking", "data": "d"},
        {"type": "thinking", "thinking": "", "signature": "s"},
    ]


def test_a_thought_signature_on_a_call_comes_back_to_it() -> None:
    call = ToolUse("call:1", "x", '{"a":1}', opaque=Opaque("chat", "thought", scope="s"))
    folded, _ = both(call)
    assert [block["type"] for block in folded.content] == ["tool_use", "redacted_thinking"]
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": folded.content}],
    }
    (returned,) = MESSAGES.decode_request(json.dumps(body).encode()).messages[1].content
    assert isinstance(returned, ToolUse)
    assert (returned.call_id, returned.opaque) == (call.call_id, call.opaque)


def test_hosted_search_has_its_own_blocks() -> None:
    """AC-37."""
    folded, _ = both(
        ServerToolUse("ws_1", "web_search", '{"query":"q"}'),
        ServerToolResult("ws_1", "web_search", (Citation("https://a.b", "A"),)),
        Text("so", citations=(Citation("https://a.b", "A", "cited"),)),
        ServerToolResult("ws_1", "web_search", error_code="max_uses_exceeded"),
    )
    use, found, text, failed = folded.content
    assert use == {"type": "server_tool_use", "id": "ws_1", "name": "web_search", "input": {"query": "q"}}
    assert found["content"] == [
        {
            "type": "web_search_result",
            "url": "https://a.b",
            "title": "A",
            "encrypted_content": "",
            "page_age": None,
        }
    ]
    assert text["citations"][0]["url"] == "https://a.b"
    assert failed["content"] == {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"}
    assert folded.usage["server_tool_use"] == {"web_search_requests": 2, "web_fetch_requests": 0}


def test_native_blocks_of_the_own_dialect_stay_and_others_go() -> None:
    folded, _ = both(Native("messages", "novelty", b'{"type":\n"novelty"}'), Native("responses", "x", b"{}"))
    assert folded.content == [{"type": "novelty"}]


def test_long_tool_names_come_back_in_full() -> None:
    """AC-61."""
    name = "mcp__server__" + "x" * 80
    request = Request(model="m", messages=(), tools=(Tool(name=name),))
    folded, _ = both(ToolUse("c", short_name(name), "{}"), request=request)
    assert folded.content[0]["name"] == name


def test_custom_calls_are_wrapped() -> None:
    assert both(ToolUse("c", "patch", "*** Begin", custom=True))[0].content[0]["input"] == {
        "input": "*** Begin"
    }


@pytest.mark.parametrize("arguments", ["{", "[1]", "text"])
def test_broken_arguments_are_never_run(arguments: str) -> None:
    """AC-19, AC-23."""
    reply = Reply(id="", model="", content=(Text("a"), ToolUse("c", "x", arguments)), stop_reason="tool_use")
    with pytest.raises(UpstreamProtocolError):
        MESSAGES.encode_response(reply, echo())
    assert stream(list(unfold(reply))).error is not None


def test_a_call_that_the_limit_cut_is_dropped_from_a_complete_reply() -> None:
    """AC-19."""
    reply = Reply(id="", model="", content=(Text("a"), ToolUse("c", "x", '{"a')), stop_reason="max_tokens")
    whole = json.loads(MESSAGES.encode_response(reply, echo()))
    assert (whole["content"], whole["stop_reason"]) == ([{"type": "text", "text": "a"}], "max_tokens")
    assert stream(list(unfold(reply))).stop_reason == "max_tokens"


EVENTS: list[StreamEvent] = [
    MessageStart("", ""), BlockStart(0, Text("")), BlockDelta(0, "a"), BlockStop(0), BlockStart(1, ToolUse("c", "x", "")),
    BlockDelta(1, "{}"), BlockStop(1), MessageStop("tool_use", Usage()),
]  # fmt: skip


@pytest.mark.parametrize("said", range(len(EVENTS) + 1))
def test_an_error_is_legal_from_any_state(said: int) -> None:
    """AC-05."""
    encoder = MESSAGES.encoder(echo())
    out = b"".join(encoder.feed(event) for event in EVENTS[:said])
    out += encoder.error(GatewayError("busy", kind="overloaded"))
    folded = check_messages_stream(out)
    expected = None if said == len(EVENTS) else {"type": "overloaded_error", "message": "busy"}
    assert folded.error == expected
    assert encoder.error(UpstreamProtocolError("again")) == b""


def test_the_ping_is_one_event_that_clients_skip() -> None:
    """AC-17."""
    assert MESSAGES.ping == b'event: ping\ndata: {"type": "ping"}\n\n'


def test_usage_that_upstream_never_said_stays_the_estimate() -> None:
    """AC-01: a final zero would empty the client's context meter, which the estimate had filled."""
    reply = Reply(id="u", model="up", content=(Text("a"),), stop_reason="end_turn")
    folded = stream(list(unfold(reply)), input_tokens=12)
    whole = json.loads(MESSAGES.encode_response(reply, echo(input_tokens=12)))
    assert folded.usage["input_tokens"] == 12
    assert folded.usage == whole["usage"]
