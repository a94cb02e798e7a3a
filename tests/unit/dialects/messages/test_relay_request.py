"""Requests that pass through: the client's bytes, and each repair that Copilot needs."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from core.canonical import Opaque
from core.dialect import Encoded, Target
from core.dialects.messages import MESSAGES
from core.errors import GatewayError, InvalidRequestError, UnsupportedFeatureError
from core.model import Model
from core.opaque import seal
from core.tool_count import MOST_TOOLS
from tests.emulators.calling import PNG

SONNET = Model(
    id="claude-sonnet-4.6", max_output=64_000, max_non_streaming_output=16_000, adaptive_thinking=True,
    thinking_budget=(1024, 32_000), efforts=("low", "medium", "high", "max"),
)  # fmt: skip
OPUS = Model(
    id="claude-opus-4.8",
    max_output=64_000,
    adaptive_thinking=True,
    efforts=("low", "high"),
    prefill=False,
    mid_system=True,
)
HAIKU = Model(id="claude-haiku-4.5", max_output=16_000, thinking_budget=(1024, 16_000))
MARK = {"type": "ephemeral"}
USER = {"role": "user", "content": "hi"}


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def text(words: str, **members: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **members}


def call(call_id: str, **members: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": "x", "input": {}, **members}


def result(call_id: str, content: Any = "r", **members: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **members}


def relay(
    *messages: dict[str, Any], model: Model = SONNET, betas: tuple[str, ...] = (), **members: Any
) -> tuple[dict[str, Any], Encoded]:
    body = {
        "model": "asked",
        "max_tokens": 9000,
        "messages": list(messages) or [USER],
        "stream": True,
        **members,
    }
    encoded = MESSAGES.relay_request(json.dumps(body).encode(), Target(model, "acc"), betas)
    return json.loads(encoded.body), encoded


def sent(*messages: dict[str, Any], model: Model = SONNET) -> list[dict[str, Any]]:
    return list(relay(*messages, model=model)[0]["messages"])


CLEAN = b'{ "messages": [{"role": "user", "content": "caf\\u00e9"}],\n "model" : "claude-sonnet-4-6", "max_tokens": 10, "top_k": 3 }'


def test_a_clean_request_changes_only_its_model() -> None:
    encoded = MESSAGES.relay_request(CLEAN, Target(SONNET))
    assert encoded == Encoded(CLEAN.replace(b"claude-sonnet-4-6", b"claude-sonnet-4.6"))


def test_a_clean_request_for_the_same_id_is_the_same_object() -> None:
    body = CLEAN.replace(b"4-6", b"4.6")
    assert MESSAGES.relay_request(body, Target(SONNET)).body is body


def test_a_model_member_inside_a_tool_input_is_not_touched() -> None:
    wire, _ = relay(USER, assistant(call("t", input={"model": "asked"})), user(result("t")))
    assert wire["model"] == "claude-sonnet-4.6"
    assert wire["messages"][1]["content"][0]["input"] == {"model": "asked"}


def test_the_volatile_billing_line_is_removed() -> None:
    """AC-39."""
    wire, encoded = relay(
        system=[
            text("x-anthropic-billing-header: cc_version=2.1; cch=1"),
            text("Be brief.", cache_control=MARK),
        ]
    )
    assert wire["system"] == [text("Be brief.", cache_control=MARK)]
    assert encoded.repairs == ("billing_line",)


def test_cache_scope_is_stripped_and_ttl_kept() -> None:
    """AC-55."""
    scoped = {"type": "ephemeral", "ttl": "1h", "scope": "global"}
    wire, encoded = relay(user(text("a", cache_control=scoped)), system=[text("s", cache_control=scoped)], tools=[{"name": "x", "input_schema": {"type": "object"}, "cache_control": scoped}])  # fmt: skip
    kept = {"type": "ephemeral", "ttl": "1h"}
    assert [wire["messages"][0]["content"][0], wire["system"][0], wire["tools"][0]] == [
        text("a", cache_control=kept), text("s", cache_control=kept), {"name": "x", "input_schema": {"type": "object"}, "cache_control": kept},
    ]  # fmt: skip
    assert encoded.repairs == ("cache_scope",)


def test_a_mark_inside_a_tool_result_moves_to_the_block() -> None:
    """AC-55."""
    turns = sent(USER, assistant(call("t")), user(result("t", [text("r", cache_control=MARK)])))
    assert turns[2] == user(result("t", [text("r")], cache_control=MARK))


def test_a_tool_result_s_own_mark_stays_over_one_inside_it() -> None:
    own = {"type": "ephemeral", "ttl": "1h"}
    turns = sent(
        USER, assistant(call("t")), user(result("t", [text("r", cache_control=MARK)], cache_control=own))
    )
    assert turns[2] == user(result("t", [text("r")], cache_control=own))


def test_a_text_document_keeps_its_mark() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "words"}
    (turn,) = sent(user({"type": "document", "source": source, "cache_control": MARK}))
    assert [MARK] == [block["cache_control"] for block in turn["content"]]


def test_a_second_result_of_a_call_becomes_text() -> None:
    wire, encoded = relay(USER, assistant(call("t")), user(result("t", "first"), result("t", "second")))
    first, second = wire["messages"][2]["content"]
    assert (result("t", "first"), "text", True) == (first, second["type"], "second" in second["text"])
    assert encoded.repairs == ("orphan_tool_result",)


def test_calls_of_one_turn_that_share_an_id_get_ids_of_their_own() -> None:
    wire, encoded = relay(
        USER, assistant(call("t"), call("t")), user(result("t", "first"), result("t", "second"))
    )
    made, answered = (turn["content"] for turn in wire["messages"][1:])
    assert [block["id"] for block in made] == [block["tool_use_id"] for block in answered]
    assert (2, ["first", "second"]) == (
        len({block["id"] for block in made}), [block["content"] for block in answered],
    )  # fmt: skip
    assert encoded.repairs == ("tool_ids",)


def test_a_budget_is_never_below_anthropic_s_least() -> None:
    model = Model(id="claude-haiku-4.5", max_output=16_000, thinking_budget=(1, 16_000))
    wire, _ = relay(model=model, thinking={"type": "enabled", "budget_tokens": 5})
    assert 1024 == wire["thinking"]["budget_tokens"]


def test_tools_that_a_search_finds_are_not_counted() -> None:
    search = {"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"}
    deferred = [
        {"name": f"t{at}", "input_schema": {"type": "object"}, "defer_loading": True}
        for at in range(MOST_TOOLS + 1)
    ]
    assert MOST_TOOLS + 2 == len(relay(tools=[search, *deferred])[0]["tools"])
    with pytest.raises(GatewayError):
        relay(tools=deferred)


def test_a_mark_on_thinking_is_removed_and_its_text_stays_byte_exact() -> None:
    raw = b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"q"},{"role":"assistant","content":[{"type":"thinking","thinking":"caf\\u00e9 \\/","signature":"s\\/=","cache_control":{"type":"ephemeral"}},{"type":"text","text":"a"}]},{"role":"user","content":"b"}]}'
    encoded = MESSAGES.relay_request(raw, Target(SONNET))
    assert b'{"type":"thinking","thinking":"caf\\u00e9 \\/","signature":"s\\/="}' in encoded.body
    assert encoded.repairs == ("cache_on_thinking",)


def test_more_than_four_marks_are_reduced_to_the_most_valuable() -> None:
    """AC-62."""
    marked = [text(str(at), cache_control=MARK) for at in range(5)]
    wire, encoded = relay(
        user(*marked), system=[text("a", cache_control=MARK), text("b", cache_control=MARK)]
    )
    assert [("cache_control" in block) for block in wire["system"]] == [False, True]
    assert [("cache_control" in block) for block in wire["messages"][0]["content"]] == [
        False,
        False,
        True,
        True,
        True,
    ]
    assert encoded.repairs == ("cache_breakpoints",)


def test_automatic_caching_marks_no_thinking() -> None:
    thought = {"type": "thinking", "thinking": "t", "signature": "s"}
    wire, encoded = relay(USER, assistant(thought), cache_control=MARK)
    assert (assistant(thought), ("cache_control",)) == (wire["messages"][1], encoded.repairs)


def test_automatic_caching_becomes_a_mark_at_the_end() -> None:
    wire, encoded = relay(user(text("a")), cache_control=MARK)
    assert wire["messages"] == [user(text("a", cache_control=MARK))]
    assert "cache_control" not in wire
    assert encoded.repairs == ("cache_control",)


def test_unknown_members_are_dropped_and_named() -> None:
    """AC-58."""
    wire, encoded = relay(
        inference_geo="eu", fallbacks=[], service_tier="standard_only", speed="fast", temperature=None
    )
    assert wire.keys() == {"model", "max_tokens", "messages", "stream"}
    assert encoded.losses == ("inference_geo", "fallbacks", "speed", "service_tier")


def test_only_known_betas_are_sent() -> None:
    """AC-58."""
    asked = (
        "claude-code-20250219, interleaved-thinking-2025-05-14",
        "context-1m-2025-08-07",
        "computer-use-2025-11-24",
    )
    _, encoded = relay(betas=asked)
    assert encoded.betas == ("interleaved-thinking-2025-05-14", "computer-use-2025-11-24")
    assert encoded.repairs == ("betas",)


def test_context_management_brings_its_beta() -> None:
    edits = {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}, {"type": "compact_20260112"}]}
    wire, encoded = relay(context_management=edits, thinking={"type": "adaptive"})
    assert wire["context_management"] == edits
    assert encoded.betas == ("context-management-2025-06-27", "compact-2026-01-12")
    wire, encoded = relay(context_management={"edits": edits["edits"][:1]})
    assert "context_management" not in wire
    assert encoded.losses == ("context_management",)


def test_empty_texts_are_dropped_with_their_turn() -> None:
    turns = sent(user(text("a"), text(" \n")), assistant(text("")), user(text("b")))
    assert turns == [user(text("a"), text("b"))]


def test_schema_dialect_and_empty_schema_are_repaired() -> None:
    """AC-42."""
    tools = [
        {"name": "a", "input_schema": {"$schema": "http://x", "type": "object"}},
        {"name": "b", "input_schema": {}},
    ]
    wire, encoded = relay(tools=tools)
    assert [tool["input_schema"] for tool in wire["tools"]] == [
        {"type": "object"},
        {"type": "object", "properties": {}},
    ]
    assert encoded.repairs == ("input_schema",)


def test_text_documents_become_titled_text_and_pdfs_stay() -> None:
    """AC-36, AC-35."""
    pdf = {
        "type": "document",
        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
    }
    plain = {
        "type": "document",
        "title": "T",
        "source": {"type": "text", "media_type": "text/plain", "data": "body"},
    }
    assert sent(user(pdf, plain)) == [user(pdf, text("[Document: T]\nbody"))]


def test_citations_of_a_text_document_are_a_loss() -> None:
    """Copilot cites PDFs and search results; nothing points into a text."""
    source = {"type": "text", "media_type": "text/plain", "data": "body"}
    document = {"type": "document", "source": source, "citations": {"enabled": True}}
    encoded = relay(user(document))[1]
    assert (("citations",), ("text_document",)) == (encoded.losses, encoded.repairs)


@pytest.mark.parametrize("kind", ["image", "document"])
@pytest.mark.parametrize(
    "source", [{"type": "url", "url": "https://a.b/c"}, {"type": "file", "file_id": "f"}]
)
def test_media_by_reference_is_refused_with_its_path(kind: str, source: dict[str, str]) -> None:
    """AC-34."""
    with pytest.raises(UnsupportedFeatureError) as caught:
        relay(USER, assistant(call("t")), user(result("t", [{"type": kind, "source": source}])))
    assert caught.value.param == "$.messages[2].content[0].content[0].source.type"


def test_found_tools_are_sent_in_full() -> None:
    reference = {"type": "tool_reference", "tool_name": "Web"}
    tools = [
        {
            "name": "Web",
            "input_schema": {"type": "object"},
            "defer_loading": True,
            "eager_input_streaming": True,
        }
    ]
    wire, encoded = relay(USER, assistant(call("t")), user(result("t", [reference])), tools=tools)
    assert wire["messages"][2] == user(result("t", [text("The tool Web is now available.")]))
    assert wire["tools"] == [{"name": "Web", "input_schema": {"type": "object"}}]
    assert (encoded.repairs, encoded.losses) == (
        ("defer_loading", "tool_reference"),
        ("eager_input_streaming",),
    )


def test_deferred_tools_stay_deferred_beside_a_hosted_search() -> None:
    tools = [
        {"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"},
        {"name": "Web", "input_schema": {"type": "object"}, "defer_loading": True},
    ]
    assert relay(tools=tools)[0]["tools"] == tools


@pytest.mark.parametrize(
    ("thinking", "model", "expected"),
    [
        ({"type": "enabled", "budget_tokens": 31_999, "display": "updates"}, SONNET, {"type": "enabled", "budget_tokens": 8999, "display": "summarized"}),
        ({"type": "enabled", "budget_tokens": 100}, HAIKU, {"type": "enabled", "budget_tokens": 1024}),
        ({"type": "adaptive", "display": "omitted"}, SONNET, {"type": "adaptive", "display": "omitted"}),
        ({"type": "adaptive", "display": "updates"}, OPUS, {"type": "adaptive", "display": "summarized"}),
        ({"type": "adaptive"}, HAIKU, {"type": "enabled", "budget_tokens": 6750}),
        ({"type": "enabled", "budget_tokens": 31_999}, OPUS, {"type": "adaptive", "display": "summarized"}),
        ({"type": "disabled"}, OPUS, {"type": "disabled"}),
    ],
)  # fmt: skip
def test_thinking_is_said_as_the_model_wants_it(
    thinking: dict[str, Any], model: Model, expected: dict[str, Any]
) -> None:
    """AC-57."""
    assert relay(model=model, thinking=thinking)[0]["thinking"] == expected


def test_a_budget_becomes_an_effort_where_the_model_wants_one() -> None:
    """AC-57."""
    wire, _ = relay(model=OPUS, thinking={"type": "enabled", "budget_tokens": 2000})
    assert wire["output_config"] == {"effort": "low"}


def test_an_effort_that_is_stated_wins_over_a_budget() -> None:
    wire, _ = relay(
        model=OPUS, thinking={"type": "enabled", "budget_tokens": 2000}, output_config={"effort": "high"}
    )
    assert wire["output_config"] == {"effort": "high"}


@pytest.mark.parametrize(
    ("asked", "model"), [({"type": "adaptive"}, SONNET), ({"type": "enabled", "budget_tokens": 2000}, OPUS)]
)
def test_a_round_that_began_without_thinking_goes_on_with_it_where_it_has_no_budget(
    asked: dict[str, Any], model: Model
) -> None:
    wire, encoded = relay(USER, assistant(call("t")), user(result("t")), model=model, thinking=asked)
    assert ("adaptive", ()) == (wire["thinking"]["type"], encoded.losses)


def test_an_id_that_was_made_safe_stays_as_it_is() -> None:
    turns = sent(USER, assistant(call("cgid_Y2FsbC4x")), user(result("cgid_Y2FsbC4x")))
    assert ("cgid_Y2FsbC4x", "cgid_Y2FsbC4x") == (
        turns[1]["content"][0]["id"], turns[2]["content"][0]["tool_use_id"],
    )  # fmt: skip


def test_images_of_a_document_are_refused_by_path() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aaaa"}}
    source = {"type": "content", "content": [text("a"), image]}
    with pytest.raises(UnsupportedFeatureError) as caught:
        relay(user({"type": "document", "source": source}))
    assert caught.value.param == "$.messages[0].content[0].source.content"


@pytest.mark.parametrize(
    "members",
    [
        {"tool_choice": {"type": "any"}, "tools": [{"name": "x", "input_schema": {"type": "object"}}]},
        {"max_tokens": 1000},
        {"messages": [USER, assistant(call("t")), user(result("t"))]},
    ],
)
def test_thinking_that_cannot_be_is_dropped(members: dict[str, Any]) -> None:
    wire, encoded = relay(model=HAIKU, thinking={"type": "enabled", "budget_tokens": 4000}, **members)
    assert "thinking" not in wire
    assert encoded.losses == ("reasoning",)


def test_an_undeclared_effort_becomes_the_nearest() -> None:
    wire, encoded = relay(model=OPUS, output_config={"effort": "medium", "task_budget": 3})
    assert wire["output_config"] == {"effort": "low"}
    assert encoded.losses == ("output_config.task_budget", "effort")
    wire, encoded = relay(model=HAIKU, output_config={"effort": "medium"})
    assert "output_config" not in wire


def test_the_formats_old_place_is_moved() -> None:
    """AC-43."""
    shape = {"type": "json_schema", "schema": {"type": "object"}}
    assert relay(output_format=shape)[0]["output_config"] == {"format": shape}
    assert relay(output_config={"format": shape})[1].repairs == ()


@pytest.mark.parametrize(
    ("asked", "kept", "lost"),
    [
        ({"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5}, ("top_p",)),
        (
            {"temperature": 1, "thinking": {"type": "adaptive"}},
            {"temperature": 1, "thinking": {"type": "adaptive"}},
            (),
        ),
        (
            {"temperature": 0.2, "top_k": 4, "thinking": {"type": "adaptive"}},
            {"thinking": {"type": "adaptive"}},
            ("temperature", "top_k"),
        ),
    ],
)
def test_sampling_that_is_refused_is_dropped(
    asked: dict[str, Any], kept: dict[str, Any], lost: tuple[str, ...]
) -> None:
    wire, encoded = relay(**asked)
    assert {name: wire[name] for name in wire.keys() - {"model", "messages", "max_tokens", "stream"}} == kept
    assert encoded.losses == lost


def test_max_tokens_is_filled_in_and_capped() -> None:
    """AC-40."""
    assert relay(max_tokens=100_000)[0]["max_tokens"] == 64_000
    assert relay(max_tokens=100_000, stream=False)[0]["max_tokens"] == 16_000
    assert relay(max_tokens=None)[0]["max_tokens"] == 64_000


def test_system_turns_stay_where_they_are_accepted() -> None:
    """AC-38."""
    system = {"role": "system", "content": [text("rule", cache_control=MARK)]}
    assert relay(USER, system, model=OPUS)[1].repairs == ()
    assert sent(user(text("hi")), system) == [
        user(text("hi"), text("<system>\nrule\n</system>", cache_control=MARK))
    ]


def test_leading_system_turns_join_the_system_prompt() -> None:
    """AC-38."""
    wire, _ = relay({"role": "system", "content": "first"}, USER, system="zero")
    assert wire["system"] == [text("zero"), text("first")]
    assert wire["messages"] == [USER]


def test_what_a_system_turn_shows_beside_text_is_told_by_the_user() -> None:
    """The system prompt holds text alone; an image there was lost without a word."""
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    shown = {"role": "system", "content": [text("rule"), image]}
    wire, encoded = relay(shown, USER)
    assert [text("rule")] == wire["system"]
    assert [user(image, text("hi"))] == wire["messages"]
    assert ("mid_system", "merged_turns") == encoded.repairs
    assert [user(text("hi"), text("<system>\nrule\n</system>"), image)] == sent(USER, shown)


def test_a_system_turn_between_call_and_result_waits() -> None:
    system = {"role": "system", "content": "rule"}
    turns = sent(USER, assistant(call("t")), system, user(result("t")), model=OPUS)
    assert turns == [USER, assistant(call("t")), user(result("t")), system]


def test_an_unanswered_call_gets_one_answer() -> None:
    """AC-46."""
    turns = sent(USER, assistant(call("a"), call("b")), user(text("stop"), result("a")))
    missing = result("b", "No result: the call was interrupted.", is_error=True)
    assert turns[2] == user(result("a"), missing, text("stop"))


def test_a_call_at_the_end_gets_an_answer() -> None:
    """AC-46."""
    assert sent(USER, assistant(call("a")), model=OPUS)[2]["content"][0]["tool_use_id"] == "a"


def test_a_result_without_a_call_becomes_text() -> None:
    """AC-46."""
    turns = sent(USER, assistant(text("ok")), user(result("gone", [text("r")]), text("go")))
    assert turns[2] == user(text("[Result of an earlier tool call]\nr"), text("go"))


def test_results_come_first_in_their_turn() -> None:
    """AC-30."""
    turns = sent(USER, assistant(call("a")), user(text("x"), result("a"), text("y")))
    assert turns[2] == user(result("a"), text("x"), text("y"))


def test_ids_are_made_acceptable_on_both_sides() -> None:
    turns = sent(USER, assistant(call("f:0")), user(result("f:0")))
    assert turns[1]["content"][0]["id"] == turns[2]["content"][0]["tool_use_id"] == "cgid_Zjow"


def test_prefill_is_refused_where_the_model_does() -> None:
    """AC-45."""
    with pytest.raises(InvalidRequestError, match="prefill"):
        relay(USER, assistant(text("{")), model=OPUS)
    assert sent(USER, assistant(text("{ ")))[1] == assistant(text("{"))


def test_foreign_thinking_is_dropped_and_ours_opened() -> None:
    """AC-60, AC-31, AC-33."""
    foreign = seal(Opaque("responses", "enc", "rs_1"), "messages")
    ours = "cg1." + seal(Opaque("messages", "sig", "x", "acc"), "messages").removeprefix("cg1.")
    wire, encoded = relay(
        USER,
        assistant({"type": "redacted_thinking", "data": foreign}),
        user(text("more")),
        assistant({"type": "thinking", "thinking": "t", "signature": ours}, {"type": "thinking", "thinking": "n", "signature": ""}, text("a")),
        USER,
    )  # fmt: skip
    assert [turn["role"] for turn in wire["messages"]] == ["user", "assistant", "user"]
    assert wire["messages"][1] == assistant(
        {"type": "thinking", "thinking": "t", "signature": "sig"}, text("a")
    )
    assert encoded.losses == ("thinking",)
    assert b"cg1." not in encoded.body


def test_a_search_that_we_made_is_told_as_text() -> None:
    """AC-44."""
    use = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}}
    found = {
        "type": "web_search_tool_result",
        "tool_use_id": "s",
        "content": [{"type": "web_search_result", "url": "u", "title": "t", "encrypted_content": ""}],
    }
    cited = text(
        "so",
        citations=[
            {
                "type": "web_search_result_location",
                "url": "u",
                "title": "t",
                "encrypted_index": "",
                "cited_text": "",
            }
        ],
    )
    turns = sent(USER, assistant(use, found, cited), USER)
    assert turns[1] == assistant(
        text('[web_search: {"query": "q"}]'), text("[Web search results]\n- t: u"), text("so")
    )


@pytest.mark.parametrize(
    "tool", ["web_search_20250305", "web_fetch_20250910", "code_execution_20260120", "mcp_toolset"]
)
def test_tools_that_copilot_does_not_run_are_refused_by_path(tool: str) -> None:
    """AC-37."""
    with pytest.raises(UnsupportedFeatureError) as caught:
        relay(tools=[{"type": tool, "name": "w"}])
    assert caught.value.param == "$.tools[0]"
    assert ("web_search" in caught.value.message) == tool.startswith("web_search")


def test_no_servers_are_no_work_elsewhere() -> None:
    wire, encoded = relay(mcp_servers=[])
    assert ("mcp_servers" in wire, encoded.losses) == (False, ("mcp_servers",))


@pytest.mark.parametrize("name", ["container", "mcp_servers"])
def test_members_that_mean_work_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(UnsupportedFeatureError):
        relay(**{name: [{"url": "x"}]})


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{", "$"),
        (b'{"model":"m"}', "$.messages"),
        (b'{"model":"m","max_tokens":0,"messages":[]}', "$.max_tokens"),
        (b'{"model":"m","max_tokens":1.0,"messages":[]}', "$.max_tokens"),
        (b'{"model":"m","messages":[{"role":"user","content":""}]}', "$.messages[0].content"),
        (b'{"model":"m","messages":[{"role":"user","content":[]}]}', "$.messages[0].content"),
        (b'{"model":"m","messages":[{"role":"tool","content":"x"}]}', "$.messages[0].role"),
        (b'{"model":"m","messages":[{"role":"user","content":[{"type":"text"}]}]}', "$.messages[0].content[0].text"),
        (b'{"model":"m","messages":[{"role":"user","content":[{"type":"tool_result"}]}]}', "$.messages[0].content[0]"),
        (b'{"model":"m","messages":[{"role":"user","content":[3]}]}', "$.messages[0].content[0]"),
        (b'{"model":"m","metadata":"x","messages":[{"role":"user","content":"q"}]}', "$.metadata"),
        (b'{"model":"m","stop_sequences":"x","messages":[{"role":"user","content":"q"}]}', "$.stop_sequences"),
        (b'{"model":"m","messages":' + b"[" * 100_000 + b"}", "$"),
    ],
)  # fmt: skip
def test_bad_input_is_a_400_with_its_path(body: bytes, param: str) -> None:
    """AC-41, AC-51."""
    with pytest.raises(GatewayError) as caught:
        MESSAGES.relay_request(body, Target(SONNET))
    assert (caught.value.status, caught.value.param) == (400, param)


@pytest.mark.parametrize("said", [lambda said: said, lambda said: [text(said)]])
def test_a_billing_line_before_other_text_is_removed_alone(said: Callable[[str], Any]) -> None:
    """AC-39."""
    wire, encoded = relay(system=said('x-anthropic-billing-header: cc_version=2.1; cch=é1\n\nBe "brief"é.'))
    assert wire["system"] in ('Be "brief"é.', [text('Be "brief"é.')])
    assert encoded.repairs == ("billing_line",)
