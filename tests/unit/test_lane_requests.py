"""One hard conversation in each surface's words, for each upstream: prepared, and accepted by the fake that knows the rules."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import structs

from core.call import Call, Engine
from core.copilot.catalogue import decode_catalogue
from core.copilot.failures import as_error, read_failure
from core.errors import GatewayError
from core.model import DialectName, Model
from core.settings import Settings
from core.surfaces import DIALECTS
from tests.emulators.calling import PNG, Answered, Caller
from tests.emulators.copilot import FakeCopilot

NAMES: tuple[DialectName, ...] = ("chat", "messages", "responses")
CELLS = [(surface, upstream) for surface in NAMES for upstream in NAMES]
in_every_cell = pytest.mark.parametrize(("surface", "upstream"), CELLS)
MODEL = {"chat": "gemini-3.8-flash", "messages": "claude-sonnet-4.6", "responses": "gpt-5.5"}
LONG = "mcp__" + "server_" * 10 + "read"
PICTURE = f"data:image/png;base64,{PNG}"


@pytest.fixture(scope="module")
def caller() -> Iterator[Caller]:
    with FakeCopilot() as fake:
        yield Caller(fake)


def chat() -> dict[str, Any]:
    def call(call_id: str, name: str) -> dict[str, Any]:
        return {"id": call_id, "type": "function", "function": {"name": name, "arguments": '{"city":"Oslo"}'}}

    return {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": PICTURE}}]},
            {"role": "assistant", "content": "Let me see.", "tool_calls": [call("t1", "weather"), call("t2", LONG), call("t3", "weather")]},
            {"role": "tool", "tool_call_id": "t1", "content": "cold"},
            {"role": "tool", "tool_call_id": "t2", "content": ""},
            {"role": "developer", "content": "Mind the rules."},
            {"role": "user", "content": "And now?"},
        ],
        "tools": [{"type": "function", "function": {"name": name, "parameters": {}}} for name in ("weather", LONG)],
        "max_tokens": 900, "parallel_tool_calls": False, "user": "u" * 90, "stream": True,
    }  # fmt: skip


def messages() -> dict[str, Any]:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    note = {
        "type": "document",
        "title": "Notes",
        "source": {"type": "text", "media_type": "text/plain", "data": "Snow."},
    }
    found = {
        "type": "search_result",
        "source": "https://x",
        "title": "X",
        "content": [{"type": "text", "text": "found"}],
    }
    failed = {
        "type": "tool_result",
        "tool_use_id": "t1",
        "is_error": True,
        "content": [{"type": "text", "text": "cold"}, image],
    }

    def call(call_id: str, name: str) -> dict[str, Any]:
        return {"type": "tool_use", "id": call_id, "name": name, "input": {"city": "Oslo"}}

    return {
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "scope": "global"}}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Look"}, image, note, found]},
            {"role": "assistant", "content": [
                {"type": "redacted_thinking", "data": "cg1.foreign"},
                {"type": "text", "text": "Let me see."}, call("t1", "weather"), call("t2", LONG), call("t3", "weather"),
            ]},
            {"role": "user", "content": [
                {"type": "text", "text": "before"}, failed, {"type": "tool_result", "tool_use_id": "t2"}, {"type": "text", "text": "after"},
            ]},
            {"role": "system", "content": "Mind the rules."},
            {"role": "user", "content": "And now?"},
        ],
        "tools": [{"name": name, "input_schema": {}} for name in ("weather", LONG)],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
        "max_tokens": 900, "metadata": {"user_id": "u" * 90}, "stream": True,
    }  # fmt: skip


def responses() -> dict[str, Any]:
    def call(call_id: str, name: str) -> dict[str, Any]:
        return {"type": "function_call", "call_id": call_id, "name": name, "arguments": '{"city":"Oslo"}'}

    return {
        "instructions": "Be brief.",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "Look"}, {"type": "input_image", "image_url": PICTURE}]},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "cg1.foreign"},
            {"role": "assistant", "content": [{"type": "output_text", "text": "Let me see."}]},
            call("t1", "weather"), call("t2", LONG), call("t3", "weather"),
            {"type": "function_call_output", "call_id": "t1", "output": [
                {"type": "input_text", "text": "cold"}, {"type": "input_image", "image_url": PICTURE},
            ]},
            {"type": "function_call_output", "call_id": "t2", "output": ""},
            {"role": "developer", "content": "Mind the rules."},
            {"role": "user", "content": "And now?"},
        ],
        "tools": [{"type": "function", "name": name, "parameters": {}} for name in ("weather", LONG)],
        "parallel_tool_calls": False, "max_output_tokens": 900, "stream": True,
    }  # fmt: skip


ASKED = {"chat": chat, "messages": messages, "responses": responses}


def prepared(caller: Caller, surface: DialectName, upstream: DialectName, **more: Any) -> Call:
    listed = decode_catalogue(caller.get("/models").body, Settings())
    model: Model = next(model for model in listed if model.id == MODEL[upstream])
    only = structs.replace(model, dialects=(upstream,))
    engine = Engine(
        Settings(), DIALECTS, lambda: (only,), lambda: "scope", lambda: 1.0, lambda prefix: f"{prefix}1"
    )
    body = {"model": only.id, **ASKED[surface](), **more}
    return engine.prepare(DIALECTS[surface], json.dumps(body).encode())


@in_every_cell
def test_a_hard_conversation_is_accepted(caller: Caller, surface: DialectName, upstream: DialectName) -> None:
    """AC-28 to AC-33, AC-36, AC-38 to AC-40, AC-42, AC-46, AC-54, AC-55, AC-60, AC-61: in every cell."""
    call = prepared(caller, surface, upstream)
    sent = call.outgoing
    assert ("user", True) == (sent.initiator, sent.vision)
    headers = {"Copilot_Vision_Request": "true", "anthropic_beta": ",".join(sent.betas) or None}
    answer = caller.post(sent.path, sent.body, **headers)
    if surface == upstream == "responses":  # Responses settles lost calls once upstream complains of them
        call = healed(call, answer)
        sent = call.outgoing
        answer = caller.post(sent.path, sent.body, **headers)
    assert 200 == answer.status, answer.text
    assert {"orphan_tool_use", "orphan_tool_call"} & {*call.repairs}
    assert b"cg1." not in sent.body
    # Messages upstreams take names of up to 128 characters.
    assert (LONG.encode() in sent.body) is (surface == upstream == "messages")


def healed(call: Call, answer: Answered) -> Call:
    repaired = call.healed(as_error(read_failure(answer.status, {}, answer.body, 0.0)))
    assert repaired is not None, answer.text
    return repaired


ORDER = ("Be brief.", "Let me see.", "cold", "Mind the rules.", "And now?")


@in_every_cell
def test_a_hard_conversation_keeps_its_order(
    caller: Caller, surface: DialectName, upstream: DialectName
) -> None:
    """AC-30, AC-32, AC-38: every word is there once, in its place."""
    sent = prepared(caller, surface, upstream).outgoing.body.decode()
    # Members of one body stand in no order: the instructions may be written after the conversation.
    words = [word for word in ORDER[1:] if sent.count(word) == 1]
    assert list(ORDER[1:]) == words
    assert sorted(sent.index(word) for word in words) == [sent.index(word) for word in words]
    assert 1 == sent.count(ORDER[0])


@in_every_cell
def test_a_conversation_of_the_wrong_type_is_a_400(
    caller: Caller, surface: DialectName, upstream: DialectName
) -> None:
    """AC-51: in every cell, before anything is sent."""
    member = "input" if surface == "responses" else "messages"
    for wrong in (7, True, {"role": "user"}):
        with pytest.raises(GatewayError) as refused:
            prepared(caller, surface, upstream, **{member: wrong})
        assert 400 == refused.value.status, wrong


@pytest.mark.parametrize("upstream", NAMES)
@pytest.mark.parametrize(
    "nothing", [[], [{"role": "user", "content": ""}], [{"role": "user", "content": []}]]
)
def test_an_empty_messages_conversation_is_a_400(caller: Caller, upstream: DialectName, nothing: Any) -> None:
    """AC-41: whichever the upstream."""
    with pytest.raises(GatewayError) as refused:
        prepared(caller, "messages", upstream, messages=nothing)
    assert ("invalid_request", 400) == (refused.value.kind, refused.value.status)
