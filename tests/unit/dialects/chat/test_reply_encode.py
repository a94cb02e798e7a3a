"""Replies of any upstream, as a chat client reads them."""

import json
from typing import Any

import pytest

from core.canonical import (
    BlockDelta,
    BlockOpaque,
    BlockStart,
    BlockStop,
    Citation,
    Message,
    MessageStart,
    MessageStop,
    Opaque,
    Refusal,
    Reply,
    Request,
    ServerToolResult,
    ServerToolUse,
    StopReason,
    Text,
    Thinking,
    Tool,
    ToolUse,
    Usage,
)
from core.dialect import Echo, Target
from core.dialects.chat import CHAT
from core.errors import UpstreamProtocolError
from core.grammar import unfold
from core.names import short_name
from core.opaque import seal
from tests.grammar.chat import ChatReply, check_chat_stream
from tests.unit.dialects.chat.wire import CLAUDE, echo, encoded

USAGE = Usage(input_tokens=100, output_tokens=7, cache_read_tokens=40, reasoning_tokens=3)
SIGNED = Thinking("Hm", Opaque("messages", "sig"))


def reply(*content: Any, reason: StopReason = "end_turn") -> Reply:
    return Reply(id="msg_1", model="claude", content=content, stop_reason=reason, usage=USAGE)


def complete(found: Reply, asked: Echo | None = None) -> dict[str, Any]:
    return json.loads(CHAT.encode_response(found, asked or echo()))


def message(*content: Any, reason: StopReason = "end_turn") -> dict[str, Any]:
    return complete(reply(*content, reason=reason))["choices"][0]["message"]


def streamed(found: Reply, asked: Echo | None = None) -> ChatReply:
    return check_chat_stream(encoded(unfold(found), asked or echo()))


def test_a_complete_reply_has_every_member() -> None:
    """AC-27."""
    assert {
        "id": "chatcmpl-9",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "asked",
        "choices": [
            {
                "message": {"role": "assistant", "content": "Hi", "refusal": None, "annotations": []},
                "finish_reason": "stop",
                "index": 0,
                "logprobs": None,
            }
        ],
        "usage": {
            "prompt_tokens": 100,
            "completion_tokens": 7,
            "total_tokens": 107,
            "prompt_tokens_details": {"cached_tokens": 40, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 3,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        "system_fingerprint": None,
    } == complete(reply(Text("Hi")))


def test_ids_have_chats_prefix() -> None:
    """AC-26."""
    assert complete(reply(), echo(id="x"))["id"] == "chatcmpl-x"
    assert streamed(reply(), echo(id="x")).id == "chatcmpl-x"


def test_content_is_null_only_beside_calls_and_refusals() -> None:
    """AC-20."""
    call = ToolUse("a", "f", "{}")
    assert (None, None, "", "Hi") == (
        message(call, reason="tool_use")["content"],
        message(Refusal("no"), reason="refusal")["content"],
        message()["content"],
        message(Text("Hi"), call, reason="tool_use")["content"],
    )


@pytest.mark.parametrize(
    ("reason", "content", "word"),
    [
        ("end_turn", (), "stop"),
        ("max_tokens", (), "length"),
        ("stop_sequence", (), "stop"),
        ("tool_use", (ToolUse("a", "f", "{}"),), "tool_calls"),
        ("tool_use", (), "stop"),
        ("refusal", (), "content_filter"),
        ("refusal", (Refusal("no"),), "stop"),
        ("pause_turn", (), "stop"),
        ("context_window", (), "length"),
        ("other", (), "stop"),
    ],
)
def test_every_stop_reason_has_a_word(reason: StopReason, content: tuple[Any, ...], word: str) -> None:
    """AC-04, AC-06, AC-25."""
    found = reply(*content, reason=reason)
    assert (word, word) == (complete(found)["choices"][0]["finish_reason"], streamed(found).finish_reason)


@pytest.mark.parametrize("arguments", ['{"a":', "[1]", ""])
def test_broken_arguments_are_left_out_when_cut_and_an_error_otherwise(arguments: str) -> None:
    """AC-19, AC-23."""
    found = message(Text("Hi"), ToolUse("a", "f", arguments), reason="max_tokens")
    assert ("Hi", False) == (found["content"], "tool_calls" in found)
    with pytest.raises(UpstreamProtocolError):
        complete(reply(ToolUse("a", "f", arguments), reason="tool_use"))


def test_thinking_is_told_under_both_names_and_comes_home() -> None:
    """AC-07."""
    found = message(SIGNED, Text("Yes"))
    sealed = seal(Opaque("messages", "sig"), "chat")
    assert ("Hm", "Hm", sealed) == (
        found["reasoning_content"],
        found["reasoning_text"],
        found["reasoning_opaque"],
    )
    assert (SIGNED, Text("Yes")) == back(found)
    assert "reasoning_opaque" not in message(Thinking("Hm"), Text("Yes"))


def back(found: dict[str, Any]) -> tuple[Any, ...]:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x"}, found]}).encode()
    return CHAT.decode_request(body).messages[1].content


def test_several_thinking_blocks_come_home_one_by_one() -> None:
    """AC-07."""
    blocks = (
        SIGNED,
        Thinking("", Opaque("messages", "red"), redacted=True),
        Thinking("So", Opaque("messages", "sig2")),
    )
    found = message(*blocks, Text("Yes"))
    assert ("HmSo", (*blocks, Text("Yes"))) == (found["reasoning_text"], back(found))
    told = streamed(reply(*blocks, Text("Yes")))
    assert (*blocks, Text("Yes")) == back(
        {"role": "assistant", "content": told.text, "reasoning_opaque": told.opaque}
    )


def test_thinking_after_the_text_comes_home_from_a_client_that_joins_strings() -> None:
    told = streamed(reply(SIGNED, Text("A"), Thinking("two", Opaque("messages", "sig2")), Text("B")))
    assert (SIGNED, Thinking("two", Opaque("messages", "sig2")), Text("AB")) == back(
        {"role": "assistant", "content": told.text, "reasoning_opaque": told.opaque}
    )


def test_an_opaque_value_that_comes_alone_is_told() -> None:
    events = [
        MessageStart("m", "m"),
        BlockStart(0, Thinking("")),
        BlockDelta(0, "Hm"),
        BlockOpaque(0, Opaque("messages", "sig")),
        BlockStop(0),
        MessageStop("end_turn", USAGE),
    ]
    told = check_chat_stream(encoded(events, echo()))
    assert ("Hm", seal(Opaque("messages", "sig"), "chat")) == (told.thinking, told.opaque)


def test_a_stream_has_the_shape_that_sdks_want() -> None:
    events = [
        MessageStart("m", "m"),
        BlockStart(0, Text("")),
        BlockDelta(0, 'H"i'),
        BlockStop(0),
        BlockStart(1, ToolUse("a", "f", "")),
        BlockDelta(1, "{}"),
        BlockStop(1),
        MessageStop("tool_use", USAGE),
    ]
    head = (
        '{"id":"chatcmpl-9","object":"chat.completion.chunk","created":1700000000,"model":"asked",'
        '"system_fingerprint":null,"choices":['
    )
    deltas = [
        '{"role":"assistant","content":"","refusal":null}',
        '{"content":"H\\"i"}',
        '{"tool_calls":[{"id":"a","type":"function","index":0,"function":{"name":"f","arguments":""}}]}',
        '{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}',
    ]
    tail = ',"logprobs":null,"finish_reason":'
    chunks = [f'{head}{{"index":0,"delta":{delta}{tail}null}}]}}' for delta in deltas]
    chunks += [f'{head}{{"index":0,"delta":{{}}{tail}"tool_calls"}}]}}', "[DONE]"]
    assert [f"data: {chunk}" for chunk in chunks] == encoded(events, echo()).decode().split("\n\n")[:-1]


def test_usage_is_a_chunk_of_its_own_where_it_was_asked_for() -> None:
    """AC-01."""
    assert streamed(reply(Text("Hi"))).usage is None
    told = streamed(reply(Text("Hi")), echo(include_usage=True))
    assert told.usage is not None
    assert (100, 40) == (told.usage["prompt_tokens"], told.usage["prompt_tokens_details"]["cached_tokens"])


def test_calls_without_arguments_get_an_object() -> None:
    """AC-18."""
    events = [
        MessageStart("m", "m"),
        BlockStart(0, ToolUse("a", "f", "")),
        BlockStop(0),
        BlockStart(1, ToolUse("b", "g", "{}")),
        BlockStop(1),
        MessageStop("tool_use", USAGE),
    ]
    assert ["{}", "{}"] == [call.arguments for call in check_chat_stream(encoded(events, echo())).calls]


def test_names_and_custom_tools_come_back_as_the_client_knows_them() -> None:
    """AC-61."""
    long = "mcp.server/" + "x" * 80
    tools = (Tool(name=long), Tool(name="patch", custom=True))
    request = Request(model="asked", messages=(Message("user", (Text("x"),)),), tools=tools)
    assert short_name(long).encode() in CHAT.encode_request(request, Target(CLAUDE)).body
    asked = echo(request=request)
    content = (
        ToolUse("a", short_name(long), "{}"),
        ToolUse("b", "patch", '{"input":"*** Begin"}'),
        ToolUse("c", "patch", "*** End", custom=True),
    )
    found = reply(*content, reason="tool_use")
    expected = [
        {"id": "a", "type": "function", "function": {"name": long, "arguments": "{}"}},
        {"id": "b", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}},
        {"id": "c", "type": "custom", "custom": {"name": "patch", "input": "*** End"}},
    ]
    assert expected == complete(found, asked)["choices"][0]["message"]["tool_calls"]
    told = streamed(found, asked)
    assert [(long, "{}"), ("patch", "*** Begin"), ("patch", "*** End")] == [
        (c.name, c.arguments) for c in told.calls
    ]


def test_citations_are_annotations_of_the_whole_content() -> None:
    cited = Citation("https://x", "X", start=0, end=2)
    content = (Text("Hi"), Text("So", citations=(cited, Citation("https://y"), Citation(title="a book"))))
    annotations = [
        {
            "url_citation": {"start_index": 2, "end_index": 4, "url": "https://x", "title": "X"},
            "type": "url_citation",
        },
        {
            "url_citation": {"start_index": 4, "end_index": 4, "url": "https://y", "title": ""},
            "type": "url_citation",
        },
    ]
    assert annotations == message(*content)["annotations"]
    assert annotations == streamed(reply(*content)).annotations


def test_a_hosted_tools_steps_are_not_told() -> None:
    steps = (ServerToolUse("s", "web_search", "{}"), ServerToolResult("s", "web_search"))
    assert "Hi" == streamed(reply(*steps, Text("Hi"))).text
    events = [
        MessageStart("m", "m"),
        BlockStart(0, ServerToolUse("s", "web_search", "")),
        BlockDelta(0, "{}"),
        BlockStop(0),
        MessageStop("end_turn", USAGE),
    ]
    assert "" == check_chat_stream(encoded(events, echo())).text
    assert "Hi" == message(*steps, Text("Hi"))["content"]


def test_a_refusal_has_its_own_member() -> None:
    """AC-06."""
    found = reply(Refusal("I won't"), reason="refusal")
    assert ("I won't", "I won't") == (
        message(Refusal("I won't"), reason="refusal")["refusal"],
        streamed(found).refusal,
    )


def test_nothing_follows_the_end() -> None:
    encoder = CHAT.encoder(echo())
    for event in unfold(reply(Text("Hi"))):
        encoder.feed(event)
    assert b"" == encoder.feed(BlockDelta(0, "late"))
    assert [b"data: [DONE]\n\n", b""] == [encoder.close(), encoder.close()]
    unfinished = CHAT.encoder(echo())
    unfinished.feed(MessageStart("m", "m"))
    assert b"" == unfinished.close()
