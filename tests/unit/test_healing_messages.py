"""What is taken out of a Messages body after Copilot has refused it."""

import json
from typing import Any

import pytest

from core.dialects.messages import MESSAGES
from tests.unit.healing import body_of, healed, refusal

Blocks = list[dict[str, Any]]
EXTRA = "Extra inputs are not permitted"
SIGNATURE = "messages.1.content.0: Invalid `signature` in `thinking` block"
CONTEXT = "context-management-2025-06-27"
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
HIDDEN = {"type": "redacted_thinking", "data": "eA=="}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "ls", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "a.txt"}


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def request(**members: Any) -> dict[str, Any]:
    return {
        "model": "claude-x",
        "max_tokens": 9000,
        "messages": [{"role": "user", "content": "hi"}],
        **members,
    }


def chat(*contents: Any) -> dict[str, Any]:
    """A request whose turns alternate, the user's first."""
    roles = ["user", "assistant"] * len(contents)
    return request(messages=[{"role": r, "content": c} for r, c in zip(roles, contents, strict=False)])


# Thinking that upstream did not issue


@pytest.mark.parametrize(
    "message",
    [
        SIGNATURE,
        "messages.3.content.0: Invalid `data` in `redacted_thinking` block",
        "messages.1.content.0.thinking.signature: Field required",
        "messages.1.content.2: `thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified.",
    ],
)
def test_foreign_thinking_is_stripped_everywhere(message: str) -> None:
    """AC-60, and user problem 49: the conversation is not dead."""
    body = chat("hi", [THOUGHT, HIDDEN, text("a")], "go on", [THOUGHT, text("b")], "more")
    expected = chat("hi", [text("a")], "go on", [text("b")], "more")
    assert (expected, ("thinking_signature",), ("thinking",)) == healed(
        MESSAGES, body, refusal(message, bare=True)
    )


def test_a_turn_of_nothing_but_thinking_goes_and_its_neighbours_join() -> None:
    body = chat("hi", [THOUGHT], "and?")
    expected = chat([text("hi"), text("and?")])
    assert (expected, ("thinking_signature",), ("thinking",)) == healed(
        MESSAGES, body, refusal(SIGNATURE, bare=True)
    )


def test_an_open_tool_round_without_its_thinking_is_answered_without_thinking() -> None:
    """With a budget upstream wants the round's thinking back; it is gone."""
    body = chat("hi", [THOUGHT, CALL], [RESULT]) | {
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "context_management": {"edits": [{"type": "clear_thinking_20251015"}]},
    }
    expected = chat("hi", [CALL], [RESULT])
    losses = ("thinking", "reasoning", "context_management")
    assert (expected, ("thinking_signature",), losses) == healed(
        MESSAGES, body, refusal(SIGNATURE, bare=True)
    )


def test_an_adaptive_model_goes_on_thinking_in_an_open_tool_round() -> None:
    adaptive = {"thinking": {"type": "adaptive"}}
    body, expected = chat("hi", [THOUGHT, CALL], [RESULT]), chat("hi", [CALL], [RESULT])
    assert (expected | adaptive, ("thinking_signature",), ("thinking",)) == healed(
        MESSAGES, body | adaptive, refusal(SIGNATURE, bare=True)
    )


def test_turns_without_thinking_keep_their_bytes() -> None:
    odd = b'{"role" : "user",  "content" : "1.0e2 \\u00e9"}'
    body = b'{"messages":[%b,{"role":"assistant","content":[%b{"type":"text" ,"text":"x"}]},%b]}'
    sent = body % (odd, json.dumps(THOUGHT).encode() + b",", odd)
    assert body % (odd, b"", odd) == body_of(MESSAGES.heal(sent, refusal(SIGNATURE, bare=True)))


# Members that upstream does not know


@pytest.mark.parametrize(
    ("path", "at"),
    [
        ("fallbacks", ("fallbacks",)),
        ("system.0.cache_control.ephemeral.scope", ("system", 0, "cache_control", "scope")),
        ("tools.0.custom.defer_it", ("tools", 0, "defer_it")),
        ("tools.0.custom.input_schema.$schema", ("tools", 0, "input_schema", "$schema")),
        ("messages.0.content.0.text.odd", ("messages", 0, "content", 0, "odd")),
        ("messages.1.content.0.tool_use.caller", ("messages", 1, "content", 0, "caller")),
        (
            "messages.2.content.0.tool_result.content.0.text.odd",
            ("messages", 2, "content", 0, "content", 0, "odd"),
        ),
        ("thinking.enabled.display", ("thinking", "display")),
        ("output_config.task_budget", ("output_config", "task_budget")),
    ],
)
def test_an_unknown_member_goes_and_nothing_else(path: str, at: tuple[str | int, ...]) -> None:
    """AC-58: upstream's paths hold names of union members that no key has."""
    result = {**RESULT, "content": [{"type": "text", "text": "x", "odd": 1}]}
    body = chat([{**text("hi"), "odd": 1}], [{**CALL, "caller": {}}], [result]) | {
        "fallbacks": [],
        "system": [{**text("s"), "cache_control": {"type": "ephemeral", "scope": "global"}}],
        "tools": [{"name": "ls", "input_schema": {"$schema": "x", "type": "object"}, "defer_it": True}],
        "thinking": {"type": "enabled", "budget_tokens": 2000, "display": "none"},
        "output_config": {"effort": "low", "format": {}, "task_budget": 1},
    }
    expected = json.loads(json.dumps(body))
    place: Any = expected
    for part in at[:-1]:
        place = place[part]
    del place[at[-1]]
    assert (expected, ("refused_field",), (path,)) == healed(
        MESSAGES, body, refusal(f"{path}: {EXTRA}", bare=True)
    )


def test_all_members_that_one_refusal_names_go() -> None:
    answer = healed(MESSAGES, request(a=1, b=2), refusal(f"a: {EXTRA}, b: {EXTRA}", bare=True))
    assert (request(), ("refused_field",), ("a", "b")) == answer


@pytest.mark.parametrize(
    "path",
    [
        "output_config", "output_config.format", "tools", "stop_sequences", "messages.0.content", "messages.7.x", "nothing",
        "tools.0.custom.input_schema", "messages.0.content.0.text.text", "messages.x", "messages.99999999999.x", "a..b",
    ],
)  # fmt: skip
def test_a_member_that_means_something_or_is_not_there_stays(path: str) -> None:
    body = chat([text("hi")]) | {
        "tools": [{"name": "ls", "input_schema": {}}],
        "output_config": {"format": {"type": "json_schema", "schema": {}}},
        "stop_sequences": ["x"],
    }
    assert healed(MESSAGES, body, refusal(f"{path}: {EXTRA}", bare=True)) is None


# Feature flags


def test_the_flag_that_upstream_names_goes() -> None:
    """AC-58."""
    error = refusal("Unexpected value(s) `new-thing-2026-01-01` for the `anthropic-beta` header.", bare=True)
    encoded = MESSAGES.heal(b'{"messages": []}', error, ("new-thing-2026-01-01", CONTEXT))
    assert encoded is not None
    assert ((CONTEXT,), ("refused_beta",)) == (encoded.betas, encoded.repairs)


def test_all_flags_go_when_none_is_named_and_so_does_what_needs_them() -> None:
    body = request(context_management={"edits": []})
    error = refusal("invalid beta flag in anthropic-beta header")
    encoded = MESSAGES.heal(json.dumps(body).encode(), error, (CONTEXT, "compact-2026-01-12"))
    assert encoded is not None
    assert (request(), (), ("context_management",)) == (
        json.loads(encoded.body), encoded.betas, encoded.losses,
    )  # fmt: skip


def test_a_refused_flag_that_was_not_sent_cannot_be_healed() -> None:
    assert healed(MESSAGES, request(), refusal("unknown anthropic-beta: x-2025-01-01")) is None


# Thinking, effort, sampling, limits

ENABLED = {"type": "enabled", "budget_tokens": 4000}
ADAPTIVE = {"type": "adaptive", "display": "summarized"}
HINT = 'Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.'
OVER = "The maximum tokens you requested exceeds the model limit of 5000 for this model."


@pytest.mark.parametrize(
    ("message", "sent", "expected", "repair", "losses"),
    [
        (f'"thinking.type.enabled" is not supported for this model. {HINT}', {"thinking": ENABLED},
         {"thinking": ADAPTIVE}, "thinking_form", ()),
        ("adaptive thinking is not supported on this model", {"thinking": ADAPTIVE},
         {"thinking": {**ADAPTIVE, "type": "enabled", "budget_tokens": 6750}}, "thinking_form", ()),
        ("adaptive thinking is not supported on this model",
         {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
         {"thinking": {"type": "enabled", "budget_tokens": 2048}, "output_config": {"effort": "low"}}, "thinking_form", ()),
        ("adaptive thinking is not supported on this model", {"thinking": ADAPTIVE, "max_tokens": 1000},
         {"max_tokens": 1000}, "thinking_form", ("reasoning",)),
        ("`max_tokens` must be greater than `thinking.budget_tokens`.", {"thinking": ENABLED, "max_tokens": 3000},
         {"thinking": {**ENABLED, "budget_tokens": 2999}, "max_tokens": 3000}, "thinking_budget", ()),
        ("`max_tokens` must be greater than `thinking.budget_tokens`.", {"thinking": ENABLED, "max_tokens": 1000},
         {"max_tokens": 1000}, "thinking_budget", ("reasoning",)),
        ("thinking.enabled.budget_tokens: Input should be greater than or equal to 4096", {"thinking": ENABLED},
         {"thinking": {**ENABLED, "budget_tokens": 4096}}, "thinking_budget", ()),
        ("thinking.enabled.budget_tokens: Input should be greater than or equal to 9000", {"thinking": ENABLED},
         {}, "thinking_budget", ("reasoning",)),
        ("messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`.",
         {"thinking": ENABLED}, {}, "no_thinking", ("reasoning",)),
        ("Thinking may not be enabled when tool_choice forces tool use.", {"thinking": ENABLED}, {}, "no_thinking",
         ("reasoning",)),
        (OVER, {}, {"max_tokens": 5000}, "max_tokens", ("max_tokens",)),
        (OVER, {"thinking": {"type": "enabled", "budget_tokens": 8000}},
         {"max_tokens": 5000, "thinking": {"type": "enabled", "budget_tokens": 4999}}, "max_tokens", ("max_tokens",)),
        ("max_tokens: 9000 > 8192, which is the maximum allowed number of output tokens for claude-x", {},
         {"max_tokens": 8192}, "max_tokens", ("max_tokens",)),
        ("`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
         {"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5}, "sampling", ("top_p",)),
        ("`temperature` may only be set to 1 when thinking is enabled.", {"temperature": 0.5}, {}, "sampling",
         ("temperature",)),
        ("`top_k` must be unset when thinking is enabled.", {"top_k": 5}, {}, "sampling", ("top_k",)),
        ("`temperature` is deprecated for this model.", {"temperature": 0}, {}, "sampling", ("temperature",)),
    ],
)  # fmt: skip
def test_a_refused_knob_is_set_as_upstream_wants_it(
    message: str, sent: dict[str, Any], expected: dict[str, Any], repair: str, losses: tuple[str, ...]
) -> None:
    answer = healed(MESSAGES, request(**sent), refusal(message, bare=True))
    assert (request(**expected), (repair,), losses) == answer


def test_a_refused_effort_goes_and_the_format_beside_it_stays() -> None:
    shape = {"type": "json_schema", "schema": {}}
    error = refusal(
        "reasoning effort 'max' is not supported; supported: low, high", "invalid_reasoning_effort"
    )
    answer = healed(MESSAGES, request(output_config={"effort": "max", "format": shape}), error)
    assert (request(output_config={"format": shape}), ("effort",), ("output_config.effort",)) == answer
    alone = healed(MESSAGES, request(output_config={"effort": "max"}), error)
    assert (request(), ("effort",), ("output_config.effort",)) == alone


# Calls and results


def test_calls_and_results_are_settled() -> None:
    stray = (
        "messages.2.content.0: unexpected `tool_use_id` found in `tool_result` blocks: toolu_9. Each `tool_result` block "
        "must have a corresponding `tool_use` block in the previous message."
    )
    body = chat("hi", [CALL], [{**RESULT, "tool_use_id": "toolu_9"}])
    answer = healed(MESSAGES, body, refusal(stray, bare=True))
    assert answer is not None
    blocks: Blocks = answer[0]["messages"][2]["content"]
    assert [("tool_result", "toolu_1"), ("text", None)] == [(b["type"], b.get("tool_use_id")) for b in blocks]
    assert ("orphan_tool_call",) == answer[1]


def test_a_call_without_a_result_gets_one() -> None:
    message = "messages.2: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_1."
    answer = healed(MESSAGES, chat("hi", [CALL], "never mind"), refusal(message, bare=True))
    assert answer is not None
    blocks: Blocks = answer[0]["messages"][2]["content"]
    assert [("tool_result", True), ("text", None)] == [(b["type"], b.get("is_error")) for b in blocks]


# What stands


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (
            "This model does not support assistant message prefill. The conversation must end with a user message.",
            "",
        ),
        ("The use of the web search tool is not supported.", "unsupported_value"),
        ("rejected tool(s): web_fetch", "invalid_request_body"),
        ("external image URLs are not supported", ""),
        ("tools.0: Input tag 'x_1' found using 'type' does not match any of the expected tags: 'custom'", ""),
        ("some new refusal", "invalid_request_body"),
    ],
)
def test_a_refusal_that_only_the_client_can_help_stands(message: str, code: str) -> None:
    body = chat("hi", [THOUGHT, CALL], [RESULT]) | {
        "thinking": ENABLED,
        "tools": [{"type": "x_1", "name": "x"}],
    }
    assert healed(MESSAGES, body, refusal(message, code), (CONTEXT,)) is None


@pytest.mark.parametrize(
    "message",
    [SIGNATURE, f"a.b: {EXTRA}", OVER, "`temperature` is deprecated", "adaptive thinking is not supported"],
)
@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{", b'{"messages":5}', b'{"messages":[5]}', b'{"messages":[{"role":"user","content":[7]}]}',
        b'{"messages":[{"role":"assistant","content":[{"type":"thinking"}]}]}', b'{"a":{"b":"\xff"}}',
        b'{"thinking":"adaptive","max_tokens":"9","a":[1]}', b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
)  # fmt: skip
def test_no_body_breaks_a_repair(message: str, body: bytes) -> None:
    MESSAGES.heal(body, refusal(message, bare=True))


# Structured output


def test_an_open_schema_is_closed_where_claude_insists() -> None:
    """Claude wants every object closed; maps, and what stands in words, are left alone."""
    inner = {"type": "object", "properties": {"b": {"type": "string", "enum": ["x"]}}}
    schema = {
        "type": "object",
        "properties": {"a": {"type": "array", "items": inner}, "m": {"type": "object"}},
        "$defs": {"c": {"anyOf": [{**inner, "additionalProperties": True}, {"type": "null"}]}},
        "allOf": [inner],
    }
    shut = {**inner, "additionalProperties": False}
    expected = {
        "type": "object",
        "properties": {"a": {"type": "array", "items": shut}, "m": {"type": "object"}},
        "$defs": {"c": {"anyOf": [shut, {"type": "null"}]}},
        "allOf": [inner],
        "additionalProperties": False,
    }
    message = "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false"

    def asked(schema: Any) -> dict[str, Any]:
        return request(output_config={"effort": "high", "format": {"type": "json_schema", "schema": schema}})

    error = refusal(message, bare=True)
    assert (asked(expected), ("output_schema",), ()) == healed(MESSAGES, asked(schema), error)
    assert healed(MESSAGES, asked(expected), error) is None
    assert healed(MESSAGES, request(), error) is None
