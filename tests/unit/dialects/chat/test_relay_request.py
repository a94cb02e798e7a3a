"""Bodies of chat clients that pass through to Copilot's chat."""

import json
from typing import Any

import pytest

from core.canonical import Opaque
from core.dialect import Encoded, Target
from core.dialects.chat import CHAT
from core.errors import GatewayError, InvalidRequestError, UnsupportedFeatureError
from core.model import Model
from core.opaque import seal
from tests.unit.dialects.chat.wire import CLAUDE, GPT, OLD_GPT, body

USER = {"role": "user", "content": "Hi"}
TOOL = {"type": "function", "function": {"name": "f"}}


def passed(model: Model = OLD_GPT, **members: Any) -> Encoded:
    return CHAT.relay_request(body(**members), Target(model, "here"))


def sent(model: Model = OLD_GPT, **members: Any) -> dict[str, Any]:
    found = json.loads(passed(model, **members).body)
    found.pop("messages")
    found.pop("model")
    return found


def test_a_body_that_is_fine_is_the_same_object() -> None:
    raw = (
        b'{ "model":"gpt-4.1", "messages":[{"role":"user","content":"caf\\u00e9"}, {"role":"assistant","content":"x"},'
        b'{"role":"developer","content":"y "}],'
        b'"temperature":1.0,"max_tokens":5,"stream":true,"stream_options":{"include_usage":true},"tools":[{}],"n":1,'
        b'"tool_choice":"auto","odd":{"a":[1.0]}}'
    )
    found = CHAT.relay_request(raw, Target(OLD_GPT))
    assert raw is found.body
    assert ((), ()) == (found.losses, found.repairs)


def test_only_the_members_that_must_change_are_new() -> None:
    raw = b'{"messages":[ {"role":"user","content":"caf\\u00e9"} ],"model":"asked","odd":{"a":[1.0]}}'
    expected = raw.replace(b'"asked"', b'"gpt-4.1"')
    assert expected == CHAT.relay_request(raw, Target(OLD_GPT)).body


@pytest.mark.parametrize(
    ("model", "members", "expected", "losses", "repairs"),
    [
        (GPT, {"max_tokens": 5}, {"max_completion_tokens": 5}, (), ("output_limit_name",)),
        (OLD_GPT, {"max_completion_tokens": 5}, {"max_tokens": 5}, (), ("output_limit_name",)),
        (
            GPT,
            {"max_tokens": 9, "max_completion_tokens": 5},
            {"max_completion_tokens": 5},
            (),
            ("output_limit_name",),
        ),
        (OLD_GPT, {"max_tokens": 64000}, {"max_tokens": 16384}, ("max_output",), ()),
        (OLD_GPT, {"max_tokens": None, "seed": None}, {}, (), ()),
        (
            OLD_GPT,
            {"tools": [], "tool_choice": "auto", "parallel_tool_calls": True},
            {},
            (),
            ("empty_tools",),
        ),
        (OLD_GPT, {"tool_choice": "none"}, {}, (), ()),
        (OLD_GPT, {"tool_choice": "required"}, {}, ("tool_choice",), ()),
        (OLD_GPT, {"store": False, "user": "me", "metadata": {}}, {}, ("store", "metadata", "user"), ()),
        (GPT, {"temperature": 1, "top_p": 1}, {}, ("temperature", "top_p"), ()),
        (OLD_GPT, {"temperature": 1}, {"temperature": 1}, (), ()),
        (GPT, {"reasoning_effort": "low"}, {"reasoning_effort": "low"}, (), ()),
        (GPT, {"reasoning_effort": "xhigh"}, {"reasoning_effort": "high"}, ("effort",), ()),
        (OLD_GPT, {"reasoning_effort": "low"}, {}, ("effort",), ()),
        (OLD_GPT, {"reasoning_effort": "none"}, {}, (), ()),
        (OLD_GPT, {"thinking_budget": 2000}, {}, ("thinking_budget",), ()),
        (CLAUDE, {"thinking_budget": 2000}, {"thinking_budget": 2000}, (), ()),
        (
            CLAUDE,
            {"thinking": {"type": "enabled", "budget_tokens": 2000}},
            {"thinking_budget": 2000},
            (),
            ("reasoning_words",),
        ),
        (CLAUDE, {"thinking": {"type": "disabled"}}, {}, (), ("reasoning_words",)),
        (CLAUDE, {"thinking": True, "reasoning": {"enabled": True}}, {}, ("thinking", "reasoning"), ()),
        (CLAUDE, {"reasoning_effort": "high"}, {"thinking_budget": 16384}, (), ("reasoning_words",)),
        (
            CLAUDE,
            {"reasoning_effort": "high", "max_tokens": 4000},
            {"max_tokens": 4000, "thinking_budget": 3000},
            (),
            ("reasoning_words",),
        ),
        (GPT, {"reasoning": {"effort": "low"}}, {"reasoning_effort": "low"}, (), ("reasoning_words",)),
        (
            OLD_GPT,
            {"thinking": {"type": "enabled", "budget_tokens": 2000}},
            {},
            ("effort",),
            ("reasoning_words",),
        ),
        (OLD_GPT, {"stream_options": {"include_usage": True}}, {}, (), ()),
        (OLD_GPT, {"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}, (), ()),
        (
            OLD_GPT,
            {"stream": True, "stream_options": {"include_usage": False, "x": 1}},
            {"stream": True, "stream_options": {"include_usage": True, "x": 1}},
            (),
            (),
        ),
        (
            Model(id="m", parallel_tools=False),
            {"tools": [TOOL], "parallel_tool_calls": True},
            {"tools": [TOOL]},
            ("parallel_tool_calls",),
            (),
        ),
    ],
)
def test_members_are_repaired_for_the_model(
    model: Model,
    members: dict[str, Any],
    expected: dict[str, Any],
    losses: tuple[str, ...],
    repairs: tuple[str, ...],
) -> None:
    """AC-65."""
    found = passed(model, **members)
    assert (expected, losses, repairs) == (sent(model, **members), found.losses, found.repairs)


def test_blanks_at_the_end_of_an_assistants_text_are_cut_for_claude() -> None:
    messages = [USER, {"role": "assistant", "content": "A \n", "x": 1.0}, USER]
    found = passed(CLAUDE, messages=messages)
    assert {"role": "assistant", "content": "A", "x": 1.0} == json.loads(found.body)["messages"][1]
    assert ("trailing_whitespace",) == found.repairs
    assert () == passed(OLD_GPT, messages=messages).repairs


def test_sealed_thinking_goes_home_and_nowhere_else() -> None:
    """AC-31, AC-60."""
    own = seal(Opaque("chat", "sig", item_id="x", scope="here"), "chat")
    foreign = seal(Opaque("messages", "sig"), "chat")
    turn = {"role": "assistant", "content": "A", "reasoning_text": "T"}
    found = passed(messages=[{**turn, "reasoning_opaque": own}, {**turn, "reasoning_opaque": foreign}, USER])
    messages = json.loads(found.body)["messages"]
    assert [{**turn, "reasoning_opaque": "sig"}, {"role": "assistant", "content": "A"}] == messages[:2]
    assert (("thinking",), ("sealed_thinking",)) == (found.losses, found.repairs)


def test_calls_and_results_that_lost_each_other_are_repaired() -> None:
    """AC-46."""
    asked = {
        "role": "assistant",
        "tool_calls": [{"id": "a", "type": "function"}, {"id": "b", "type": "function"}],
    }
    result = {"role": "tool", "tool_call_id": "a", "content": "r"}
    stray = {"role": "tool", "tool_call_id": "zz", "content": "s"}
    found = passed(messages=[USER, asked, stray, result, USER, stray])
    none = {"role": "tool", "content": "[no result: the call was interrupted]", "tool_call_id": "b"}
    told = {"content": "s", "role": "user"}
    assert [USER, asked, result, none, told, USER, told] == json.loads(found.body)["messages"]
    assert ("orphan_tool_result", "orphan_tool_use") == found.repairs
    raw = body(model="gpt-4.1", messages=[USER, asked, result, {**result, "tool_call_id": "b"}, USER])
    assert raw is CHAT.relay_request(raw, Target(OLD_GPT)).body


@pytest.mark.parametrize(
    ("model", "members", "param"),
    [
        (OLD_GPT, {"n": 2}, "n"),
        (OLD_GPT, {"tools": [TOOL] * 129}, "tools"),
        (
            Model(id="m", prefill=False),
            {"messages": [USER, {"role": "assistant", "content": "{"}]},
            "messages",
        ),
    ],
)
def test_what_would_come_back_as_a_worse_error_is_refused(
    model: Model, members: dict[str, Any], param: str
) -> None:
    """AC-45."""
    with pytest.raises(UnsupportedFeatureError) as caught:
        passed(model, **members)
    assert param == caught.value.param


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"messages": "x"}, "$.messages"),
        ({"messages": None}, "$.messages"),
        ({"messages": [{"role": "assistant", "content": 7}, {"x": "assistant"}]}, "$.messages[1].role"),
        ({"n": "x"}, "$.n"),
        ({"tools": 7}, "$.tools"),
        ({"max_tokens": "x"}, "$.max_tokens"),
        ({"reasoning_effort": 7}, "$.reasoning_effort"),
        ({"stream": 7}, "$.stream"),
        ({"stream": True, "stream_options": 7}, "$.stream_options"),
    ],
)
def test_wrong_types_are_a_400_that_names_the_place(members: dict[str, Any], param: str) -> None:
    """AC-51."""
    with pytest.raises(InvalidRequestError) as caught:
        passed(**members)
    assert param == caught.value.param


@pytest.mark.parametrize("raw", [b"", b"[]", b"\xff", b'{"a":' * 100000])
def test_what_is_no_body_is_a_400(raw: bytes) -> None:
    with pytest.raises(GatewayError) as caught:
        CHAT.relay_request(raw, Target(OLD_GPT))
    assert caught.value.status == 400


def test_only_openais_models_hear_of_a_developer() -> None:
    asked = body(
        messages=[{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "developer"}]
    )
    for vendor, role in (("OpenAI", "developer"), ("Azure OpenAI", "developer"), ("Google", "system")):
        encoded = CHAT.relay_request(asked, Target(Model(id="asked", vendor=vendor)))
        assert role == json.loads(encoded.body)["messages"][0]["role"]
        assert ("developer_role" in encoded.repairs) is (role == "system")
