"""Requests of other surfaces, as Copilot's Messages endpoint wants them."""

import json
from typing import Any

import pytest
from msgspec import structs

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
    Request,
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
from core.dialects.messages import MESSAGES
from core.errors import InvalidRequestError, UnsupportedFeatureError
from core.model import Model
from core.names import short_name

MODEL = Model(
    id="c",
    max_output=32_000,
    adaptive_thinking=True,
    thinking_budget=(1024, 16_000),
    efforts=("low", "medium", "high"),
)
BUDGET = Model(id="h", max_output=16_000, thinking_budget=(1024, 16_000))
USER = Message("user", (Text("hi"),))
MARK = {"type": "ephemeral"}


def encode(*messages: Message, model: Model = MODEL, **members: Any) -> tuple[dict[str, Any], Encoded]:
    request = Request(model="asked", messages=messages or (USER,), **members)
    encoded = MESSAGES.encode_request(request, Target(model, "acc"))
    return json.loads(encoded.body), encoded


def turns(*messages: Message, model: Model = MODEL) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return roles and blocks, without the automatic cache marks."""
    wire = encode(*messages, model=model)[0]["messages"]
    for turn in wire:
        for block in turn["content"]:
            block.pop("cache_control", None)
    return [(turn["role"], turn["content"]) for turn in wire]


def said(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


def test_a_plain_request_gets_what_messages_needs() -> None:
    """AC-40."""
    wire, encoded = encode(Message("system", (Text("Be brief."),)), USER, tools=(Tool(name="x"),))
    assert wire == {
        "model": "c",
        "max_tokens": 32_000,
        "system": [{**said("Be brief."), "cache_control": MARK}],
        "messages": [{"role": "user", "content": [{**said("hi"), "cache_control": MARK}]}],
        "tools": [{"name": "x", "input_schema": {"type": "object", "properties": {}}, "cache_control": MARK}],
        "stream": True,
    }
    assert (encoded.losses, encoded.repairs) == ((), ("cache_breakpoints",))


def test_a_clients_own_marks_are_kept_and_reduced_to_four() -> None:
    """AC-62, AC-39."""
    wire, encoded = encode(
        Message("user", tuple(Text(str(at), cache=CacheBreakpoint("1h")) for at in range(6)))
    )
    marks = [block.get("cache_control") for block in wire["messages"][0]["content"]]
    assert marks == [None, None, *[{"type": "ephemeral", "ttl": "1h"}] * 4]
    assert encoded.repairs == ("cache_breakpoints",)


def test_system_turns_in_the_middle_keep_their_place() -> None:
    """AC-38."""
    rule = Message("system", (Text("rule"),))
    assert turns(USER, rule) == [("user", [said("hi"), said("<system>\nrule\n</system>")])]
    accepting = structs.replace(MODEL, mid_system=True)
    assert turns(USER, rule, model=accepting) == [("user", [said("hi")]), ("system", [said("rule")])]


def test_an_image_among_instructions_is_shown_by_the_user() -> None:
    """The system prompt holds text alone; Responses takes images in developer messages."""
    shown = Message("system", (Text("rule"), Image(base64="iVBORw0KGgo=", media_type="image/png")))
    image = {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
    }
    wire, encoded = encode(shown, USER)
    assert "rule" == wire["system"][0]["text"]
    assert [("user", [image, said("hi")])] == turns(shown, USER)
    assert "mid_system" in encoded.repairs
    assert [("user", [said("hi"), said("<system>\nrule\n</system>"), image])] == turns(USER, shown)


def test_instructions_alone_become_the_question() -> None:
    assert turns(Message("system", (Text("Say hi"),))) == [("user", [said("Say hi")])]


def test_results_follow_their_calls_and_orphans_are_repaired() -> None:
    """AC-30, AC-46."""
    found = turns(
        USER,
        Message("assistant", (ToolUse("a:1", "x", "{}"), ToolUse("b", "x", "{}"))),
        Message("user", (Text("t"), ToolResult("a:1", (Text("r"),)), ToolResult("gone", (Text("old"),)))),
    )
    assert found[2] == (
        "user",
        [
            {"type": "tool_result", "tool_use_id": found[1][1][0]["id"], "content": [said("r")]},
            {
                "type": "tool_result",
                "tool_use_id": "b",
                "content": "No result: the call was interrupted.",
                "is_error": True,
            },
            said("t"),
            said("[Result of an earlier tool call]\nold"),
        ],
    )


def test_neighbours_of_one_role_are_joined() -> None:
    assert turns(USER, USER, Message("assistant", (Text("a \n"),)), Message("assistant", (Text("b\n"),)), USER) == [
        ("user", [said("hi"), said("hi")]), ("assistant", [said("a"), said("b")]), ("user", [said("hi")]),
    ]  # fmt: skip


def test_a_conversation_that_the_assistant_opens_gets_a_first_turn() -> None:
    assert [role for role, _ in turns(Message("assistant", (Text("a"),)), USER)] == [
        "user",
        "assistant",
        "user",
    ]


def test_thinking_goes_home_only() -> None:
    """AC-31, AC-33."""
    mine, foreign = Opaque("messages", "sig", scope="acc"), Opaque("messages", "sig", scope="other")
    wire, encoded = encode(
        USER,
        Message("assistant", (Thinking("t", mine), Thinking("", foreign), Thinking("n"), Text("a"))),
        USER,
    )
    assert wire["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "t", "signature": "sig"},
        said("a"),
    ]
    assert encoded.losses == ("thinking",)


@pytest.mark.parametrize(
    ("model", "asked", "thinking", "effort", "losses"),
    [
        (MODEL, Reasoning(effort="medium"), {"type": "adaptive", "display": "summarized"}, "medium", ()),
        (MODEL, Reasoning(effort="minimal"), {"type": "adaptive", "display": "summarized"}, "low", ("effort",)),
        (MODEL, Reasoning("budget", 20_000), {"type": "adaptive", "display": "summarized"}, "high", ()),
        (MODEL, Reasoning(effort="none"), {"type": "disabled"}, None, ()),
        (BUDGET, Reasoning(effort="low"), {"type": "enabled", "budget_tokens": 2048}, None, ()),
        (BUDGET, Reasoning("budget", 90_000), {"type": "enabled", "budget_tokens": 15_999}, None, ()),
        (BUDGET, Reasoning("budget", 10), {"type": "enabled", "budget_tokens": 1024}, None, ()),
        (Model(id="p"), Reasoning(effort="low"), None, None, ("effort",)),
        (Model(id="p"), Reasoning("off"), None, None, ()),
    ],
)  # fmt: skip
def test_reasoning_is_said_as_the_model_wants_it(
    model: Model,
    asked: Reasoning,
    thinking: dict[str, Any] | None,
    effort: str | None,
    losses: tuple[str, ...],
) -> None:
    """AC-57, AC-40."""
    wire, encoded = encode(model=model, reasoning=asked)
    assert wire.get("thinking") == thinking
    assert wire.get("output_config", {}).get("effort") == effort
    assert encoded.losses == losses


def test_thinking_between_calls_has_its_beta() -> None:
    _, encoded = encode(model=BUDGET, reasoning=Reasoning(effort="low"), tools=(Tool(name="x"),))
    assert encoded.betas == ("interleaved-thinking-2025-05-14",)


def test_a_forced_tool_and_thinking_exclude_each_other() -> None:
    wire, encoded = encode(
        reasoning=Reasoning(effort="low"), tools=(Tool(name="x"),), tool_choice=ToolChoice("required")
    )
    assert "thinking" not in wire
    assert "reasoning" in encoded.losses


def test_thinking_is_dropped_in_a_round_that_began_without_it() -> None:
    rounds = (
        USER,
        Message("assistant", (ToolUse("a", "x", "{}"),)),
        Message("user", (ToolResult("a", (Text("r"),)),)),
    )
    assert "thinking" not in encode(*rounds, model=BUDGET, reasoning=Reasoning(effort="low"))[0]
    assert "thinking" in encode(*rounds, reasoning=Reasoning(effort="low"))[0]


def test_sampling_is_fitted_and_knobs_are_losses() -> None:
    wire, encoded = encode(
        temperature=1.7,
        top_p=0.5,
        seed=3,
        frequency_penalty=0.1,
        stop=("\n", "END"),
        extras={"logit_bias": b"{}"},
    )
    assert (wire["temperature"], wire["stop_sequences"], "top_p" in wire) == (1.0, ["END"], False)
    assert encoded.losses == ("frequency_penalty", "seed", "logit_bias", "temperature", "top_p", "stop")
    assert "temperature" not in encode(temperature=0.5, model=structs.replace(MODEL, sampling=False))[0]


def test_tools_are_named_and_chosen() -> None:
    """AC-61, AC-40."""
    name = "server.tool" + "x" * 70
    wire, _ = encode(
        tools=(Tool(name=name, parameters=b'{"$schema":"u","type":"object"}', strict=True),),
        tool_choice=ToolChoice("tool", name),
        parallel_tools=False,
    )
    assert wire["tools"][0]["name"] == wire["tool_choice"]["name"] == short_name(name)
    assert wire["tools"][0]["input_schema"] == {"type": "object"}
    assert wire["tool_choice"]["disable_parallel_tool_use"] is True
    assert encode(tools=(Tool(name="x"),), parallel_tools=False)[0]["tool_choice"]["type"] == "auto"
    assert "tool_choice" not in encode(parallel_tools=False)[0]


def test_custom_tools_are_wrapped() -> None:
    grammar = b'{"type":"grammar","syntax":"lark","definition":"start: WORD"}'
    wire, encoded = encode(
        USER,
        Message("assistant", (ToolUse("a", "patch", "*** Begin", custom=True),)),
        Message("user", (ToolResult("a", (Text("done"),), custom=True),)),
        tools=(Tool(name="patch", description="Patch.", custom=True, grammar=grammar),),
    )
    assert wire["messages"][1]["content"][0]["input"] == {"input": "*** Begin"}
    assert wire["tools"][0]["input_schema"]["required"] == ["input"]
    assert (
        wire["tools"][0]["description"] == "Patch.\n\nThe input must follow this lark grammar:\nstart: WORD"
    )
    assert "custom_tools" in encoded.repairs


def test_structured_output_has_its_place() -> None:
    """AC-43."""
    shape = OutputFormat("json_schema", "n", b'{"$schema":"u","type":"object"}')
    assert encode(format=shape)[0]["output_config"] == {
        "format": {"type": "json_schema", "schema": {"type": "object"}}
    }
    wire, encoded = encode(format=OutputFormat("json_object"))
    assert wire["system"][0]["text"] == "Answer with one JSON object and nothing else."
    assert encoded.losses == ("response_format",)


def test_documents_and_search_results_are_said_as_they_can_be() -> None:
    """AC-35, AC-36."""
    pdf = Document("application/pdf", "JVBERi0=", title="P")
    note = Document(text="body", title="N", context="ctx")
    encoded_text = Document("text/markdown", "aGk=")
    mixed = Document(content=(Text("x"), Image("image/png", "AA")), title="M")
    (_, blocks), *_ = turns(Message("user", (pdf, note, encoded_text, mixed)))
    assert blocks == [
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
            "title": "P",
        },
        said("[Document: N]\nctx\nbody"),
        said("[Document]\nhi"),
        said("[Document: M]"),
        said("x"),
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA"}},
    ]


def test_hosted_searches_in_the_history_are_text() -> None:
    """AC-44."""
    found = turns(
        USER,
        Message(
            "assistant",
            (ServerToolUse("s", "web_search", "{}"), ServerToolResult("s", "web_search"), Text("a")),
        ),
        USER,
    )
    assert found[1][1] == [said("[web_search: {}]"), said("[Web search results]"), said("a")]


@pytest.mark.parametrize(
    "block",
    [
        Image(url="https://a.b"),
        Document(url="https://a.b"),
        Document("application/zip", "AA"),
        ToolResult("t", (Image(url="https://a.b"),)),
        Native("responses", "computer_call", b"{}"),
        Compaction(Opaque("responses", "x")),
    ],
)
def test_what_cannot_be_said_is_refused_by_path(block: Block) -> None:
    """AC-34."""
    with pytest.raises(UnsupportedFeatureError) as caught:
        encode(Message("user", (block,)))
    assert str(caught.value.param).startswith("$.messages[0].content[0]")


@pytest.mark.parametrize("kind", ["web_search", ""])
def test_hosted_tools_are_refused(kind: Any) -> None:
    """AC-37."""
    with pytest.raises(UnsupportedFeatureError):
        encode(tools=(HostedTool("responses", "file_search", b"{}", kind=kind),))


def test_other_impossible_requests_are_refused() -> None:
    """AC-45."""
    with pytest.raises(UnsupportedFeatureError):
        encode(choices=2)
    with pytest.raises(InvalidRequestError, match="prefill"):
        encode(USER, Message("assistant", (Text("{"),)), model=structs.replace(MODEL, prefill=False))
    with pytest.raises(InvalidRequestError):
        encode(Message("user", (Text(" "),)))
    with pytest.raises(UnsupportedFeatureError):
        encode(Message("user", (Image("image/png", "AA"),)), model=structs.replace(MODEL, vision=False))


def test_max_tokens_is_capped() -> None:
    wire, encoded = encode(max_output=99_999)
    assert (wire["max_tokens"], encoded.losses) == (32_000, ("max_tokens",))


def test_a_jpg_is_a_jpeg() -> None:
    """Chat's and Responses' clients name it after the file's ending, which Messages refuses."""
    ((_, (block,)),) = turns(Message("user", (Image("image/jpg", "aGk="),)))
    assert block["source"] == {"type": "base64", "media_type": "image/jpeg", "data": "aGk="}


def test_citations_of_another_dialect_are_a_loss() -> None:
    said = Message("assistant", (Text("a", citations=(Citation("https://x"),)),))
    assert encode(USER, said, USER)[1].losses == ("citations",)


def test_a_forced_call_without_tools_is_a_loss() -> None:
    assert encode(tool_choice=ToolChoice("required"))[1].losses == ("tool_choice",)
