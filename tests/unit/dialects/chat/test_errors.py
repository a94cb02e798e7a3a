"""OpenAI's error envelope."""

import json
from typing import get_args

import pytest

from core.dialects.chat import CHAT
from core.errors import ErrorKind, GatewayError, InvalidRequestError
from tests.unit.dialects.chat.wire import echo


def body_of(error: GatewayError) -> tuple[int, dict[str, object]]:
    found = CHAT.encode_error(error)
    envelope = json.loads(found.body)
    assert {"error"} == set(envelope)
    return found.status, envelope["error"]


@pytest.mark.parametrize("kind", get_args(ErrorKind))
def test_every_kind_has_a_look(kind: ErrorKind) -> None:
    status, error = body_of(GatewayError("m", kind=kind))
    assert {"message", "type", "param", "code"} == set(error)
    assert 400 <= status < 600
    assert isinstance(error["type"], str)


def test_a_malformed_request_names_the_place() -> None:
    """AC-50, AC-51."""
    assert (
        400,
        {"message": "bad", "type": "invalid_request_error", "param": "messages[0]", "code": None},
    ) == body_of(InvalidRequestError("bad", param="$.messages[0]"))


def test_rate_limits_and_empty_accounts_are_told_apart() -> None:
    """AC-48."""
    limited = GatewayError("slow", kind="rate_limit", code="user_global_rate_limited:pro", retry_after=3)
    assert (
        429,
        {
            "message": "slow",
            "type": "rate_limit_error",
            "param": None,
            "code": "user_global_rate_limited:pro",
        },
    ) == body_of(limited)
    assert (
        429,
        {"message": "empty", "type": "insufficient_quota", "param": None, "code": "insufficient_quota"},
    ) == body_of(GatewayError("empty", kind="quota_exceeded"))


def test_a_full_window_is_phrased_so_that_agents_compact() -> None:
    found = GatewayError(
        "m", kind="context_overflow", code="model_max_prompt_tokens_exceeded", tokens=130, limit=128
    )
    message = (
        "This model's maximum context length is 128 tokens. However, your messages resulted in 130 tokens."
    )
    assert (
        400,
        {
            "message": message,
            "type": "invalid_request_error",
            "param": "messages",
            "code": "context_length_exceeded",
        },
    ) == body_of(found)
    assert body_of(GatewayError("too long", kind="context_overflow"))[1]["message"] == "too long"


def test_lone_surrogates_in_a_message_are_no_trouble() -> None:
    assert body_of(GatewayError("\ud800", kind="internal", code="\udc00"))[0] == 500


def test_an_error_ends_a_stream_once() -> None:
    """AC-08."""
    encoder = CHAT.encoder(echo())
    said = encoder.error(GatewayError("m", kind="overloaded"))
    assert (
        b'data: {"error":{"message":"m","type":"server_error","param":null,"code":"overloaded"}}\n\n' == said
    )
    assert (b"", b"") == (encoder.error(GatewayError("n", kind="internal")), encoder.close())
