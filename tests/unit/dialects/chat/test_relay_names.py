"""Tools' names and calls' ids on chat lanes: stand-ins go out, the client's own come back."""

import json
from typing import Any

import pytest

from core.dialect import Target
from core.dialects.chat import CHAT
from core.errors import InvalidRequestError
from core.model import Model
from core.names import short_name
from tests.grammar.chat import check_chat_stream
from tests.unit.dialects.chat.wire import DONE, OLD_GPT, SIZES, body, call, calls, echo, finish, relayed, sent

KIMI = Model(id="kimi-k3", numbered_call_ids=True)
USER = {"role": "user", "content": "Hi"}
LONG = "mcp__server__" + "very_" * 15 + "long"
ODD = "files.read"
SHORT = short_name(LONG)


def tool(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": {}}}


def asked(*named: tuple[str, str]) -> dict[str, Any]:
    entries = [
        {"id": call_id, "type": "function", "function": {"name": name, "arguments": "{}"}}
        for call_id, name in named
    ]
    return {"role": "assistant", "content": None, "tool_calls": entries}


def answer(call_id: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": "r"}


def test_long_and_odd_names_are_shortened_everywhere_in_a_body() -> None:
    """AC-61."""
    choice = {"type": "function", "function": {"name": LONG}}
    history = [USER, asked(("a", LONG), ("b", "fine")), answer("a"), answer("b")]
    raw = body(tools=[tool(LONG), tool("fine"), tool(ODD)], tool_choice=choice, messages=history)
    found = CHAT.relay_request(raw, Target(OLD_GPT))
    wire = json.loads(found.body)
    assert [SHORT, "fine", short_name(ODD)] == [entry["function"]["name"] for entry in wire["tools"]]
    assert SHORT == wire["tool_choice"]["function"]["name"]
    assert [USER, asked(("a", SHORT), ("b", "fine")), answer("a"), answer("b")] == wire["messages"]
    assert ("long_names",) == found.repairs


def test_a_long_name_that_only_the_history_has_is_shortened_too() -> None:
    """AC-61."""
    found = CHAT.relay_request(body(messages=[USER, asked(("a", LONG)), answer("a")]), Target(OLD_GPT))
    assert [USER, asked(("a", SHORT)), answer("a")] == json.loads(found.body)["messages"]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("repeats", [False, True])
def test_own_names_come_back_in_a_stream(size: int | None, repeats: bool) -> None:  # noqa: FBT001
    """AC-61: also where upstream repeats the name on every piece."""
    request = CHAT.decode_request(body(tools=[tool(LONG)]))
    again = {"name": SHORT} if repeats else {}
    stream = (
        calls(call(0, "", call_id="a", name=SHORT))
        + calls(call(0, '{"x":', **again))
        + calls(call(0, "1}", **again))
        + finish("tool_calls")
        + DONE
    )
    reply = check_chat_stream(relayed(stream, echo(request=request), size))
    assert [("a", LONG, '{"x":1}')] == [(made.id, made.name, made.arguments) for made in reply.calls]


def test_own_names_come_back_in_a_complete_reply() -> None:
    """AC-61."""
    request = CHAT.decode_request(body(tools=[tool(LONG), tool("fine")]))
    choice = {"index": 0, "message": asked(("a", SHORT), ("b", "fine")), "finish_reason": "tool_calls"}
    reply = {"id": "x", "created": 1, "model": "m", "choices": [choice]}
    shown = json.loads(CHAT.relay_response(json.dumps(reply).encode(), echo(request=request)))
    names = [made["function"]["name"] for made in shown["choices"][0]["message"]["tool_calls"]]
    assert [LONG, "fine"] == names


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"tools": [{"function": {"name": 7}}]}, "$.tools[0].function.name"),
        ({"tools": [tool("f")], "tool_choice": {"function": 7}}, "$.tool_choice.function"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"function": 7}]}]}, "$.messages[0].tool_calls[0].function"),
    ],
)  # fmt: skip
def test_names_of_a_wrong_type_are_a_400_that_names_the_place(members: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        CHAT.relay_request(body(**members), Target(OLD_GPT))
    assert param == caught.value.param


MIXED = [
    USER,
    asked(("toolu_1", "read"), ("functions.read:0", "read")),
    answer("toolu_1"),
    answer("functions.read:0"),
    asked(("x" * 80, LONG)),
    answer("x" * 80),
]
NUMBERED = [
    USER,
    asked(("functions.read:1", "read"), ("functions.read:0", "read")),
    answer("functions.read:1"),
    answer("functions.read:0"),
    asked((f"functions.{SHORT}:2", SHORT)),
    answer(f"functions.{SHORT}:2"),
]


def test_kimi_gets_numbered_call_ids_when_passing_through() -> None:
    """Kimi refuses any other form; what has it already stays."""
    found = CHAT.relay_request(body(messages=MIXED), Target(KIMI))
    assert NUMBERED == json.loads(found.body)["messages"]
    assert ("numbered_call_ids", "long_names") == found.repairs


def test_kimi_gets_numbered_call_ids_when_translated() -> None:
    assert NUMBERED == sent(body(messages=MIXED), KIMI)["messages"]


def test_a_call_without_result_is_answered_under_its_numbered_id() -> None:
    """AC-46."""
    for wire in (
        json.loads(CHAT.relay_request(body(messages=[USER, asked(("t", "f"))]), Target(KIMI)).body),
        sent(body(messages=[USER, asked(("t", "f"))]), KIMI),
    ):
        assert "functions.f:0" == wire["messages"][1]["tool_calls"][0]["id"]
        assert "functions.f:0" == wire["messages"][2]["tool_call_id"]


def test_history_that_kimi_made_stays_byte_for_byte() -> None:
    raw = body(model="kimi-k3", messages=[USER, asked(("functions.f:0", "f")), answer("functions.f:0")])
    assert raw is CHAT.relay_request(raw, Target(KIMI)).body
