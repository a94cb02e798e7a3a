"""The fake's Anthropic messages: every rule and every mode."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.emulators.calling import PNG, SAY, WEATHER, Caller
from tests.emulators.copilot import FakeCopilot

TOOL = {"name": "get_weather", "input_schema": WEATHER}
MARK = {"type": "ephemeral"}
THINK = {"type": "enabled", "budget_tokens": 1024}
USE = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
BETA = "context-management-2025-06-27"


@pytest.fixture(scope="module")
def running() -> Iterator[FakeCopilot]:
    with FakeCopilot() as fake:
        yield fake


@pytest.fixture
def caller(running: FakeCopilot) -> Caller:
    running.reset()
    return Caller(running)


def user(*blocks: object) -> dict[str, object]:
    return {"role": "user", "content": list(blocks)}


def text(said: str, **fields: object) -> dict[str, object]:
    return {"type": "text", "text": said, **fields}


def test_a_stream_has_the_full_order_of_events(caller: Caller) -> None:
    answer = caller.messages(stream=True)
    assert answer.names == [
        "message_start", "ping", "content_block_start", *["content_block_delta"] * 3, "content_block_stop",
        "message_delta", "message_stop",
    ]  # fmt: skip
    assert "one two three" == "".join(
        e["delta"]["text"] for e in answer.events if "text" in e.get("delta", {})
    )


def test_stream_and_whole_reply_agree(caller: Caller) -> None:
    ask = [{"role": "user", "content": '[[say:Hm.]][[tool:f {"a":[1,2]}]][[tool:g {}]]'}]
    whole, events = caller.messages(messages=ask).json, caller.messages(messages=ask, stream=True).events
    starts = [e["content_block"] for e in events if e["type"] == "content_block_start"]
    assert (
        [b["type"] for b in whole["content"]]
        == [b["type"] for b in starts]
        == ["text", "tool_use", "tool_use"]
    )
    parts = [
        e["delta"]["partial_json"] for e in events if e.get("delta", {}).get("type") == "input_json_delta"
    ]
    assert [{"a": [1, 2]}, "tool_use"] == [json.loads("".join(parts)), whole["stop_reason"]]
    assert whole["usage"]["output_tokens"] == events[-2]["usage"]["output_tokens"]


def test_thinking_is_signed_and_must_come_back_unchanged(caller: Caller) -> None:
    ask = [{"role": "user", "content": "[[think:Hm hm.]][[tool:get_weather {}]]"}]
    fields: dict[str, Any] = {"thinking": THINK, "tools": [TOOL]}
    said = caller.messages(messages=ask, **fields).json["content"]
    assert ["thinking", "tool_use"] == [block["type"] for block in said]
    result = user({"type": "tool_result", "tool_use_id": said[1]["id"], "content": "ok"})
    turns = [*ask, {"role": "assistant", "content": said}, result]
    assert caller.messages(messages=turns, **fields).status == 200
    said[0]["thinking"] += " changed"
    refused = caller.messages(messages=turns, **fields)
    assert (400, True) == (refused.status, "Invalid `signature`" in refused.text)


def test_adaptive_models_hide_their_thinking_unless_asked(caller: Caller) -> None:
    hidden = caller.messages("claude-opus-4.8", thinking={"type": "adaptive"}).json["content"][0]
    shown = caller.messages("claude-opus-4.8", thinking={"type": "adaptive", "display": "summarized"}).json
    assert ["", True] == [hidden["thinking"], len(shown["content"][0]["thinking"]) > 5]


@pytest.mark.parametrize(
    ("model", "fields", "words"),
    [
        ("claude-sonnet-4.6", {"fallbacks": []}, "fallbacks: Extra inputs"),
        ("claude-sonnet-4.6", {"cache_control": MARK}, "cache_control: Extra inputs"),
        ("claude-sonnet-4.6", {"inference_geo": "eu"}, "inference_geo: Extra inputs"),
        ("claude-sonnet-4.6", {"thread": {"type": "create"}}, "thread: Extra inputs"),
        ("claude-sonnet-4.6", {"context_management": {"edits": []}}, "context_management: Extra inputs"),
        ("claude-sonnet-4.6", {"max_tokens": 65_000}, "exceeds the model limit of 64000"),
        ("claude-sonnet-4.6", {"max_tokens": None}, "max_tokens: Field required"),
        ("claude-sonnet-5", {"temperature": 1, "top_p": 0.5}, "cannot both be specified"),
        ("claude-opus-4.8", {"thinking": THINK}, "thinking.type.enabled"),
        ("claude-sonnet-4.6", {"thinking": {**THINK, "budget_tokens": 4096}}, "must be greater than"),
        ("claude-sonnet-4.6", {"thinking": {**THINK, "budget_tokens": 100}}, "greater than or equal to 1024"),
        ("claude-sonnet-4.6", {"thinking": THINK, "temperature": 0}, "may only be set to 1"),
        (
            "claude-sonnet-4.6",
            {"thinking": THINK, "tools": [TOOL], "tool_choice": {"type": "any"}},
            "forces tool use",
        ),
        ("claude-sonnet-4.6", {"output_config": {"effort": "xhigh"}}, "invalid_reasoning_effort"),
        (
            "claude-sonnet-4.6",
            {"system": [text("x", cache_control={**MARK, "scope": "global"})]},
            "ephemeral.scope: Extra",
        ),
        (
            "claude-sonnet-4.6",
            {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
            "unsupported_value",
        ),
        ("claude-sonnet-4.6", {"tools": [{"type": "web_fetch_20250910", "name": "web_fetch"}]}, "web_fetch"),
        (
            "claude-sonnet-4.6",
            {"tools": [{"type": "code_execution_20260120", "name": "c"}]},
            "tools.0: Input tag",
        ),
        ("claude-sonnet-4.6", {"tools": [{**TOOL, "input_schema": {"$schema": "x"}}]}, "$schema: Extra"),
        (
            "claude-sonnet-4.6",
            {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "nope"}},
            "not found in tools",
        ),
        ("claude-sonnet-4.6", {"system": [text("a", cache_control=MARK)] * 5}, "maximum of 4 blocks"),
    ],
)
def test_fields_against_the_rules_are_refused(caller: Caller, model: str, fields: Any, words: str) -> None:
    answer = caller.messages(model, **fields)
    assert (400, True) == (answer.status, words in answer.text), answer.text


@pytest.mark.parametrize(
    ("turns", "words"),
    [
        ([], "at least one message"),
        ([{"role": "system", "content": "x"}, *SAY], 'Unexpected role \\"system\\"'),
        ([user(text(" "))], "non-whitespace"),
        ([user({"type": "mystery"})], "Input tag 'mystery'"),
        ([user({"type": "image", "source": {"type": "url", "url": "https://x.org/a.png"}})], "external image URLs"),
        ([user({"type": "document", "source": {"type": "text", "data": "x"}})], "source type must be base64 or url"),
        ([*SAY, {"role": "assistant", "content": "So"}], "prefill"),
        ([user({"type": "tool_result", "tool_use_id": "x", "content": "1"})], "unexpected `tool_use_id`"),
        ([*SAY, {"role": "assistant", "content": [USE]}, *SAY], "without `tool_result`"),
        ([*SAY, {"role": "assistant", "content": [{**USE, "id": "a.b"}]}, *SAY], "should match pattern"),
        (
            [
                *SAY,
                {"role": "assistant", "content": [USE]},
                user({"type": "tool_result", "tool_use_id": "toolu_1", "content": [text("x", cache_control=MARK)]}),
            ],
            "tool_result.content.0.cache_control",
        ),
        (
            [*SAY, {"role": "assistant", "content": [{"type": "thinking", "thinking": "x", "signature": "eA=="}]}, *SAY],
            "Invalid `signature`",
        ),
    ],
)  # fmt: skip
def test_messages_against_the_rules_are_refused(caller: Caller, turns: Any, words: str) -> None:
    answer = caller.messages(messages=turns)
    assert (400, True) == (answer.status, words in answer.text), answer.text


def test_late_system_turns_are_taken_by_newer_models(caller: Caller) -> None:
    turns = [*SAY, {"role": "system", "content": [text("be brief", cache_control=MARK)]}]
    assert [400, 200] == [caller.messages(m, turns).status for m in ("claude-sonnet-4.6", "claude-opus-4.8")]


def test_betas_are_taken_from_a_list_only(caller: Caller) -> None:
    assert caller.post("/v1/messages", {}, anthropic_beta="x").status == 400
    body = {
        "model": "claude-sonnet-4.6",
        "messages": SAY,
        "max_tokens": 9,
        "context_management": {"edits": []},
    }
    assert caller.post("/v1/messages", body, anthropic_beta=BETA).status == 200
    refused = caller.post("/v1/messages", body, anthropic_beta=f"{BETA},claude-code-20250219")
    assert "claude-code-20250219" in refused.json["message"]


def test_the_tool_loop_ends_with_the_result(caller: Caller) -> None:
    ask = [{"role": "user", "content": "What is the weather in Paris and in Rome?"}]
    said = caller.messages(messages=ask, tools=[TOOL]).json["content"]
    assert [{"city": "Paris"}, {"city": "Rome"}] == [block["input"] for block in said]
    results = [
        {"type": "tool_result", "tool_use_id": b["id"], "content": b["input"]["city"] + " 20C"} for b in said
    ]
    turns = [*ask, {"role": "assistant", "content": said}, user(*results)]
    end = caller.messages(messages=turns, tools=[TOOL]).json
    assert ("end_turn", "Result: Paris 20C Result: Rome 20C") == (
        end["stop_reason"],
        end["content"][0]["text"],
    )


def test_caching_needs_a_mark_and_counts_writes_then_reads(caller: Caller) -> None:
    long = "rule " * 2000

    def usage(**mark: object) -> tuple[int, int, bool]:
        used = caller.messages(system=[text(long, **mark)]).json["usage"]
        return (
            used["cache_creation_input_tokens"],
            used["cache_read_input_tokens"],
            used["input_tokens"] > 2000,
        )

    assert (0, 0, True) == usage() == usage()
    written, read, _ = usage(cache_control=MARK)
    assert (True, 0) == (written > 2000, read)
    assert (0, written, False) == usage(cache_control=MARK)


def test_an_overlong_prompt_is_refused_in_anthropics_envelope(caller: Caller) -> None:
    answer = caller.messages(messages=[{"role": "user", "content": "x" * 900_000}]).json
    assert ("error", "prompt is too long: 225009 tokens > 200000 maximum") == (
        answer["type"],
        answer["error"]["message"],
    )


def test_count_tokens_counts_what_the_reply_reports(caller: Caller) -> None:
    body = {"model": "claude-sonnet-4.6", "messages": SAY, "system": "be brief"}
    counted = caller.post("/v1/messages/count_tokens", body).json["input_tokens"]
    assert counted == caller.messages(system="be brief").json["usage"]["input_tokens"]
    caller.fake.state.count_tokens_known = False
    assert caller.post("/v1/messages/count_tokens", body).status == 404


def test_modes_show_the_backend_the_price_and_a_trailing_done(caller: Caller) -> None:
    caller.fake.set_modes(
        "claude-sonnet-4.6", msg_backend="bdrk", msg_copilot_usage=True, msg_trailing_done=True
    )
    answer = caller.messages(stream=True)
    assert answer.events[0]["message"]["id"].startswith("msg_bdrk_")
    assert answer.events[-2]["copilot_usage"]["total_nano_aiu"] > 0
    assert answer.text.endswith("data: [DONE]\n\n")
    assert "amazon-bedrock-invocationMetrics" in answer.events[-1]


def test_an_error_event_can_end_the_stream(caller: Caller) -> None:
    caller.fake.set_modes("claude-sonnet-4.6", msg_error_event=True)
    answer = caller.messages(stream=True)
    assert ("error", "overloaded_error") == (answer.names[-1], answer.events[-1]["error"]["type"])


def test_thinking_can_be_redacted_and_calls_can_leak(caller: Caller) -> None:
    caller.fake.set_modes("claude-sonnet-4.6", msg_redacted=True, msg_leaked_call=True)
    ask = [{"role": "user", "content": "[[tool:f {}]]"}]
    body = caller.messages(messages=ask, thinking=THINK).json
    assert ("redacted_thinking", "end_turn") == (body["content"][0]["type"], body["stop_reason"])
    assert '<invoke name="f">' in body["content"][1]["text"]


def test_stop_sequences_are_named(caller: Caller) -> None:
    body = caller.messages(stop_sequences=["two"]).json
    assert ("stop_sequence", "two") == (body["stop_reason"], body["stop_sequence"])


def test_a_schema_is_answered_with_fitting_json(caller: Caller) -> None:
    wanted = {"format": {"type": "json_schema", "schema": WEATHER}}
    ask = [{"role": "user", "content": "Where? in Oslo"}]
    assert {"city": "Oslo"} == json.loads(
        caller.messages(messages=ask, output_config=wanted).json["content"][0]["text"]
    )


def test_images_in_results_are_described(caller: Caller) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    caller.headers["Copilot-Vision-Request"] = "true"
    ask = [user({"type": "image", "source": source}, text("what?"))]
    assert "image/png of 70 bytes (1x1)" in caller.messages(messages=ask).text
