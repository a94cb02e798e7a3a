"""Upstream's complete replies."""

import json
from typing import Any

import pytest

from core.canonical import Opaque, Reply, Text, Thinking, ToolUse, Usage
from core.dialects.chat import CHAT
from core.errors import GatewayError, UpstreamProtocolError
from tests.unit.dialects.chat.wire import call, usage

WEATHER = {"id": "a", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}}


def choice(finish: str | None = "stop", **message: Any) -> dict[str, Any]:
    return {"index": 0, "finish_reason": finish, "message": {"role": "assistant", **message}}


def body(*choices: dict[str, Any], **members: Any) -> bytes:
    return json.dumps({"id": "c", "model": "m", "choices": list(choices), **members}).encode()


def read(*choices: dict[str, Any], **members: Any) -> Reply:
    return CHAT.decode_response(body(*choices, **members), "here")


def test_a_plain_reply_is_read() -> None:
    """AC-22."""
    expected = Reply(
        id="c", model="m", content=(Text("Hi"),), stop_reason="end_turn", usage=Usage(100, 7, 40)
    )
    assert expected == read(choice(content="Hi"), usage=usage())


def test_text_and_calls_in_several_choices_are_one_answer() -> None:
    """AC-04."""
    found = read(choice("tool_calls", content="Look."), choice("tool_calls", tool_calls=[WEATHER]))
    assert ((Text("Look."), ToolUse("a", "weather", '{"city":"Rome"}')), "tool_use") == (
        found.content,
        found.stop_reason,
    )


@pytest.mark.parametrize(
    ("reasons", "expected"), [(("stop", "length"), "max_tokens"), (("length", "stop"), "max_tokens")]
)
def test_the_severest_reason_wins(reasons: tuple[str, str], expected: str) -> None:
    """AC-21."""
    assert expected == read(*(choice(reason, content="x") for reason in reasons)).stop_reason


def test_calls_make_it_tool_use_and_empty_arguments_are_an_object() -> None:
    """AC-18, AC-20, AC-24."""
    empty = {"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}
    found = read(choice("stop", content="", tool_calls=[empty]))
    assert ((ToolUse("a", "f", "{}"),), "tool_use") == (found.content, found.stop_reason)


def test_cut_arguments_are_left_out_or_an_error() -> None:
    """AC-19, AC-23."""
    cut = call(None, '{"city', call_id="a", name="weather")
    found = read(choice("length", tool_calls=[cut]))
    assert ((), "max_tokens") == (found.content, found.stop_reason)
    for arguments in ('{"city', "[1]"):
        with pytest.raises(UpstreamProtocolError):
            read(choice("tool_calls", tool_calls=[call(None, arguments, call_id="a", name="weather")]))


def test_thinking_and_missing_members() -> None:
    """AC-07, AC-13."""
    found = read(
        choice(None, content="Hi", reasoning_text="Hm", reasoning_opaque="sig"),
        id=None,
        usage={"prompt_tokens": 1, "prompt_tokens_details": None},
    )
    thinking = Thinking("Hm", Opaque("chat", "sig", scope="here"))
    assert (
        Reply(id="", model="m", content=(thinking, Text("Hi")), stop_reason="end_turn", usage=Usage(1))
        == found
    )


def test_a_filtered_reply_is_a_refusal() -> None:
    """AC-06."""
    found = read(choice("content_filter", content=None))
    assert ((), "refusal") == (found.content, found.stop_reason)


def test_an_anthropic_body_is_recognised() -> None:
    anthropic = {"type": "message", "content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn"}
    with pytest.raises(UpstreamProtocolError) as caught:
        CHAT.decode_response(json.dumps(anthropic).encode())
    assert caught.value.code == "not_a_chat_body"


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b'{"error":{"message":"m","code":"rate_limited"}}', "rate_limit"),
        (b'{"choices":[]}', "upstream"),
        (b"{}", "upstream"),
        (b"<html>", "upstream"),
        (b"", "upstream"),
        (b'{"choices":' + b"[" * 100000, "upstream"),
        (body(choice("error", content="x")), "upstream"),
    ],
)
def test_what_is_no_reply_is_an_error(raw: bytes, kind: str) -> None:
    with pytest.raises(GatewayError) as caught:
        CHAT.decode_response(raw)
    assert kind == caught.value.kind
