from typing import Any

import pytest

from core.canonical import (
    CacheBreakpoint,
    Citation,
    Compaction,
    Document,
    HostedTool,
    Image,
    Message,
    Native,
    Opaque,
    OutputFormat,
    Reasoning,
    Request,
    SearchResult,
    ServerToolResult,
    ServerToolUse,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolResult,
    ToolUse,
)
from core.dialects.responses import RESPONSES
from core.errors import InvalidRequestError, UnsupportedFeatureError
from core.names import short_call_id, short_name
from tests.unit.dialects.responses.shapes import target, upstream_body

HI = Message("user", (Text("hi"),))


def ask(*messages: Message, **members: Any) -> Request:
    return Request(model="m", messages=messages or (HI,), **members)


def said(role: str, *texts: str) -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    extra: dict[str, Any] = {"annotations": []} if role == "assistant" else {}
    return {
        "type": "message",
        "role": role,
        "content": [{"type": kind, "text": text, **extra} for text in texts],
    }


def test_the_least_request_streams_and_stores_nothing() -> None:
    assert upstream_body(ask()) == {
        "model": "gpt-5.5",
        "stream": True,
        "store": False,
        "input": [said("user", "hi")],
        "include": ["reasoning.encrypted_content"],
    }


def test_leading_system_text_is_the_instructions_and_later_ones_stay_in_place() -> None:
    """AC-38."""
    messages = (Message("system", (Text("a"),)), HI, Message("system", (Text("b"), Text("c"))), HI)
    body = upstream_body(ask(*messages))
    assert (body["instructions"], body["input"][1]) == ("a", said("developer", "b", "c"))
    grok = upstream_body(ask(*messages), target(vendor="xAI"))
    assert grok["input"][1]["role"] == "system"


def test_a_turn_comes_apart_into_items_in_order() -> None:
    """AC-32."""
    own = Opaque("responses", "E", "rs_1", "me")
    turn = Message(
        "assistant",
        (
            Thinking("hm", own),
            Text("a"),
            Text("b"),
            Text(""),
            ToolUse("c1", "f", "{}"),
            Text("c", phase="commentary"),
        ),
    )
    items = upstream_body(ask(HI, turn, Message("user", (ToolResult("c1", (Text("ok"),)),))))["input"][1:]
    assert items == [
        {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "E"},
        said("assistant", "a", "b"),
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {**said("assistant", "c"), "phase": "commentary"},
        {"type": "function_call_output", "call_id": "c1", "output": "ok"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    "thinking",
    [
        Thinking("x"),
        Thinking("x", Opaque("messages", "sig")),
        Thinking("x", Opaque("responses", "E", "rs_1", "somebody else")),
    ],
)
def test_foreign_thinking_stays_out(thinking: Thinking) -> None:
    """AC-31, AC-60."""
    encoded = RESPONSES.encode_request(
        ask(HI, Message("assistant", (thinking, Text("a"), thinking)), HI), target()
    )
    assert (b'reasoning"' in encoded.body, encoded.losses) == (False, ("thinking",))


def test_an_odd_reasoning_id_is_left_out() -> None:
    turn = Message("assistant", (Thinking("", Opaque("responses", "E", "item_1")), Text("a")))
    assert upstream_body(ask(HI, turn, HI))["input"][1] == {
        "type": "reasoning",
        "summary": [],
        "encrypted_content": "E",
    }


def test_images_of_a_tool_follow_after_all_outputs() -> None:
    """AC-28."""
    calls = Message("assistant", (ToolUse("a", "f", "{}"), ToolUse("b", "f", "{}")))
    results = Message(
        "user",
        (
            ToolResult("a", (Text("seen"), Image("image/png", "AA=="))),
            Text("and?"),
            ToolResult("b", is_error=True),
        ),
    )
    assert upstream_body(ask(HI, calls, results))["input"][3:] == [
        {"type": "function_call_output", "call_id": "a", "output": "seen"},
        {"type": "function_call_output", "call_id": "b", "output": "[tool error] "},
        {"type": "message", "role": "user", "content": [
            {"type": "input_text", "text": "[content of call a]"},
            {"type": "input_image", "image_url": "data:image/png;base64,AA=="},
            {"type": "input_text", "text": "and?"},
        ]},
    ]  # fmt: skip


def test_orphans_are_repaired() -> None:
    """AC-46."""
    messages = (
        HI,
        Message("assistant", (ToolUse("a", "f", "{}"), ToolUse("b", "g", "x", custom=True))),
        Message("user", (ToolResult("a", (Text("ok"),)), ToolResult("z", (Text("stray"),)))),
    )
    encoded = RESPONSES.encode_request(ask(*messages), target())
    assert upstream_body(ask(*messages))["input"][3:] == [
        {"type": "function_call_output", "call_id": "a", "output": "ok"},
        {"type": "custom_tool_call_output", "call_id": "b", "output": "No result: the call was interrupted."},
        {"type": "message", "role": "user", "content": [
            {"type": "input_text", "text": "[result of an unknown call] stray"}]},
    ]  # fmt: skip
    assert encoded.repairs == ("orphan_tool_result", "orphan_tool_use")


def test_documents_and_search_results_are_read_by_the_model() -> None:
    """AC-35, AC-36."""
    content = (
        Document(text="body", title="T", context="C"),
        Document("application/pdf", "AA==", title="a.pdf"),
        Document("text/plain", "aGk=", title="t.txt"),
        Document(content=(Text("inner"),), title="T2"),
        SearchResult("https://s", "S", (Text("found"),)),
        Image(url="https://i", detail="low"),
        Native("responses", "input_audio", b'{"type":"input_audio"}'),
    )
    (item,) = upstream_body(ask(Message("user", content)))["input"]
    assert item["content"] == [
        {"type": "input_text", "text": "T\nC\nbody"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="},
        {"type": "input_text", "text": "t.txt\nhi"},
        {"type": "input_text", "text": "T2"},
        {"type": "input_text", "text": "inner"},
        {"type": "input_text", "text": "S\nSource: https://s\nfound"},
        {"type": "input_image", "image_url": "https://i", "detail": "low"},
        {"type": "input_audio"},
    ]


def test_foreign_hosted_searches_become_text_with_sources() -> None:
    """AC-44."""
    turn = Message(
        "assistant",
        (
            ServerToolUse("s", "web_search", '{"query":"q"}'),
            ServerToolResult("s", "web_search", (Citation("https://a", "A"),)),
            Text("so"),
        ),
    )
    assert upstream_body(ask(HI, turn, HI))["input"][1:4] == [
        said("assistant", '[web_search {"query":"q"}]'),
        said("assistant", "[web_search result]\n- A: https://a"),
        said("assistant", "so"),
    ]


def test_own_items_go_back_as_they_came() -> None:
    raw = b'{"type": "web_search_call", "id": "ws_1"}'
    turn = Message(
        "assistant",
        (
            Compaction(Opaque("responses", "zip", "cmp_1")),
            ServerToolUse("ws_1", "web_search", "{}", Native("responses", "web_search_call", raw)),
            ServerToolResult("ws_1", "web_search", (Citation("https://a"),)),
            Native("responses", "mcp_call", b'{"type": "mcp_call"}'),
        ),
    )
    assert upstream_body(ask(turn, HI))["input"][:-1] == [
        {"id": "cmp_1", "type": "compaction", "encrypted_content": "zip"},
        {"type": "web_search_call", "id": "ws_1"},
        {"type": "mcp_call"},
    ]


def test_tools_of_every_kind_are_written() -> None:
    tools = (
        Tool(
            name="f", description="d", parameters=b'{"type":"object"}', strict=True, cache=CacheBreakpoint()
        ),
        Tool(name="ns__a", namespace="ns"),
        Tool(name="ns__b", namespace="ns"),
        Tool(name="patch", custom=True, grammar=b'{"type":"text"}'),
        HostedTool(
            "messages",
            "web_search_20250305",
            b'{"allowed_domains":["a"],"max_uses":3}',
            "web_search",
            "web_search",
        ),
        HostedTool("responses", "tool_search", b'{"type":"tool_search"}', "tool_search"),
        Tool(name="tool_search", description="d", searches=True),
    )
    empty = {"type": "object", "properties": {}}
    body = upstream_body(
        ask(
            tools=tools,
            tool_choice=ToolChoice("tool", "ns__a"),
            parallel_tools=False,
            extras={"namespaces": b'{"ns":"N"}'},
        )
    )
    assert body["tools"] == [
        {"type": "function", "name": "f", "description": "d", "parameters": empty, "strict": True},
        {"type": "namespace", "name": "ns", "description": "N", "tools": [
            {"type": "function", "name": "a", "parameters": empty, "strict": False},
            {"type": "function", "name": "b", "parameters": empty, "strict": False}]},
        {"type": "custom", "name": "patch", "format": {"type": "text"}},
        {"type": "web_search", "filters": {"allowed_domains": ["a"]}},
        {"type": "tool_search"},
        {"type": "tool_search", "execution": "client", "description": "d", "parameters": empty},
    ]  # fmt: skip
    assert (body["tool_choice"], body["parallel_tool_calls"]) == ({"type": "function", "name": "a"}, False)
    assert body["include"] == ["reasoning.encrypted_content", "web_search_call.action.sources"]


@pytest.mark.parametrize(
    ("name", "choice"),
    [
        ("patch", {"type": "custom", "name": "patch"}),
        ("tool_search", {"type": "tool_search"}),
        ("web_search", {"type": "web_search_preview"}),
    ],
)
def test_a_choice_is_of_its_tools_kind(name: str, choice: dict[str, str]) -> None:
    tools = (
        Tool(name="patch", custom=True),
        Tool(name="tool_search", searches=True),
        HostedTool(
            "responses", "web_search_preview", b'{"type":"web_search_preview"}', "web_search", "web_search"
        ),
    )
    assert upstream_body(ask(tools=tools, tool_choice=ToolChoice("tool", name)))["tool_choice"] == choice


def test_long_names_and_call_ids_are_shortened_alike() -> None:
    """AC-61."""
    long, call_id = "x" * 80, "c:" * 60
    messages = (
        HI,
        Message("assistant", (ToolUse(call_id, long, "{}"),)),
        Message("user", (ToolResult(call_id, (Text("ok"),)),)),
    )
    body = upstream_body(ask(*messages, tools=(Tool(name=long),), tool_choice=ToolChoice("tool", long)))
    names = [body["tools"][0]["name"], body["tool_choice"]["name"], body["input"][1]["name"]]
    assert names == [short_name(long)] * 3
    assert {item["call_id"] for item in body["input"][1:]} == {short_call_id(call_id)}


@pytest.mark.parametrize(
    ("reasoning", "efforts", "sent", "losses"),
    [
        (Reasoning(effort="high"), ("low", "high"), {"effort": "high", "summary": "auto"}, ()),
        (
            Reasoning(effort="max", summary="detailed"),
            ("low", "high"),
            {"effort": "high", "summary": "detailed"},
            ("effort",),
        ),
        (Reasoning(mode="budget", budget=2000), ("low", "high"), {"effort": "low", "summary": "auto"}, ()),
        (Reasoning(mode="adaptive"), ("low", "high"), {"summary": "auto"}, ()),
        (Reasoning(mode="off"), ("none", "high"), {"effort": "none"}, ()),
        (Reasoning(effort="high"), (), None, ("effort",)),
        (None, ("low",), None, ()),
    ],
)
def test_effort_is_what_the_model_declares(
    reasoning: Reasoning | None, efforts: tuple[str, ...], sent: Any, losses: tuple[str, ...]
) -> None:
    """AC-40, AC-57."""
    to = target(efforts=efforts)
    encoded = RESPONSES.encode_request(ask(reasoning=reasoning), to)
    assert (upstream_body(ask(reasoning=reasoning), to).get("reasoning"), encoded.losses) == (sent, losses)


def test_sampling_goes_where_it_is_taken() -> None:
    asked = ask(temperature=0.5, top_p=0.9, max_output=5, top_k=3, seed=1, user="me", stop=("END",))
    taken = upstream_body(asked)
    assert (taken["temperature"], taken["top_p"], taken["max_output_tokens"]) == (0.5, 0.9, 16)
    encoded = RESPONSES.encode_request(asked, target(sampling=False))
    assert encoded.losses == ("temperature", "top_p", "top_k", "seed", "user")
    assert encoded.repairs == ("max_output", "stop_sequences")
    assert b"stop" not in encoded.body


def test_output_is_never_asked_beyond_the_models_limit() -> None:
    assert upstream_body(ask(max_output=500), target(max_output=100))["max_output_tokens"] == 100
    assert RESPONSES.encode_request(ask(max_output=500), target(max_output=100)).losses == ("max_output",)


def test_format_verbosity_and_cache_key_are_written() -> None:
    """AC-43."""
    schema = OutputFormat("json_schema", "n", b'{"a":1}', strict=True, description="d")
    body = upstream_body(ask(format=schema, verbosity="low", cache_key="k"))
    assert body["text"] == {
        "format": {
            "type": "json_schema",
            "name": "n",
            "schema": {"a": 1},
            "strict": True,
            "description": "d",
        },
        "verbosity": "low",
    }
    assert body["prompt_cache_key"] == "k"
    assert upstream_body(ask(format=OutputFormat("json_object")))["text"] == {
        "format": {"type": "json_object"}
    }


def test_extras_are_passed_or_listed() -> None:
    extras = {
        "truncation": b'"auto"', "metadata": b'{"k":"v"}', "client_metadata": b'{"s":"1"}', "store": b"true",
        "context_management": b'{"edits":[]}', "logit_bias": b"{}", "reasoning.context": b'"all"', "include": b"[5]",
    }  # fmt: skip
    asked = ask(extras=extras, reasoning=Reasoning(effort="low"))
    body = upstream_body(asked)
    assert (body["truncation"], body["metadata"], body["client_metadata"]) == ("auto", {"k": "v"}, {"s": "1"})
    assert body["reasoning"] == {"effort": "low", "summary": "auto", "context": "all"}
    assert RESPONSES.encode_request(asked, target()).losses == ("context_management", "logit_bias", "store")
    grok = upstream_body(asked, target(vendor="xAI"))
    assert ("client_metadata" in grok, grok["reasoning"]) == (False, {"effort": "low", "summary": "auto"})


@pytest.mark.parametrize(
    ("request_", "facts", "param"),
    [
        (ask(choices=2), {}, "n"),
        (ask(extras={"previous_response_id": b'"r"'}), {}, "previous_response_id"),
        (ask(extras={"background": b"true"}), {}, "background"),
        (ask(HI, Message("assistant", (Text("I"),))), {"prefill": False}, "messages"),
        (ask(Message("user", (Image(url="https://i"),))), {"vision": False}, "messages[0].content"),
        (ask(Message("user", (Native("messages", "container_upload", b"{}"),))), {}, "messages[0].content"),
        (ask(Message("assistant", (Native("messages", "odd", b"{}"),)), HI), {}, "messages[0].content"),
        (
            ask(Message("assistant", (Compaction(Opaque("responses", "z", "", "other")),)), HI),
            {},
            "messages[0].content",
        ),
        (ask(Message("user", (ToolUse("a", "f", "{}"),))), {}, "messages[0].content"),
        (ask(tools=(HostedTool("messages", "code_execution", b"{}"),)), {}, "tools"),
    ],
)
def test_what_would_mean_something_else_is_refused(
    request_: Request, facts: dict[str, Any], param: str
) -> None:
    """AC-45."""
    with pytest.raises(UnsupportedFeatureError) as caught:
        RESPONSES.encode_request(request_, target(**facts))
    assert caught.value.param == param


def test_citations_that_are_asked_for_are_a_loss() -> None:
    found = Message("user", (SearchResult("https://a", "A", (Text("words"),), citations=True),))
    assert RESPONSES.encode_request(ask(found), target()).losses == ("citations",)


def test_a_forced_call_without_tools_is_a_loss() -> None:
    encoded = RESPONSES.encode_request(ask(tool_choice=ToolChoice("required")), target())
    assert encoded.losses == ("tool_choice",)


def test_a_conversation_that_says_nothing_is_refused() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        RESPONSES.encode_request(ask(Message("user", (Text(""),))), target())
    assert caught.value.param == "messages"
