"""Errors in Anthropic's envelope, and the routing facts of a request."""

import json
import time
from typing import Any, get_args

import pytest

from core.dialects.messages import MESSAGES
from core.dialects.messages.errors import ERROR_TYPE
from core.errors import ErrorKind, GatewayError, InvalidRequestError, UnsupportedFeatureError


def envelope(error: GatewayError) -> tuple[int, dict[str, Any]]:
    encoded = MESSAGES.encode_error(error)
    return encoded.status, json.loads(encoded.body)


@pytest.mark.parametrize("kind", get_args(ErrorKind))
def test_every_kind_has_a_type(kind: ErrorKind) -> None:
    """AC-50."""
    status, body = envelope(GatewayError("m", kind=kind))
    assert body == {"type": "error", "error": {"type": ERROR_TYPE[kind], "message": body["error"]["message"]}}
    assert status >= 400


@pytest.mark.parametrize(
    ("kind", "status", "name"),
    [
        ("rate_limit", 429, "rate_limit_error"),
        ("overloaded", 529, "overloaded_error"),
        ("quota_exceeded", 402, "billing_error"),
        ("request_too_large", 413, "request_too_large"),
        ("timeout", 504, "timeout_error"),
        ("upstream", 502, "api_error"),
        ("login_required", 403, "permission_error"),
        ("not_found", 404, "not_found_error"),
    ],
)
def test_status_and_type_are_anthropics(kind: ErrorKind, status: int, name: str) -> None:
    """AC-48."""
    found, body = envelope(GatewayError("m", kind=kind))
    assert (found, body["error"]["type"]) == (status, name)


def test_an_overlong_prompt_is_said_in_the_words_that_clients_parse() -> None:
    error = GatewayError("too many", kind="context_overflow", tokens=210_194, limit=200_000)
    assert envelope(error) == (
        400,
        {
            "type": "error",
            "error": {
                "type": "invalid_request_error",
                "message": "prompt is too long: 210194 tokens > 200000 maximum",
            },
        },
    )
    assert envelope(GatewayError("x", kind="context_overflow"))[1]["error"]["message"] == "prompt is too long"


def test_path_and_request_id_are_shown() -> None:
    error = UnsupportedFeatureError("no", param="$.tools[0]")
    error.upstream_request_id = "ABCD"
    body = envelope(error)[1]
    assert (body["error"]["message"], body["request_id"]) == ("no (at $.tools[0])", "ABCD")


RESULT = {"type": "tool_result", "tool_use_id": "t", "content": "r"}
REMINDER = {
    "type": "text",
    "text": "<system-reminder>\nx\n</system-reminder>\n<system-reminder>y</system-reminder>",
}
LOADED = {"type": "text", "text": "Tool loaded.", "cache_control": {"type": "ephemeral"}}
SKILL = {"type": "text", "text": "Base directory for this skill: /home/ann/.claude/skills/pdf\n\n# PDF\n"}
HUMAN = {"type": "text", "text": "and then?"}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA"}}
ASSISTANT = {"role": "assistant", "content": "a"}


@pytest.mark.parametrize(
    ("messages", "initiator"),
    [
        ([{"role": "user", "content": "hi"}], "user"),
        ([{"role": "user", "content": "hi"}, ASSISTANT, {"role": "user", "content": [HUMAN]}], "user"),
        ([{"role": "user", "content": [RESULT]}], "agent"),
        ([{"role": "user", "content": [RESULT, REMINDER]}], "agent"),
        ([{"role": "user", "content": [RESULT, REMINDER, HUMAN]}], "user"),
        ([{"role": "user", "content": [RESULT, LOADED]}], "agent"),
        ([{"role": "user", "content": [RESULT, LOADED, REMINDER]}], "agent"),
        ([{"role": "user", "content": [RESULT, LOADED, HUMAN]}], "user"),
        ([{"role": "user", "content": [LOADED]}], "user"),
        ([{"role": "user", "content": [RESULT, SKILL]}], "agent"),
        ([{"role": "user", "content": [RESULT, SKILL, HUMAN]}], "user"),
        ([{"role": "user", "content": [RESULT, {"type": "text", "text": "<system-reminder>open"}]}], "user"),
        ([{"role": "user", "content": [RESULT, IMAGE]}], "user"),
        ([{"role": "user", "content": [REMINDER]}], "user"),
        ([{"role": "user", "content": "hi"}, ASSISTANT, {"role": "user", "content": [REMINDER]}], "agent"),
        (
            [{"role": "user", "content": "hi"}, ASSISTANT, {"role": "user", "content": REMINDER["text"]}],
            "agent",
        ),
        ([{"role": "user", "content": "hi"}, {"role": "user", "content": [REMINDER]}], "user"),
        ([{"role": "user", "content": [RESULT]}, {"role": "user", "content": [REMINDER]}], "agent"),
        ([{"role": "user", "content": "hi"}, ASSISTANT], "agent"),
        ([{"role": "user", "content": [RESULT]}, {"role": "system", "content": "rule"}], "agent"),
        ([], "user"),
    ],
)
def test_the_initiator_is_judged_from_the_last_turn(messages: list[Any], initiator: str) -> None:
    """AC-54."""
    assert MESSAGES.peek(json.dumps({"model": "m", "messages": messages}).encode()).initiator == initiator


def test_many_reminders_take_one_pass() -> None:
    """Twice as many must not take four times as long: these would take a minute."""
    note = {"type": "text", "text": "<system-reminder></system-reminder>" * 300_000}
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": [RESULT, note]}]}).encode()
    start = time.process_time()
    assert MESSAGES.peek(body).initiator == "agent"
    assert time.process_time() - start < 10


def test_model_stream_and_sealed_values_are_seen() -> None:
    peek = MESSAGES.peek(b'{"model":"m","stream":true,"messages":[],"x":"cg1.abc"}')
    assert (peek.model, peek.stream, peek.sealed) == ("m", True, True)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{}", "$"),
        (b'{"model":""}', "$.model"),
        (b'{"model":1}', "$.model"),
        (b'{"model":"m","messages":[1]}', "$.messages[0]"),
        (b'{"model":"m","messages":{}}', "$.messages"),
        (b"nope", "$"),
    ],
)
def test_what_cannot_be_routed_is_a_400(body: bytes, param: str) -> None:
    """AC-51."""
    with pytest.raises(InvalidRequestError) as caught:
        MESSAGES.peek(body)
    assert caught.value.param == param
