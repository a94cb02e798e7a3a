"""What Messages clients send, in the canonical model."""

import json
from typing import Any

import pytest

from core.canonical import (
    Block,
    CacheBreakpoint,
    Citation,
    Document,
    HostedTool,
    Image,
    Message,
    Native,
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
from core.dialects.messages import MESSAGES
from core.errors import GatewayError, InvalidRequestError, UnsupportedFeatureError

USER = {"role": "user", "content": "hi"}


def decode(*messages: dict[str, Any], **members: Any) -> Request:
    body = {"model": "m", "messages": list(messages) or [USER], **members}
    return MESSAGES.decode_request(json.dumps(body, separators=(",", ":")).encode())


def block(**wire: Any) -> Block:
    return decode({"role": "assistant", "content": [wire]}).messages[0].content[0]


def test_claude_codes_request_is_read_whole() -> None:
    """AC-39, AC-38."""
    request = decode(
        {"role": "user", "content": [{"type": "text", "text": "go"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "ok"}, {"type": "tool_use", "id": "t", "name": "Bash", "input": {"command": "ls"}}]},
        {"role": "user", "content": [{"tool_use_id": "t", "type": "tool_result", "content": "a", "is_error": False, "cache_control": {"type": "ephemeral"}}]},
        {"role": "system", "content": [{"type": "text", "text": "late rule"}]},
        system=[{"type": "text", "text": "x-anthropic-billing-header: a=b"}, {"type": "text", "text": "You are", "cache_control": {"type": "ephemeral", "ttl": "1h", "scope": "global"}}],
        tools=[{"name": "Bash", "description": "Run", "input_schema": {"type": "object"}}, {"name": "Lazy", "input_schema": {}, "defer_loading": True}],
        metadata={"user_id": "{}"},
        max_tokens=32_000,
        thinking={"type": "adaptive", "display": "updates"},
        context_management={"edits": []},
        output_config={"effort": "high"},
        stream=True,
    )  # fmt: skip
    assert request == Request(
        model="m",
        messages=(
            Message("system", (Text("You are", cache=CacheBreakpoint("1h")),)),
            Message("user", (Text("go"),)),
            Message("assistant", (Text("ok"), ToolUse("t", "Bash", '{"command":"ls"}'))),
            Message("user", (ToolResult("t", (Text("a"),), is_error=False, cache=CacheBreakpoint()),)),
            Message("system", (Text("late rule"),)),
        ),
        stream=True,
        tools=(
            Tool(name="Bash", description="Run", parameters=b'{"type":"object"}'),
            Tool(name="Lazy", parameters=b'{"type":"object","properties":{}}', deferred=True),
        ),
        max_output=32_000,
        reasoning=Reasoning("adaptive", None, "high", "auto"),
        user="{}",
        extras={"context_management": b'{"edits":[]}'},
    )


PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        ({"type": "thinking", "thinking": "t", "signature": ""}, Thinking("t")),
        ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA"}}, Image("image/png", "AA")),
        ({"type": "image", "source": {"type": "url", "url": "https://a.b"}}, Image(url="https://a.b")),
        ({"type": "document", "source": PDF, "title": "T", "citations": {"enabled": True}}, Document("application/pdf", "JVBERi0=", title="T", citations=True)),
        ({"type": "document", "source": {"type": "url", "url": "u"}}, Document(url="u")),
        ({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "d"}, "context": "c"}, Document("text/plain", text="d", context="c")),
        ({"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "x"}]}}, Document(content=(Text("x"),))),
        ({"type": "document", "source": {"type": "content", "content": "x"}}, Document(content=(Text("x"),))),
        ({"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "x"}]}, SearchResult("s", "t", (Text("x"),))),
        ({"type": "tool_use", "id": "cgid_Zjow", "name": "n", "input": {}}, ToolUse("f:0", "n", "{}")),
        ({"type": "tool_result", "tool_use_id": "t"}, ToolResult("t")),
        ({"type": "tool_result", "tool_use_id": "t", "content": ""}, ToolResult("t")),
        ({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "tool_reference", "tool_name": "W"}]}, ToolResult("t", (Text("The tool W is now available."),))),
        ({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}}, ServerToolUse("s", "web_search", '{"query":"q"}')),
        ({"type": "mid_air", "x": 1}, Native("messages", "mid_air", b'{"type":"mid_air","x":1}')),
    ],
)  # fmt: skip
def test_each_block_has_its_meaning(wire: dict[str, Any], expected: Block) -> None:
    assert block(**wire) == expected


def test_hosted_results_keep_their_sources_and_bytes() -> None:
    found = block(
        type="web_search_tool_result",
        tool_use_id="s",
        content=[{"type": "web_search_result", "url": "u", "title": "t"}],
    )
    assert isinstance(found, ServerToolResult)
    assert (found.name, found.sources, found.native is not None) == (
        "web_search",
        (Citation("u", "t"),),
        True,
    )
    failed = block(
        type="web_search_tool_result",
        tool_use_id="s",
        content={"type": "web_search_tool_result_error", "error_code": "max"},
    )
    assert isinstance(failed, ServerToolResult)
    assert (failed.sources, failed.error_code) == ((), "max")


def test_tools_that_only_claude_knows_get_real_schemas() -> None:
    tools = decode(tools=[
        {"type": "bash_20250124", "name": "bash"},
        {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
        {"type": "memory_20250818", "name": "memory"},
    ]).tools  # fmt: skip
    for tool, member in zip(tools, ("command", "old_str", "new_path"), strict=True):
        assert isinstance(tool, Tool)
        assert member in json.loads(tool.parameters)["properties"]


def test_hosted_tools_are_kept_by_kind() -> None:
    """AC-37."""
    search, other = decode(
        tools=[
            {"type": "web_search_20250305", "name": "web_search"},
            {"type": "code_execution_20260120", "name": "c"},
        ]
    ).tools
    assert isinstance(search, HostedTool)
    assert isinstance(other, HostedTool)
    assert (search.kind, other.kind) == ("web_search", "")


@pytest.mark.parametrize(
    ("wire", "choice", "parallel"),
    [
        ({"type": "auto"}, ToolChoice("auto"), None),
        ({"type": "any", "disable_parallel_tool_use": True}, ToolChoice("required"), False),
        ({"type": "tool", "name": "x", "disable_parallel_tool_use": False}, ToolChoice("tool", "x"), True),
        ({"type": "none"}, ToolChoice("none"), None),
    ],
)
def test_tool_choice_and_the_parallel_flag(
    wire: dict[str, Any], choice: ToolChoice, *, parallel: bool | None
) -> None:
    """AC-40."""
    request = decode(tool_choice=wire)
    assert (request.tool_choice, request.parallel_tools) == (choice, parallel)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 4096}}, Reasoning("budget", 4096)),
        ({"thinking": {"type": "disabled"}}, Reasoning("off")),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, Reasoning("adaptive")),
        ({"output_config": {"effort": "low"}}, Reasoning(effort="low")),
        ({}, None),
    ],
)
def test_reasoning_in_all_its_forms(members: dict[str, Any], expected: Reasoning | None) -> None:
    """AC-40."""
    assert decode(**members).reasoning == expected


@pytest.mark.parametrize("place", ["output_format", "output_config"])
def test_structured_output_in_both_places(place: str) -> None:
    """AC-43."""
    shape = {"type": "json_schema", "schema": {"type": "object"}}
    request = decode(**{place: shape if place == "output_format" else {"format": shape}})
    assert request.format == OutputFormat("json_schema", schema=b'{"type":"object"}')


def test_threads_are_refused_so_that_sdks_fall_back() -> None:
    body = json.dumps({"model": "m", "messages": [USER], "thread": {"type": "create"}}).encode()
    for read in (MESSAGES.peek, MESSAGES.decode_request):
        with pytest.raises(InvalidRequestError) as caught:
            read(body)
        envelope = json.loads(MESSAGES.encode_error(caught.value).body)
        assert envelope["error"]["type"] == "invalid_request_error"
        assert envelope["error"]["details"] == {"error_code": "thread_unsupported_request", "unsupported": []}
    assert decode(thread=None).model == "m"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": [USER]}, "$"),
        ({"model": "m", "messages": []}, "$.messages"),
        ({"model": 3, "messages": [USER]}, "$.model"),
        ({"model": "m", "messages": [{"role": "user", "content": ""}]}, "$.messages[0].content"),
        ({"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]}, "$.messages[0].content"),
        ({"model": "m", "messages": [USER, {"role": "user", "content": [{"type": "text", "text": 3}]}]}, "$.messages[1].content[0].text"),
        ({"model": "m", "messages": [{"role": "user", "content": [{"text": "x"}]}]}, "$.messages[0].content[0].type"),
        ({"model": "m", "messages": [{"role": "user", "content": [{"type": "tool_use", "id": "a", "name": "b", "input": []}]}]}, "$.messages[0].content[0].input"),
        ({"model": "m", "messages": [USER], "tools": [{"input_schema": {}}]}, "$.tools[0].name"),
        ({"model": "m", "messages": [USER], "tool_choice": {"type": "some"}}, "$.tool_choice.type"),
        ({"model": "m", "messages": [USER], "thinking": {"type": "some"}}, "$.thinking.type"),
        ({"model": "m", "messages": [USER], "max_tokens": -1}, "$.max_tokens"),
        ({"model": "m", "messages": [USER], "system": [{"type": "image", "source": {"type": "url"}}]}, "$.system[0].type"),
    ],
)  # fmt: skip
def test_bad_input_is_a_400_with_its_path(body: dict[str, Any], param: str) -> None:
    """AC-41, AC-51."""
    with pytest.raises(InvalidRequestError) as caught:
        MESSAGES.decode_request(json.dumps(body).encode())
    assert caught.value.param == param


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m","messages":[{"role":"user","content":"\\ud800"}]}',
        b'{"model":"m","temperature":NaN}',
        b"\xff",
        b'{"model":"m","max_tokens":99999999999999999999999,"messages":[]}',
    ],
)
def test_odd_json_is_a_400(body: bytes) -> None:
    with pytest.raises(GatewayError) as caught:
        MESSAGES.decode_request(body)
    assert caught.value.status == 400


def test_what_only_anthropic_can_do_is_refused() -> None:
    for member in ({"container": "c"}, {"mcp_servers": [{"url": "u"}]}):
        with pytest.raises(UnsupportedFeatureError):
            decode(**member)
    with pytest.raises(UnsupportedFeatureError):
        block(type="image", source={"type": "file", "file_id": "f"})


BILLED = "x-anthropic-billing-header: a=b\n\nBe brief."


@pytest.mark.parametrize("system", [BILLED, [{"type": "text", "text": BILLED}]])
def test_a_billing_line_before_other_text_is_removed_alone(system: object) -> None:
    """AC-39."""
    request = decode(USER, system=system)
    assert request.messages[0] == Message("system", (Text("Be brief."),))
