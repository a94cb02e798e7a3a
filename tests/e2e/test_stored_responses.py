"""The openai SDK in conversations that the gateway remembers, on models of every upstream dialect."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.e2e.conftest import Host
from tests.emulators.calling import WEATHER
from tests.emulators.copilot import FakeCopilot

# Passed through; translated to messages; translated to chat.
MODELS = ["gpt-5.5", "claude-sonnet-4.6", "gemini-3.8-flash"]
TOOL: Any = {"type": "function", "name": "get_weather", "description": "Tell the weather", "parameters": WEATHER, "strict": False}  # fmt: skip
every_model = pytest.mark.parametrize("model", MODELS)
both_ways = pytest.mark.parametrize("streamed", [False, True])


@pytest.fixture
def oai(host: Host) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        api_key="local",
        base_url=f"{host(store_responses=True).url}/v1",
        max_retries=0,
        _strict_response_validation=True,
    ) as client:
        yield client


def ask(oai: openai.OpenAI, streamed: bool, **asked: Any) -> Any:  # noqa: FBT001
    if not streamed:
        return oai.responses.create(**asked)
    with oai.responses.stream(**asked) as stream:
        for _ in stream:
            pass
        return stream.get_final_response()


@every_model
@both_ways
def test_a_tool_loop_sends_only_what_is_new(oai: openai.OpenAI, model: str, *, streamed: bool) -> None:
    first = ask(oai, streamed, model=model, input="My city is Paris.", instructions="Be brief.")
    second = ask(
        oai, streamed, model=model, input="What is the weather in Paris?", tools=[TOOL], previous_response_id=first.id,
        reasoning={"effort": "low", "summary": "auto"},
    )  # fmt: skip
    [call] = [item for item in second.output if item.type == "function_call"]
    assert {"city": "Paris"} == json.loads(call.arguments)
    result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "18 degrees"}
    third = ask(oai, streamed, model=model, input=[result], tools=[TOOL], previous_response_id=second.id)
    assert "Result: 18 degrees" == third.output_text
    fourth = ask(oai, streamed, model=model, input="What is my city?", previous_response_id=third.id)
    assert "Your city is Paris." == fourth.output_text
    assert [None, first.id, second.id, third.id] == [
        said.previous_response_id for said in (first, second, third, fourth)
    ]
    assert [None] * 2 == [said.instructions for said in (second, fourth)]


@both_ways
def test_reasoning_comes_home_although_upstream_changes_its_ids(
    oai: openai.OpenAI, fake: FakeCopilot, *, streamed: bool
) -> None:
    fake.set_modes("gpt-5.5", resp_rotate_ids=True)
    asked: Any = {"model": "gpt-5.5", "reasoning": {"effort": "low", "summary": "auto"}}
    first = ask(oai, streamed, input="My city is Paris.", **asked)
    second = ask(oai, streamed, input="What is my city?", previous_response_id=first.id, **asked)
    assert "Your city is Paris." == second.output_text
    sent = json.loads(fake.requests("/responses")[-1].body)["input"]
    assert ["message", "reasoning", "message", "message"] == [item["type"] for item in sent]


@every_model
@both_ways
def test_a_response_is_retrieved_listed_and_deleted(
    oai: openai.OpenAI, model: str, *, streamed: bool
) -> None:
    first = ask(oai, streamed, model=model, input="[[say:one]]", store=True)
    second = ask(oai, streamed, model=model, input="[[say:two]]", store=True, previous_response_id=first.id)
    found = oai.responses.retrieve(second.id, include=["reasoning.encrypted_content"])
    assert (second.id, "two", "completed") == (found.id, found.output_text, found.status)
    listed = list(oai.responses.input_items.list(second.id, limit=1, order="asc"))
    assert ["[[say:one]]", "one", "[[say:two]]"] == [
        part.text for item in listed if item.type == "message" for part in item.content if "text" in part.type
    ]
    newest = oai.responses.input_items.list(second.id, limit=1)
    assert ([listed[-1].id], True) == ([item.id for item in newest.data], newest.has_more)
    oai.responses.delete(second.id)
    with pytest.raises(openai.NotFoundError):
        oai.responses.retrieve(second.id)
    assert first.id == oai.responses.retrieve(first.id).id


def test_an_unknown_id_is_an_error_that_the_sdk_reads(oai: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        oai.responses.create(model="gpt-5.5", input="Hi", previous_response_id="resp_none")
    assert "previous_response_not_found" == caught.value.code
    with pytest.raises(openai.BadRequestError, match="background"):
        oai.responses.cancel("resp_none")


def test_input_tokens_are_counted(oai: openai.OpenAI) -> None:
    counted = oai.responses.input_tokens.count(model="gpt-5.5", input="Hello there", tools=[TOOL])
    assert ("response.input_tokens", True) == (counted.object, counted.input_tokens > 5)


@every_model
@both_ways
def test_what_an_answer_brought_may_be_referred_to(oai: openai.OpenAI, model: str, *, streamed: bool) -> None:
    """As the AI SDK does by default: a reference for reasoning and text, the call itself, and its result."""
    question: Any = {"role": "user", "content": '[[say:Let me see.]][[tool:get_weather {"city":"Paris"}]]'}
    asked: Any = {"model": model, "tools": [TOOL], "reasoning": {"effort": "low", "summary": "auto"}}
    first = ask(oai, streamed, input=[question], **asked)
    told: list[Any] = [question]
    for item in first.output:
        if item.type == "function_call":
            told += [
                {"type": "function_call", "id": item.id, "call_id": item.call_id, "name": item.name, "arguments": item.arguments},
                {"type": "function_call_output", "call_id": item.call_id, "output": "18 degrees"},
            ]  # fmt: skip
        else:
            told.append({"type": "item_reference", "id": item.id})
    second = ask(oai, streamed, input=told, **asked)
    assert "Result: 18 degrees" == second.output_text
    references = [{"type": "item_reference", "id": item.id} for item in second.output]
    third = ask(
        oai, streamed, input=[*told, *references, {"role": "user", "content": "[[say:end]]"}], **asked
    )
    assert "end" == third.output_text
