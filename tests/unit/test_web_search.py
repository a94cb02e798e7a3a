"""What becomes of a request that asks for web search: native, turned over, left out or refused."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from core.canonical import HostedTool, Reasoning, Request, ToolChoice
from core.errors import InvalidRequestError, UnsupportedFeatureError
from core.model import DialectName, Model
from core.route import plan
from core.surfaces import DIALECTS
from core.web_search import Journey, arrange, may_ask, native_tool, search_model, without_search

CLAUDE = Model(id="claude-sonnet-5", vendor="Anthropic", dialects=("messages", "chat"))
GEMINI = Model(id="gemini-4", vendor="Google", dialects=("chat",))
GPT = Model(id="gpt-5.5", vendor="OpenAI", dialects=("responses",))
BOTH = Model(id="gpt-5.4", vendor="Azure OpenAI", dialects=("chat", "responses"))

ANTHROPIC = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
OPENAI = {"type": "web_search", "external_web_access": True}
FUNCTION = {
    "messages": {"name": "f", "input_schema": {"type": "object"}},
    "chat": {"type": "function", "function": {"name": "f"}},
    "responses": {"type": "function", "name": "f", "parameters": {"type": "object"}},
}
TALK: dict[DialectName, dict[str, Any]] = {
    "messages": {"max_tokens": 100, "messages": [{"role": "user", "content": "news?"}]},
    "chat": {"messages": [{"role": "user", "content": "news?"}]},
    "responses": {"input": [{"role": "user", "content": "news?"}]},
}


def journey(surface: DialectName, model: Model, **members: object) -> Journey:
    """The journey of a request as the engine begins it."""
    body = json.dumps({"model": model.id, **TALK[surface], **members}).encode()
    lane = plan(DIALECTS[surface], model.id, model, DIALECTS)
    return Journey(lane, body, None if lane.passes_through else lane.surface.decode_request(body))


def arranged(begun: Journey, searcher: Callable[[], Model | None] = lambda: GPT) -> Journey:
    return arrange(begun, searcher, DIALECTS)


def nobody() -> Model | None:
    return None


def request_of(found: Journey) -> Request:
    assert found.request is not None
    return found.request


@pytest.mark.parametrize(
    "body",
    [
        b'{"tools":[{"type":"web_search_20250305","name":"web_search"}]}',
        b'{"tools":[{"type" : "web_search"}]}',
        b'{"tools":[{"type":"web_search_preview_2025_03_11"}]}',
        b'{"web_search_options": {}}',
    ],
)
def test_a_search_tool_is_noticed(body: bytes) -> None:
    assert may_ask(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"messages":[{"content":"say \\"type\\":\\"web_search\\" and web_search_options"}]}',
        b'{"messages":[{"content":[{"type":"web_search_tool_result","tool_use_id":"x"}]}]}',
        b'{"tools":[{"type":"function","function":{"name":"web_search"}}]}',
        b"{}",
    ],
)
def test_talk_of_searching_is_not_a_search_tool(body: bytes) -> None:
    assert not may_ask(body)


@pytest.mark.parametrize("model", [CLAUDE, GEMINI])
@pytest.mark.parametrize(
    ("surface", "members"),
    [
        ("messages", {"tools": [ANTHROPIC]}),
        ("messages", {"tools": [ANTHROPIC], "tool_choice": {"type": "tool", "name": "web_search"}}),
        ("messages", {"tools": [ANTHROPIC], "tool_choice": {"type": "any"}}),
        ("chat", {"web_search_options": {}}),
        ("chat", {"tools": [{"type": "web_search"}]}),
        ("responses", {"tools": [OPENAI]}),
        ("responses", {"tools": [{"type": "web_search_preview"}]}),
    ],
)
def test_a_request_that_can_only_search_is_turned_over(
    surface: DialectName, members: dict[str, Any], model: Model
) -> None:
    """AC-37."""
    found = arranged(journey(surface, model, **members))
    assert (GPT, "responses", model.id) == (
        found.lane.model,
        found.lane.upstream.name,
        found.lane.requested,
    )
    assert ("web_search_rerouted",) == found.repairs
    assert (surface == "responses") == (found.request is None)


def test_a_responses_client_keeps_its_bytes_when_turned_over() -> None:
    begun = journey("responses", CLAUDE, tools=[OPENAI], tool_choice="auto")
    assert begun.body == arranged(begun).body


def test_a_forced_search_goes_without_the_other_tools() -> None:
    forced = {"type": "tool", "name": "web_search"}
    found = arranged(journey("messages", CLAUDE, tools=[FUNCTION["messages"], ANTHROPIC], tool_choice=forced))
    assert ToolChoice("required") == request_of(found).tool_choice
    assert ["web_search"] == [tool.name for tool in request_of(found).tools]
    assert ("tools", "tools.web_search.max_uses") == found.losses


@pytest.mark.parametrize("model", [CLAUDE, GEMINI])
@pytest.mark.parametrize(("surface", "search"), [("messages", ANTHROPIC), ("responses", OPENAI)])
def test_a_search_among_other_tools_is_left_out(
    surface: DialectName, search: dict[str, Any], model: Model
) -> None:
    found = arranged(journey(surface, model, tools=[search, FUNCTION[surface]]), nobody)
    assert (model, ("tools.web_search",), ()) == (found.lane.model, found.losses, found.repairs)
    read = found.request or found.lane.surface.decode_request(found.body)
    assert ["f"] == [tool.name for tool in read.tools]


def test_a_search_that_may_not_be_used_is_left_out() -> None:
    found = arranged(journey("messages", CLAUDE, tools=[ANTHROPIC], tool_choice={"type": "none"}), nobody)
    assert (None, ("tools.web_search",)) == (found.request, found.losses)
    assert {"model", *TALK["messages"]} == json.loads(found.body).keys()


def test_a_model_with_a_search_of_its_own_is_asked_itself() -> None:
    found = arranged(journey("chat", BOTH, web_search_options={}, tools=[FUNCTION["chat"]]), nobody)
    assert (BOTH, "responses", ()) == (found.lane.model, found.lane.upstream.name, found.losses)
    assert [None, b'{"type":"web_search"}'] == [
        getattr(tool, "raw", None) for tool in request_of(found).tools
    ]


def test_what_passes_through_to_responses_is_not_touched() -> None:
    begun = journey("responses", GPT, tools=[OPENAI])
    assert begun is arranged(begun, nobody)


def test_without_a_model_that_searches_the_setting_is_named() -> None:
    """AC-37."""
    with pytest.raises(UnsupportedFeatureError, match="COPILOT_GATEWAY_WEB_SEARCH_MODEL") as caught:
        arranged(journey("messages", CLAUDE, tools=[ANTHROPIC]), nobody)
    assert (400, "tools") == (caught.value.status, caught.value.param)


def test_thinking_that_is_off_does_not_forbid_the_search() -> None:
    """OpenAI's models do not search without reasoning."""
    begun = journey("messages", CLAUDE, tools=[ANTHROPIC], thinking={"type": "disabled"})
    assert Reasoning("off") == begun.lane.surface.decode_request(begun.body).reasoning
    found = arranged(begun)
    assert (None, True) == (request_of(found).reasoning, "effort" in found.losses)


@pytest.mark.parametrize(
    ("raw", "native", "lost"),
    [
        (
            {"type": "web_search_20250305", "name": "web_search", "cache_control": {"type": "ephemeral"}},
            {"type": "web_search"},
            (),
        ),
        (
            {
                "type": "web_search_20250305", "max_uses": 3, "allowed_domains": ["a.example"],
                "blocked_domains": ["b.example"], "user_location": {"type": "approximate", "city": "Bonn"},
            },
            {
                "type": "web_search", "filters": {"allowed_domains": ["a.example"]},
                "user_location": {"type": "approximate", "city": "Bonn"},
            },
            ("tools.web_search.max_uses", "tools.web_search.blocked_domains"),
        ),
        (
            {
                "search_context_size": "low",
                "user_location": {"type": "approximate", "approximate": {"country": "DE"}},
            },
            {
                "type": "web_search", "user_location": {"type": "approximate", "country": "DE"},
                "search_context_size": "low",
            },
            (),
        ),
        ({"allowed_domains": [], "blocked_domains": None}, {"type": "web_search"}, ()),
    ],
)  # fmt: skip
def test_a_tool_is_said_as_responses_says_it(
    raw: dict[str, Any], native: dict[str, Any], lost: tuple[str, ...]
) -> None:
    tool = HostedTool("messages", "web_search_20250305", json.dumps(raw).encode(), "search", "web_search")
    said, losses = native_tool(tool)
    assert (native, lost, "search") == (json.loads(said.raw), losses, said.name)


@pytest.mark.parametrize("raw", [b"[]", b'{"user_location":"Bonn"}', b'{"user_location":{"approximate":1}}'])
def test_a_tool_of_the_wrong_shape_is_a_400(raw: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        native_tool(HostedTool("chat", "web_search_options", raw, kind="web_search"))


def test_tools_may_be_null_beside_legacy_functions() -> None:
    begun = journey("chat", GEMINI, tools=None, functions=[{"name": "f"}], web_search_options={})
    found = arranged(begun, nobody)
    assert {"model", "messages", "functions"} == json.loads(found.body).keys()


def test_every_other_member_keeps_its_bytes() -> None:
    body = (
        b'{"model":"m", "temperature" : 1.0,"tools":[{"type":"web_search_20250305"}, {"name":"f", "x": 1e3}],'
        b'"metadata":{"user_id" : "\\u00e9"},"web_search_options":{}}'
    )
    assert (
        b'{"model":"m","temperature":1.0,"tools":[{"name":"f", "x": 1e3}],"metadata":{"user_id" : "\\u00e9"}}'
        == without_search(body)
    )


@pytest.mark.parametrize(
    ("setting", "models", "expected"),
    [
        ("", [CLAUDE, GPT, BOTH], GPT),
        ("", [CLAUDE, BOTH, GPT], BOTH),
        ("", [Model(id="gpt-9", vendor="OpenAI", dialects=("responses",), preview=True), GPT], GPT),
        ("", [Model(id="mai-code", vendor="Azure OpenAI", dialects=("responses",)), GPT], GPT),
        ("", [Model(id="o9", vendor="OpenAI", dialects=("responses",)), CLAUDE], "o9"),
        ("", [Model(id="grok-9", vendor="xAI", dialects=("responses",)), CLAUDE], None),
        ("", [Model(id="gpt-9", vendor="OpenAI", dialects=("responses",), policy="disabled")], None),
        ("gpt-5.4", [GPT, BOTH], BOTH),
        ("GPT-5-4", [GPT, BOTH], BOTH),
        ("gemini-4", [GEMINI, GPT], None),
        ("nonsense", [GPT], None),
        ("off", [GPT], None),
        ("OFF", [GPT], None),
        ("", [], None),
    ],
)
def test_the_searching_model_is_the_one_named_or_the_first_gpt(
    setting: str, models: list[Model], expected: Model | str | None
) -> None:
    found = search_model(setting, models)
    assert expected == (found.id if found and isinstance(expected, str) else found)
