"""What is taken out of a chat body after Copilot has refused it."""

import json
from typing import Any

import pytest

from core.dialects.chat import CHAT
from tests.unit.healing import body_of, healed, refusal

HUMAN = {"role": "user", "content": "hi"}
SAID = {"role": "assistant", "content": "a", "tool_calls": [{"id": "call_1", "type": "function"}]}
OPAQUE = {"reasoning_opaque": "c2VhbGVk", "reasoning_text": "hm"}


def request(*messages: Any, **members: Any) -> dict[str, Any]:
    return {"model": "m", "messages": list(messages) or [HUMAN], **members}


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("max_tokens", "max_completion_tokens"), ("max_completion_tokens", "max_tokens")],
)
def test_the_output_limit_is_sent_under_its_other_name(wrong: str, right: str) -> None:
    """AC-65, and user problem 12: the parameter that was renamed."""
    message = f"Unsupported parameter: '{wrong}' is not supported with this model. Use '{right}' instead."
    answer = healed(CHAT, request(**{wrong: 50}), refusal(message, "invalid_request_body"))
    assert (request(**{right: 50}), ("output_limit_name",), ()) == answer


@pytest.mark.parametrize(
    ("message", "code", "sent", "expected", "losses"),
    [
        ("Unsupported value: 'temperature' does not support this value with this model. Only 1 is supported.",
         "unsupported_value", {"temperature": 0.5, "seed": 1}, {"seed": 1}, ("temperature",)),
        ("Unsupported parameter: 'top_p' is not supported with this model.", "", {"top_p": 0.5}, {}, ("top_p",)),
        ("Unrecognized request argument supplied: verbosity", "", {}, {}, None),
        ("seed: Extra inputs are not permitted", "", {"seed": 1}, {}, ("seed",)),
        ("`temperature` and `top_p` cannot both be specified for this model.", "", {"temperature": 1, "top_p": 1},
         {"temperature": 1}, ("top_p",)),
        ("reasoning effort 'max' is not supported by m; supported: low", "invalid_reasoning_effort",
         {"reasoning_effort": "max"}, {}, ("reasoning_effort",)),
        ("max_tokens is too large: 99999. This model supports at most 16384 completion tokens.", "",
         {"max_tokens": 99999}, {"max_tokens": 16384}, ("max_output",)),
        ("Unsupported parameter: 'stop' is not supported with this model.", "", {"stop": ["x"]}, {}, None),
        ("Unsupported parameter: 'tools' is not supported with this model.", "", {"tools": [{}]}, {}, None),
        ("Unsupported parameter: 'top_p' is not supported with this model.", "", {"temperature": 1}, {}, None),
        ("some new refusal", "invalid_request_body", {"temperature": 1}, {}, None),
    ],
)  # fmt: skip
def test_a_refused_knob_goes_and_a_meaning_stays(
    message: str, code: str, sent: dict[str, Any], expected: dict[str, Any], losses: tuple[str, ...] | None
) -> None:
    answer = healed(CHAT, request(**sent), refusal(message, code))
    assert (None if losses is None else (request(**expected), losses)) == (answer and (answer[0], answer[2]))


def test_a_refused_thought_signature_goes_with_its_thinking() -> None:
    """AC-60: text and calls stay."""
    error = refusal("messages[1].reasoning_opaque: could not be verified", "invalid_request_body")
    answer = healed(CHAT, request(HUMAN, {**SAID, **OPAQUE}, HUMAN), error)
    assert (request(HUMAN, SAID, HUMAN), ("thinking_signature",), ("thinking",)) == answer


MISSING = [
    "messages[1]: tool call is missing its reasoning_opaque (thought signature)",
    "Function call is missing a thought_signature in functionCall parts. This is required for tools to work.",
]


def calling(call_id: str, name: str, arguments: str, **members: Any) -> dict[str, Any]:
    call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
    return {"role": "assistant", "content": None, "tool_calls": [call], **members}


def result(call_id: str, content: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


@pytest.mark.parametrize("message", MISSING)
def test_calls_whose_thought_signature_is_missing_are_told_in_words(message: str) -> None:
    """User problem 53: clients that keep no unknown members, and conversations that another model began."""
    part = {"type": "text", "text": "rain"}
    signed = [calling("c3", "now", "{}", **OPAQUE), result("c3", "noon")]
    sent = request(
        HUMAN, calling("c1", "sky", '{"a":1}'), result("c1", "sun"),
        calling("c2", "sky", "", content="Let me look."), result("c2", [part]), *signed,
    )  # fmt: skip
    told = request(
        HUMAN,
        {"role": "user", "content": 'The tool sky was called with {"a":1} and answered:\nsun'},
        {"role": "assistant", "content": "Let me look."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "The tool sky was called with {} and answered:"}, part],
        },
        *signed,
    )
    assert (told, ("unsigned_calls",), ("thinking",)) == healed(CHAT, sent, refusal(message))


@pytest.mark.parametrize("message", MISSING)
def test_a_thought_signature_is_not_made_up(message: str) -> None:
    assert healed(CHAT, request(HUMAN, {**SAID, **OPAQUE}), refusal(message)) is None


def test_untouched_messages_keep_their_bytes() -> None:
    odd = b'{"role" : "user",  "content" : "1.0e2 \\u00e9"}'
    body = b'{"messages":[%b,%b],"seed":1.50}'
    sent = body % (odd, json.dumps({**SAID, **OPAQUE}).encode())
    error = refusal("messages[1].reasoning_opaque: could not be verified")
    kept = json.dumps(SAID["tool_calls"]).encode()
    said = b'{"role":"assistant","content":"a","tool_calls":%b}' % kept
    assert body % (odd, said) == body_of(CHAT.heal(sent, error))


@pytest.mark.parametrize(
    "message",
    [
        "reasoning_opaque is invalid",
        *MISSING,
        "'max_tokens' is not supported",
        "Unsupported value: 'temperature'",
    ],
)
@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"messages":{}}', b'{"messages":["\\"reasoning_",7]}', b'{"max_tokens":"x"}'],
)
def test_no_body_breaks_a_repair(message: str, body: bytes) -> None:
    CHAT.heal(body, refusal(message))


NO_PROPERTIES = "Invalid schema for function 'ping': In context=(), object schema missing properties."


def test_a_schema_without_properties_gets_some() -> None:
    """ericc PR#192: MCP tools without arguments; every one is put right at once, and the others keep their bytes."""
    fine = {
        "type": "function",
        "function": {"name": "b", "parameters": {"type": "object", "properties": {"a": {}}}},
    }
    broken = [
        {"name": "a"},
        {"name": "c", "parameters": {"type": "object"}},
        {"name": "d", "parameters": None},
    ]
    schema = {"type": "object", "properties": {}}
    sent = request(tools=[fine, *({"type": "function", "function": function} for function in broken)])
    repaired = request(
        tools=[
            fine,
            *({"type": "function", "function": {**function, "parameters": schema}} for function in broken),
        ]
    )
    error = refusal(NO_PROPERTIES, "invalid_function_parameters")
    assert (repaired, ("tool_schema",), ()) == healed(CHAT, sent, error)
    assert healed(CHAT, repaired, error) is None
