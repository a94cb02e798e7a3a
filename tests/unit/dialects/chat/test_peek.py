"""The routing facts."""

from typing import Any

import pytest

from core.canonical import Opaque
from core.dialect import Peek
from core.dialects.chat import CHAT
from core.errors import InvalidRequestError
from core.opaque import seal
from tests.unit.dialects.chat.wire import body

USER = {"role": "user", "content": "Hi"}
CALL = {"role": "assistant", "content": None, "tool_calls": []}
RESULT = {"role": "tool", "tool_call_id": "a", "content": "r"}
SYSTEM = {"role": "system", "content": "S"}
NOTE = "<system-reminder>one</system-reminder>\n<system-reminder>two</system-reminder> "
REMINDER = {"role": "user", "content": NOTE}
REMINDER_PART = {"role": "user", "content": [{"type": "text", "text": NOTE}]}
HUMAN_TOO = {"role": "user", "content": NOTE + " and please go on"}
PICTURE = {
    "role": "user",
    "content": [{"type": "text", "text": NOTE}, {"type": "image_url", "image_url": {"url": "x"}}],
}


@pytest.mark.parametrize(
    ("messages", "initiator"),
    [
        ([USER], "user"),
        ([USER, CALL, RESULT], "agent"),
        ([USER, CALL, RESULT, USER], "user"),
        ([USER, CALL, RESULT, SYSTEM], "agent"),
        ([USER, SYSTEM, {"role": "developer", "content": "D"}], "user"),
        ([USER, {"role": "assistant", "content": "A"}, USER], "user"),
        ([USER, {"role": "assistant", "content": "A"}], "agent"),
        ([USER, CALL, RESULT, REMINDER], "agent"),
        ([USER, {"role": "assistant", "content": "A"}, REMINDER], "agent"),
        ([USER, REMINDER], "user"),
        ([USER, CALL, RESULT, REMINDER_PART, SYSTEM], "agent"),
        ([USER, CALL, RESULT, HUMAN_TOO], "user"),
        ([USER, CALL, RESULT, PICTURE], "user"),
        ([REMINDER], "user"),
        ([USER, CALL, {"role": "user", "content": "<system-reminder>open"}], "user"),
        ([USER, {"role": "function", "name": "f", "content": "r"}], "agent"),
        ([], "user"),
        ([{"role": "user", "content": None}], "user"),
    ],
)
def test_the_last_item_decides_who_asked(messages: list[Any], initiator: str) -> None:
    """AC-54."""
    assert initiator == CHAT.peek(body(messages=messages)).initiator


def test_the_facts_are_read() -> None:
    assert Peek(model="asked", stream=True) == CHAT.peek(body(stream=True))
    assert Peek(model="asked") == CHAT.peek(body(stream=None))
    assert [True, False, False] == [
        CHAT.peek(body(stream_options=options)).include_usage
        for options in ({"include_usage": True}, {}, None)
    ]
    sealed = {"role": "assistant", "reasoning_opaque": seal(Opaque("messages", "x"), "chat")}
    assert CHAT.peek(body(messages=[sealed, USER])).sealed


def test_a_body_that_is_no_utf8_is_a_400() -> None:
    """AC-51."""
    raw = body(metadata={"a": "ö"})
    assert CHAT.peek(raw.replace(b"\\u00f6", "ö".encode())).model == "asked"
    with pytest.raises(InvalidRequestError):
        CHAT.peek(raw.replace(b"\\u00f6", b"\xff"))


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"model": None}, "$.model"),
        ({"messages": None}, "$.messages"),
        ({"messages": [{"role": 7}]}, "$.messages[0].role"),
        ({"stream": "yes"}, "$.stream"),
    ],
)
def test_bad_facts_are_a_400(members: dict[str, Any], param: str) -> None:
    """AC-51."""
    with pytest.raises(InvalidRequestError) as caught:
        CHAT.peek(body(**members))
    assert param == caught.value.param
