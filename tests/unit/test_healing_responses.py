"""What is taken out of a Responses body after Copilot has refused it."""

import json
from typing import Any

import pytest

from core.dialects.responses import RESPONSES
from tests.unit.healing import body_of, healed, refusal

HUMAN = {"role": "user", "content": "hi"}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "c2VhbGVk"}
SAID = {
    "type": "message",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "a"}],
    "phase": "commentary",
}
CALL = {"type": "function_call", "call_id": "call_1", "name": "ls", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "a.txt"}
COMPACTED = {"type": "compaction", "id": "cmp_1", "encrypted_content": "b2xk"}


def request(*items: Any, **members: Any) -> dict[str, Any]:
    return {"model": "gpt-x", "input": list(items), **members}


@pytest.mark.parametrize(
    ("message", "code", "status"),
    [
        ("The encrypted content for item rs_1 could not be verified.", "invalid_request_body", 400),
        ("The encrypted content gAAA... could not be verified. Reason: Encrypted content could not be decrypted or parsed.",
         "invalid_encrypted_content", 400),
        ("input item ID does not belong to this connection", "", 401),
        ("input item ID does not belong to this connection", "", 400),
        ("Encrypted content item_id mismatch at input[1].", "invalid_request_body", 400),
        ("Encrypted content item_id did not match the target item id.", "", 400),
        ("Item with id 'rs_1' not found. Items are not persisted when `store` is set to false.", "", 400),
        ("Item 'fc_1' of type 'function_call' was provided without its required 'reasoning' item: 'rs_1'.", "", 400),
    ],
)  # fmt: skip
def test_reasoning_that_upstream_does_not_know_goes_with_all_ids(
    message: str, code: str, status: int
) -> None:
    """AC-60: words, calls and outputs stay."""
    body = request(HUMAN, THOUGHT, {**SAID, "id": "msg_1"}, {**CALL, "id": "fc_1"}, OUTPUT, temperature=1.0)
    expected = request(HUMAN, SAID, CALL, OUTPUT, temperature=1.0)
    assert (expected, ("encrypted_content",), ("thinking",)) == healed(
        RESPONSES, body, refusal(message, code, status)
    )


def test_an_id_of_the_wrong_family_costs_the_ids_and_not_the_reasoning() -> None:
    message = "Invalid 'input[1].id': 'item_7'. Expected an ID that begins with 'rs'."
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    body = request(HUMAN, {**THOUGHT, "id": "item_7"}, {**SAID, "id": "msg_1"}, search)
    nameless = {name: value for name, value in THOUGHT.items() if name != "id"}
    assert (request(HUMAN, nameless, SAID, search), ("item_id",), ()) == healed(
        RESPONSES, body, refusal(message, "invalid_request_body")
    )


def test_an_output_that_cannot_be_decrypted_is_said_to_be_unreadable() -> None:
    """User problem 52: the call and its result stay a pair."""
    sealed = {"type": "function_call_output", "call_id": "call_1", "encrypted_content": "eA=="}
    parts = [{"type": "input_text", "text": "x"}, {"type": "encrypted_content", "encrypted_content": "eA=="}]
    body = request(
        CALL, sealed, {**CALL, "call_id": "call_2"}, {**OUTPUT, "call_id": "call_2", "output": parts}
    )
    answer = healed(RESPONSES, body, refusal("encrypted function output could not be decrypted"))
    assert answer is not None
    assert "encrypted_content" not in json.dumps(answer[0])
    said = "[this result can no longer be read]"
    assert said == answer[0]["input"][1]["output"]
    assert [parts[0], {"type": "input_text", "text": said}] == answer[0]["input"][3]["output"]


def test_a_compacted_history_is_never_thrown_away() -> None:
    about = "The encrypted content for item {} could not be verified."
    body = request(COMPACTED, THOUGHT, HUMAN)
    assert healed(RESPONSES, body, refusal(about.format("cmp_1"))) is None
    answer = healed(RESPONSES, body, refusal(about.format("rs_1")))
    assert (request(COMPACTED, HUMAN), ("encrypted_content",), ("thinking",)) == answer


def test_untouched_items_keep_their_bytes() -> None:
    odd = b'{"role" : "user",  "content" : "1.0e2 \\u00e9"}'
    body = b'{"input":[%b%b]}'
    sent = body % (json.dumps(THOUGHT).encode() + b",", odd)
    error = refusal("input item ID does not belong to this connection", status=401)
    assert body % (b"", odd) == body_of(RESPONSES.heal(sent, error))


def test_a_call_without_an_output_gets_one_behind_it() -> None:
    """User problem 38."""
    body = request(HUMAN, CALL, {**CALL, "call_id": "call_2", "type": "custom_tool_call"}, OUTPUT)
    answer = healed(RESPONSES, body, refusal("No tool output found for function call call_2."))
    assert answer is not None
    kinds = [item.get("type") for item in answer[0]["input"]]
    assert [
        None,
        "function_call",
        "custom_tool_call",
        "custom_tool_call_output",
        "function_call_output",
    ] == kinds
    assert ("orphan_tool_call",) == answer[1]


def test_an_output_before_its_call_answers_nothing() -> None:
    """Both are orphans, and both are put right at once: a second refusal would be final."""
    body = request(HUMAN, OUTPUT, CALL)
    answer = healed(
        RESPONSES, body, refusal("No tool call found for function call output with call_id call_1.")
    )
    assert answer is not None
    kinds = [item.get("type") for item in answer[0]["input"]]
    assert [None, "message", "function_call", "function_call_output"] == kinds


def test_an_output_without_a_call_becomes_the_users_words() -> None:
    picture = {"type": "input_image", "image_url": "data:image/png;base64,eA=="}
    body = request(HUMAN, OUTPUT, {**OUTPUT, "output": [picture]})
    answer = healed(
        RESPONSES, body, refusal("No tool call found for function call output with call_id call_1.")
    )
    assert answer is not None
    first, second = answer[0]["input"][1:]
    assert ("user", "a.txt", "user", picture) == (
        first["role"], first["content"][1]["text"], second["role"], second["content"][1],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("message", "sent", "expected", "losses"),
    [
        ("Unsupported parameter: 'temperature' is not supported with this model.", {"temperature": 1}, {}, ("temperature",)),
        ("Unknown parameter: 'client_metadata'.", {"client_metadata": {}}, {}, ("client_metadata",)),
        ("Unsupported parameter: 'text.verbosity' is not supported with this model.",
         {"text": {"verbosity": "low", "format": {"type": "text"}}}, {"text": {"format": {"type": "text"}}},
         ("text.verbosity",)),
        ("Unknown parameter: 'reasoning.context'.", {"reasoning": {"context": "x"}}, {}, ("reasoning.context",)),
        ("Unsupported value: 'low' is not supported with the 'gpt-x' model. Supported values are: 'medium'.",
         {"text": {"verbosity": "low"}, "reasoning": {"effort": "high"}}, {"reasoning": {"effort": "high"}},
         ("text.verbosity",)),
        ("Unsupported value: 'temperature' does not support 0.2 with this model.", {"temperature": 0.2}, {}, ("temperature",)),
        ("Invalid value: 'a.b'. Supported values are: 'reasoning.encrypted_content'.",
         {"include": ["a.b", "reasoning.encrypted_content"]}, {"include": ["reasoning.encrypted_content"]}, ("include.a.b",)),
        ("Invalid value: 'a.b'.", {"include": ["a.b"]}, {}, ("include.a.b",)),
    ],
)  # fmt: skip
def test_a_refused_knob_is_dropped(
    message: str, sent: dict[str, Any], expected: dict[str, Any], losses: tuple[str, ...]
) -> None:
    answer = healed(RESPONSES, request(HUMAN, **sent), refusal(message, "invalid_request_body"))
    assert answer is not None
    assert (request(HUMAN, **expected), losses) == (answer[0], answer[2])


def test_a_refused_effort_goes() -> None:
    error = refusal(
        "reasoning effort 'max' is not supported by gpt-x; supported: low", "invalid_reasoning_effort"
    )
    answer = healed(RESPONSES, request(HUMAN, reasoning={"effort": "max", "summary": "auto"}), error)
    assert (request(HUMAN, reasoning={"summary": "auto"}), ("effort",), ("reasoning.effort",)) == answer


@pytest.mark.parametrize(
    "message",
    [
        "Unsupported parameter: 'tools' is not supported with this model.",
        "Unknown parameter: 'max_output_tokens'.",
        "Unsupported parameter: 'top_p' is not supported with this model.",
        "Invalid value: 'web_search' at tools[0].type.",
        "No tool output found for function call call_1.",
        "The encrypted content for item rs_9 could not be verified.",
        "some new refusal",
    ],
)
def test_a_refusal_without_a_remedy_stands(message: str) -> None:
    body = request(HUMAN, CALL, OUTPUT, tools=[{"type": "web_search"}], max_output_tokens=5)
    assert healed(RESPONSES, body, refusal(message, "invalid_request_body")) is None


def test_reasoning_alone_is_not_taken_away() -> None:
    error = refusal("input item ID does not belong to this connection", status=401)
    assert healed(RESPONSES, request(THOUGHT), error) is None


@pytest.mark.parametrize(
    "message",
    ["input item ID does not belong to this connection", "Expected an ID that begins with 'rs'", "invalid_reasoning_effort",
     "No tool output found for x", "Invalid value: 'x'", "Unknown parameter: 'text.verbosity'"],
)  # fmt: skip
@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b'{"input":5}', b'{"input":"hi"}', b'{"input":[5,null]}', b'{"input":[{"type":7,"id":8}],"include":"x"}',
        b'{"input":[{"type":"function_call_output","output":5,"id":"x","encrypted_content":1}],"include":[1]}',
        b'{"input":[{"type":"function_call","call_id":null}],"text":"low","reasoning":[]}', b'{"reasoning":{"effort":1}}',
    ],
)  # fmt: skip
def test_no_body_breaks_a_repair(message: str, body: bytes) -> None:
    RESPONSES.heal(body, refusal(message))


def test_a_schema_without_properties_gets_some() -> None:
    """ericc PR#192: MCP tools without arguments, in a namespace or not."""
    said = "Invalid schema for function 'ping': schema must be a JSON Schema of 'type: \"object\"', got 'type: \"None\"'."
    error = refusal(said, "invalid_function_parameters")
    schema = {"type": "object", "properties": {}}

    def tools(**first: Any) -> list[Any]:
        ping = {"type": "function", "name": "ping", **first}
        return [{"type": "custom", "name": "p"}, ping, {"type": "namespace", "name": "n", "tools": [ping]}]

    for broken in ({}, {"parameters": {}}, {"parameters": {"type": "object"}}, {"parameters": None}):
        answer = healed(RESPONSES, request(HUMAN, tools=tools(**broken)), error)
        assert (request(HUMAN, tools=tools(parameters=schema)), ("tool_schema",), ()) == answer
    assert healed(RESPONSES, request(HUMAN, tools=tools(parameters=schema)), error) is None
