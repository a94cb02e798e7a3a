"""What chat clients send."""

import json
from base64 import b64encode
from typing import Any

import pytest

from core.canonical import (
    CacheBreakpoint,
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
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolResult,
    ToolUse,
)
from core.dialects.chat import CHAT
from core.errors import GatewayError, InvalidRequestError, UnsupportedFeatureError
from core.opaque import seal
from tests.unit.dialects.chat.wire import body


def read(**members: Any) -> Request:
    return CHAT.decode_request(body(**members))


def turns(*messages: dict[str, Any]) -> tuple[Message, ...]:
    return read(messages=list(messages)).messages


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


def refusal_of(raw: bytes) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        CHAT.decode_request(raw)
    assert caught.value.status == 400
    return caught.value


def test_everything_that_clients_are_seen_to_send_is_taken() -> None:
    found = read(
        frequency_penalty=0.1,
        logit_bias={"1": 2},
        max_completion_tokens=5,
        max_tokens=9,
        metadata={"a": "b"},
        n=1,
        parallel_tool_calls=True,
        presence_penalty=0.2,
        reasoning_effort="low",
        response_format={"type": "json_object"},
        seed=1,
        service_tier="auto",
        stop="END",
        store=False,
        stream=True,
        stream_options={"include_usage": True},
        temperature=1,
        tools=[],
        tool_choice="auto",
        top_p=0.5,
        user="me",
        unknown_future={"x": 1},
        logprobs=None,
        verbosity="low",
        prompt_cache_key="k",
    )
    expected = Request(
        model="asked",
        messages=(Message("user", (Text("Hi"),)),),
        stream=True,
        include_usage=True,
        tool_choice=ToolChoice("auto"),
        parallel_tools=True,
        max_output=5,
        temperature=1.0,
        top_p=0.5,
        frequency_penalty=0.1,
        presence_penalty=0.2,
        seed=1,
        stop=("END",),
        reasoning=Reasoning(effort="low"),
        verbosity="low",
        format=OutputFormat("json_object"),
        user="me",
        cache_key="k",
        extras={
            "logit_bias": b'{"1": 2}',
            "metadata": b'{"a": "b"}',
            "service_tier": b'"auto"',
            "store": b"false",
            "unknown_future": b'{"x": 1}',
        },
    )
    assert expected == found


def test_roles_and_contents_in_all_their_forms() -> None:
    """AC-20: an empty text beside a call is no block."""
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}
    expected = (
        Message("system", (Text("S"),)),
        Message("system", (Text("D"),)),
        Message("user", (Text("a"), Text("b")), "Ann"),
        Message("assistant", (ToolUse("a", "f", '{"x":1}'),)),
        Message(
            "user", (ToolResult("a", (Text("r"),)), ToolResult("b", (Text("s"), Text("t"))), ToolResult("c"))
        ),
        Message("assistant", (Text("no content member"),)),
        Message("assistant", ()),
    )
    assert expected == turns(
        {"role": "system", "content": "S"},
        {"role": "developer", "content": [{"type": "text", "text": "D"}]},
        {**user({"type": "text", "text": "a"}, "b"), "name": "Ann"},
        {
            "role": "assistant",
            "content": "",
            "refusal": None,
            "tool_calls": [call],
            "provider_specific_fields": {},
        },
        {"role": "tool", "tool_call_id": "a", "content": "r"},
        {
            "role": "tool",
            "tool_call_id": "b",
            "content": [{"type": "text", "text": "s"}, {"type": "text", "text": "t"}],
        },
        {"role": "tool", "tool_call_id": "c", "content": ""},
        {"role": "assistant", "content": [{"type": "text", "text": "no content member"}], "annotations": []},
        {"role": "assistant", "provider_specific_fields": {"x": 1}},
    )


def test_parts_of_a_user_message() -> None:
    data = "data:image/png;base64,aGk="
    pdf = "data:application/pdf;base64,aGk="
    plain = "data:text/plain;charset=utf-8;base64," + b64encode("wörds".encode()).decode()
    expected = (
        Image(media_type="image/png", base64="aGk=", detail="high"),
        Image(url="https://x/y.png"),
        Document(media_type="application/pdf", base64="aGk=", title="y.pdf"),
        Document(media_type="application/pdf", base64="aGk="),
        Document(media_type="text/plain", text="wörds"),
        Text("t", cache=CacheBreakpoint("1h")),
        Native("chat", "video_url", b'{"type": "video_url", "x": 1}'),
    )
    (message,) = turns(
        user(
            {"type": "image_url", "image_url": {"url": data, "detail": "high"}},
            {"type": "image_url", "image_url": "https://x/y.png"},
            {"type": "file", "file": {"file_data": pdf, "filename": "y.pdf"}},
            {"type": "file", "file": {"file_data": "aGk="}},
            {"type": "file", "file": {"file_data": plain}},
            {"type": "text", "text": "t", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            {"type": "video_url", "x": 1},
        )
    )
    assert expected == message.content


def test_thinking_that_a_client_sends_back_is_read() -> None:
    """AC-07."""
    own = {"role": "assistant", "content": "A", "reasoning_text": "T", "reasoning_opaque": "sig"}
    sealed = seal(Opaque("messages", "x", scope="s"), "chat")
    foreign = {"role": "assistant", "reasoning_content": "T", "reasoning_opaque": sealed, "refusal": "No"}
    assert (
        Message("assistant", (Thinking("T", Opaque("chat", "sig")), Text("A"))),
        Message("assistant", (Thinking("T", Opaque("messages", "x", scope="s")), Refusal("No"))),
        Message("assistant", (Thinking("T"),)),
        Message("assistant", ()),
    ) == turns(
        own,
        foreign,
        {"role": "assistant", "reasoning": "T"},
        {"role": "assistant", "reasoning_opaque": "cg1s.x"},
    )


def test_cache_marks_of_a_message_belong_to_its_last_block() -> None:
    mark = {"copilot_cache_control": {"type": "ephemeral"}}
    assert (
        Message("user", (Text("a", cache=CacheBreakpoint()),)),
        Message("user", (ToolResult("t", cache=CacheBreakpoint()),)),
    ) == turns(
        {"role": "user", "content": "a", **mark}, {"role": "tool", "tool_call_id": "t", "content": "", **mark}
    )


def test_functions_from_before_tools_are_read() -> None:
    found = read(
        messages=[
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": ""}},
            {"role": "function", "name": "f", "content": "r"},
        ],
        functions=[{"name": "f", "description": "d", "parameters": {}}],
        function_call={"name": "f"},
    )
    assert Message("assistant", (ToolUse("call_function_1", "f", "{}"),)) == found.messages[1]
    assert Message("user", (ToolResult("call_function_1", (Text("r"),)),)) == found.messages[2]
    assert (Tool(name="f", description="d", parameters=b"{}"),) == found.tools
    assert ToolChoice("tool", "f") == found.tool_choice
    assert ToolChoice("none") == read(function_call="none").tool_choice


def test_tools_of_every_kind_are_read() -> None:
    grammar = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: x"}}
    found = read(
        tools=[
            {"type": "function", "function": {"name": "f", "strict": True, "parameters": {"a": 1}}},
            {"type": "custom", "custom": {"name": "c", "description": "d", "format": grammar}},
            {"type": "custom", "custom": {"name": "p", "format": {"type": "text"}}},
            {"type": "web_search"},
            {"type": "odd"},
        ],
        web_search_options={},
    )
    flat = b'{"syntax":"lark","definition":"start: x","type":"grammar"}'
    assert (
        Tool(name="f", strict=True, parameters=b'{"a": 1}'),
        Tool(name="c", description="d", custom=True, grammar=flat),
        Tool(name="p", custom=True),
        HostedTool("chat", "web_search", b'{"type": "web_search"}', name="web_search", kind="web_search"),
        HostedTool("chat", "odd", b'{"type": "odd"}', name="odd"),
        HostedTool("chat", "web_search_options", b"{}", name="web_search", kind="web_search"),
    ) == found.tools


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", ToolChoice("auto")),
        ("none", ToolChoice("none")),
        ("required", ToolChoice("required")),
        ("any", ToolChoice("required")),
        (None, None),
        ({"type": "function", "function": {"name": "f"}}, ToolChoice("tool", "f")),
        ({"type": "custom", "custom": {"name": "c"}}, ToolChoice("tool", "c")),
    ],
)
def test_tool_choice_in_all_its_forms(choice: object, expected: ToolChoice | None) -> None:
    assert expected == read(tool_choice=choice).tool_choice


def test_allowed_tools_leave_the_others_out() -> None:
    tools = [{"type": "function", "function": {"name": name}} for name in ("f", "g")]
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "g"}}]}
    found = read(tools=tools, tool_choice={"type": "allowed_tools", "allowed_tools": allowed})
    assert ((Tool(name="g"),), ToolChoice("required")) == (found.tools, found.tool_choice)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"reasoning_effort": "none"}, Reasoning("off")),
        ({"thinking": {"type": "disabled"}}, Reasoning("off")),
        ({"thinking": {"type": "adaptive"}, "reasoning_effort": "low"}, Reasoning("adaptive", effort="low")),
        ({"thinking": {"type": "enabled", "budget_tokens": 9}}, Reasoning("budget", 9)),
        ({"thinking_budget": 8, "reasoning_effort": "low"}, Reasoning("budget", 8, "low")),
        ({"reasoning": {"effort": "high", "summary": "auto"}}, Reasoning(None, None, "high", "auto")),
        ({"reasoning": {"max_tokens": 7}}, Reasoning("budget", 7)),
        ({"reasoning": {}}, None),
    ],
)
def test_effort_in_the_words_of_several_gateways(members: dict[str, Any], expected: Reasoning | None) -> None:
    assert expected == read(**members).reasoning


def test_response_formats() -> None:
    schema = {"name": "n", "schema": {"type": "object"}, "strict": True, "description": "d"}
    assert (
        OutputFormat("json_schema", "n", b'{"type": "object"}', strict=True, description="d")
        == read(response_format={"type": "json_schema", "json_schema": schema}).format
    )
    assert read(response_format={"type": "text"}).format is None


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([], "$.messages"),
        ([{"role": "user", "content": []}], "$.messages[0].content"),
        ([{"role": "user", "content": None}], "$.messages[0].content"),
        ([{"role": "user", "content": 7}], "$.messages[0].content"),
        ([{"role": "user", "content": [{"type": "text"}]}], "$.messages[0].content[0].text"),
        ([{"role": "user", "content": [{"type": "text", "text": 7}]}], "$.messages[0].content[0].text"),
        ([{"role": "user", "content": [7]}], "$.messages[0].content[0]"),
        ([{"role": "user", "content": "a"}, {"role": "king"}], "$.messages[1].role"),
        ([{"content": "a"}], "$.messages[0].role"),
        ([7], "$.messages[0]"),
        ([{"role": "tool", "content": "x"}], "$.messages[0].tool_call_id"),
        (
            [{"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}],
            "$.messages[0].tool_calls[0].id",
        ),
        ([{"role": "assistant", "tool_calls": [{"id": "a"}]}], "$.messages[0].tool_calls[0].function"),
        (
            [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": None}}]}],
            "$.messages[0].content[0].image_url.url",
        ),
        (
            [
                {
                    "role": "user",
                    "content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}],
                }
            ],
            "$.messages[0].content[0].image_url.url",
        ),
        (
            [{"role": "user", "content": [{"type": "refusal", "refusal": "x"}]}],
            "$.messages[0].content[0].type",
        ),
        (
            [
                {
                    "role": "user",
                    "content": [{"type": "file", "file": {"file_data": "data:text/plain;base64,*"}}],
                }
            ],
            "$.messages[0].content[0].file.file_data",
        ),
    ],
)
def test_a_bad_message_is_a_400_that_names_the_place(messages: list[Any], param: str) -> None:
    """AC-41, AC-51."""
    found = refusal_of(json.dumps({"model": "m", "messages": messages}).encode())
    assert (InvalidRequestError, param) == (type(found), found.param)


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ('"messages":[]', "$.model"),
        ('"model":7', "$.model"),
        ('"temperature":"x"', "$.temperature"),
        ('"temperature":NaN', "$"),
        ('"temperature":1e999', "$"),
        ('"max_tokens":1.5', "$.max_tokens"),
        ('"max_tokens":-1', "$.max_tokens"),
        ('"max_tokens":' + "9" * 30, "$.max_tokens"),
        ('"seed":' + "9" * 5000, "$.seed"),
        ('"n":0', "$.n"),
        ('"tools":[{"type":"function"}]', "$.tools[0].function"),
        (
            '"tools":[{"type":"function","function":{"name":"f","parameters":[]}}]',
            "$.tools[0].function.parameters",
        ),
        ('"tools":{}', "$.tools"),
        ('"functions":[{}]', "$.functions[0].name"),
        ('"tool_choice":"some"', "$.tool_choice"),
        ('"tool_choice":{"type":"odd"}', "$.tool_choice"),
        ('"response_format":{"type":"xml"}', "$.response_format.type"),
        ('"response_format":{"type":"json_schema"}', "$.response_format.json_schema"),
        ('"stop":[1]', "$.stop[0]"),
        ('"stream":"yes"', "$.stream"),
    ],
)
def test_a_bad_member_is_a_400_that_names_it(members: str, param: str) -> None:
    """AC-51."""
    rest = "" if members.startswith(('"messages', '"model"')) else '"model":"m",'
    messages = "" if members.startswith('"messages') else '"messages":[{"role":"user","content":"x"}],'
    found = refusal_of(f"{{{rest}{messages}{members}}}".encode())
    assert InvalidRequestError is type(found)
    assert param == found.param or (param == "$" and found.param is not None)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"nonsense",
        b"[]",
        b"7",
        b"null",
        b"\xff",
        b'{"model":"\\ud800","messages":[]}',
        b"[" * 100000,
        b'{"a":' * 100000,
    ],
)
def test_what_is_no_request_is_a_400(raw: bytes) -> None:
    """AC-51."""
    assert refusal_of(raw).kind == "invalid_request"
    with pytest.raises(InvalidRequestError):
        CHAT.peek(raw)


@pytest.mark.parametrize(
    "members",
    [
        {"modalities": ["text", "audio"]},
        {"messages": [user({"type": "input_audio", "input_audio": {}})]},
        {"messages": [user({"type": "file", "file": {"file_id": "x"}})]},
        {"messages": [{"role": "assistant", "audio": {"id": "x"}}]},
    ],
)
def test_what_copilot_has_not_is_refused_by_name(members: dict[str, Any]) -> None:
    assert isinstance(refusal_of(body(**members)), UnsupportedFeatureError)


def test_duplicate_members_are_no_crash() -> None:
    raw = b'{"model":"a","model":"m","messages":[{"role":"user","content":"x"}],"messages":[{"role":"user","content":"y"}]}'
    assert ("m", (Message("user", (Text("y"),)),)) == (
        CHAT.decode_request(raw).model,
        CHAT.decode_request(raw).messages,
    )


def test_arguments_may_be_the_object_itself() -> None:
    call = {"id": "a", "function": {"name": "f", "arguments": {"x": 1}}}
    custom = {"id": "b", "type": "custom", "custom": {"name": "p", "input": "*** Begin"}}
    (message,) = turns({"role": "assistant", "tool_calls": [call, custom]})
    assert (ToolUse("a", "f", '{"x": 1}'), ToolUse("b", "p", "*** Begin", custom=True)) == message.content
