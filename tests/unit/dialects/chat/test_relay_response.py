"""Complete replies that pass through."""

import json
from typing import Any

import pytest

from core.dialects.chat import CHAT
from core.errors import GatewayError
from tests.unit.dialects.chat.wire import echo, usage

CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def choice(finish: str | None = "stop", **message: Any) -> dict[str, Any]:
    return {
        "index": 0,
        "message": {"role": "assistant", "content": None, "refusal": None, **message},
        "finish_reason": finish,
    }


def raw(*choices: dict[str, Any], **members: Any) -> bytes:
    ready = {
        "id": "c",
        "object": "chat.completion",
        "created": 5,
        "model": "asked",
        "choices": choices,
        "usage": usage(),
    }
    return json.dumps({**ready, **members}).encode()


def passed(*choices: dict[str, Any], **members: Any) -> dict[str, Any]:
    return json.loads(CHAT.relay_response(raw(*choices, **members), echo()))


def test_a_reply_in_order_is_the_same_object() -> None:
    for reply in (raw(choice(content="Hi")), raw(choice("tool_calls", tool_calls=[CALL]))):
        assert reply is CHAT.relay_response(reply, echo())


def test_the_asked_model_is_said_and_nothing_else_changes() -> None:
    """AC-27."""
    reply = raw(choice(content="caf\u00e9"), model="upstream", odd=1.0)
    assert json.loads(reply.replace(b'"upstream"', b'"asked"')) == json.loads(
        CHAT.relay_response(reply, echo())
    )
    assert b"1.0" in CHAT.relay_response(reply, echo())


def test_several_choices_are_one() -> None:
    """AC-04, AC-21."""
    found = passed(
        choice("tool_calls", content="Look. ", reasoning_text="Hm"),
        choice("tool_calls", content="There.", tool_calls=[CALL]),
        choice("stop", tool_calls=[{**CALL, "id": "b"}]),
    )
    message = {
        "role": "assistant",
        "content": "Look. There.",
        "refusal": None,
        "reasoning_text": "Hm",
        "tool_calls": [CALL, {**CALL, "id": "b"}],
    }
    assert [{"index": 0, "message": message, "finish_reason": "tool_calls"}] == found["choices"]
    assert passed(choice("stop"), choice("length"))["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize(
    ("finish", "message", "expected"),
    [
        ("stop", {"tool_calls": [CALL]}, "tool_calls"),
        ("tool_calls", {"content": "Hi"}, "stop"),
        (None, {"content": "Hi"}, "stop"),
        ("odd", {"content": "Hi"}, "stop"),
        ("stop", {"function_call": {"name": "f", "arguments": "{}"}}, "function_call"),
        ("refusal", {}, "content_filter"),
    ],
)
def test_the_finish_reason_is_put_right(finish: str | None, message: dict[str, Any], expected: str) -> None:
    """AC-12, AC-24."""
    assert expected == passed(choice(finish, **message))["choices"][0]["finish_reason"]


def test_missing_members_are_filled_in() -> None:
    reply = b'{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}'
    assert {
        "choices": [
            {
                "index": 0,
                "message": {"content": "Hi", "role": "assistant", "refusal": None},
                "finish_reason": "stop",
            }
        ],
        "model": "asked",
        "object": "chat.completion",
        "id": "chatcmpl-9",
        "created": 1700000000,
    } == json.loads(CHAT.relay_response(reply, echo()))


@pytest.mark.parametrize(
    ("reply", "code", "kind"),
    [
        (b'{"type":"message","content":[],"stop_reason":"end_turn"}', "not_a_chat_body", "upstream"),
        (b'{"error":{"message":"m","code":"rate_limited"}}', "rate_limited", "rate_limit"),
        (b"<html>", None, "upstream"),
        (b'{"choices":[{"message":7}]}', None, "upstream"),
        (
            b'{"choices":[{"message":{"content":"a"}},{"message":{"content":"b","refusal":7}}]}',
            None,
            "upstream",
        ),
        (b'{"choices":[{"message":{},"finish_reason":"error"}]}', "error", "upstream"),
    ],
)
def test_what_is_no_reply_is_an_error(reply: bytes, code: str | None, kind: str) -> None:
    with pytest.raises(GatewayError) as caught:
        CHAT.relay_response(reply, echo())
    assert (code, kind) == (caught.value.code, caught.value.kind)


def called(finish: str, *calls: dict[str, Any], upstream_id: str = "c") -> dict[str, Any]:
    return passed(choice(finish, content="A", tool_calls=list(calls)), id=upstream_id)["choices"][0]


def function(arguments: str | None, **members: Any) -> dict[str, Any]:
    return {"id": "a", "type": "function", "function": {"name": "f", "arguments": arguments}, **members}


@pytest.mark.parametrize("arguments", ["", None])
def test_a_call_without_arguments_has_an_empty_object(arguments: str | None) -> None:
    """AC-18: clients read the arguments as JSON, which nothing is not."""
    assert [CALL] == called("tool_calls", function(arguments))["message"]["tool_calls"]


def test_a_call_without_an_id_gets_one() -> None:
    first, second = called("tool_calls", function("{}", id=None), function("{}", id="", type=None))[
        "message"
    ]["tool_calls"]
    assert ("function", "function") == (first["type"], second["type"])
    assert first["id"].startswith("call_")
    assert first["id"] != second["id"]


def test_half_a_call_is_left_out_where_the_limit_cut_it() -> None:
    """AC-19."""
    cut = called("length", CALL, function('{"a":', id="b"))
    assert (([CALL]), "length") == (cut["message"]["tool_calls"], cut["finish_reason"])
    only = called("length", function('{"a":'))
    assert (None, "A", "length") == (
        only["message"]["tool_calls"],
        only["message"]["content"],
        only["finish_reason"],
    )


@pytest.mark.parametrize(
    "broken", [function('{"a":'), function("[1]"), function("{}", function={"arguments": "{}"})]
)
def test_a_call_that_upstream_garbled_is_an_error(broken: dict[str, Any]) -> None:
    """AC-19, AC-23."""
    with pytest.raises(GatewayError) as failed:
        called("tool_calls", CALL, broken)
    assert "upstream" == failed.value.kind


def test_a_custom_call_keeps_its_text() -> None:
    custom = {"id": "a", "type": "custom", "custom": {"name": "p", "input": "no JSON"}}
    assert [custom] == called("tool_calls", custom)["message"]["tool_calls"]
