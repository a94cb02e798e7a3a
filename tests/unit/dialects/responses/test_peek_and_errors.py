import json
from typing import Any

import pytest

from core.dialect import Peek
from core.dialects.responses import RESPONSES
from core.errors import GatewayError, InvalidRequestError, UnsupportedFeatureError
from tests.unit.dialects.responses.shapes import body

OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "x"}
NOTE = "<system-reminder>x</system-reminder>"
REMINDER = {"role": "user", "content": [{"type": "input_text", "text": f" {NOTE}\n"}]}
HUMAN = {"type": "message", "role": "user", "content": "do it"}
PICTURE = {"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png;base64,AA=="}]}
SYSTEM = {"role": "developer", "content": "rules"}


@pytest.mark.parametrize(
    ("items", "initiator"),
    [
        ("hi", "user"),
        ([HUMAN], "user"),
        ([OUTPUT], "agent"),
        ([HUMAN, OUTPUT, SYSTEM], "agent"),
        ([HUMAN, {"type": "function_call"}, OUTPUT, REMINDER], "agent"),
        ([OUTPUT, HUMAN], "user"),
        ([OUTPUT, PICTURE], "user"),
        ([HUMAN, REMINDER, SYSTEM], "user"),
        ([HUMAN, {"role": "assistant", "content": "x"}, REMINDER], "agent"),
        ([OUTPUT, {"role": "user", "content": f"{NOTE} and then? {NOTE}"}], "user"),
        ([HUMAN, {"role": "assistant", "content": "x"}], "agent"),
        ([HUMAN, {"type": "reasoning"}], "agent"),
        ([{"type": "additional_tools"}, HUMAN], "user"),
        ([HUMAN, {"type": 5}], "user"),
        ([], "user"),
    ],
)
def test_the_initiator_is_judged_by_the_last_item(items: Any, initiator: str) -> None:
    """AC-54."""
    assert RESPONSES.peek(body(input=items, stream=True)) == Peek(
        model="gpt-5.5",
        stream=True,
        initiator=initiator,  # type: ignore[arg-type]
    )


def test_a_sealed_value_is_seen() -> None:
    assert RESPONSES.peek(body(input=[{"type": "reasoning", "encrypted_content": "cg1.abc"}])).sealed
    assert not RESPONSES.peek(body(input="talk about cg1. seals")).sealed


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"{}", b'{"model":""}', b'{"model":5}', b'{"model":"\\ud800"}']
)
def test_a_body_without_a_model_is_a_400(raw: bytes) -> None:
    """AC-51."""
    with pytest.raises(InvalidRequestError):
        RESPONSES.peek(raw)


@pytest.mark.parametrize(
    ("error", "status", "expected"),
    [
        (
            InvalidRequestError("bad", param="$.input[0].content"),
            400,
            {"message": "bad", "type": "invalid_request_error", "param": "input[0].content", "code": None},
        ),
        (
            UnsupportedFeatureError("no", param="n"),
            400,
            {"message": "no", "type": "invalid_request_error", "param": "n", "code": "unsupported_feature"},
        ),
        (
            GatewayError(
                "x", kind="context_overflow", tokens=210, limit=200, code="model_max_prompt_tokens_exceeded"
            ),
            400,
            {
                "message": "This model's maximum context length is 200 tokens. "
                "However, your messages resulted in 210 tokens.",
                "type": "invalid_request_error",
                "param": None,
                "code": "context_length_exceeded",
            },
        ),
        (
            GatewayError("slow", kind="rate_limit", retry_after=3, code="user_model_rate_limited"),
            429,
            {
                "message": "slow. Please try again in 3s.",
                "type": "rate_limit_error",
                "param": None,
                "code": "rate_limit_exceeded",
            },
        ),
        (
            GatewayError("empty", kind="quota_exceeded"),
            429,
            {"message": "empty", "type": "insufficient_quota", "param": None, "code": "insufficient_quota"},
        ),
        (
            GatewayError("boom", kind="upstream", details={"hint": 1}),
            502,
            {"message": "boom", "type": "server_error", "param": None, "code": "server_error", "hint": 1},
        ),
    ],
)
def test_errors_wear_openais_envelope(error: GatewayError, status: int, expected: dict[str, Any]) -> None:
    """AC-50."""
    encoded = RESPONSES.encode_error(error)
    assert (encoded.status, json.loads(encoded.body)) == (status, {"error": expected})


def test_the_dialect_says_who_it_is() -> None:
    assert (RESPONSES.name, RESPONSES.path, RESPONSES.ping) == ("responses", "/responses", b": ping\n\n")
