from typing import Any

import pytest

from core.canonical import (
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
    Refusal,
    Request,
    ServerToolResult,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolResult,
    ToolUse,
)
from core.dialects.responses import RESPONSES
from core.errors import GatewayError, InvalidRequestError
from tests.unit.dialects.responses.shapes import body, request

CODEX = {
    "stream": True,
    "input": [
        {"type": "message", "id": "msg_c1", "role": "developer", "content": [{"type": "input_text", "text": "rules"}]},
        {"type": "message", "id": "msg_c2", "role": "user", "content": [{"type": "input_text", "text": "do it"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "E"},
        {"type": "function_call", "status": "completed", "id": "fc_1", "name": "shell", "arguments": "{}", "call_id": "a"},
        {"type": "custom_tool_call", "id": "ctc_1", "name": "apply_patch", "input": "***", "call_id": "b"},
        {"type": "function_call", "id": "fc_2", "name": "read", "namespace": "mcp", "arguments": "", "call_id": "c"},
        {"type": "function_call_output", "id": "fco_1", "call_id": "a", "output": "ok"},
        {"type": "custom_tool_call_output", "call_id": "b", "output": "Done"},
        {"type": "function_call_output", "call_id": "c", "output": [
            {"type": "input_text", "text": "seen"}, {"type": "input_image", "image_url": "data:image/png;base64,AA=="}]},
    ],
    "tools": [
        {"type": "function", "name": "shell", "description": "d", "strict": False, "parameters": {"type": "object"}},
        {"type": "namespace", "name": "mcp", "description": "more", "tools": [{"type": "function", "name": "read"}]},
        {"type": "custom", "name": "apply_patch", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
        {"type": "tool_search", "execution": "client"},
        {"type": "web_search", "external_web_access": True},
    ],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "reasoning": {"effort": "high", "summary": "auto", "context": "all"},
    "store": False,
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "key",
    "text": {"verbosity": "low"},
    "client_metadata": {"session_id": "s"},
}  # fmt: skip


def test_what_codex_sends_is_understood() -> None:
    assert request(**CODEX) == Request(
        model="gpt-5.5",
        stream=True,
        messages=(
            Message("system", (Text("rules"),)),
            Message("user", (Text("do it"),)),
            Message(
                "assistant",
                (
                    Thinking("hm", Opaque("responses", "E", "rs_1")),
                    ToolUse("a", "shell", "{}"),
                    ToolUse("b", "apply_patch", "***", custom=True),
                    ToolUse("c", "mcp__read", "{}", namespace="mcp"),
                ),
            ),
            Message(
                "user",
                (
                    ToolResult("a", (Text("ok"),)),
                    ToolResult("b", (Text("Done"),), custom=True),
                    ToolResult("c", (Text("seen"), Image("image/png", "AA=="))),
                ),
            ),
        ),
        tools=(
            Tool(name="shell", description="d", strict=False, parameters=b'{"type": "object"}'),
            Tool(name="mcp__read", namespace="mcp"),
            Tool(
                name="apply_patch",
                custom=True,
                grammar=b'{"type": "grammar", "syntax": "lark", "definition": "x"}',
            ),
            Tool(name="tool_search", searches=True),
            HostedTool(
                "responses",
                "web_search",
                b'{"type": "web_search", "external_web_access": true}',
                "web_search",
                "web_search",
            ),
        ),
        tool_choice=ToolChoice("auto"),
        parallel_tools=True,
        reasoning=Reasoning(effort="high", summary="auto"),
        verbosity="low",
        cache_key="key",
        extras={
            "store": b"false",
            "client_metadata": b'{"session_id": "s"}',
            "reasoning.context": b'"all"',
            "namespaces": b'{"mcp":"more"}',
        },
    )


@pytest.mark.parametrize(
    ("items", "messages"),
    [
        ("hi", (Message("user", (Text("hi"),)),)),
        ([{"role": "user", "content": "hi"}], (Message("user", (Text("hi"),)),)),
        ([{"role": "system", "content": "s"}, {"role": "user", "content": "u"}],
         (Message("system", (Text("s"),)), Message("user", (Text("u"),)))),
        ([{"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}],
         (Message("user", (Text("u"),)), Message("assistant", (Text("a"),)))),
        ([{"role": "assistant", "phase": "commentary", "content": [
            {"type": "output_text", "text": "a", "annotations": [
                {"type": "url_citation", "url": "https://u", "title": "t", "start_index": 0, "end_index": 1}]},
            {"type": "refusal", "refusal": "no"}]}],
         (Message("assistant", (
             Text("a", (Citation("https://u", "t", start=0, end=1),), phase="commentary"), Refusal("no"))),)),
        ([{"role": "user", "content": [
            {"type": "input_image", "image_url": "https://i", "detail": "low"},
            {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="},
            {"type": "input_file", "file_url": "https://f"},
            {"type": "input_audio", "x": 1}]}],
         (Message("user", (
             Image(url="https://i", detail="low"),
             Document("application/pdf", "AA==", title="a.pdf"),
             Document(url="https://f"),
             Native("responses", "input_audio", b'{"type": "input_audio", "x": 1}'))),)),
        ([{"type": "compaction", "id": "cmp_1", "encrypted_content": "zip"}, {"role": "user", "content": "u"}],
         (Message("assistant", (Compaction(Opaque("responses", "zip", "cmp_1")),)), Message("user", (Text("u"),)))),
        ([{"type": "function_call_output", "call_id": "a", "output": ""}],
         (Message("user", (ToolResult("a"),)),)),
        ([{"type": "local_shell_call", "x": 1}, {"type": "local_shell_call_output", "y": 2}],
         (Message("assistant", (Native("responses", "local_shell_call", b'{"type": "local_shell_call", "x": 1}'),)),
          Message("user", (Native("responses", "local_shell_call_output",
                                  b'{"type": "local_shell_call_output", "y": 2}'),)))),
        ([{"type": "reasoning", "id": "rs_1", "summary": []}, {"role": "user", "content": "u"}],
         (Message("user", (Text("u"),)),)),
    ],
)  # fmt: skip
def test_items_become_turns(items: Any, messages: tuple[Message, ...]) -> None:
    assert request(input=items).messages == messages


def test_a_web_search_in_the_history_keeps_its_sources() -> None:
    action = {"type": "search", "query": "q", "sources": [{"type": "url", "url": "https://s"}]}
    item = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": action}
    _use, result = request(input=[item]).messages[0].content
    assert result == ServerToolResult("ws_1", "web_search", (Citation("https://s"),))


def test_tools_inside_the_input_count() -> None:
    item = {"type": "additional_tools", "role": "developer", "tools": [{"type": "function", "name": "late"}]}
    assert request(input=[item, {"role": "user", "content": "u"}]).tools == (Tool(name="late"),)


@pytest.mark.parametrize("parameters", [None, {}])
def test_a_function_without_a_schema_takes_an_empty_object(parameters: Any) -> None:
    """AC-42."""
    asked = request(tools=[{"type": "function", "name": "f", "parameters": parameters}])
    assert asked.tools == (Tool(name="f", parameters=b'{"type":"object","properties":{}}'),)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("none", ToolChoice("none")),
        ("required", ToolChoice("required")),
        ({"type": "function", "name": "read"}, ToolChoice("tool", "mcp__read")),
        ({"type": "custom", "name": "apply_patch"}, ToolChoice("tool", "apply_patch")),
        ({"type": "web_search"}, ToolChoice("tool", "web_search")),
        ({"type": "allowed_tools", "mode": "required", "tools": []}, ToolChoice("required")),
    ],
)
def test_tool_choice_has_many_forms(choice: Any, expected: ToolChoice) -> None:
    assert request(**{**CODEX, "tool_choice": choice}).tool_choice == expected


def test_allowed_tools_narrow_the_tools() -> None:
    allowed = [{"type": "function", "name": "shell"}, {"type": "web_search"}]
    asked = request(**{**CODEX, "tool_choice": {"type": "allowed_tools", "tools": allowed}})
    assert [tool.name for tool in asked.tools] == ["shell", "web_search"]


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, OutputFormat("json_object")),
        (
            {"type": "json_schema", "name": "n", "schema": {"a": 1}, "strict": True, "description": "d"},
            OutputFormat("json_schema", "n", b'{"a": 1}', strict=True, description="d"),
        ),
    ],
)
def test_structured_output_is_read(wire: Any, expected: OutputFormat | None) -> None:
    """AC-43."""
    assert request(text={"format": wire}).format == expected


@pytest.mark.parametrize(
    ("reasoning", "expected"),
    [
        (None, None),
        ({}, None),
        ({"effort": "none"}, Reasoning(mode="off")),
        ({"effort": "xhigh"}, Reasoning(effort="xhigh")),
        ({"generate_summary": "concise"}, Reasoning(summary="concise")),
    ],
)
def test_reasoning_is_read(reasoning: Any, expected: Reasoning | None) -> None:
    assert request(reasoning=reasoning).reasoning == expected


@pytest.mark.parametrize(
    ("name", "value", "extra"),
    [
        ("include", [], False),
        ("include", ["reasoning.encrypted_content"], False),
        ("include", ["reasoning.encrypted_content", "message.output_text.logprobs"], True),
        ("include", "all", True),
        ("truncation", "disabled", False),
        ("truncation", "auto", True),
        ("store", False, True),
    ],
)
def test_what_is_so_anyway_is_no_extra(name: str, value: object, *, extra: bool) -> None:
    """What is one would be listed as lost: `include` was for each request of Codex to a Claude."""
    assert extra is (name in request(**{name: value}).extras)


def test_state_is_left_to_whoever_keeps_it() -> None:
    asked = request(previous_response_id="resp_1", store=True, background=False, conversation=None)
    assert asked.extras == {"previous_response_id": b'"resp_1"', "store": b"true", "background": b"false"}


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"model": 5}, "$.model"),
        ({"model": None}, "$.model"),
        ({"input": None}, "$.input"),
        ({"input": ""}, "$.input"),
        ({"input": []}, "$.input"),
        ({"input": 5}, "$.input"),
        ({"input": [5]}, "$.input[0]"),
        ({"input": [{}]}, "$.input[0].type"),
        ({"input": [{"role": "king", "content": "x"}]}, "$.input[0].role"),
        ({"input": [{"role": "user", "content": ""}]}, "$.input[0].content"),
        ({"input": [{"role": "user", "content": []}]}, "$.input[0].content"),
        ({"input": [{"role": "user", "content": 5}]}, "$.input[0].content"),
        ({"input": [{"role": "user"}]}, "$.input[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": 5}]}]}, "$.input[0].content[0].text"),
        ({"input": [{"role": "user", "content": [{"text": "x"}]}]}, "$.input[0].content[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "data:x"}]}]},
         "$.input[0].content[0].image_url"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
         "$.input[0].content[0].file_id"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "$.input[0]"),
        ({"input": [{"type": "function_call", "name": "f"}]}, "$.input[0]"),
        ({"input": [{"type": "web_search_call", "action": {"query": 5}}]}, "$.input[0].query"),
        ({"tools": [{"type": "function"}]}, "$.tools[0]"),
        ({"tools": [{"type": "function", "name": ""}]}, "$.tools[0].name"),
        ({"tools": {}}, "$.tools"),
        ({"tool_choice": "perhaps"}, "$.tool_choice"),
        ({"max_output_tokens": 0}, "$.max_output_tokens"),
        ({"max_output_tokens": 1.5}, "$.max_output_tokens"),
        ({"temperature": "hot"}, "$.temperature"),
        ({"reasoning": {"effort": 5}}, "$.reasoning.effort"),
        ({"reasoning": 5}, "$.reasoning"),
        ({"text": {"format": {"type": "json_schema"}}}, "$.text.format"),
        ({"text": {"format": {"type": "yaml"}}}, "$.text.format"),
        ({"stream": "yes"}, "$.stream"),
    ],
)  # fmt: skip
def test_bad_input_is_a_400_that_names_the_place(members: Any, param: str) -> None:
    """AC-41, AC-51."""
    with pytest.raises(GatewayError) as caught:
        request(**members)
    assert (caught.value.status, caught.value.param) == (400, param)


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"[]", b"null", b'"x"', b"{", b"\xff", b'{"model":"m","input":"\\ud800"}',
        b'{"model":"m","input":NaN}', b'{"model":"m","input":"x","top_p":1e999}',
        b'{"model":"m","input":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"model":"m","input":"x","max_output_tokens":' + b"9" * 400 + b"}",
    ],
)  # fmt: skip
def test_what_is_not_json_is_a_400(raw: bytes) -> None:
    """AC-51."""
    with pytest.raises(InvalidRequestError):
        RESPONSES.decode_request(raw)


def test_a_repeated_member_counts_once() -> None:
    assert RESPONSES.decode_request(b'{"model":"a","model":"b","input":"x"}').model == "b"


def test_the_body_helper_is_honest() -> None:
    assert body() == b'{"model": "gpt-5.5", "input": "hi"}'
