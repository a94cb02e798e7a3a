"""What a client sees of a healed refusal, in every cell of surfaces and dialects."""

import json
from typing import Any

import pytest

from tests.e2e.asking import PATH, SURFACES, UPSTREAM_PATH, ask, error_of, read_reply, read_stream
from tests.e2e.hosting import ONLY_MESSAGES, Wire
from tests.e2e.upstream import Step, Upstream, answer
from tests.emulators.calling import Caller
from tests.emulators.copilot import FakeCopilot

MODEL = {"chat": "grok-4.5", "messages": ONLY_MESSAGES, "responses": "gpt-5.5"}
CELLS = [(surface, dialect) for dialect in MODEL for surface in SURFACES]
# The scripted upstream's Claude speaks chat as well, so one cell is not among these.
SCRIPTED = MODEL | {"messages": "claude-sonnet-4.6"}
SCRIPTED_CELLS = [cell for cell in CELLS if cell != ("chat", "messages")]


def cells(chosen: list[tuple[str, str]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("surface", "dialect"), chosen, ids=[f"{dialect}_to_{surface}" for surface, dialect in chosen]
    )


either_way = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
# A refusal that every one of the requests below meets: each asks for thinking.
REFUSED = {
    "chat": {"error": {"message": "reasoning effort is not supported", "code": "invalid_reasoning_effort"}},
    "messages": {"message": "Thinking may not be enabled when tool_choice forces tool use."},
    "responses": {
        "error": {"message": "reasoning effort is not supported", "code": "invalid_reasoning_effort"}
    },
}
REPAIR = {"chat": "effort", "messages": "no_thinking", "responses": "effort"}


def thinks(body: bytes) -> bool:
    asked = json.loads(body)
    return bool(
        asked.get("reasoning_effort") or asked.get("thinking") or asked.get("reasoning", {}).get("effort")
    )


@cells(CELLS)
@either_way
def test_a_refused_knob_costs_one_more_request_and_no_error(
    gateway: Wire, fake: FakeCopilot, surface: str, dialect: str, *, stream: bool
) -> None:
    """AC-58."""
    fake.force("POST", UPSTREAM_PATH[dialect], 400, REFUSED[dialect])
    asked = ask(surface, MODEL[dialect], "[[say:fine]]", stream=stream, think=True)
    reply = gateway.post(PATH[surface], asked)
    told = (read_stream if stream else read_reply)(surface, reply.body)
    assert (200, "fine", "stop") == (reply.status, told.text, told.stop)
    assert [True, False] == [thinks(entry.body) for entry in fake.requests(UPSTREAM_PATH[dialect])]
    assert REPAIR[dialect] in reply.headers["x-gateway-repairs"].split(", ")


@cells(CELLS)
@either_way
def test_a_refusal_that_stays_is_the_clients(
    gateway: Wire, fake: FakeCopilot, surface: str, dialect: str, *, stream: bool
) -> None:
    fake.force("POST", UPSTREAM_PATH[dialect], 400, REFUSED[dialect], times=0)
    reply = gateway.post(PATH[surface], ask(surface, MODEL[dialect], "hi", stream=stream, think=True))
    assert 400 == reply.status
    error_of(surface, reply.body)
    assert 2 == len(fake.requests(UPSTREAM_PATH[dialect]))


@pytest.fixture(scope="module")
def recorded(one_fake: FakeCopilot) -> dict[str, bytes]:
    """What a healthy upstream streams, by dialect."""
    caller = Caller(one_fake)
    turns = [{"role": "user", "content": "[[say:fine]]"}]
    return {
        "chat": caller.chat(SCRIPTED["chat"], turns, stream=True).body,
        "messages": caller.messages(SCRIPTED["messages"], turns, stream=True).body,
        "responses": caller.responses(SCRIPTED["responses"], turns, stream=True).body,
    }


def whole(wire: bytes) -> bytes:
    return answer(200, wire, b"content-type: text/event-stream")


@cells(SCRIPTED_CELLS)
def test_a_late_refusal_is_healed_behind_the_pings(
    scripted: Wire, upstream: Upstream, recorded: dict[str, bytes], surface: str, dialect: str
) -> None:
    """The headers are out, but nothing of a reply is: the client sees a stream that took its time."""
    refused = upstream.play(Step.HOLD, answer(400, json.dumps(REFUSED[dialect]).encode()))
    again = upstream.play(whole(recorded[dialect]))
    asked = ask(surface, SCRIPTED[dialect], "hi", stream=True, think=True)
    reply = scripted.open("POST", PATH[surface], asked)
    first = reply.until(b"\n\n")
    refused.release()
    told = read_stream(surface, first + reply.rest())
    assert ("fine", "stop", False) == (told.text, told.stop, thinks(again.body))


MIDWAY: dict[str, Any] = {
    "chat": b'data: {"error":{"message":"invalid","code":"invalid_reasoning_effort"}}\n\n',
    "messages": b"event: error\ndata: "
    b'{"type":"error","error":{"type":"invalid_request_error","message":"`temperature` is deprecated"}}\n\n',
    "responses": b'event: error\ndata: {"type":"error","code":"invalid_reasoning_effort","message":"invalid"}\n\n',
}


@cells(SCRIPTED_CELLS)
def test_nothing_is_healed_once_the_reply_has_begun(
    scripted: Wire, upstream: Upstream, recorded: dict[str, bytes], surface: str, dialect: str
) -> None:
    """AC-63: a third script that nobody asks for would be left over for the next test."""
    wire = recorded[dialect]
    begun = wire[: wire.index(b"fine")].rpartition(b"\n\n")[0] + b"\n\n"
    upstream.stream(begun, MIDWAY[dialect])
    untouched = upstream.play(whole(wire))
    asked = ask(surface, SCRIPTED[dialect], "hi", stream=True, think=True)
    told = read_stream(surface, scripted.open("POST", PATH[surface], asked).rest())
    assert ("error", False) == (told.stop, untouched.asked.is_set())
    follow_up = scripted.open("POST", PATH[surface], asked)
    assert "fine" == read_stream(surface, follow_up.rest()).text


# A call and its result as a client sends them that kept no signature, or that another model's answer left behind.
UNSIGNED: dict[str, dict[str, Any]] = {
    "chat": {
        "messages": [
            {"role": "user", "content": "weather"},
            {"role": "assistant", "content": None, "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "sky", "arguments": '{"city":"Oslo"}'}}]},
            {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
        ],
    },
    "messages": {
        "max_tokens": 500,
        "messages": [
            {"role": "user", "content": "weather"},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "toolu_1", "name": "sky", "input": {"city": "Oslo"}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny"}]},
        ],
    },
    "responses": {
        "input": [
            {"role": "user", "content": "weather"},
            {"type": "function_call", "call_id": "call_1", "name": "sky", "arguments": '{"city":"Oslo"}'},
            {"type": "function_call_output", "call_id": "call_1", "output": "sunny"},
        ],
    },
}  # fmt: skip


@pytest.mark.parametrize("surface", SURFACES)
@either_way
def test_a_call_without_its_thought_signature_costs_one_more_request_and_no_error(
    gateway: Wire, fake: FakeCopilot, surface: str, *, stream: bool
) -> None:
    """User problem 53: SDKs keep no `reasoning_opaque`, and people change models in the middle."""
    fake.set_modes("gemini-3.8-flash", chat_requires_opaque=True)
    reply = gateway.post(PATH[surface], {"model": "gemini-3.8-flash", "stream": stream, **UNSIGNED[surface]})
    told = (read_stream if stream else read_reply)(surface, reply.body)
    assert (200, "stop") == (reply.status, told.stop)
    assert "Result: sunny" == told.text
    assert "unsigned_calls" in reply.headers["x-gateway-repairs"].split(", ")
    initiators = [entry.headers["x-initiator"] for entry in fake.requests(UPSTREAM_PATH["chat"])]
    assert ["agent", "agent"] == initiators
