"""Every surface in front of every upstream dialect: streamed and complete replies are legal and say the same."""

from typing import Any

import pytest

from tests.e2e.asking import PATH, SURFACES, TOOL, Told, ask, read_reply, read_stream
from tests.e2e.hosting import ONLY_MESSAGES, Wire
from tests.emulators.copilot import FakeCopilot

MODEL = {"chat": "gemini-3.8-flash", "messages": ONLY_MESSAGES, "responses": "gpt-5.5"}
CELLS = [(surface, upstream) for upstream in MODEL for surface in SURFACES]
every_cell = pytest.mark.parametrize(
    ("surface", "upstream"), CELLS, ids=[f"{upstream}_to_{surface}" for surface, upstream in CELLS]
)

CASES: dict[str, tuple[dict[str, Any], Told]] = {
    "text": ({"prompt": "[[say:Grüße, 世界 🌍 and \u2028 more]]"}, Told("Grüße, 世界 🌍 and \u2028 more")),
    "long": ({"prompt": "[[words:60]]"}, Told(" ".join(f"word{n}" for n in range(60)))),
    "tool": (
        {
            "prompt": '[[say:Let me see.]] [[tool:get_weather {"city": "Zürich \\"old\\" town"}]]',
            "tools": True,
        },
        Told("Let me see.", calls=[(TOOL, {"city": 'Zürich "old" town'})], stop="tools"),
    ),
    "parallel tools": (
        {"prompt": "What is the weather in Paris, in Rome and in Oslo?", "tools": True},
        Told("", calls=[(TOOL, {"city": city}) for city in ("Paris", "Rome", "Oslo")], stop="tools"),
    ),
    "empty arguments": (
        {"prompt": "[[tool:get_weather {}]]", "tools": True},
        Told("", calls=[(TOOL, {})], stop="tools"),
    ),
    "thinking": (
        {"prompt": "[[think:First this, then that.]] [[say:42]]", "think": True},
        Told("42", "First this, then that."),
    ),
    "thinking before a tool": (
        {"prompt": '[[think:Hm.]] [[tool:get_weather {"city": "Oslo"}]]', "think": True, "tools": True},
        Told("", "Hm.", calls=[(TOOL, {"city": "Oslo"})], stop="tools"),
    ),
    "length": (
        {"prompt": "[[words:60]]", "limit": 20},
        Told(" ".join(f"word{n}" for n in range(20)), stop="length"),
    ),
}
# How upstream's bytes travel. Chat quirks are AC-02 … AC-14.
DELIVERIES: dict[str, dict[str, Any]] = {
    "plain": {},
    "split characters": {"split_utf8_across_writes": True},
    "many events a write": {"events_per_write": 7},
    "crlf": {"crlf": True},
    "gzip": {"gzip": True},
    "chat oddities": {
        "chat_interleaved_tools": True, "chat_repeat_id": True, "chat_usage_separate_chunk": True, "chat_comments": True,
        "chat_null_choices": True, "chat_copilot_errors": True, "chat_finish_stop_on_tool": True,
    },
    "responses oddities": {
        "resp_rotate_ids": True, "resp_keepalive": True, "resp_phase": True, "resp_summary_only_in_done": True,
        "resp_trailing_done": True,
    },
    "messages oddities": {"msg_copilot_usage": True, "msg_trailing_done": True, "msg_backend": "vrtx"},
}  # fmt: skip


def fitted(told: Told) -> Told:
    told.text = told.text.strip()
    return told


@every_cell
@pytest.mark.parametrize("case", CASES)
def test_streamed_and_complete_replies_say_the_same(
    gateway: Wire, fake: FakeCopilot, surface: str, upstream: str, case: str
) -> None:
    asked, expected = CASES[case]
    if asked.get("think"):
        fake.set_modes("*", **{"reasoning_text+opaque": True})
    model = MODEL[upstream]
    expected = Told(expected.text, expected.thinking, expected.calls, expected.stop, model, counted=True)
    whole = gateway.post(PATH[surface], ask(surface, model, **asked))
    streamed = gateway.post(PATH[surface], ask(surface, model, stream=True, **asked))
    assert (200, 200) == (whole.status, streamed.status), whole.text + streamed.text
    assert [upstream] * 2 == [answer.headers["x-gateway-upstream"] for answer in (whole, streamed)]
    assert ("application/json", "text/event-stream") == tuple(
        answer.headers["content-type"].partition(";")[0] for answer in (whole, streamed)
    )
    assert expected == fitted(read_reply(surface, whole.body))
    assert expected == fitted(read_stream(surface, streamed.body))


@every_cell
@pytest.mark.parametrize("delivery", DELIVERIES)
def test_answer_is_the_same_however_upstream_delivers_it(
    gateway: Wire, fake: FakeCopilot, surface: str, upstream: str, delivery: str
) -> None:
    """AC-01, AC-02, AC-10, AC-13, AC-14, AC-16, AC-24, AC-56, AC-59, AC-66."""
    fake.set_modes("*", **DELIVERIES[delivery])
    prompt = '[[say:Grüße 世界]] [[tool:get_weather {"city": "Köln"}]] [[tool:get_weather {"city": "Łódź"}]]'
    for stream in (False, True):
        answer = gateway.post(PATH[surface], ask(surface, MODEL[upstream], prompt, stream=stream, tools=True))
        read = read_stream if stream else read_reply
        told = fitted(read(surface, answer.body))
        assert ("Grüße 世界", [(TOOL, {"city": "Köln"}), (TOOL, {"city": "Łódź"})], "tools") == (
            told.text, told.calls, told.stop,
        )  # fmt: skip


@every_cell
def test_image_is_seen(gateway: Wire, surface: str, upstream: str) -> None:
    answer = gateway.post(PATH[surface], ask(surface, MODEL[upstream], "What is it?", image=True))
    assert "I see 1 file(s): image/png" in read_reply(surface, answer.body).text


@every_cell
def test_initiator_is_judged_by_the_last_item_and_no_client_overrides_it(
    gateway: Wire, fake: FakeCopilot, surface: str, upstream: str
) -> None:
    """AC-54."""
    asked = ask(surface, MODEL[upstream], "What is the weather in Rome?", tools=True)
    member = "input" if surface == "responses" else "messages"
    gateway.post(PATH[surface], asked, X_Initiator="agent")
    asked[member] += TOOL_TURNS[surface]
    assert gateway.post(PATH[surface], asked, X_Initiator="user").status == 200
    asked[member].append({"role": "user", "content": "And now?"})
    gateway.post(PATH[surface], asked)
    posts = [entry for entry in fake.log if entry.method == "POST"]
    assert ["user", "agent", "user"] == [entry.headers["x-initiator"] for entry in posts]


TOOL_TURNS: dict[str, list[dict[str, Any]]] = {
    "chat": [
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": TOOL, "arguments": '{"city": "Rome"}'}}
        ]},
        {"role": "tool", "tool_call_id": "call_1", "content": "cold"},
    ],
    "messages": [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": TOOL, "input": {"city": "Rome"}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "cold"}]},
    ],
    "responses": [
        {"type": "function_call", "call_id": "call_1", "name": TOOL, "arguments": '{"city": "Rome"}'},
        {"type": "function_call_output", "call_id": "call_1", "output": "cold"},
    ],
}  # fmt: skip
