"""What an upstream lacks the gateway does: stop sequences, and tool names of any length."""

import json
from typing import Any

import anthropic
import pytest

from tests.e2e.asking import PATH, SURFACES, ask, read_reply, read_stream
from tests.e2e.hosting import ONLY_MESSAGES, Wire
from tests.emulators.copilot import FakeCopilot

NAMES = ["lookup_" + "very_" * 30 + "long_name", "lookup.with.dots"]
MODELS = ["gpt-4.1", "gpt-5.5", "claude-sonnet-4.6", ONLY_MESSAGES, "kimi-k3"]


@pytest.mark.parametrize("model", ["gpt-5.5", "claude-sonnet-4.6"])
def test_a_stop_sequence_ends_the_answer(claude: anthropic.Anthropic, model: str) -> None:
    """AC-25: told to an upstream that knows stop sequences, cut here for one that does not."""
    ask = {
        "model": model,
        "max_tokens": 500,
        "stop_sequences": ["END"],
        "messages": [{"role": "user", "content": "[[say:one two END three four]]"}],
    }
    complete = claude.messages.create(**ask)
    assert ("one two ", "stop_sequence", "END") == (
        complete.content[0].text,
        complete.stop_reason,
        complete.stop_sequence,
    )
    with claude.messages.stream(**ask) as stream:
        streamed = stream.get_final_message()
    assert ("one two ", "stop_sequence", "END") == (
        streamed.content[0].text,
        streamed.stop_reason,
        streamed.stop_sequence,
    )


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("surface", SURFACES)
def test_a_tool_name_that_upstream_refuses_comes_back_whole(
    gateway: Wire,
    surface: str,
    model: str,
    name: str,
    stream: bool,  # noqa: FBT001
) -> None:
    """AC-61: the fake refuses any such name, and calls tools by the names that it was given."""
    body = ask(surface, model, "Look it up.", stream=stream, tools=True)
    asked = json.loads(json.dumps({**body, **CHOICE[surface]}).replace("get_weather", name))
    answer = gateway.post(PATH[surface], asked)
    assert 200 == answer.status, answer.text
    told = (read_stream if stream else read_reply)(surface, answer.body)
    assert ([name], "tools") == ([called for called, _ in told.calls], told.stop)


CHOICE: dict[str, dict[str, Any]] = {
    "chat": {"tool_choice": {"type": "function", "function": {"name": "get_weather"}}},
    "messages": {"tool_choice": {"type": "tool", "name": "get_weather"}},
    "responses": {"tool_choice": {"type": "function", "name": "get_weather"}},
}
HISTORY: dict[str, Any] = {
    "chat": lambda call_id: {
        "messages": [
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "tool_calls": [
                {"id": call_id, "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": call_id, "content": "sunny"},
        ]
    },
    "messages": lambda call_id: {
        "messages": [
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": call_id, "name": "get_weather", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call_id, "content": "sunny"}]},
        ]
    },
    "responses": lambda call_id: {
        "input": [
            {"role": "user", "content": "Weather?"},
            {"type": "function_call", "call_id": call_id, "name": "get_weather", "arguments": "{}"},
            {"type": "function_call_output", "call_id": call_id, "output": "sunny"},
        ]
    },
}  # fmt: skip


@pytest.mark.parametrize("surface", SURFACES)
def test_kimi_goes_on_with_another_models_history(gateway: Wire, fake: FakeCopilot, surface: str) -> None:
    """The fake refuses calls in the history whose ids have not Kimi's own form."""
    body = ask(surface, "kimi-k3", "", tools=True) | HISTORY[surface]("toolu_01")
    answer = gateway.post(PATH[surface], body)
    assert 200 == answer.status, answer.text
    assert "Result: sunny" in read_reply(surface, answer.body).text
    assert "numbered_call_ids" in answer.headers["x-gateway-repairs"]
    [sent] = [json.loads(seen.body) for seen in fake.log if seen.path == "/chat/completions"]
    assert "functions.get_weather:0" == sent["messages"][1]["tool_calls"][0]["id"]
    assert "functions.get_weather:0" == sent["messages"][2]["tool_call_id"]
