"""The fake's responses: every rule and every mode."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.emulators.calling import SAY, WEATHER, Caller
from tests.emulators.copilot import BUSINESS_TOKEN, FakeCopilot

TOOL = {"type": "function", "name": "get_weather", "parameters": WEATHER}
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
THINK: dict[str, Any] = {
    "reasoning": {"effort": "low", "summary": "auto"},
    "include": ["reasoning.encrypted_content"],
}
ASK = [{"role": "user", "content": "[[think:Hm hm.]][[say:ok]]"}]


@pytest.fixture(scope="module")
def running() -> Iterator[FakeCopilot]:
    with FakeCopilot() as fake:
        yield fake


@pytest.fixture
def caller(running: FakeCopilot) -> Caller:
    running.reset()
    return Caller(running)


def ids(events: list[Any], kind: str) -> list[str]:
    """Return every id an item of a kind goes by, in order of appearance."""
    seen: list[str] = []
    for event in events:
        item = event.get("item") or {}
        if item.get("type") == kind:
            seen.append(item["id"])
        seen += [done["id"] for done in event.get("response", {}).get("output", []) if done["type"] == kind]
    return seen


def test_a_stream_has_the_full_order_of_events(caller: Caller) -> None:
    answer = caller.responses(stream=True)
    assert answer.names == [
        "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
        *["response.output_text.delta"] * 3, "response.output_text.done", "response.content_part.done",
        "response.output_item.done", "response.completed",
    ]  # fmt: skip
    assert list(range(11)) == [event["sequence_number"] for event in answer.events]
    assert "copilot_usage" in answer.events[-1]


def test_stream_and_whole_reply_agree(caller: Caller) -> None:
    whole, last = (
        caller.responses(told=ASK, **THINK).json,
        caller.responses(told=ASK, stream=True, **THINK).events[-1],
    )
    kinds = [item["type"] for item in whole["output"]]
    assert ["reasoning", "message"] == kinds == [item["type"] for item in last["response"]["output"]]
    assert whole["usage"] == last["response"]["usage"]


def test_ids_are_stable_until_they_rotate(caller: Caller) -> None:
    assert 1 == len(set(ids(caller.responses(stream=True).events, "message")))
    caller.fake.set_modes("gpt-5.5", resp_rotate_ids=True)
    assert 3 == len(set(ids(caller.responses(stream=True).events, "message")))


def test_replayed_reasoning_must_pair_the_first_id_with_the_last_content(caller: Caller) -> None:
    caller.fake.set_modes("gpt-5.5", resp_rotate_ids=True)
    events = caller.responses(told=ASK, stream=True, **THINK).events
    items = [e["item"] for e in events if e.get("item", {}).get("type") == "reasoning"]
    added, done = items
    final = done["encrypted_content"]

    def replay(**reasoning: object) -> tuple[int, str]:
        answer = caller.responses(told=[*ASK, {"type": "reasoning", "summary": [], **reasoning}, *SAY])
        return answer.status, "" if answer.status == 200 else answer.json["error"]["message"]

    assert replay(id=added["id"], encrypted_content=final)[0] == 200
    assert replay(encrypted_content=final)[0] == 200
    assert "item_id mismatch" in replay(id=done["id"], encrypted_content=final)[1]
    assert "could not be verified" in replay(id=added["id"], encrypted_content=added["encrypted_content"])[1]
    assert "Items are not persisted" in replay(id=added["id"])[1]
    assert "begins with 'rs'" in replay(id="msg_1", encrypted_content=final)[1]
    caller.headers["Authorization"] = f"Bearer {caller.fake.session_token(BUSINESS_TOKEN)}"
    caller.base = caller.fake.business_url
    assert (401, "input item ID does not belong to this connection") == replay(
        id=added["id"], encrypted_content=final
    )
    caller.fake.set_modes("gpt-5.5", resp_encrypted_check=False)
    assert replay(id=added["id"], encrypted_content=final)[0] == 200


@pytest.mark.parametrize(
    ("model", "fields", "words"),
    [
        ("gpt-5.5", {"service_tier": "auto"}, "Unknown parameter: 'service_tier'"),
        ("gpt-5.5", {"stop": "x"}, "Unknown parameter: 'stop'"),
        ("gpt-5.5", {"previous_response_id": "resp_1"}, "previous_response_not_found"),
        ("gpt-5.5", {"input": []}, "'input'"),
        ("gpt-5.5", {"temperature": 0.5}, "Unsupported parameter: 'temperature'"),
        ("gpt-5.5", {"max_output_tokens": 1}, "Expected >= 16"),
        ("gpt-5.5", {"reasoning": {"effort": "max"}}, "invalid_reasoning_effort"),
        ("gpt-5.5", {"tools": [{**TOOL, "name": "a b"}]}, "does not match pattern"),
        ("gpt-5.5", {"tools": [{"type": "mystery"}]}, "tools[0].type"),
        ("gpt-5.5", {"input": [{"type": "mystery"}]}, "input[0].type"),
        ("gpt-5.5", {"input": [*SAY, {**CALL, "call_id": "c" * 65}]}, "maximum length 64"),
        ("gpt-5.5", {"input": [*SAY, CALL]}, "No tool output found for function call c1"),
        (
            "gpt-5.5",
            {"input": [{"type": "function_call_output", "call_id": "c1", "output": ""}]},
            "No tool call found",
        ),
        ("gpt-5.5", {"input": [{"type": "item_reference", "id": "rs_1"}]}, "Items are not persisted"),
        (
            "gpt-5.5",
            {"input": [{"role": "user", "content": [{"type": "output_text", "text": "x"}]}]},
            "content[0].type",
        ),
    ],
)
def test_bodies_against_the_rules_are_refused(caller: Caller, model: str, fields: Any, words: str) -> None:
    answer = caller.post("/responses", {"model": model, "input": SAY, **fields})
    assert (400, True) == (answer.status, words in answer.text), answer.text


def test_sampling_is_taken_where_chat_is_offered_too(caller: Caller) -> None:
    assert caller.responses("gpt-5.4", temperature=0.5).status == 200


def test_a_string_is_input_enough(caller: Caller) -> None:
    body = caller.responses(told="[[say:hi]]", instructions="be brief").json
    assert ("hi", "be brief") == (body["output"][0]["content"][0]["text"], body["instructions"])


def test_tools_of_every_kind_are_called(caller: Caller) -> None:
    namespace = {"type": "namespace", "name": "weather", "tools": [TOOL]}
    custom = {
        "type": "custom",
        "name": "apply_patch",
        "format": {"type": "grammar", "syntax": "lark", "definition": ""},
    }
    ask = [{"role": "user", "content": "[[tool:get_weather]][[tool:apply_patch *** Begin]] in Oslo"}]
    events = caller.responses(told=ask, tools=[namespace, custom], stream=True).events
    first, second = events[-1]["response"]["output"]
    assert ('{"city":"Oslo"}', "weather") == (first["arguments"], first["namespace"])
    assert ("custom_tool_call", "*** Begin") == (second["type"], second["input"])
    assert "*** Begin" == "".join(
        e["delta"] for e in events if e["type"] == "response.custom_tool_call_input.delta"
    )


def test_a_short_limit_leaves_the_reply_incomplete(caller: Caller) -> None:
    ask = [{"role": "user", "content": "[[words:50]]"}]
    last = caller.responses(told=ask, max_output_tokens=16, stream=True).events[-1]
    assert ("response.incomplete", {"reason": "max_output_tokens"}) == (
        last["type"],
        last["response"]["incomplete_details"],
    )


def test_modes_fail_keep_alive_and_trail(caller: Caller) -> None:
    caller.fake.set_modes("gpt-5.5", resp_keepalive=True, resp_trailing_done=True, resp_phase=True)
    answer = caller.responses(stream=True)
    assert ("keepalive" in answer.names, answer.text.endswith("data: [DONE]\n\n")) == (True, True)
    assert answer.events[-1]["response"]["output"][0]["phase"] == "final_answer"
    caller.fake.set_modes("gpt-5.5", resp_keepalive=None, resp_failed_after_created=True)
    failed = caller.responses(stream=True)
    assert ["response.created", "response.in_progress", "response.failed"] == failed.names
    assert caller.responses().json["status"] == "failed"
    caller.fake.set_modes("gpt-5.5", resp_failed_after_created=None, resp_error_event=True)
    assert "error" == caller.responses(stream=True).names[-1]


def test_a_summary_can_come_in_the_done_item_only(caller: Caller) -> None:
    caller.fake.set_modes("gpt-5.5", resp_summary_only_in_done=True)
    answer = caller.responses(told=ASK, stream=True, **THINK)
    assert not any("summary" in name for name in answer.names)
    assert "Hm hm." == answer.events[-1]["response"]["output"][0]["summary"][0]["text"]


def test_a_content_filter_ends_the_stream_incomplete(caller: Caller) -> None:
    caller.fake.set_modes("gpt-5.5", resp_content_filter=True)
    last = caller.responses(stream=True).events[-1]
    assert {"reason": "content_filter"} == last["response"]["incomplete_details"]
