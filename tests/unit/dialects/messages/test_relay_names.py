"""Tool names that Anthropic's own limit refuses: stand-ins go out, the client's own come back."""

import json

import pytest
from msgspec import structs

from core.dialect import Target
from core.dialects.messages import MESSAGES
from core.names import short_name
from tests.grammar.messages import check_messages_stream
from tests.unit.dialects.messages.strategies import echo
from tests.unit.dialects.messages.test_relay_request import SONNET, assistant, call, relay, result, user
from tests.unit.dialects.messages.wire import SIZES, STOP, call_block, end, split, start

LONG = "mcp__server__" + "very_" * 25 + "long"
SHORT = short_name(LONG)
FITS = "n" * 128
SCHEMA = {"type": "object", "properties": {}}


def test_names_over_128_characters_are_shortened_everywhere_in_a_body() -> None:
    """AC-61: names that Anthropic takes stay, also those that OpenAI does not take."""
    tools = [{"name": name, "input_schema": SCHEMA} for name in (LONG, FITS, "files.read")]
    history = [user({"type": "text", "text": "x"}), assistant(call("a", name=LONG)), user(result("a"))]
    choice = {"type": "tool", "name": LONG, "disable_parallel_tool_use": True}
    wire, encoded = relay(*history, tools=tools, tool_choice=choice)
    assert [SHORT, FITS, short_name("files.read")] == [tool["name"] for tool in wire["tools"]]
    assert {**choice, "name": SHORT} == wire["tool_choice"]
    assert SHORT == wire["messages"][1]["content"][0]["name"]
    assert ("long_names",) == encoded.repairs


def test_names_that_fit_keep_their_bytes() -> None:
    body = json.dumps(
        {"model": SONNET.id, "max_tokens": 9, "messages": [{"role": "user", "content": "x"}], "stream": True,
         "tools": [{"name": FITS, "input_schema": SCHEMA}], "tool_choice": {"type": "tool", "name": FITS}}
    ).encode()  # fmt: skip
    assert body is MESSAGES.relay_request(body, Target(SONNET)).body


REQUEST = MESSAGES.decode_request(
    json.dumps(
        {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}],
         "tools": [{"name": LONG, "input_schema": SCHEMA}]}
    ).encode()
)  # fmt: skip


ECHO = structs.replace(echo(), request=REQUEST)


@pytest.mark.parametrize("size", SIZES)
def test_own_names_come_back_in_a_stream(size: int | None) -> None:
    """AC-61."""
    stream = start() + call_block(0, "a", SHORT, "{}") + call_block(1, "b", "fine", "{}")
    lane = MESSAGES.relay(ECHO)
    said = b"".join(lane.feed(piece) for piece in split(stream + end("tool_use") + STOP, size)) + lane.close()
    assert [LONG, "fine"] == [block["name"] for block in check_messages_stream(said).content]


def test_own_names_come_back_in_a_complete_reply() -> None:
    """AC-61."""
    content = [{"type": "text", "text": SHORT}, call("a", name=SHORT), call("b", name="fine")]
    usage = {"input_tokens": 1, "output_tokens": 1}
    reply = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content,
             "stop_reason": "tool_use", "stop_sequence": None, "usage": usage}  # fmt: skip
    shown = json.loads(MESSAGES.relay_response(json.dumps(reply).encode(), ECHO))
    assert {**reply, "model": "asked", "content": [content[0], call("a", name=LONG), content[2]]} == shown
