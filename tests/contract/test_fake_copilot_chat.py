"""The fake's chat completions: every rule and every mode."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.emulators.calling import PNG, SAY, WEATHER, Caller
from tests.emulators.copilot import FakeCopilot

TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}]
TWO = [{"role": "user", "content": '[[say:Looking.]][[tool:f {"a":1}]][[tool:g {"b":2}]]'}]


@pytest.fixture(scope="module")
def running() -> Iterator[FakeCopilot]:
    with FakeCopilot() as fake:
        yield fake


@pytest.fixture
def caller(running: FakeCopilot) -> Caller:
    running.reset()
    return Caller(running)


def modes(caller: Caller, model: str, *names: str) -> None:
    caller.fake.state.set_modes(model, dict.fromkeys(names, True))


def deltas(events: list[Any]) -> list[Any]:
    return [choice["delta"] for event in events for choice in event.get("choices") or []]


def text_of(events: list[Any]) -> str:
    return "".join(delta.get("content") or "" for delta in deltas(events))


def tools_of(events: list[Any]) -> list[Any]:
    return [piece for delta in deltas(events) for piece in delta.get("tool_calls", [])]


def test_a_stream_begins_with_the_filter_and_ends_with_usage_and_done(caller: Caller) -> None:
    answer = caller.chat(stream=True)
    assert answer.text.endswith("data: [DONE]\n\n")
    first, last = answer.events[0], answer.events[-1]
    assert ([], "") == (first["choices"], first["id"])
    assert ("stop", 3) == (last["choices"][0]["finish_reason"], last["usage"]["completion_tokens"])
    assert ("one two three", "object" in last) == (text_of(answer.events), False)


def test_stream_and_whole_reply_agree(caller: Caller) -> None:
    whole, streamed = caller.chat(messages=TWO).json, caller.chat(messages=TWO, stream=True).events
    message = whole["choices"][0]["message"]
    assert message["content"] == text_of(streamed)
    names = [piece["function"]["name"] for piece in tools_of(streamed) if "id" in piece]
    assert [call["function"]["name"] for call in message["tool_calls"]] == names == ["f", "g"]
    assert whole["usage"] == streamed[-1]["usage"]


def test_claude_splits_its_choices(caller: Caller) -> None:
    modes(caller, "claude-sonnet-4.6", "chat_split_choices")
    whole = caller.chat("claude-sonnet-4.6", TWO).json
    assert [["content"], ["tool_calls"], ["tool_calls"]] == [
        sorted(choice["message"].keys() - {"role"}) for choice in whole["choices"]
    ]
    assert "object" not in whole
    streamed = caller.chat("claude-sonnet-4.6", TWO, stream=True).events
    assert [2] == [len(event["choices"]) for event in streamed if len(event["choices"]) > 1]


def test_anthropic_body_comes_instead_of_choices(caller: Caller) -> None:
    modes(caller, "claude-opus-4.8", "chat_anthropic_body")
    body = caller.chat("claude-opus-4.8", TWO).json
    assert ("tool_use", ["text", "tool_use", "tool_use"]) == (
        body["stop_reason"],
        [block["type"] for block in body["content"]],
    )


def test_tool_pieces_can_lack_the_index(caller: Caller) -> None:
    modes(caller, "gpt-4.1", "chat_no_index")
    assert not any("index" in piece for piece in tools_of(caller.chat(messages=TWO, stream=True).events))


def test_tool_pieces_can_share_the_index_and_repeat_the_id(caller: Caller) -> None:
    modes(caller, "gpt-4.1", "chat_same_index", "chat_repeat_id")
    pieces = tools_of(caller.chat(messages=TWO, stream=True).events)
    assert {0} == {piece["index"] for piece in pieces}
    assert 2 == len({piece["id"] for piece in pieces}) < len(pieces)


def test_parallel_arguments_can_be_interleaved(caller: Caller) -> None:
    modes(caller, "gpt-4.1", "chat_interleaved_tools")
    pieces = tools_of(caller.chat(messages=TWO, stream=True).events)
    assert [0, 1, 0, 1, 0, 1, 0, 1] == [piece["index"] for piece in pieces]


def test_empty_arguments_stream_as_nothing(caller: Caller) -> None:
    ask = [{"role": "user", "content": "[[tool:now {}]]"}]
    pieces = tools_of(caller.chat(messages=ask, stream=True).events)
    assert [""] == [piece["function"]["arguments"] for piece in pieces]


def test_a_tool_call_can_finish_with_stop(caller: Caller) -> None:
    modes(caller, "gpt-4.1", "chat_finish_stop_on_tool")
    assert caller.chat(messages=TWO, stream=True).events[-1]["choices"][0]["finish_reason"] == "stop"


def test_streams_can_lack_done_or_the_finish(caller: Caller) -> None:
    modes(caller, "gpt-4.1", "chat_no_done", "chat_no_finish")
    answer = caller.chat(stream=True)
    assert ("[DONE]" in answer.text, "usage" in answer.text, answer.broken) == (False, False, False)
    assert text_of(answer.events) == "one two three"


def test_usage_can_come_in_a_chunk_of_its_own(caller: Caller) -> None:
    modes(caller, "gpt-4.1", "chat_usage_separate_chunk")
    finish, usage = caller.chat(stream=True).events[-2:]
    assert ("usage" in finish, usage["choices"], usage["usage"]["completion_tokens"]) == (False, [], 3)


def test_choices_can_be_null_or_absent(caller: Caller) -> None:
    modes(caller, "gpt-4.1", "chat_null_choices")
    events = caller.chat(stream=True).events
    assert [None, "absent"] == [
        event.get("choices", "absent") for event in events if not isinstance(event.get("choices"), list)
    ]


def test_errors_come_in_the_middle_of_a_stream(caller: Caller) -> None:
    modes(caller, "gpt-4.1", "chat_error_midstream")
    answer = caller.chat(stream=True)
    assert (200, "server_error") == (answer.status, answer.events[-1]["error"]["code"])
    caller.fake.reset()
    caller = Caller(caller.fake)
    modes(caller, "gpt-4.1", "chat_bare_error_at_end")
    assert caller.chat(stream=True).text.splitlines()[-1].startswith('{"error"')


def test_comments_and_side_channels_are_mixed_in(caller: Caller) -> None:
    modes(caller, "gpt-4.1", "chat_comments", "chat_copilot_errors")
    answer = caller.chat(stream=True)
    assert (2, 1) == (answer.text.count(": keep-alive"), answer.text.count("copilot_errors"))


def test_reasoning_is_shown_and_must_come_back_unchanged(caller: Caller) -> None:
    modes(caller, "gemini-3.8-flash", "reasoning_text+opaque", "chat_requires_opaque")
    ask = [{"role": "user", "content": "[[think:Hm hm.]][[tool:f {}]]"}]
    events = caller.chat("gemini-3.8-flash", ask, stream=True).events
    assert "Hm hm." == "".join(delta.get("reasoning_text", "") for delta in deltas(events))
    said = caller.chat("gemini-3.8-flash", ask).json["choices"][0]["message"]
    result = {"role": "tool", "tool_call_id": said["tool_calls"][0]["id"], "content": "42"}
    assert caller.chat("gemini-3.8-flash", [*ask, said, result]).status == 200
    forged = {**said, "reasoning_opaque": "Zm9yZ2Vk"}
    assert "could not be verified" in caller.chat("gemini-3.8-flash", [*ask, forged, result]).text
    del said["reasoning_opaque"]
    assert caller.chat("gemini-3.8-flash", [*ask, said, result]).status == 400


def test_thinking_can_come_after_the_finish(caller: Caller) -> None:
    modes(caller, "gemini-3.8-flash", "late_thinking")
    last = deltas(caller.chat("gemini-3.8-flash", stream=True).events)[-1]
    assert ["reasoning_opaque"] == list(last)


@pytest.mark.parametrize(
    ("model", "fields", "code"),
    [
        ("gpt-5-mini", {"max_tokens": 9}, "invalid_request_body"),
        ("gpt-4.1", {"max_completion_tokens": 9}, "invalid_request_body"),
        ("gpt-5-mini", {"temperature": 0.2}, "unsupported_value"),
        ("gpt-5-mini", {"reasoning_effort": "xhigh"}, "invalid_reasoning_effort"),
        ("gpt-4.1", {"reasoning_effort": "low"}, "invalid_reasoning_effort"),
        ("gpt-4.1", {"tools": []}, "invalid_request_body"),
        ("gpt-4.1", {"tools": [{"type": "function", "function": {"name": "a b"}}]}, "invalid_request_body"),
        ("gpt-4.1", {"tools": TOOLS * 129}, "invalid_request_body"),
        ("gpt-4.1", {"prediction": {"type": "content", "content": ""}}, "invalid_request_body"),
        (
            "gpt-4.1",
            {"messages": [{"role": "tool", "tool_call_id": "x", "content": ""}]},
            "invalid_request_body",
        ),
        (
            "claude-sonnet-4.6",
            {"messages": [*SAY, {"role": "assistant", "content": "So "}]},
            "invalid_request_body",
        ),
        ("grok-4.5", {"messages": [{"role": "developer", "content": "x"}]}, "invalid_request_body"),
    ],
)
def test_bodies_against_the_rules_are_refused(caller: Caller, model: str, fields: Any, code: str) -> None:
    answer = caller.post("/chat/completions", {"model": model, "messages": SAY, **fields})
    assert (400, code) == (answer.status, answer.json["error"]["code"])


def test_too_long_a_prompt_names_the_numbers(caller: Caller) -> None:
    answer = caller.chat("gpt-4o", [{"role": "user", "content": "x" * 400_000}])
    assert answer.json["error"] == {
        "message": "prompt token count of 100009 exceeds the limit of 64000",
        "code": "model_max_prompt_tokens_exceeded",
    }


def test_a_repeated_prefix_is_cached(caller: Caller) -> None:
    long = [{"role": "system", "content": "rule " * 2000}, *SAY]
    usage = [
        caller.chat(messages=long).json["usage"]["prompt_tokens_details"]["cached_tokens"] for _ in range(2)
    ]
    grown = caller.chat(messages=[*long, {"role": "assistant", "content": "ok"}, *SAY]).json["usage"]
    assert [0, True, True] == [usage[0], usage[1] > 2000, grown["prompt_tokens"] > usage[1]]
    assert usage[1] == grown["prompt_tokens_details"]["cached_tokens"]


def test_the_output_limit_and_stops_cut_the_text(caller: Caller) -> None:
    cut = caller.chat(max_tokens=2).json["choices"][0]
    assert ("length", "one two ") == (cut["finish_reason"], cut["message"]["content"])
    stopped = caller.chat(stop="two").json["choices"][0]
    assert ("stop", "one ") == (stopped["finish_reason"], stopped["message"]["content"])


def test_images_are_described(caller: Caller) -> None:
    caller.headers["Copilot-Vision-Request"] = "true"
    part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    ask = [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, part]}]
    assert "1 file(s): image/png of 70 bytes (1x1)" in caller.chat(messages=ask).text
