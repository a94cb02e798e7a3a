"""The fake's web search on /responses: when it searches, what it tells, what it refuses."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.emulators.calling import Caller
from tests.emulators.copilot import FakeCopilot

SEARCH = {"type": "web_search"}
OTHER = {"type": "function", "name": "note", "parameters": {"type": "object"}}
SOURCES = ["web_search_call.action.sources"]


@pytest.fixture
def caller() -> Iterator[Caller]:
    with FakeCopilot() as fake:
        yield Caller(fake)


def kinds(body: Any) -> list[str]:
    return [item["type"] for item in body["output"]]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"tools": [SEARCH]}, ["web_search_call", "message"]),
        ({"tools": [SEARCH, OTHER]}, ["message"]),
        ({"tools": [SEARCH, OTHER], "tool_choice": SEARCH}, ["web_search_call", "message"]),
        ({"tools": [SEARCH], "tool_choice": "none"}, ["message"]),
        ({"tools": [OTHER]}, ["message"]),
    ],
)
def test_it_searches_when_nothing_else_is_asked_or_when_it_must(
    caller: Caller, more: dict[str, Any], expected: list[str]
) -> None:
    assert expected == kinds(caller.responses(**more).json)


def test_the_prompt_may_ask_for_a_search(caller: Caller) -> None:
    told = [{"role": "user", "content": "Please search the web"}]
    assert "web_search_call" in kinds(caller.responses(told=told, tools=[SEARCH, OTHER]).json)


def test_sources_are_told_to_who_asks_and_domains_are_kept_to(caller: Caller) -> None:
    filtered = {**SEARCH, "filters": {"allowed_domains": ["example.org"]}}
    plain, full = (caller.responses(tools=[filtered], include=include).json for include in ([], SOURCES))
    assert "sources" not in plain["output"][0]["action"]
    assert [{"type": "url", "url": "https://example.org/news"}] == full["output"][0]["action"]["sources"]


def test_a_stream_tells_the_search_and_cites_within_the_text(caller: Caller) -> None:
    answered = caller.responses(tools=[SEARCH], stream=True)
    stages = [name for name in answered.names if "web_search_call" in name]
    assert [
        f"response.web_search_call.{stage}" for stage in ("in_progress", "searching", "completed")
    ] == stages
    notes = [event["annotation"] for event in answered.events if "annotation" in event]
    text = next(event["text"] for event in answered.events if event["type"] == "response.output_text.done")
    assert all(note["url"] in text[note["start_index"] : note["end_index"]] for note in notes)
    assert notes == answered.events[-1]["response"]["output"][1]["content"][0]["annotations"]


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [{**SEARCH, "max_uses": 3}]},
        {"tools": [{**SEARCH, "user_location": {"type": "approximate", "approximate": {}}}]},
        {"tools": [SEARCH], "reasoning": {"effort": "none"}},
    ],
)
def test_what_the_tool_does_not_have_is_refused(caller: Caller, more: dict[str, Any]) -> None:
    assert 400 == caller.responses(**more).status
