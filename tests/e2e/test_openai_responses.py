"""The official openai SDK on /v1/responses, in front of models of every upstream dialect."""

import json
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.e2e.hosting import ONLY_MESSAGES
from tests.emulators.calling import PNG, WEATHER
from tests.emulators.copilot import FakeCopilot

MODELS = ["gpt-5.5", "gpt-5-mini", "gpt-4.1", "gemini-3.8-flash", "claude-sonnet-4.6"]
TOOL: Any = {"type": "function", "name": "get_weather", "description": "Tell the weather", "parameters": WEATHER, "strict": False}  # fmt: skip
CITIES = "What is the weather in Paris and in Rome?"
every_model = pytest.mark.parametrize("model", MODELS)


@every_model
def test_complete_reply(oai: openai.OpenAI, model: str) -> None:
    reply = oai.responses.create(model=model, input="[[say:three word answer]]", instructions="Be brief.")
    assert ("three word answer", "completed", model) == (reply.output_text, reply.status, reply.model)
    assert reply.usage is not None
    assert reply.usage.total_tokens == reply.usage.input_tokens + reply.usage.output_tokens


@every_model
def test_streamed_reply(oai: openai.OpenAI, model: str, fake: FakeCopilot) -> None:
    """AC-59: the helper refuses item ids that change on the way."""
    fake.set_modes(model, resp_rotate_ids=True)
    with oai.responses.stream(model=model, input="[[words:12]]") as stream:
        pieces = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    said = " ".join(f"word{n}" for n in range(12))
    assert (said, said, "completed", model) == (
        "".join(pieces), final.output_text, final.status, final.model,
    )  # fmt: skip
    assert len(pieces) > 1


@every_model
def test_raw_events_are_numbered_and_end_once(oai: openai.OpenAI, model: str) -> None:
    events = list(oai.responses.create(model=model, input="[[words:5]]", stream=True))
    assert list(range(len(events))) == [event.sequence_number for event in events]
    assert ["response.completed"] == [
        event.type for event in events if event.type.startswith("response.completed")
    ]


@every_model
@pytest.mark.parametrize("streamed", [False, True])
def test_parallel_tools_and_their_results(oai: openai.OpenAI, model: str, *, streamed: bool) -> None:
    turns: list[Any] = [{"role": "user", "content": CITIES}]
    if streamed:
        with oai.responses.stream(model=model, input=turns, tools=[TOOL]) as stream:
            for _ in stream:
                pass
            first: Any = stream.get_final_response()
    else:
        first = oai.responses.create(model=model, input=turns, tools=[TOOL])
    calls = [item for item in first.output if item.type == "function_call"]
    assert [{"city": "Paris"}, {"city": "Rome"}] == [json.loads(call.arguments) for call in calls]
    turns += [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in first.output]
    turns += [
        {"type": "function_call_output", "call_id": call.call_id, "output": f"{n}8 degrees"}
        for n, call in enumerate(calls)
    ]
    last = oai.responses.create(model=model, input=turns, tools=[TOOL])
    assert last.output_text == "Result: 08 degrees Result: 18 degrees"


@every_model
def test_image(oai: openai.OpenAI, model: str) -> None:
    content: Any = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"},
    ]
    reply = oai.responses.create(model=model, input=[{"role": "user", "content": content}])
    assert "I see 1 file(s): image/png" in reply.output_text


class Person(BaseModel):
    name: str
    age: int
    tags: list[str]


@every_model
def test_structured_output_is_parsed(oai: openai.OpenAI, model: str) -> None:
    reply = oai.responses.parse(model=model, input="Describe Ada, 36 years", text_format=Person)
    assert isinstance(reply.output_parsed, Person)
    with oai.responses.stream(model=model, input="Describe Ada, 36 years", text_format=Person) as stream:
        for _ in stream:
            pass
        assert stream.get_final_response().output_parsed == reply.output_parsed


@pytest.mark.parametrize("model", ["gpt-5.5", "gemini-3.8-flash", "claude-sonnet-4.6", ONLY_MESSAGES])
def test_reasoning_survives_a_tool_loop(oai: openai.OpenAI, model: str, fake: FakeCopilot) -> None:
    """AC-07, AC-31: the encrypted part is verified when it comes back."""
    fake.set_modes("gemini-3.8-flash", **{"chat_requires_opaque": True, "reasoning_text+opaque": True})
    fake.set_modes("gpt-5.5", resp_encrypted_check=True)
    more: Any = {"tools": [TOOL], "reasoning": {"effort": "low", "summary": "auto"}, "store": False,
                 "include": ["reasoning.encrypted_content"]}  # fmt: skip
    turns: list[Any] = [
        {
            "role": "user",
            "content": '[[think:which city]] [[tool:get_weather {"city": "Oslo"}]] [[then]] [[say:done]]',
        }
    ]
    with oai.responses.stream(model=model, input=turns, **more) as stream:
        for _ in stream:
            pass
        first = stream.get_final_response()
    assert ["reasoning", "function_call"] == [item.type for item in first.output]
    assert "which city" in first.output[0].model_dump_json()
    turns += [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in first.output]
    turns.append({"type": "function_call_output", "call_id": turns[-1]["call_id"], "output": "cold"})
    assert oai.responses.create(model=model, input=turns, **more).output_text == "done"


@every_model
def test_output_limit_makes_an_incomplete_reply(oai: openai.OpenAI, model: str) -> None:
    reply = oai.responses.create(model=model, input="[[words:40]]", max_output_tokens=16)
    assert reply.incomplete_details is not None
    assert ("incomplete", "max_output_tokens") == (reply.status, reply.incomplete_details.reason)


@pytest.mark.parametrize("model", MODELS)
def test_storing_is_refused_by_name_when_asked_for_a_stored_reply(oai: openai.OpenAI, model: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        oai.responses.create(model=model, input="hello", previous_response_id="resp_1")
    assert caught.value.param == "previous_response_id"
