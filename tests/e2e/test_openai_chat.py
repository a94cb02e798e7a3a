"""The official openai SDK on /v1/chat/completions, in front of models of every upstream dialect."""

import json
from typing import Any, Literal

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam
from pydantic import BaseModel

from tests.e2e.hosting import ONLY_MESSAGES
from tests.emulators.calling import PNG, WEATHER
from tests.emulators.copilot import FakeCopilot

# Passed through, chat; translated to messages; translated to responses.
MODELS = ["gpt-4.1", "gpt-5-mini", "gemini-3.8-flash", "claude-sonnet-4.6", ONLY_MESSAGES, "gpt-5.5"]
CITIES = "What is the weather in Paris and in Rome?"
every_model = pytest.mark.parametrize("model", MODELS)


def user(text: str) -> ChatCompletionMessageParam:
    return {"role": "user", "content": text}


def weather_tool(*, strict: bool = False) -> ChatCompletionToolParam:
    schema = {**WEATHER, "additionalProperties": False}
    return {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Tell the weather",
            "parameters": schema,
            "strict": strict,
        },
    }


@every_model
def test_complete_reply(oai: openai.OpenAI, model: str) -> None:
    """AC-27."""
    raw = oai.chat.completions.with_raw_response.create(
        model=model, messages=[user("[[say:three word answer]]")]
    )
    reply = raw.parse()
    [choice] = reply.choices
    assert ("three word answer", "stop", "assistant", model) == (
        choice.message.content, choice.finish_reason, choice.message.role, reply.model,
    )  # fmt: skip
    assert reply.usage is not None
    assert reply.usage.prompt_tokens > 0
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert raw.headers["x-gateway-model"] == model
    assert raw.headers["x-request-id"].startswith("req_")


@every_model
def test_streamed_reply_with_usage(oai: openai.OpenAI, model: str) -> None:
    with oai.chat.completions.stream(
        model=model, messages=[user("[[words:12]]")], stream_options={"include_usage": True}
    ) as stream:
        pieces = [event.delta for event in stream if event.type == "content.delta"]
        final = stream.get_final_completion()
    said = " ".join(f"word{n}" for n in range(12))
    assert (said, said, "stop", model) == (
        "".join(pieces), final.choices[0].message.content, final.choices[0].finish_reason, final.model,
    )  # fmt: skip
    assert len(pieces) > 1
    assert final.usage is not None
    assert final.usage.completion_tokens > 0


@every_model
def test_usage_comes_only_when_asked_for(oai: openai.OpenAI, model: str) -> None:
    chunks = list(oai.chat.completions.create(model=model, messages=[user("[[words:3]]")], stream=True))
    assert [None] == sorted({chunk.usage for chunk in chunks if chunk.choices == []} or {None}, key=str)
    assert all(chunk.object == "chat.completion.chunk" and chunk.id == chunks[0].id for chunk in chunks)


@every_model
@pytest.mark.parametrize("how", ["create", "stream"])
def test_parallel_tools_and_their_results(
    oai: openai.OpenAI, model: str, how: Literal["create", "stream"]
) -> None:
    """AC-02."""
    turns: list[ChatCompletionMessageParam] = [user(CITIES)]
    if how == "create":
        first: Any = oai.chat.completions.create(model=model, messages=turns, tools=[weather_tool()])
    else:
        with oai.chat.completions.stream(
            model=model, messages=turns, tools=[weather_tool(strict=True)]
        ) as stream:
            names = [event.name for event in stream if event.type == "tool_calls.function.arguments.done"]
            first = stream.get_final_completion()
        assert ["get_weather", "get_weather"] == names
    [choice] = first.choices
    assert choice.finish_reason == "tool_calls"
    calls = choice.message.tool_calls
    assert [{"city": "Paris"}, {"city": "Rome"}] == [json.loads(call.function.arguments) for call in calls]
    spoken: Any = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.function.name, "arguments": call.function.arguments},
        }
        for call in calls
    ]
    turns.append({"role": "assistant", "content": choice.message.content, "tool_calls": spoken})
    turns += [
        {"role": "tool", "tool_call_id": call.id, "content": f"{n}8 degrees"} for n, call in enumerate(calls)
    ]
    last = oai.chat.completions.create(model=model, messages=turns, tools=[weather_tool()])
    assert ("Result: 08 degrees Result: 18 degrees", "stop") == (
        last.choices[0].message.content, last.choices[0].finish_reason,
    )  # fmt: skip


@every_model
def test_one_tool_at_a_time_when_parallel_calls_are_off(oai: openai.OpenAI, model: str) -> None:
    reply = oai.chat.completions.create(
        model=model, messages=[user(CITIES)], tools=[weather_tool()], parallel_tool_calls=False
    )
    assert len(reply.choices[0].message.tool_calls or []) == 1


@every_model
@pytest.mark.parametrize("choice", ["required", "named", "none"])
def test_tool_choice(oai: openai.OpenAI, model: str, choice: str) -> None:
    asked: Any = {"type": "function", "function": {"name": "get_weather"}} if choice == "named" else choice
    reply = oai.chat.completions.create(
        model=model, messages=[user("Hi there, Anna")], tools=[weather_tool()], tool_choice=asked
    )
    assert (choice != "none") is bool(reply.choices[0].message.tool_calls)


@every_model
def test_image(oai: openai.OpenAI, model: str, fake: FakeCopilot) -> None:
    content: Any = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
    ]
    reply = oai.chat.completions.create(model=model, messages=[{"role": "user", "content": content}])
    assert "I see 1 file(s): image/png" in (reply.choices[0].message.content or "")
    assert fake.log[-1].headers["copilot-vision-request"] == "true"


class Person(BaseModel):
    name: str
    age: int
    tags: list[str]


@every_model
def test_structured_output_is_parsed(oai: openai.OpenAI, model: str) -> None:
    """AC-43."""
    reply = oai.chat.completions.parse(
        model=model, messages=[user("Describe Ada, 36 years")], response_format=Person
    )
    assert isinstance(reply.choices[0].message.parsed, Person)
    with oai.chat.completions.stream(
        model=model, messages=[user("Describe Ada, 36 years")], response_format=Person
    ) as stream:
        for _ in stream:
            pass
        assert stream.get_final_completion().choices[0].message.parsed == reply.choices[0].message.parsed


@pytest.mark.parametrize("model", ["gemini-3.8-flash", ONLY_MESSAGES, "gpt-5.5"])
def test_reasoning_effort_shows_its_thinking(oai: openai.OpenAI, model: str) -> None:
    """AC-07."""
    reply = oai.chat.completions.create(
        model=model, messages=[user("[[think:deep thought]] [[say:42]]")], reasoning_effort="low"
    )
    message = reply.choices[0].message
    extra = message.model_extra or {}
    assert "deep thought" in str(extra.get("reasoning_text") or extra.get("reasoning_content"))
    assert message.content == "42"


@pytest.mark.parametrize(
    "model",
    ["gemini-3.8-flash", ONLY_MESSAGES, "gpt-5.5"],
)
def test_thinking_survives_a_tool_loop(oai: openai.OpenAI, model: str, fake: FakeCopilot) -> None:
    """AC-07, AC-31."""
    fake.set_modes("gemini-3.8-flash", **{"chat_requires_opaque": True, "reasoning_text+opaque": True})
    asked = user('[[think:which city]] [[tool:get_weather {"city": "Oslo"}]] [[then]] [[say:done]]')
    first = oai.chat.completions.create(
        model=model, messages=[asked], tools=[weather_tool()], reasoning_effort="low"
    )
    said: Any = first.choices[0].message.model_dump(exclude_none=True)
    result: Any = {"role": "tool", "tool_call_id": said["tool_calls"][0]["id"], "content": "cold"}
    last = oai.chat.completions.create(
        model=model, messages=[asked, said, result], tools=[weather_tool()], reasoning_effort="low"
    )
    assert last.choices[0].message.content == "done"


@every_model
@pytest.mark.parametrize("stream", [False, True])
def test_several_choices_are_refused_by_name(oai: openai.OpenAI, model: str, *, stream: bool) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        oai.chat.completions.create(model=model, messages=[user("hello")], n=2, stream=stream)
    assert (400, "n") == (caught.value.status_code, caught.value.param)


@every_model
def test_output_limit_is_kept(oai: openai.OpenAI, model: str) -> None:
    reply = oai.chat.completions.create(
        model=model, messages=[user("[[words:30]]")], max_completion_tokens=20
    )
    assert reply.choices[0].finish_reason == "length"


@pytest.mark.parametrize("model", ["gpt-5-mini", "gpt-4.1", "gemini-3.8-flash"])
@pytest.mark.parametrize("member", ["max_tokens", "max_completion_tokens"])
def test_either_name_of_the_output_limit_is_taken(oai: openai.OpenAI, model: str, member: str) -> None:
    """AC-65."""
    limit: Any = {member: 5}
    reply = oai.chat.completions.create(model=model, messages=[user("[[words:30]]")], **limit)
    assert reply.choices[0].finish_reason == "length"


def test_conversation_is_remembered_over_turns_and_models(oai: openai.OpenAI) -> None:
    turns: list[ChatCompletionMessageParam] = [
        {"role": "system", "content": "Be brief."},
        user("My favourite colour is teal."),
        {"role": "assistant", "content": "Noted."},
        user("What is my favourite colour?"),
    ]
    said = {
        oai.chat.completions.create(model=model, messages=turns).choices[0].message.content
        for model in MODELS
    }
    assert said == {"Your favourite colour is teal."}
