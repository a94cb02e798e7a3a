"""Healing whatever upstream says of whatever was sent: never an exception, never a body that is no request."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.dialect import Dialect
from core.errors import GatewayError
from core.refused import Refused
from core.surfaces import DIALECTS
from tests.unit.healing import refusal

SAID = st.sampled_from([
    "messages.0.content.0.text.x: Extra inputs are not permitted", "input.0: Extra inputs are not permitted",
    "Invalid `signature` in `thinking` block", "unexpected `tool_use_id` found in `tool_result` blocks",
    "anthropic-beta: unknown", '"thinking.type.enabled" is not supported', "adaptive thinking is not supported",
    "`max_tokens` must be greater than `thinking.budget_tokens`", "exceeds the model limit of 7 for this model",
    "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024", "invalid_reasoning_effort",
    "`temperature` and `top_p` cannot both be specified", "'max_tokens' is not supported", "reasoning_opaque is invalid",
    "max_tokens is too large: 9. This model supports at most 5 tokens", "input item ID does not belong to this connection",
    "Expected an ID that begins with 'rs'", "No tool output found for function call x", "Invalid value: 'low'",
    "Unsupported parameter: 'text.verbosity'", "Unsupported parameter: 'temperature'", "x_id mismatch item_id mismatch",
])  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers(-9, 9**9) | st.floats(allow_nan=False) | st.text(max_size=5)
WORDS = st.sampled_from([
    "thinking", "redacted_thinking", "tool_use", "tool_result", "text", "enabled", "adaptive", "reasoning", "function_call",
    "function_call_output", "compaction", "user", "assistant", "tool", "x", "low", "message",
])  # fmt: skip
NAMES = st.sampled_from([
    "type", "role", "content", "id", "call_id", "tool_use_id", "encrypted_content", "output", "thinking", "signature",
    "text", "effort", "budget_tokens", "verbosity", "reasoning_opaque", "edits", "x",
])  # fmt: skip
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=20,
)
BODIES = st.dictionaries(
    st.sampled_from([
        "messages", "input", "thinking", "output_config", "reasoning", "text", "include", "max_tokens", "temperature",
        "top_p", "context_management", "reasoning_effort",
    ]),
    VALUES, max_size=6,
)  # fmt: skip


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=list(DIALECTS))
@given(said=SAID, body=BODIES, spoilt=st.none() | st.integers(0, 300))
def test_every_answer_is_none_or_an_object_that_differs(
    dialect: Dialect, said: str, body: dict[str, Any], spoilt: int | None
) -> None:
    sent = json.dumps(body).encode()[:spoilt]
    encoded = dialect.heal(sent, refusal(said), ("compact-2026-01-12",))
    if encoded is not None:
        assert isinstance(json.loads(encoded.body), dict)
        assert (1, True) == (
            len(encoded.repairs),
            (json.loads(encoded.body), encoded.betas) != (body, ("compact-2026-01-12",)),
        )


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=list(DIALECTS))
@given(said=st.text(max_size=300), body=BODIES)
def test_no_words_of_upstream_break_anything(dialect: Dialect, said: str, body: dict[str, Any]) -> None:
    dialect.heal(json.dumps(body).encode(), GatewayError(said, kind="invalid_request"))


def test_an_emptied_member_goes_with_its_last() -> None:
    refused = Refused(b'{"reasoning":{"effort":"low"},"text":{"verbosity":"low","format":1.50}}')
    assert [True, True, False] == [
        refused.drop_inner("reasoning", "effort"), refused.drop_inner("text", "verbosity"), refused.drop_inner("x", "y"),
    ]  # fmt: skip
    assert b'{"text":{"format":1.50}}' == msgspec.json.encode(refused.members)
