"""What users of such gateways report, asked of this one: the fake refuses each of these bodies as Copilot does.

The numbers are the rows of docs/known-problems.md.
"""

import json
from typing import Any

import anthropic
import pytest

from tests.e2e.asking import PATH, SURFACES, TOOL, UPSTREAM_PATH, Told, ask, error_of, read_reply, read_stream
from tests.e2e.hosting import ONLY_MESSAGES, Answer, Wire
from tests.e2e.upstream import Upstream
from tests.emulators.copilot import FakeCopilot
from tests.grammar.messages import check_messages_stream

UPSTREAMS = {"chat": "gpt-4.1", "messages": ONLY_MESSAGES, "responses": "gpt-5.5"}
every_surface = pytest.mark.parametrize("surface", SURFACES)
every_upstream = pytest.mark.parametrize("upstream", list(UPSTREAMS))
MARK = {"type": "ephemeral"}
USER = {"role": "user", "content": "Weather?"}


def messages(gateway: Wire, *turns: Any, model: str = "claude-sonnet-4.6", **members: Any) -> Answer:
    """Ask as Claude Code does."""
    body = {"model": model, "max_tokens": 500, "messages": list(turns) or [USER], **members}
    return gateway.post("/v1/messages", body)


def good(answer: Answer) -> Any:
    assert 200 == answer.status, answer.text
    return answer.json


def sent(fake: FakeCopilot, upstream: str) -> Any:
    """Return the last body that upstream got."""
    return json.loads(fake.requests(UPSTREAM_PATH[upstream])[-1].body)


def repairs(answer: Answer) -> set[str]:
    return set(filter(None, answer.headers.get("x-gateway-repairs", "").split(", ")))


def text(words: str, **members: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **members}


def call(call_id: str = "toolu_1") -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": TOOL, "input": {"city": "Rome"}}


def result(content: Any, call_id: str = "toolu_1", **members: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **members}


# --- Streams ---


def events(*members: dict[str, Any]) -> bytes:
    """Write a Responses stream."""
    return b"".join(
        b"event: %b\ndata: %b\n\n"
        % (one["type"].encode(), json.dumps({**one, "sequence_number": at}).encode())
        for at, one in enumerate(members)
    )


def chunks(*deltas: tuple[dict[str, Any], str | None], done: bool = True) -> bytes:
    """Write a chat stream."""
    lines = [
        b"data: %b\n\n"
        % json.dumps(
            {
                "id": "c1",
                "model": "m",
                "created": 1,
                "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
            }
        ).encode()
        for delta, finish in deltas
    ]
    return b"".join([*lines, b"data: [DONE]\n\n" if done else b""])


ITEM = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": TOOL, "status": "completed"}
SHELL: dict[str, Any] = {
    "id": "resp_1", "object": "response", "created_at": 1, "status": "in_progress", "model": "m", "output": [], "tools": [],
    "parallel_tool_calls": True, "tool_choice": "auto", "metadata": {}, "background": False, "store": False,
    "text": {"format": {"type": "text"}}, "truncation": "disabled", "reasoning": {"effort": None, "summary": None},
    **dict.fromkeys((
        "error", "incomplete_details", "instructions", "max_output_tokens", "previous_response_id", "temperature", "top_p",
        "usage",
    )),
}  # fmt: skip
WHOLE = '{"city":"Rome"}'
ONLY_IN_DONE = events(
    {"type": "response.created", "response": SHELL},
    {"type": "response.output_item.added", "output_index": 0, "item": {**ITEM, "arguments": ""}},
    {"type": "response.function_call_arguments.done", "output_index": 0, "item_id": "fc_1", "arguments": WHOLE},
    {"type": "response.output_item.done", "output_index": 0, "item": {**ITEM, "arguments": WHOLE}},
    {"type": "response.completed", "response": {**SHELL, "status": "completed", "output": [{**ITEM, "arguments": WHOLE}]}},
)  # fmt: skip


def piece(**members: Any) -> dict[str, Any]:
    function = {name: members.pop(name) for name in ("name", "arguments") if name in members}
    return {"tool_calls": [{"index": 0, **members, "function": function}]}


IN_THE_OPENING = chunks(
    (piece(id="a", type="function", name=TOOL, arguments=WHOLE), None), ({}, "tool_calls")
)
LATE_NAME = chunks(
    (piece(id="a", type="function"), None),
    (piece(arguments='{"city":'), None),
    (piece(name=TOOL, arguments='"Rome"}'), None),
    ({}, "tool_calls"),
)
NO_FINISH = chunks((piece(id="a", type="function", name=TOOL, arguments=WHOLE), None))


def told_by(scripted: Wire, surface: str, model: str) -> Told:
    answer = scripted.post(PATH[surface], ask(surface, model, "Weather?", stream=True, tools=True))
    return read_stream(surface, answer.body)


@pytest.mark.parametrize("surface", ["chat", "messages"])
def test_arguments_that_come_with_the_end_alone_are_told(
    scripted: Wire, upstream: Upstream, surface: str
) -> None:
    """Row 20. A Responses client reads them where upstream put them."""
    upstream.stream(ONLY_IN_DONE)
    told = told_by(scripted, surface, "gpt-5.5")
    assert ([(TOOL, {"city": "Rome"})], "tools") == (told.calls, told.stop)


@every_surface
@pytest.mark.parametrize(
    "stream",
    [IN_THE_OPENING, LATE_NAME, NO_FINISH],
    ids=["20-arguments-in-the-opening", "22-name-comes-late", "23-no-finish-reason"],
)
def test_calls_keep_their_arguments_and_names_and_end_as_calls(
    scripted: Wire, upstream: Upstream, surface: str, stream: bytes
) -> None:
    """AC-11, AC-24. Rows 20, 22 and 23."""
    upstream.stream(stream)
    told = told_by(scripted, surface, "gpt-4.1")
    assert ([(TOOL, {"city": "Rome"})], "tools") == (told.calls, told.stop)


@every_surface
@pytest.mark.parametrize("broken", [{"name": ""}, {"arguments": "<city>Rome</city>"}, {"arguments": "[1]"}])
def test_a_call_that_upstream_garbled_is_an_error_and_no_call(
    scripted: Wire, upstream: Upstream, surface: str, broken: dict[str, str]
) -> None:
    """AC-19, AC-23. Row 25."""
    garbled = piece(**{"id": "a", "type": "function", "name": TOOL, "arguments": WHOLE, **broken})
    upstream.stream(chunks((garbled, None), ({}, "tool_calls")))
    answer = scripted.post(PATH[surface], ask(surface, "gpt-4.1", "Weather?", stream=True, tools=True))
    assert "error" == read_stream(surface, answer.body).stop


@every_upstream
def test_a_stream_begins_with_an_estimate_of_its_prompt(gateway: Wire, upstream: str) -> None:
    """Row 18: context meters read the first event."""
    prompt = "word " * 400
    body = ask("messages", UPSTREAMS[upstream], prompt, stream=True)
    reply = check_messages_stream(gateway.post("/v1/messages", body).body)
    assert reply.message["usage"]["input_tokens"] > 100


@every_surface
@pytest.mark.parametrize("model", ["gpt-4.1", "claude-opus-4.8", "gpt-5.5"])
@pytest.mark.parametrize("steps", [(), (b": keep-alive\n\n",), (b"data: [DONE]\n\n",)])
def test_an_empty_stream_is_an_error(
    scripted: Wire, upstream: Upstream, surface: str, model: str, steps: tuple[bytes, ...]
) -> None:
    """AC-05. Row 19."""
    upstream.stream(*steps)
    answer = scripted.post(PATH[surface], ask(surface, model, "x", stream=True))
    told = "error" if answer.status == 502 else read_stream(surface, answer.body).stop
    assert "error" == told


# --- Claude Code's bodies ---


def test_cache_scope_is_taken_out(gateway: Wire) -> None:
    """AC-55. Row 35."""
    mark = {**MARK, "scope": "global"}
    answer = messages(gateway, system=[text("Be brief.", cache_control=mark)])
    good(answer)
    assert {"cache_scope"} == repairs(answer)


def test_a_cache_mark_inside_a_result_moves_up_to_it(gateway: Wire, fake: FakeCopilot) -> None:
    """AC-55. Row 36."""
    turns = [USER, {"role": "assistant", "content": [call()]},
             {"role": "user", "content": [result([text("sunny", cache_control=MARK)])]}]  # fmt: skip
    good(messages(gateway, *turns))
    [block] = sent(fake, "messages")["messages"][2]["content"]
    assert result([text("sunny")], cache_control=MARK) == block


def test_a_line_that_changes_with_each_request_does_not_spoil_the_cache(gateway: Wire) -> None:
    """AC-39. Row 37."""
    long = text("Know this by heart. " * 1000, cache_control=MARK)
    reads: list[int] = []
    for nonce in ("1a2b", "3c4d"):
        line = text(f"x-anthropic-billing-header: cc_version=2.1; cch={nonce};")
        answer = good(messages(gateway, system=[line, long]))
        reads.append(answer["usage"]["cache_read_input_tokens"])
    assert reads[1] > 1000, reads


ORPHANS: dict[str, list[Any]] = {
    "chat": [
        {"role": "assistant", "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": TOOL, "arguments": "{}"}},
            {"id": "call_2", "type": "function", "function": {"name": TOOL, "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
        {"role": "tool", "tool_call_id": "call_9", "content": "stray"},
    ],
    "messages": [
        {"role": "assistant", "content": [call("toolu_1"), call("toolu_2")]},
        {"role": "user", "content": [result("sunny"), result("stray", "toolu_9")]},
    ],
    "responses": [
        {"type": "function_call", "call_id": "call_1", "name": TOOL, "arguments": "{}"},
        {"type": "function_call", "call_id": "call_2", "name": TOOL, "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "sunny"},
        {"type": "function_call_output", "call_id": "call_9", "output": "stray"},
    ],
}  # fmt: skip


@every_surface
@every_upstream
def test_an_interrupted_tool_round_does_not_end_the_session(
    gateway: Wire, fake: FakeCopilot, surface: str, upstream: str
) -> None:
    """AC-46. Row 38: upstream refuses calls without results and results without calls."""
    body = ask(surface, UPSTREAMS[upstream], "Weather?", tools=True)
    member = "input" if surface == "responses" else "messages"
    body[member] = [*body[member], *ORPHANS[surface], {"role": "user", "content": "[[say:Go on]]"}]
    answer = gateway.post(PATH[surface], body)
    good(answer)
    assert "Go on" == read_reply(surface, answer.body).text
    assert any("orphan" in name for name in repairs(answer)), repairs(answer)
    assert b"stray" in fake.requests(UPSTREAM_PATH[upstream])[-1].body


@pytest.mark.parametrize("model", list(UPSTREAMS.values()))
def test_tool_references_are_said_as_text(gateway: Wire, fake: FakeCopilot, model: str) -> None:
    """Row 39."""
    found = [{"type": "tool_reference", "tool_name": TOOL}]
    turns = [USER, {"role": "assistant", "content": [call()]}, {"role": "user", "content": [result(found)]}]
    tools = [{"name": TOOL, "input_schema": {"type": "object"}, "defer_loading": True}]
    good(messages(gateway, *turns, model=model, tools=tools))
    body = [entry for entry in fake.log if entry.method == "POST"][-1].body
    assert b"The tool get_weather is now available." in body
    assert b"tool_reference" not in body


INSTRUCTED: dict[str, Any] = {
    "chat": {"messages": [{"role": "system", "content": "Speak like a pirate."}, USER]},
    "messages": {"system": "Speak like a pirate.", "messages": [USER]},
    "responses": {"instructions": "Speak like a pirate.", "input": [USER]},
}


@every_surface
@every_upstream
def test_the_system_prompt_stays_one(gateway: Wire, fake: FakeCopilot, surface: str, upstream: str) -> None:
    """AC-38. Rows 40 and 41: never told by the user or the assistant."""
    good(gateway.post(PATH[surface], {**ask(surface, UPSTREAMS[upstream], "x"), **INSTRUCTED[surface]}))
    body = sent(fake, upstream)
    if upstream == "chat":
        [prompt] = [turn["content"] for turn in body["messages"] if turn["role"] == "system"]
    else:
        prompt = json.dumps(body["system" if upstream == "messages" else "instructions"])
    assert "Speak like a pirate." in prompt
    turns = body["input" if upstream == "responses" else "messages"]
    assert "pirate" not in json.dumps([turn for turn in turns if turn["role"] != "system"])


def test_a_reserved_word_in_the_system_prompt_is_taken_out(gateway: Wire, fake: FakeCopilot) -> None:
    """AC-39. Row 41: Anthropic refuses its own pseudo header in a prompt; the rest stays where it is."""
    line = text("x-anthropic-billing-header: cc_version=2.1; cch=1;")
    for upstream, model in UPSTREAMS.items():
        good(messages(gateway, system=[line, text("Be brief.")], model=model))
        assert b"billing-header" not in fake.requests(UPSTREAM_PATH[upstream])[-1].body


@every_upstream
def test_what_an_agent_adds_by_itself_is_not_the_users_turn(
    gateway: Wire, fake: FakeCopilot, upstream: str
) -> None:
    """AC-54. Row 43: results and reminders are the agent's, whoever began the session."""
    note = text("<system-reminder>The file changed.</system-reminder>")
    turns = [
        USER,
        {"role": "assistant", "content": [call()]},
        {"role": "user", "content": [result("sunny"), note]},
    ]
    good(messages(gateway, *turns, model=UPSTREAMS[upstream]))
    assert "agent" == fake.requests(UPSTREAM_PATH[upstream])[-1].headers["x-initiator"]


def test_a_prefill_is_passed_or_refused_by_name(gateway: Wire, fake: FakeCopilot) -> None:
    """AC-45."""
    prefill = {"role": "assistant", "content": "The weather is"}
    good(messages(gateway, USER, prefill, model="claude-haiku-4.5"))
    assert "assistant" == sent(fake, "chat")["messages"][-1]["role"]
    before = len(fake.log)
    for surface, member in (("messages", "messages"), ("chat", "messages"), ("responses", "input")):
        body = {**ask(surface, "claude-opus-4.8", "x"), member: [USER, prefill]}
        answer = gateway.post(PATH[surface], body)
        assert 400 == answer.status, answer.text
        assert "claude-opus-4.8" in error_of(surface, answer.body)["message"]
    assert before == len(fake.log)


def test_more_marks_than_four_are_reduced(gateway: Wire) -> None:
    """AC-62."""
    system = [text(f"Rule {number}.", cache_control=MARK) for number in range(6)]
    answer = messages(gateway, system=system)
    good(answer)
    assert {"cache_breakpoints"} == repairs(answer)


# --- Reasoning ---


def test_a_session_begun_elsewhere_goes_on(gateway: Wire, fake: FakeCopilot) -> None:
    """AC-60. Row 49: a signature of another account or backend is refused; asked again without it, the answer comes."""
    thought = {"type": "thinking", "thinking": "hm", "signature": "Zm9yZWlnbg=="}
    turns = [
        USER,
        {"role": "assistant", "content": [thought, text("Sunny.")]},
        {"role": "user", "content": "Why?"},
    ]
    answer = messages(gateway, *turns)
    good(answer)
    assert "thinking_signature" in repairs(answer)
    assert [400, 200] == [entry.status for entry in fake.requests("/v1/messages")]


def test_thinking_goes_back_byte_for_byte_beside_repaired_blocks(
    claude: anthropic.Anthropic, gateway: Wire, fake: FakeCopilot
) -> None:
    """AC-31. Row 50: written anew, a signature would no longer fit."""
    reply = claude.messages.create(
        model=ONLY_MESSAGES, max_tokens=4000, thinking={"type": "enabled", "budget_tokens": 1024},
        messages=[{"role": "user", "content": "[[think:Grüße \u2028 1.0]] [[say:Hi]]"}],
    )  # fmt: skip
    [thought] = [block for block in reply.content if block.type == "thinking"]
    odd = b'{ "type":"thinking",\n "signature" : %b, "thinking":%b }' % (
        json.dumps(thought.signature).encode(), json.dumps(thought.thinking).encode(),
    )  # fmt: skip
    body = (
        b'{"model":"%b","max_tokens":4000,"thinking":{"type":"enabled","budget_tokens":1024},"messages":['
        b'{"role":"user","content":"x"},{"role":"assistant","content":[%b,{"type":"text","text":"Hi"},'
        b'{"type":"text","text":" "}]},{"role":"user","content":"y"}]}' % (ONLY_MESSAGES.encode(), odd)
    )
    answer = gateway.post("/v1/messages", body)
    good(answer)
    assert {"empty_text"} == repairs(answer)
    assert odd in fake.requests("/v1/messages")[-1].body


@every_surface
def test_a_thought_signature_survives_a_tool_round(gateway: Wire, fake: FakeCopilot, surface: str) -> None:
    """AC-07, AC-31. Row 53: Gemini refuses a tool round without the signature that came with its call."""
    model = "gemini-3.8-flash"
    fake.state.set_modes(model, {"chat_requires_opaque": True, "reasoning_text+opaque": True})
    body = ask(surface, model, "What is the weather in Rome?", tools=True, think=True)
    first = good(gateway.post(PATH[surface], body))
    member = "input" if surface == "responses" else "messages"
    body[member] = [*body[member], *_round(surface, first)]
    answer = gateway.post(PATH[surface], body)
    good(answer)
    assert "cold" in read_reply(surface, answer.body).text


def _round(surface: str, reply: Any) -> list[Any]:
    """Return the answer and the results of its calls, as a client sends them back."""
    if surface == "chat":
        message = reply["choices"][0]["message"]
        told = [
            {"role": "tool", "tool_call_id": one["id"], "content": "cold"} for one in message["tool_calls"]
        ]
        return [message, *told]
    if surface == "messages":
        used = [block["id"] for block in reply["content"] if block["type"] == "tool_use"]
        results = [result("cold", call_id) for call_id in used]
        return [{"role": "assistant", "content": reply["content"]}, {"role": "user", "content": results}]
    called = [item["call_id"] for item in reply["output"] if item["type"] == "function_call"]
    return [
        *reply["output"],
        *[{"type": "function_call_output", "call_id": one, "output": "cold"} for one in called],
    ]
