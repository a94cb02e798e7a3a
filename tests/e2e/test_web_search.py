"""Web search by the official SDKs on models that cannot search: the blocks, items and annotations of each surface."""

import json
from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pytest
from anthropic.types import Message, TextBlock

from tests.e2e.hosting import Hosted, Wire
from tests.emulators.copilot import FakeCopilot

CLAUDE = "claude-sonnet-4.6"
NO_SEARCH = [CLAUDE, "gemini-3.8-flash", "gpt-4.1"]
NATIVE = ["gpt-5.5", "gpt-5.4"]
WEATHER, NEWS = "https://example.com/weather", "https://example.org/news"
SEARCH: Any = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
# Claude Code's WebSearch asks this way.
FORCED: Any = {"type": "tool", "name": "web_search"}
NOTE: Any = {
    "name": "take_note",
    "description": "Keep a note.",
    "input_schema": {"type": "object", "properties": {}},
}
NOTE_FUNCTION: Any = {
    "type": "function",
    "name": "take_note",
    "parameters": {"type": "object", "properties": {}},
}
NEWEST: Any = [{"role": "user", "content": "What is new today?"}]

Host = Callable[..., Hosted]


def asked(claude: anthropic.Anthropic, *, stream: bool, **more: Any) -> tuple[Message, dict[str, str]]:
    """Return the final message of a request, and the headers of the reply."""
    facts: Any = {"max_tokens": 500, "messages": NEWEST, "tools": [SEARCH], **more}
    if stream:
        with claude.messages.stream(**facts) as events:
            return events.get_final_message(), dict(events.response.headers)
    raw = claude.messages.with_raw_response.create(**facts)
    return raw.parse(), dict(raw.headers)


def cited(block: TextBlock) -> list[tuple[str, str | None]]:
    return [
        (citation.url, citation.title)
        for citation in block.citations or []
        if citation.type == "web_search_result_location"
    ]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", [*NO_SEARCH, *NATIVE, "auto"])
@pytest.mark.parametrize("choice", [FORCED, {"type": "auto"}])
def test_anthropic_sdk_reads_blocks_and_citations(
    claude: anthropic.Anthropic, model: str, choice: Any, *, stream: bool
) -> None:
    """AC-37."""
    message, headers = asked(claude, stream=stream, model=model, tool_choice=choice)
    use, result, text = message.content
    assert ("server_tool_use", "web_search", {"query": "What is new today?"}) == (
        use.type, getattr(use, "name", ""), getattr(use, "input", {}),
    )  # fmt: skip
    assert result.type == "web_search_tool_result"
    assert result.tool_use_id == getattr(use, "id", "")
    assert isinstance(result.content, list)
    assert [WEATHER, NEWS] == [found.url for found in result.content]
    assert all(found.title for found in result.content)
    assert isinstance(text, TextBlock)
    assert [(WEATHER, "Weather of today"), (NEWS, "News of today")] == cited(text)
    assert (model, "end_turn") == (message.model, message.stop_reason)
    assert message.usage.server_tool_use is not None
    assert 1 == message.usage.server_tool_use.web_search_requests
    assert "responses" == headers["x-gateway-upstream"]
    if model in NO_SEARCH:
        assert ("gpt-5-mini", "web_search_rerouted") == (
            headers["x-gateway-model"], headers["x-gateway-repairs"],
        )  # fmt: skip


@pytest.mark.parametrize("stream", [False, True])
def test_sources_that_upstream_does_not_name_are_those_that_it_cites(
    claude: anthropic.Anthropic, fake: FakeCopilot, *, stream: bool
) -> None:
    fake.set_modes("*", resp_search_without_sources=True)
    message, _ = asked(claude, stream=stream, model=CLAUDE)
    found = {block.type: block for block in message.content}
    assert ["server_tool_use", "text", "web_search_tool_result"] == list(found)
    pages = getattr(found["web_search_tool_result"], "content")  # noqa: B009 - a result, as was just seen
    assert [(WEATHER, "Weather of today"), (NEWS, "News of today")] == [
        (page.url, page.title) for page in pages
    ]


@pytest.mark.parametrize("model", NO_SEARCH)
def test_a_search_may_be_sent_back_in_the_history(claude: anthropic.Anthropic, model: str) -> None:
    """AC-44."""
    first, _ = asked(claude, stream=False, model=model)
    history: Any = [*NEWEST, {"role": "assistant", "content": first.content}, {"role": "user", "content": "Say exactly: thanks"}]  # fmt: skip
    plain = claude.messages.create(model=model, max_tokens=100, messages=history)
    assert "thanks" == getattr(plain.content[0], "text", "")
    again, _ = asked(claude, stream=False, model=model, messages=history)
    assert ["server_tool_use", "web_search_tool_result", "text"] == [block.type for block in again.content]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", NO_SEARCH)
def test_a_search_among_other_tools_is_left_out_and_said(
    claude: anthropic.Anthropic, fake: FakeCopilot, model: str, *, stream: bool
) -> None:
    message, headers = asked(claude, stream=stream, model=model, tools=[NOTE, SEARCH])
    assert (["text"], model) == ([block.type for block in message.content], headers["x-gateway-model"])
    assert "tools.web_search" in headers["x-gateway-losses"].split(", ")
    assert "web_search" not in json.dumps(json.loads(fake.log[-1].body)["tools"])


def test_what_passes_through_without_its_search_keeps_its_bytes(gateway: Wire, fake: FakeCopilot) -> None:
    kept = b'"max_tokens":100,"messages":[{"role":"user", "content":"caf\\u00e9"}],"temperature":0.50'
    note = b'{"name":"take_note","input_schema":{"type":"object",  "properties":{}}}'
    body = (
        b'{"model":"claude-sonnet-4.6",%b,"tools":[{"type":"web_search_20250305","name":"web_search"},%b]}'
        % (kept, note)
    )
    assert 200 == gateway.post("/v1/messages", body).status
    assert b'{"model":"claude-sonnet-4.6",%b,"tools":[%b]}' % (kept, note) == fake.log[-1].body


def test_domains_and_place_reach_the_search(claude: anthropic.Anthropic, fake: FakeCopilot) -> None:
    place = {"type": "approximate", "city": "Bonn", "country": "DE"}
    tool = {**SEARCH, "allowed_domains": ["example.org"], "user_location": place}
    message, headers = asked(claude, stream=False, model=CLAUDE, tools=[tool])
    sent = json.loads(fake.log[-1].body)["tools"]
    filters = {"allowed_domains": ["example.org"]}
    assert [{"type": "web_search", "filters": filters, "user_location": place}] == sent
    assert [(NEWS, "News of today")] == cited(message.content[2])  # type: ignore[arg-type] - the text
    assert "tools.web_search.max_uses" == headers["x-gateway-losses"]


@pytest.mark.parametrize("model", [*NO_SEARCH, *NATIVE])
def test_openai_chat_reads_annotations(oai: openai.OpenAI, model: str) -> None:
    raw = oai.chat.completions.with_raw_response.create(
        model=model, messages=NEWEST, web_search_options={"search_context_size": "low"}
    )
    message = raw.parse().choices[0].message
    places = [note.url_citation for note in message.annotations or []]
    assert [WEATHER, NEWS] == [place.url for place in places]
    text = message.content or ""
    assert all(place.url in text[place.start_index : place.end_index] for place in places)
    assert "responses" == raw.headers["x-gateway-upstream"]


@pytest.mark.parametrize("model", NO_SEARCH)
def test_openai_chat_streams_annotations(oai: openai.OpenAI, model: str) -> None:
    chunks = oai.chat.completions.create(model=model, messages=NEWEST, stream=True, web_search_options={})
    notes: list[Any] = []
    for chunk in chunks:
        for choice in chunk.choices:
            notes += (choice.delta.model_extra or {}).get("annotations", [])
    assert [WEATHER, NEWS] == [note["url_citation"]["url"] for note in notes]


@pytest.mark.parametrize("model", [*NO_SEARCH, *NATIVE])
@pytest.mark.parametrize("kind", ["web_search", "web_search_preview"])
@pytest.mark.parametrize("stream", [False, True])
def test_openai_responses_reads_items_and_citations(
    oai: openai.OpenAI, model: str, kind: Any, *, stream: bool
) -> None:
    asking: Any = {"model": model, "input": NEWEST, "tools": [{"type": kind}], "tool_choice": "required"}
    if stream:
        with oai.responses.stream(**asking) as events:
            reply = events.get_final_response()
    else:
        reply = oai.responses.create(**asking)
    call, message = reply.output
    assert ("web_search_call", "completed", "message") == (
        call.type,
        getattr(call, "status", ""),
        message.type,
    )
    notes = getattr(message, "content")[0].annotations  # noqa: B009 - a message, as was just seen
    assert [("url_citation", WEATHER), ("url_citation", NEWS)] == [(note.type, note.url) for note in notes]


@pytest.mark.parametrize("model", NO_SEARCH)
def test_codex_offers_search_among_its_tools_and_works(oai: openai.OpenAI, model: str) -> None:
    tools: Any = [NOTE_FUNCTION, {"type": "web_search", "external_web_access": True}]
    raw = oai.responses.with_raw_response.create(model=model, input=NEWEST, tools=tools, tool_choice="auto")
    assert (["message"], model) == (
        [item.type for item in raw.parse().output],
        raw.headers["x-gateway-model"],
    )
    assert "tools.web_search" in raw.headers["x-gateway-losses"].split(", ")


@pytest.mark.parametrize("setting", ["off", "claude-sonnet-4.6", "gpt-0"])
@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("/v1/messages", {"max_tokens": 100, "messages": NEWEST, "tools": [SEARCH]}),
        ("/v1/chat/completions", {"messages": NEWEST, "web_search_options": {}}),
        ("/v1/responses", {"input": NEWEST, "tools": [{"type": "web_search"}]}),
    ],
)
def test_without_a_searching_model_the_setting_is_named(
    host: Host, fake: FakeCopilot, path: str, more: dict[str, Any], setting: str
) -> None:
    """AC-37."""
    wire = Wire(host(web_search_model=setting).url)
    reply = wire.post(path, {"model": CLAUDE, "stream": True, **more})
    assert (400, True) == (reply.status, "COPILOT_GATEWAY_WEB_SEARCH_MODEL" in reply.text)
    assert [] == fake.requests("/responses") + fake.requests("/v1/messages")


def test_the_setting_chooses_the_searching_model(host: Host) -> None:
    wire = Wire(host(web_search_model="gpt-5.5").url)
    reply = wire.post(
        "/v1/messages", {"model": CLAUDE, "max_tokens": 100, "messages": NEWEST, "tools": [SEARCH]}
    )
    assert (200, "gpt-5.5") == (reply.status, reply.headers["x-gateway-model"])


def test_tokens_of_a_search_are_counted(claude: anthropic.Anthropic, fake: FakeCopilot) -> None:
    counted = claude.messages.count_tokens(model=CLAUDE, messages=NEWEST, tools=[SEARCH])
    assert counted.input_tokens > 1
    assert [] == [entry for entry in fake.log if entry.path.endswith("count_tokens")]
