"""Calls of an answer that is passed through: what a client may run has a name, and arguments that are an object."""

import json
from typing import Any

import pytest

from core.dialects.responses import RESPONSES
from core.errors import UpstreamProtocolError
from tests.grammar.responses import check_responses_stream, events_of
from tests.unit.dialects.responses.shapes import (
    SIZES,
    added,
    call,
    completed,
    created,
    done,
    echo,
    relay,
    response,
    said,
    sse,
)
from tests.unit.dialects.responses.test_relay_stream import full

BROKEN = ['{"a', "[1]", "null", '"x"', "{}{}"]
CUT = {"reason": "max_output_tokens"}


def incomplete(*output: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "response.incomplete",
        "response": response("incomplete", list(output), incomplete_details=CUT),
    }


def begun(arguments: str) -> list[dict[str, Any]]:
    """Return how a call begins whose arguments come in one piece."""
    return [
        created(),
        added(0, id="fc_1", type="function_call", call_id="c", name="f", arguments="", status="in_progress"),
        said("function_call_arguments.delta", 0, "fc_1", delta=arguments),
    ]


def whole(body: dict[str, Any]) -> Any:
    return json.loads(RESPONSES.relay_response(json.dumps(body).encode(), echo()))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("output", [[], [call("f", "", "c", id="fc_1")]])
def test_no_arguments_are_an_object(size: int | None, output: list[Any]) -> None:
    """AC-18."""
    stream = sse(
        {"type": "response.created", "response": full("in_progress")},
        added(0, id="fc_1", type="function_call", call_id="c", name="f", arguments="", status="in_progress"),
        {
            "type": "response.function_call_arguments.done",
            "output_index": 0,
            "item_id": "fc_1",
            "arguments": "",
        },
        done(0, **call("f", "", "c", id="fc_1")),
        {"type": "response.completed", "response": full("completed", output)},
    )
    told = relay(stream, size)
    events = events_of(told)
    check_responses_stream(told)
    assert [*range(len(events))] == [event["sequence_number"] for event in events]
    assert ["{}", "{}"] == [
        event.get("delta", event.get("arguments"))
        for event in events
        if "function_call_arguments" in event["type"]
    ]
    assert ["{}"] == [each["arguments"] for each in events[-1]["response"]["output"]]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("arguments", BROKEN)
@pytest.mark.parametrize("repeated", [True, False])
def test_broken_arguments_of_a_whole_answer_are_an_error(
    size: int | None, arguments: str, *, repeated: bool
) -> None:
    """AC-19, AC-23: and the client never hears that the call is done."""
    garbled = call("f", arguments, "c", id="fc_1")
    end = {"type": "response.completed", "response": response("completed", [garbled] if repeated else [])}
    told = relay(sse(*begun(arguments), done(0, **garbled), end), size)
    kinds = [event["type"] for event in events_of(told)]
    assert ("response.failed", False) == (kinds[-1], "response.output_item.done" in kinds)


def test_a_broken_call_that_only_the_last_event_tells_is_an_error() -> None:
    end = {"type": "response.completed", "response": response("completed", [call("f", "[1]")])}
    assert "response.failed" == events_of(relay(sse(created(), end), None))[-1]["type"]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("status", [{}, {"status": "completed"}, {"status": "incomplete"}])
@pytest.mark.parametrize("repeated", [True, False])
def test_a_call_that_the_limit_cut_is_told_as_such(
    size: int | None, status: dict[str, str], *, repeated: bool
) -> None:
    """AC-19."""
    half = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": '{"a', **status}
    told = relay(sse(*begun('{"a'), done(0, **half), incomplete(*[half] * repeated)), size)
    events = events_of(told)
    items = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert [("response.incomplete", "incomplete", '{"a')] == [
        (events[-1]["type"], item["status"], item["arguments"]) for item in items
    ]
    assert items == events[-1]["response"]["output"]


def test_a_call_without_a_name_is_an_error() -> None:
    with pytest.raises(UpstreamProtocolError, match="without naming it"):
        whole(response("completed", [call("", "{}")]))
    stream = sse(created(), done(0, **call("", "{}")), completed())
    assert "response.failed" == events_of(relay(stream, None))[-1]["type"]


def test_a_complete_reply_has_calls_that_can_be_run() -> None:
    """AC-18: nothing is an object of none; a custom tool's input is free text."""
    custom = {"type": "custom_tool_call", "id": "ct", "call_id": "d", "name": "g", "input": "[1"}
    told = whole(response("completed", [call("f", ""), custom]))
    assert ("{}", custom) == (told["output"][0]["arguments"], told["output"][1])


@pytest.mark.parametrize("arguments", BROKEN)
def test_a_complete_reply_with_a_broken_call_is_an_error(arguments: str) -> None:
    """AC-19, AC-23."""
    with pytest.raises(UpstreamProtocolError, match="arguments of f are not a JSON object"):
        whole(response("completed", [call("f", arguments)]))


@pytest.mark.parametrize("arguments", [*BROKEN, ""])
def test_a_complete_reply_leaves_out_what_the_limit_cut(arguments: str) -> None:
    """AC-19."""
    kept = call("f", '{"a":1}', "first")
    cut = response("incomplete", [kept, call("f", arguments)], incomplete_details=CUT)
    assert [kept] == whole(cut)["output"]
