"""Canonical requests, as Anthropic and Responses clients make them, to Copilot's chat."""

import json
from base64 import b64encode
from typing import Any

import msgspec
import pytest

from core.canonical import (
    Block,
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
    Refusal,
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
from core.dialect import Encoded, Target
from core.dialects.chat import CHAT
from core.errors import GatewayError, InvalidRequestError, UnsupportedFeatureError
from core.model import Model
from tests.unit.dialects.chat.wire import CLAUDE, GPT, OLD_GPT

HI = Message("user", (Text("Hi"),))
PNG = Image(media_type="image/png", base64="aGk=")
PNG_PART = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CACHE = CacheBreakpoint()


def user(*blocks: Block) -> Message:
    return Message("user", blocks)


def assistant(*blocks: Block) -> Message:
    return Message("assistant", blocks)


def ask(*messages: Message, model: Model = CLAUDE, **members: Any) -> Encoded:
    request = Request(model="asked", messages=messages or (HI,), **members)
    return CHAT.encode_request(request, Target(model, "here"))


def body(*messages: Message, model: Model = CLAUDE, **members: Any) -> dict[str, Any]:
    return json.loads(ask(*messages, model=model, **members).body)


def turns(*messages: Message, model: Model = CLAUDE) -> list[dict[str, Any]]:
    return body(*messages, model=model)["messages"]


def refused(*messages: Message, model: Model = CLAUDE, **members: Any) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        ask(*messages, model=model, **members)
    assert caught.value.status == 400
    return caught.value


def test_a_body_always_streams_and_counts_and_has_no_nulls() -> None:
    """AC-40."""
    assert {
        "model": "claude-sonnet-4.6",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "n": 1,
    } == body()
    assert b"null" not in ask().body


def test_images_of_results_follow_all_results() -> None:
    """AC-28."""
    results = user(ToolResult("a", (PNG, Text("seen"))), ToolResult("b", (Text("two"),)), Text("So?"))
    assert [
        {"role": "assistant", "content": None, "tool_calls": [CALL, {**CALL, "id": "b"}]},
        {"role": "tool", "content": "seen\n[an image: see the next user message]", "tool_call_id": "a"},
        {"role": "tool", "content": "two", "tool_call_id": "b"},
        {"role": "user", "content": [{"type": "text", "text": "The result of tool call a shows:"}, PNG_PART]},
        {"role": "user", "content": "So?"},
    ] == turns(assistant(ToolUse("a", "f", "{}"), ToolUse("b", "f", "{}")), results)


def test_a_failed_result_says_so() -> None:
    """AC-29."""
    found = turns(assistant(ToolUse("a", "f", "{}")), user(ToolResult("a", (Text("no"),), is_error=True)))
    assert found[1]["content"] == "[the tool failed]\nno"


def test_results_come_first_and_texts_keep_their_order() -> None:
    """AC-30."""
    found = turns(
        assistant(ToolUse("a", "f", "{}")),
        user(Text("one"), ToolResult("a", (Text("r"),)), Text("two")),
        Message("system", (Text("S"),)),
        user(Text("three")),
    )
    assert ["tool", "user", "system", "user"] == [turn["role"] for turn in found[1:]]
    assert found[2]["content"] == [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]


def test_results_in_a_later_message_still_follow_their_calls() -> None:
    """AC-30."""
    found = turns(assistant(ToolUse("a", "f", "{}")), Message("system", (Text("S"),)), user(ToolResult("a")))
    assert ["assistant", "tool", "system"] == [turn["role"] for turn in found]


def test_thinking_goes_home_and_nowhere_else() -> None:
    """AC-07, AC-31."""
    own = Thinking("mine", Opaque("chat", "sig", scope="here"))
    foreign = Thinking("theirs", Opaque("messages", "sig2"))
    other = Thinking("elsewhere", Opaque("chat", "sig3", scope="other"))
    found = ask(HI, assistant(own, foreign, other, Thinking("bare"), Text("Yes")), HI)
    assert ("thinking",) == found.losses
    assert {
        "role": "assistant",
        "content": "Yes",
        "reasoning_text": "mine",
        "reasoning_opaque": "sig",
    } == json.loads(found.body)["messages"][1]
    assert b"theirs" not in found.body


def test_text_and_calls_of_one_turn_stay_together_and_an_empty_result_is_empty() -> None:
    """AC-32."""
    assert [
        {"role": "assistant", "content": "Look.", "tool_calls": [CALL]},
        {"role": "tool", "content": "", "tool_call_id": "a"},
    ] == turns(assistant(Text("Look."), Thinking("x"), ToolUse("a", "f", "{}")), user(ToolResult("a")))


def test_a_turn_of_which_nothing_can_be_said_is_left_out() -> None:
    """AC-33."""
    redacted = Thinking("", Opaque("messages", "x"), redacted=True)
    assert [{"role": "user", "content": "Hi"}, {"role": "user", "content": "Hi"}] == turns(
        HI, assistant(redacted), HI
    )


def test_images_pass_by_value_and_by_url() -> None:
    """AC-34."""
    assert [
        {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
        PNG_PART,
    ] == turns(user(Image(url="https://x/y.png", detail="low"), PNG))[0]["content"]
    assert isinstance(refused(user(PNG), model=Model(id="blind", vision=False)), UnsupportedFeatureError)


def test_a_pdf_is_refused_in_words() -> None:
    """AC-35."""
    for document in (Document(media_type="application/pdf", base64="aGk="), Document(url="https://x/y.pdf")):
        assert "document" in refused(user(document)).message
        assert (
            "document"
            in refused(assistant(ToolUse("a", "f", "{}")), user(ToolResult("a", (document,)))).message
        )


def test_documents_and_search_results_are_told_as_titled_text() -> None:
    """AC-36."""
    told = '<document title="T">\nwords\n</document>'
    for document in (
        Document(text="words", title="T"),
        Document(content=(Text("words"),), title="T"),
        Document(media_type="text/plain", base64=b64encode(b"words").decode(), title="T"),
    ):
        assert told == turns(user(document))[0]["content"]
    found = SearchResult("https://x", 'a "b"', (Text("one"), Text("two")))
    expected = '<search_result title="a \'b\'" source="https://x">\none\ntwo\n</search_result>'
    assert expected == turns(user(found))[0]["content"]
    with_image = turns(user(Document(content=(Text("words"), PNG), title="T")))
    assert [{"type": "text", "text": told}, PNG_PART] == with_image[0]["content"]
    assert refused(user(Document(media_type="text/plain", base64="*"))).param == "messages"


def test_web_search_names_the_setting() -> None:
    """AC-37."""
    tool = HostedTool("messages", "web_search_20250305", b"{}", kind="web_search")
    found = refused(tools=(tool,))
    assert ("tools", True) == (found.param, "web_search" in found.message)
    assert "mcp" in refused(tools=(HostedTool("responses", "mcp", b"{}"),)).message


def test_system_turns_stay_in_their_place() -> None:
    """AC-38."""
    found = turns(Message("system", (Text("A"), Text("B"))), HI, Message("system", (Text("C"),)))
    assert [("system", "A\n\nB"), ("user", "Hi"), ("system", "C")] == [
        (t["role"], t["content"]) for t in found
    ]


def test_cache_marks_become_copilots_own_on_claude_only() -> None:
    """AC-39, AC-62."""
    marked = (
        Message("system", (Text("A", cache=CACHE), Text("B"))),
        user(Text("q", cache=CACHE)),
        assistant(ToolUse("a", "f", "{}", cache=CACHE)),
        user(ToolResult("a", cache=CACHE), Text("q2", cache=CACHE)),
    )
    found = ask(*marked)
    mark = {"type": "ephemeral"}
    expected = [mark, None, None, mark, mark, mark]
    assert expected == [turn.get("copilot_cache_control") for turn in json.loads(found.body)["messages"]]
    assert ("cache_breakpoints",) == found.repairs
    assert b"cache" not in ask(*marked, model=OLD_GPT).body


def test_knobs_are_mapped_or_listed() -> None:
    """AC-40."""
    found = ask(
        top_k=5,
        temperature=0.5,
        parallel_tools=False,
        user="u" * 150,
        cache_key="k",
        verbosity="low",
        extras={"service_tier": b'"auto"'},
        tools=(Tool(name="f"),),
    )
    sent = json.loads(found.body)
    assert (False, 0.5, 64) == (sent["parallel_tool_calls"], sent["temperature"], len(sent["user"]))
    assert ("top_k", "cache_key", "verbosity", "service_tier") == found.losses
    assert body(user="me")["user"] == "me"


def test_models_without_sampling_are_not_sent_any() -> None:
    found = ask(
        model=GPT, temperature=1.0, top_p=0.5, frequency_penalty=0.1, presence_penalty=0.1, verbosity="low"
    )
    assert ("temperature", "top_p", "frequency_penalty", "presence_penalty") == found.losses
    assert json.loads(found.body)["verbosity"] == "low"


@pytest.mark.parametrize(
    ("model", "limit", "expected"),
    [
        (GPT, 10, {"max_completion_tokens": 10}),
        (OLD_GPT, 10, {"max_tokens": 10}),
        (OLD_GPT, 64000, {"max_tokens": 16384}),
        (OLD_GPT, None, {}),
    ],
)
def test_the_output_limit_has_the_models_name_and_size(
    model: Model, limit: int | None, expected: dict[str, int]
) -> None:
    """AC-65."""
    sent = body(model=model, max_output=limit)
    assert expected == {name: value for name, value in sent.items() if name.startswith("max_")}


def test_empty_schemas_become_object_schemas() -> None:
    """AC-42."""
    schemas = [
        b"{}",
        b'{"type":null}',
        b'{"type":"object"}',
        b'{"$schema":"x","type":"object","properties":{"a":{}}}',
    ]
    tools = tuple(Tool(name=f"f{number}", parameters=schema) for number, schema in enumerate(schemas))
    empty = {"type": "object", "properties": {}}
    expected = [empty, empty, empty, {"type": "object", "properties": {"a": {}}}]
    assert expected == [tool["function"]["parameters"] for tool in body(tools=tools)["tools"]]
    assert "tools" not in body(tools=(), tool_choice=ToolChoice("auto"))
    assert isinstance(refused(tools=(Tool(name="f", parameters=b"[]"),)), InvalidRequestError)


def test_a_fine_schema_stays_byte_for_byte() -> None:
    schema = b'{ "type":"object", "properties":{"a":{"maximum":1.0}} }'
    assert schema in ask(tools=(Tool(name="f", parameters=schema),)).body


def test_structured_output_is_mapped() -> None:
    """AC-43."""
    form = OutputFormat("json_schema", "", b'{"type":"object"}', strict=True)
    expected = {"name": "response", "schema": {"type": "object"}, "strict": True}
    assert {"type": "json_schema", "json_schema": expected} == body(format=form)["response_format"]
    assert {"type": "json_object"} == body(format=OutputFormat("json_object"))["response_format"]
    assert refused(format=form, model=Model(id="m", structured_outputs=False)).param == "response_format"


def test_a_hosted_tools_steps_are_told_with_their_sources() -> None:
    """AC-44."""
    use = ServerToolUse("s", "web_search", '{"query":"q"}')
    result = ServerToolResult("s", "web_search", (Citation("https://x", "X", "words"),))
    failed = ServerToolResult("s", "web_search", error_code="unavailable")
    expected = (
        'Look.\n\n[web_search was called with {"query":"q"}]\n\n[web_search found 1 sources]\n- X <https://x>: words'
        "\n\n[web_search failed: unavailable]\n\nSo."
    )
    assert expected == turns(assistant(Text("Look."), use, result, failed, Text("So.")), HI)[0]["content"]


def test_prefill_is_passed_or_refused() -> None:
    """AC-45."""
    assert {"role": "assistant", "content": "{"} == turns(HI, assistant(Text("{ \n")))[-1]
    strict = Model(id="m", prefill=False)
    assert refused(HI, assistant(Text("{")), model=strict).param == "messages"
    assert turns(HI, assistant(ToolUse("a", "f", "{}")), model=strict)[-1]["role"] == "tool"


def test_calls_and_results_that_lost_each_other_are_repaired() -> None:
    """AC-46."""
    found = ask(
        assistant(ToolUse("a", "f", "{}"), ToolUse("b", "f", "{}")),
        user(
            ToolResult("a", (Text("r"),)),
            ToolResult("zz", (Text("stray"),)),
            ToolResult("a", (Text("again"),)),
        ),
    )
    assert ("orphan_tool_use", "orphan_tool_result") == found.repairs
    sent = json.loads(found.body)["messages"][1:]
    assert [
        {"role": "tool", "content": "r", "tool_call_id": "a"},
        {"role": "tool", "content": "[no result: the call was interrupted]", "tool_call_id": "b"},
    ] == sent[:2]
    stray = [f"[result of an earlier tool call]\n{text}" for text in ("stray", "again")]
    assert stray == [part["text"] for part in sent[2]["content"]]


def test_long_and_odd_names_are_encoded_alike_everywhere() -> None:
    """AC-61."""
    name, call_id = "mcp.server/" + "x" * 80, "call id " + "y" * 80
    sent = body(
        HI,
        assistant(ToolUse(call_id, name, "{}"), ToolUse("functions.f:0", "ns__f", "{}", namespace="ns")),
        user(ToolResult(call_id), ToolResult("functions.f:0")),
        tools=(Tool(name=name), Tool(name="ns__f", namespace="ns")),
        tool_choice=ToolChoice("tool", name),
    )
    short = sent["tools"][0]["function"]["name"]
    uses = sent["messages"][1]["tool_calls"]
    assert (64, short, short) == (
        len(short),
        sent["tool_choice"]["function"]["name"],
        uses[0]["function"]["name"],
    )
    assert ("ns__f", "ns__f") == (sent["tools"][1]["function"]["name"], uses[1]["function"]["name"])
    assert [use["id"] for use in uses] == [turn["tool_call_id"] for turn in sent["messages"][2:]]
    assert uses[1]["id"] == "functions.f:0"


def test_custom_tools_are_wrapped() -> None:
    found = ask(
        HI,
        assistant(ToolUse("a", "patch", "*** Begin", custom=True), ToolUse("b", "f", "not json")),
        user(ToolResult("a"), ToolResult("b")),
        tools=(Tool(name="patch", custom=True),),
    )
    sent = json.loads(found.body)
    assert '{"input":"*** Begin"}' == sent["messages"][1]["tool_calls"][0]["function"]["arguments"]
    assert ["input"] == sent["tools"][0]["function"]["parameters"]["required"]
    assert ("tool_arguments", "custom_tools") == found.repairs


@pytest.mark.parametrize(
    ("model", "reasoning", "effort", "budget", "losses"),
    [
        (GPT, Reasoning(effort="high"), "high", None, ()),
        (GPT, Reasoning(effort="max"), "high", None, ("effort",)),
        (GPT, Reasoning("off"), "low", None, ("effort",)),
        (GPT, Reasoning("budget", 2000), "low", None, ()),
        (GPT, Reasoning("adaptive"), None, None, ()),
        (GPT, Reasoning(effort="low", summary="auto"), "low", None, ("reasoning_summary",)),
        (CLAUDE, Reasoning("budget", 31999), None, 31999, ()),
        (CLAUDE, Reasoning("budget", 10), None, 1024, ()),
        (CLAUDE, Reasoning(effort="low"), None, 2048, ()),
        (CLAUDE, Reasoning("off"), None, None, ()),
        (OLD_GPT, Reasoning(effort="low"), None, None, ("effort",)),
        (OLD_GPT, Reasoning("off"), None, None, ()),
        (OLD_GPT, None, None, None, ()),
    ],
)
def test_effort_is_said_as_the_model_declares_it(
    model: Model, reasoning: Reasoning | None, effort: str | None, budget: int | None, losses: tuple[str, ...]
) -> None:
    found = ask(model=model, reasoning=reasoning)
    sent = json.loads(found.body)
    assert (effort, budget, losses) == (
        sent.get("reasoning_effort"),
        sent.get("thinking_budget"),
        found.losses,
    )


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"choices": 2}, "n"),
        ({"stop": ("a",) * 5}, "stop"),
        ({"tools": tuple(Tool(name=f"f{number}") for number in range(129))}, "tools"),
        ({"tools": (Tool(name="f"),), "model": Model(id="m", tools=False)}, "tools"),
    ],
)
def test_what_chat_cannot_mean_is_refused(members: dict[str, Any], param: str) -> None:
    assert refused(**members).param == param


@pytest.mark.parametrize(
    "block",
    [Native("messages", "container_upload", b"{}"), Compaction(Opaque("responses", "x")), Refusal("no")],
)
def test_blocks_of_others_are_refused_by_name(block: Block) -> None:
    assert refused(user(block)).param == "messages"


def test_small_things_of_a_conversation() -> None:
    raw = b'{"type":"odd","x":1.0}'
    assert raw in ask(user(Native("chat", "odd", raw))).body
    found = ask(assistant(Text("a", citations=(Citation("https://x"),)), Text("b"), Refusal(" no")), HI)
    assert ("citations",) == found.losses
    assert json.loads(found.body)["messages"][0]["content"] == "ab no"
    assert (
        msgspec.json.decode(ask(Message("user", (Text("x"),), name="Ann")).body)["messages"][0]["name"]
        == "Ann"
    )
    assert isinstance(refused(Message("system", (Text(""),))), InvalidRequestError)


@pytest.mark.parametrize(
    "block",
    [
        Document(text="words", citations=True),
        SearchResult("https://a", "A", (Text("words"),), citations=True),
        ToolResult("t", (SearchResult("https://a", "A", (Text("words"),), citations=True),)),
    ],
)
def test_citations_that_are_asked_for_are_a_loss(block: Block) -> None:
    assert "citations" in ask(user(block)).losses


@pytest.mark.parametrize(
    ("choice", "losses"),
    [
        (ToolChoice("auto"), ()),
        (ToolChoice("none"), ()),
        (ToolChoice("required"), ("tool_choice",)),
        (ToolChoice("tool", "f"), ("tool_choice",)),
    ],
)
def test_a_forced_call_without_tools_is_a_loss(choice: ToolChoice, losses: tuple[str, ...]) -> None:
    assert losses == ask(tool_choice=choice).losses
