"""The real SDKs talk straight to the fake where shapes agree."""

from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from tests.emulators.calling import WEATHER
from tests.emulators.copilot import FakeCopilot


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeCopilot]:
    with FakeCopilot() as running:
        yield running


@pytest.fixture
def oai(fake: FakeCopilot) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key=fake.token, base_url=fake.capi_url, max_retries=0) as client:
        yield client


@pytest.fixture
def claude(fake: FakeCopilot) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(auth_token=fake.token, base_url=fake.capi_url, max_retries=0) as client:
        yield client


def test_openai_chat(oai: openai.OpenAI) -> None:
    whole = oai.chat.completions.create(
        model="gpt-4.1", messages=[{"role": "user", "content": "[[words:4]]"}]
    )
    stream = oai.chat.completions.create(
        model="gpt-4.1", messages=[{"role": "user", "content": "[[words:4]]"}], stream=True
    )
    streamed = "".join(choice.delta.content or "" for chunk in stream for choice in chunk.choices)
    assert "word0 word1 word2 word3" == whole.choices[0].message.content == streamed


def test_openai_responses_with_tools_and_reasoning(oai: openai.OpenAI) -> None:
    with oai.responses.stream(
        model="gpt-5.5",
        input=[{"role": "user", "content": "What is the weather in Paris and in Rome?"}],
        reasoning={"effort": "low", "summary": "auto"},
        tools=[{"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": False}],
    ) as stream:
        for _ in stream:
            pass
        final = stream.get_final_response()
    assert ["reasoning", "function_call", "function_call"] == [item.type for item in final.output]


def ask(claude: anthropic.Anthropic, turns: list[Any]) -> anthropic.types.Message:
    bash: dict[str, object] = {
        "type": "object",
        "properties": {"command": {"type": "string"}},
        "required": ["command"],
    }
    with claude.messages.stream(
        model="claude-sonnet-4.6",
        max_tokens=4096,
        messages=turns,
        tools=[{"name": "Bash", "input_schema": bash}],
        thinking={"type": "enabled", "budget_tokens": 1024},
    ) as stream:
        return stream.get_final_message()


def test_anthropic_messages_through_a_tool_loop_with_thinking(claude: anthropic.Anthropic) -> None:
    turns: list[Any] = [{"role": "user", "content": "run `echo hello-42` and tell me its output"}]
    first = ask(claude, turns)
    [use] = [block for block in first.content if block.type == "tool_use"]
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "hello-42"}
    said = [block.to_dict() for block in first.content]
    turns += [{"role": "assistant", "content": said}, {"role": "user", "content": [result]}]
    last = ask(claude, turns)
    texts = [block.text for block in last.content if block.type == "text"]
    assert ({"command": "echo hello-42"}, ["Result: hello-42"], "end_turn") == (
        use.input,
        texts,
        last.stop_reason,
    )


def test_anthropic_count_tokens(claude: anthropic.Anthropic) -> None:
    counted = claude.messages.count_tokens(
        model="claude-sonnet-4.6", messages=[{"role": "user", "content": "hello"}]
    )
    assert counted.input_tokens > 5
