"""The acceptance cases of streams and replies, told through every lane that they make sense in."""

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest

from core.call import Call, Engine
from core.errors import GatewayError
from core.model import DialectName, Model
from core.settings import Settings
from core.surfaces import DIALECTS
from tests.e2e.asking import Told, ask, read_reply, read_stream
from tests.emulators.calling import PNG
from tests.grammar.chat import check_chat_stream
from tests.grammar.messages import check_messages_stream
from tests.grammar.responses import check_responses_stream, events_of
from tests.unit.dialects.chat import wire as chat
from tests.unit.dialects.messages import wire as messages
from tests.unit.dialects.responses import shapes as responses

SURFACES: tuple[DialectName, ...] = ("chat", "messages", "responses")
on_every_surface = pytest.mark.parametrize("surface", SURFACES)
CELLS = [(upstream, surface) for upstream in SURFACES for surface in SURFACES]
# A short stream lacks members that strict clients want, and Responses to Responses adds none.
in_every_cell = pytest.mark.parametrize(
    ("upstream", "surface"), [cell for cell in CELLS if cell != ("responses", "responses")]
)
in_every_translated_cell = pytest.mark.parametrize(
    ("upstream", "surface"), [(upstream, surface) for upstream, surface in CELLS if upstream != surface]
)
F = ("f", {"a": 1})
G = ("g", {"b": 2})
READ_CALL = [
    {"type": "function_call", "call_id": "c", "name": "read", "namespace": "files", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c", "output": "x"},
]


def call_of(upstream: DialectName, surface: DialectName, *, stream: bool = True, **asked: Any) -> Call:
    numbers = itertools.count(1)
    model = Model(id="up-1", dialects=(upstream,), efforts=("low", "high"), thinking_budget=(1024, 32_000))
    engine = Engine(
        Settings(), DIALECTS, lambda: (model,), lambda: "scope", lambda: 1_763_846_400.0,
        lambda prefix: f"{prefix}{next(numbers):04d}",
    )  # fmt: skip
    body = ask(surface, "up-1", "Hi", stream=stream, tools=True) | asked
    return engine.prepare(DIALECTS[surface], json.dumps(body).encode())


def streamed(call: Call, wire: bytes, size: int | None = None) -> bytes:
    relay, said = call.relay(), b""
    try:
        for piece in chat.split(wire, size):
            said += relay.feed(piece)
        said += relay.close()
    except GatewayError as error:
        said += relay.error(error)
    return said


def told(upstream: DialectName, surface: DialectName, wire: bytes) -> Told:
    """Return what the client understood: the same for any size of reads, and complete where it was no stream."""
    said = streamed(call_of(upstream, surface), wire)
    assert [said] * 3 == [streamed(call_of(upstream, surface), wire, size) for size in (1, 3, 64)]
    understood = read_stream(surface, said)
    if upstream != surface:
        assert completed(upstream, surface, wire) in {understood.stop, "error"}
    return understood


def completed(upstream: DialectName, surface: DialectName, wire: bytes) -> str:
    """Return how the complete reply ended, once it is known to say the same as the stream."""
    call = call_of(upstream, surface, stream=False)
    collector = call.collector()
    try:
        collector.feed(wire)
        body = collector.close()
    except GatewayError:
        return "error"
    reply, stream = (
        read_reply(surface, body),
        read_stream(surface, streamed(call_of(upstream, surface), wire)),
    )
    assert (stream.text, stream.thinking) == (reply.text, reply.thinking)
    if reply.stop != "length":  # what a cut call had so far is told by a stream only
        assert stream.calls == reply.calls
    return reply.stop


def call(index: int, arguments: str, name: str | None = None) -> bytes:
    """One piece of a chat call; the first one has a name."""
    return chat.calls(chat.call(index, arguments, call_id=f"call_{name}" if name else None, name=name))


END = chat.finish() + chat.DONE
ERROR = {"message": "too busy", "code": "overloaded"}
FIRST = chat.event({"choices": [], "created": 0, "id": "", "prompt_filter_results": [{"prompt_index": 0}]})
# Chat's bad habits, and what every client must understand of them.
CHAT_STREAMS: dict[str, tuple[bytes, Told]] = {
    "AC-02 interleaved calls": (
        call(0, '{"a"', "f") + call(1, '{"b"', "g") + call(0, ":1}") + call(1, ":2}") + chat.finish("tool_calls") + chat.DONE,
        Told("", calls=[F, G], stop="tools"),
    ),
    "AC-03 text after a call": (
        chat.text("A") + call(0, '{"a":1}', "f") + chat.text("B") + chat.finish("tool_calls") + chat.DONE,
        Told("AB", calls=[F], stop="tools"),
    ),
    "AC-04 two choices in a chunk": (
        chat.chunk({"content": "A"}, {"tool_calls": [chat.call(0, '{"a":1}', call_id="c", name="f")]}) + END,
        Told("A", calls=[F], stop="tools"),
    ),
    "AC-04 tool_calls without a call": (chat.text("A") + chat.finish("tool_calls") + chat.DONE, Told("A")),
    "AC-05 no finish reason": (chat.text("A"), Told("A", stop="error")),
    "AC-06 content filter": (chat.text("A") + chat.finish("content_filter") + chat.DONE, Told("A", stop="filter")),
    "AC-08 an error chunk": (chat.text("A") + chat.event({"error": ERROR}), Told("A", stop="error")),
    "AC-09 two finishes": (chat.text("A") + chat.finish() + chat.finish() + chat.DONE, Told("A")),
    "AC-10 filter results first": (FIRST + chat.text("A") + END, Told("A")),
    "AC-11 the id, then the name": (
        chat.calls(chat.call(0, call_id="c")) + chat.calls(chat.call(0, '{"a":1}', name="f")) + chat.finish("tool_calls") + chat.DONE,
        Told("", calls=[F], stop="tools"),
    ),
    "AC-12 unknown reason, text": (chat.text("A") + chat.finish("novelty") + chat.DONE, Told("A")),
    "AC-12 unknown reason, call": (call(0, '{"a":1}', "f") + chat.finish("novelty") + chat.DONE, Told("", calls=[F], stop="tools")),
    "AC-13 nulls": (
        chat.text("A", usage=None) + chat.finish(usage=chat.usage(cached=None), copilot_usage=None) + chat.DONE, Told("A"),
    ),
    "AC-14 the id with every piece": (
        b"".join(chat.calls(chat.call(0, part, call_id="c", name="f")) for part in ('{"a"', ":1}")) + chat.finish("tool_calls") + chat.DONE,
        Told("", calls=[F], stop="tools"),
    ),
    "AC-15 only a finish": (END, Told("")),
    "AC-16 a choice without a delta": (chat.chunk(None) + chat.text("A") + END, Told("A")),
    "AC-18 no arguments": (call(0, "", "f") + chat.finish("tool_calls") + chat.DONE, Told("", calls=[("f", {})], stop="tools")),
    "AC-20 empty text beside a call": (
        chat.text("") + call(0, '{"a":1}', "f") + chat.finish("tool_calls") + chat.DONE, Told("", calls=[F], stop="tools"),
    ),
    "AC-21 the severest reason": (chat.text("A") + chat.finish() + chat.finish("length") + chat.DONE, Told("A", stop="length")),
    "AC-24 stop after a call": (call(0, '{"a":1}', "f") + END, Told("", calls=[F], stop="tools")),
}  # fmt: skip


@on_every_surface
@pytest.mark.parametrize("case", CHAT_STREAMS)
def test_every_client_understands_chats_streams(surface: DialectName, case: str) -> None:
    """AC-02, AC-03, AC-04, AC-05, AC-06, AC-08 to AC-16, AC-18, AC-20, AC-21, AC-24, AC-66: whichever the client's dialect."""
    wire, expected = CHAT_STREAMS[case]
    if surface == "responses" and expected.stop == "filter":
        expected = Told(expected.text, stop="length")  # `incomplete`, with the reason content_filter
    if surface == "responses" and expected.stop == "error":
        expected = Told("", stop="error")  # its last event repeats only what was complete
    found = told("chat", surface, wire)
    assert expected == Told(found.text, found.thinking, found.calls, found.stop)


@on_every_surface
@pytest.mark.parametrize("arguments", ['{"a"', "[1]", '"x"', "{}{}"])
def test_broken_arguments_never_become_a_call(surface: DialectName, arguments: str) -> None:
    """AC-19, AC-23: an error, for the answer claims to be complete."""
    assert (
        "error" == told("chat", surface, call(0, arguments, "f") + chat.finish("tool_calls") + chat.DONE).stop
    )


@on_every_surface
def test_a_call_that_the_limit_cut_is_a_cut_answer(surface: DialectName) -> None:
    """AC-19."""
    assert "length" == told("chat", surface, call(0, '{"a"', "f") + chat.finish("length") + chat.DONE).stop


COUNTS: dict[str, Callable[[bytes], tuple[int, int, int]]] = {
    "chat": lambda said: _chat_counts(check_chat_stream(said).usage or {}),
    "messages": lambda said: _messages_counts(check_messages_stream(said).usage),
    "responses": lambda said: _responses_counts(check_responses_stream(said).response["usage"]),
}


def _chat_counts(usage: dict[str, Any]) -> tuple[int, int, int]:
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    return usage["prompt_tokens"] - cached, cached, usage["completion_tokens"]


def _messages_counts(usage: dict[str, Any]) -> tuple[int, int, int]:
    return usage["input_tokens"], usage["cache_read_input_tokens"], usage["output_tokens"]


def _responses_counts(usage: dict[str, Any]) -> tuple[int, int, int]:
    cached = usage["input_tokens_details"]["cached_tokens"]
    return usage["input_tokens"] - cached, cached, usage["output_tokens"]


COUNTED: dict[DialectName, bytes] = {
    "chat": chat.text("A") + chat.finish() + chat.event({"choices": [], "usage": chat.usage()}) + chat.DONE,
    "messages": messages.start() + messages.text_block(0, "A") + messages.end() + messages.STOP,
    "responses": responses.sse(
        responses.created(),
        responses.added(0, id="m", type="message", role="assistant", content=[]),
        responses.said("output_text.delta", 0, "m", delta="A"),
        responses.done(0, **responses.message("A", "m")),
        responses.completed(
            responses.message("A", "m"),
            usage={"input_tokens": 100, "output_tokens": 7, "input_tokens_details": {"cached_tokens": 40}},
        ),
    ),
}


@in_every_cell
def test_usage_is_the_same_in_every_cell(upstream: DialectName, surface: DialectName) -> None:
    """AC-01, AC-22: what came from the cache is no fresh input, whoever counts."""
    assert (60, 40, 7) == COUNTS[surface](streamed(call_of(upstream, surface), COUNTED[upstream]))


MODELS: dict[str, Callable[[bytes], tuple[str, str]]] = {
    "chat": lambda said: (check_chat_stream(said).id, check_chat_stream(said).model),
    "messages": lambda said: _named(check_messages_stream(said).message),
    "responses": lambda said: _named(check_responses_stream(said).response),
}
PREFIX = {"chat": "chatcmpl-", "messages": "msg_", "responses": "resp_"}


def _named(message: dict[str, Any]) -> tuple[str, str]:
    return message["id"], message["model"]


@in_every_cell
def test_ids_and_models_are_the_surfaces_own(upstream: DialectName, surface: DialectName) -> None:
    """AC-26, AC-27: the surface's prefix, one id from first to last, and the model id that the client asked for."""
    found, model = MODELS[surface](streamed(call_of(upstream, surface, model="UP-1"), COUNTED[upstream]))
    assert (True, "UP-1") == (found.startswith(PREFIX[surface]), model)


THOUGHT: dict[DialectName, bytes] = {
    "chat": chat.chunk({"reasoning_text": "Hm"}) + chat.chunk({"reasoning_opaque": "sig"}) + chat.text("A") + END,
    "messages": messages.start()
    + messages.block(0, type="thinking", thinking="", signature="")
    + messages.delta(0, "thinking_delta", thinking="Hm")
    + messages.delta(0, "signature_delta", signature="sig")
    + messages.stop(0)
    + messages.text_block(1, "A")
    + messages.end()
    + messages.STOP,
    "responses": responses.sse(
        responses.created(),
        responses.done(
            0, id="rs_1", type="reasoning", summary=[{"type": "summary_text", "text": "Hm"}], encrypted_content="sig"
        ),
        responses.done(1, **responses.message("A", "m")),
        responses.completed(),
    ),
}  # fmt: skip
# Where each surface puts a signature, and how a client sends its thinking back.
HISTORY: dict[str, Callable[[bytes], dict[str, Any]]] = {
    "chat": lambda said: {"messages": [*_hi(), _chat_turn(said), *_hi()]},
    "messages": lambda said: {"messages": [*_hi(), _messages_turn(said), *_hi()]},
    "responses": lambda said: {"input": [*_hi(), *check_responses_stream(said).response["output"], *_hi()]},
}


def _hi() -> list[dict[str, Any]]:
    return [{"role": "user", "content": "Hi"}]


def _chat_turn(said: bytes) -> dict[str, Any]:
    reply = check_chat_stream(said)
    return {
        "role": "assistant",
        "content": reply.text,
        "reasoning_text": reply.thinking,
        "reasoning_opaque": reply.opaque,
    }


def _messages_turn(said: bytes) -> dict[str, Any]:
    return {"role": "assistant", "content": check_messages_stream(said).content}


@in_every_translated_cell
def test_thinking_comes_home_through_every_client(upstream: DialectName, surface: DialectName) -> None:
    """AC-07, AC-31: shown on the way out, given back with its signature on the next turn, and to nobody else."""
    said = streamed(call_of(upstream, surface), THOUGHT[upstream])
    assert ("A", "Hm") == (read_stream(surface, said).text, read_stream(surface, said).thinking)
    history = HISTORY[surface](said)
    home = call_of(upstream, surface, **history)
    assert b'"sig"' in home.outgoing.body
    assert b"cg1." not in home.outgoing.body
    assert "thinking" not in home.losses
    elsewhere: DialectName = next(name for name in SURFACES if name not in {upstream, surface})
    other = call_of(elsewhere, surface, **history)
    assert b'"sig"' not in other.outgoing.body
    assert b"cg1." not in other.outgoing.body
    assert "thinking" in other.losses


ENDS: dict[DialectName, dict[str, bytes]] = {
    "messages": {
        "stop": messages.end() + messages.STOP,
        "length": messages.end("max_tokens") + messages.STOP,
        "filter": messages.end("refusal") + messages.STOP,
        "error": messages.event("error", error={"type": "overloaded_error", "message": "busy"}),
    },
    "responses": {
        "stop": responses.sse(responses.completed(responses.message("A", "m"))),
        "length": responses.sse(
            {"type": "response.incomplete", "response": responses.response("incomplete", incomplete_details={"reason": "max_output_tokens"})}
        ),
        "filter": responses.sse(
            {"type": "response.incomplete", "response": responses.response("incomplete", incomplete_details={"reason": "content_filter"})}
        ),
        "error": responses.sse({"type": "response.failed", "response": responses.response("failed", error={"code": "server_error", "message": "x"})}),
    },
}  # fmt: skip
BEGUN: dict[DialectName, bytes] = {
    "messages": messages.start() + messages.text_block(0, "A"),
    "responses": responses.sse(
        responses.created(),
        responses.added(0, id="m", type="message", role="assistant", content=[]),
        responses.said("output_text.delta", 0, "m", delta="A"),
    ),
}
CROSSED: list[tuple[DialectName, DialectName]] = [
    ("messages", "chat"), ("messages", "responses"), ("responses", "chat"), ("responses", "messages"),
]  # fmt: skip


@pytest.mark.parametrize(("upstream", "surface"), CROSSED)
@pytest.mark.parametrize("end", ["stop", "length", "filter", "error", "cut"])
def test_every_end_of_the_other_dialects_is_understood(
    upstream: DialectName, surface: DialectName, end: str
) -> None:
    """AC-05, AC-06, AC-08, AC-09, AC-66."""
    last = ENDS[upstream].get(end, b"")
    found = told(upstream, surface, BEGUN[upstream] + last + last)
    expected = {"cut": "error", "filter": "length" if surface == "responses" else "filter"}.get(end, end)
    text = "" if surface == "responses" and upstream == "messages" and expected == "error" else "A"
    assert (text, expected) == (found.text, found.stop)


TWO_CALLS: dict[DialectName, Callable[[str], bytes]] = {
    "messages": lambda second: (
        messages.start()
        + messages.call_block(0, "t1", "f", '{"a"', ":1}")
        + messages.call_block(1, "t2", "g", *([second] if second else []))
        + messages.end("tool_use")
        + messages.STOP
    ),
    "responses": lambda second: responses.sse(
        responses.created(),
        responses.added(0, id="fc_1", type="function_call", call_id="t1", name="f", arguments=""),
        responses.added(1, id="fc_2", type="function_call", call_id="t2", name="g", arguments=""),
        responses.said("function_call_arguments.delta", 1, "fc_2", delta=second[:2]),
        responses.said("function_call_arguments.delta", 0, "fc_1", delta='{"a":1}'),
        responses.done(0, **responses.call("f", '{"a":1}', "t1", id="fc_1")),
        responses.done(1, **responses.call("g", second, "t2", id="fc_2")),
        responses.completed(),
    ),
}


@pytest.mark.parametrize(("upstream", "surface"), [*CROSSED, ("messages", "messages")])
def test_calls_of_the_other_dialects_stay_whole(upstream: DialectName, surface: DialectName) -> None:
    """AC-02, AC-18, AC-19, AC-23, AC-24: two calls, told at once or in turn; no arguments are an object; broken ones an error."""
    wire = TWO_CALLS[upstream]
    whole = told(upstream, surface, wire('{"b":2}'))
    assert ([F, G], "tools") == (whole.calls, whole.stop)
    assert [F, ("g", {})] == told(upstream, surface, wire("")).calls
    assert ["error", "error"] == [told(upstream, surface, wire(broken)).stop for broken in ('{"b"', "[1]")]


def test_ids_of_a_responses_item_never_change() -> None:
    """AC-59: whichever upstream answers."""
    for upstream in SURFACES[:2]:
        events = events_of(streamed(call_of(upstream, "responses"), COUNTED[upstream]))
        ids = {event["item_id"] for event in events if "item_id" in event}
        assert ids == {event["item"]["id"] for event in events if "item" in event}
        assert 1 == len(ids)


@pytest.mark.parametrize("upstream", SURFACES[:2])
def test_a_namespaced_tool_is_called_in_its_namespace(upstream: DialectName) -> None:
    """Codex declares its MCP tools so: flat upstream, one name in list, choice and history, and its own on the way back."""
    asked: dict[str, Any] = {
        "tools": [{"type": "namespace", "name": "files", "tools": [{"type": "function", "name": "read"}]}],
        "tool_choice": {"type": "function", "name": "read"},
        "input": [
            *_hi(),
            *READ_CALL,
        ],
    }
    sent = call_of(upstream, "responses", **asked).outgoing.body
    assert (3, 3) == (sent.count(b'"files__read"'), sent.count(b"read"))
    wire = {
        "chat": call(0, "{}", "files__read") + chat.finish("tool_calls") + chat.DONE,
        "messages": messages.start() + messages.call_block(0, "t", "files__read") + messages.end("tool_use") + messages.STOP,
    }  # fmt: skip
    said = streamed(call_of(upstream, "responses", **asked), wire[upstream])
    [called] = check_responses_stream(said).response["output"]
    assert ("read", "files") == (called["name"], called["namespace"])


ARGUMENTLESS: dict[DialectName, Callable[[Any], dict[str, Any]]] = {
    "chat": lambda schema: {"type": "function", "function": {"name": "ping", "parameters": schema}},
    "messages": lambda schema: {"name": "ping", "input_schema": schema},
    "responses": lambda schema: {"type": "function", "name": "ping", "parameters": schema},
}


@in_every_translated_cell
@pytest.mark.parametrize("schema", [{}, {"type": "object"}, {"$schema": "x"}])
def test_a_tool_without_arguments_says_that_it_has_none(
    upstream: DialectName, surface: DialectName, schema: Any
) -> None:
    """AC-42: OpenAI's models refuse a schema without a type or without properties, and MCP servers send such ones."""
    sent = json.loads(call_of(upstream, surface, tools=[ARGUMENTLESS[surface](schema)]).outgoing.body)[
        "tools"
    ][0]
    told = sent["input_schema"] if upstream == "messages" else sent.get("function", sent)["parameters"]
    assert "object" == told["type"]
    assert upstream == "messages" or {} == told["properties"]
    assert "$schema" not in told


HOSTED: list[tuple[str, Any, str]] = [
    ("code_execution", {"type": "code_execution_result", "stdout": "42", "content": []}, "42"),
    ("bash_code_execution", {"type": "bash_code_execution_result", "stdout": "43"}, "43"),
    ("web_fetch", {"type": "web_fetch_result", "url": "u", "content": {
        "type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "The page."}}}, "The page."),
    ("web_fetch", {"type": "web_fetch_result", "url": "u", "content": {
        "type": "document", "title": "Paper", "source": {"type": "base64", "media_type": "application/pdf", "data": "SlZC"}}}, "Paper"),
    ("code_execution", {"type": "code_execution_tool_result_error", "error_code": "too_many"}, "too_many"),
]  # fmt: skip


@pytest.mark.parametrize("upstream", SURFACES)
@pytest.mark.parametrize(("name", "content", "told"), HOSTED)
def test_what_a_hosted_tool_of_elsewhere_answered_is_told(
    upstream: DialectName, name: str, content: Any, told: str
) -> None:
    """AC-44: a session that was begun with tools that Copilot does not run; the answer is read, not only the call."""
    ran = {"type": "server_tool_use", "id": "srvtoolu_1", "name": name, "input": {"q": "asked"}}
    answered = {"type": f"{name}_tool_result", "tool_use_id": "srvtoolu_1", "content": content}
    history = [
        *_hi(),
        {"role": "assistant", "content": [ran, answered, {"type": "text", "text": "So."}]},
        *_hi(),
    ]
    sent = call_of(upstream, "messages", messages=history).outgoing.body.decode()
    assert all(word in sent for word in (name, "asked", told, "So."))
    assert "srvtoolu_1" not in sent
    assert "SlZC" not in sent


@pytest.mark.parametrize("upstream", ["chat", "responses"])
def test_claudes_summary_of_a_conversation_is_read_by_the_next_model(upstream: DialectName) -> None:
    """A compaction on Messages is plain text: a session goes on with another model."""
    summary = {"role": "assistant", "content": [{"type": "compaction", "content": "We met."}]}
    failed = {
        "role": "assistant",
        "content": [{"type": "compaction", "content": None}, {"type": "text", "text": "B"}],
    }
    summary["content"].append({"type": "text", "text": "And then?"})
    sent = call_of(upstream, "messages", messages=[*_hi(), summary, *_hi(), failed, *_hi()]).outgoing.body
    assert 1 == sent.count(b"[Summary of the conversation so far]\\nWe met.\\n\\n")


IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}


@pytest.mark.parametrize("upstream", SURFACES)
@pytest.mark.parametrize("between", [[], [{"type": "text", "text": "Meanwhile"}]])
@pytest.mark.parametrize("first", ["Rainy", [IMAGE, {"type": "text", "text": "Rainy"}]])
def test_results_in_turns_of_their_own_meet_their_calls(
    upstream: DialectName, between: Any, first: Any
) -> None:
    """AC-30, AC-46: Anthropic's API makes one of adjoining user turns, so no call here is without a result."""

    def result(call_id: str, content: Any) -> dict[str, Any]:
        return {"type": "tool_result", "tool_use_id": call_id, "content": content}

    called = [{"type": "tool_use", "id": each, "name": "f", "input": {}} for each in ("t1", "t2")]
    history = [
        *_hi(),
        {"role": "assistant", "content": called},
        {"role": "user", "content": [result("t1", first), *between]},
        {"role": "user", "content": [result("t2", "Sunny"), {"type": "text", "text": "Then?"}]},
    ]
    call = call_of(upstream, "messages", messages=history)
    assert not {"orphan_tool_use", "orphan_tool_result"} & {*call.repairs}
    sent = call.outgoing.body.decode()
    words = ["Rainy", "Sunny", *(part["text"] for part in between), "Then?"]
    assert sorted(words, key=sent.index) == words
    assert "No result" not in sent


@pytest.mark.parametrize("upstream", SURFACES)
def test_a_late_tool_message_meets_its_call(upstream: DialectName) -> None:
    """AC-30, AC-46: a user who spoke up while a tool still ran does not cost the result."""
    called = [{"id": each, "type": "function", "function": {"name": "f", "arguments": "{}"}} for each in "ab"]
    history = [
        *_hi(),
        {"role": "assistant", "content": None, "tool_calls": called},
        {"role": "tool", "tool_call_id": "a", "content": "Rainy"},
        {"role": "user", "content": "Meanwhile"},
        {"role": "tool", "tool_call_id": "b", "content": "Sunny"},
    ]
    asked = call_of(upstream, "chat", messages=history)
    assert not {"orphan_tool_use", "orphan_tool_result"} & {*asked.repairs}
    sent = asked.outgoing.body.decode()
    words = ["Rainy", "Sunny", "Meanwhile"]
    assert sorted(words, key=sent.index) == words
    if upstream == "chat":
        told = json.loads(sent)["messages"]
        assert ["user", "assistant", "tool", "tool", "user"] == [each["role"] for each in told]
        assert "late_tool_result" in asked.repairs


@pytest.mark.parametrize("surface", SURFACES)
def test_a_call_of_a_messages_model_that_ended_its_turn_is_run(surface: DialectName) -> None:
    """AC-24: clients look at the stop reason before they run anything."""
    wire = messages.start() + messages.call_block(0, "t1", "f", '{"a":1}') + messages.end() + messages.STOP
    found = told("messages", surface, wire)
    assert ([F], "tools") == (found.calls, found.stop)
    if surface == "messages":
        content = [{"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}]
        reply = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content,
                 "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}}  # fmt: skip
        whole = call_of("messages", surface, stream=False).complete(json.dumps(reply).encode())
        assert "tools" == read_reply(surface, whole).stop


def test_the_last_event_of_a_passed_stream_holds_what_was_streamed() -> None:
    """The SDKs' final response is what stands there; upstream may leave it empty."""
    first = responses.message("A", "msg_1")
    second = responses.call("f", '{"a":1}', id="fc_2")
    wire = responses.sse(
        responses.created(),
        responses.done(0, **first),
        responses.done(1, **second),
        responses.completed(),
    )
    events = events_of(streamed(call_of("responses", "responses"), wire))
    assert [first, second] == events[-1]["response"]["output"]


@pytest.mark.parametrize("upstream", ["chat", "messages"])
def test_tools_that_were_searched_for_go_with_a_session_to_another_model(upstream: DialectName) -> None:
    """Codex searches its tools with some models; a session that changes models has them in its history only."""
    read_file = {
        "type": "function",
        "name": "read",
        "parameters": {"type": "object"},
        "defer_loading": True,
    }
    group = {"type": "namespace", "name": "files", "tools": [read_file]}
    search = {
        "type": "tool_search_call",
        "call_id": "s",
        "execution": "client",
        "arguments": {"query": "files"},
    }
    found = {"type": "tool_search_output", "call_id": "s", "execution": "client", "tools": [group, read_file]}
    history = [
        *_hi(),
        search,
        found,
        *READ_CALL,
        search,
        found,
    ]
    asked = call_of(upstream, "responses", input=history, tools=[read_file])
    sent = json.loads(asked.outgoing.body)
    names = [each.get("function", each)["name"] for each in sent["tools"]]
    assert ["read", "files__read"] == names
    assert 1 == json.dumps(sent["messages"]).count('"files__read"')
    wire = {
        "chat": call(0, "{}", "files__read") + chat.finish("tool_calls") + chat.DONE,
        "messages": messages.start() + messages.call_block(0, "t", "files__read") + messages.end("tool_use") + messages.STOP,
    }  # fmt: skip
    [called] = check_responses_stream(streamed(asked, wire[upstream])).response["output"]
    assert ("read", "files") == (called["name"], called["namespace"])


SEARCH = {
    "type": "tool_search",
    "execution": "client",
    "description": "Find tools.",
    "parameters": {"type": "object"},
}
SEARCH_WIRE = {
    "chat": call(0, '{"query":"a"}', "tool_search") + chat.finish("tool_calls") + chat.DONE,
    "messages": messages.start() + messages.call_block(0, "call_tool_search", "tool_search", '{"query":"a"}')
    + messages.end("tool_use") + messages.STOP,
}  # fmt: skip


@pytest.mark.parametrize("upstream", ["chat", "messages"])
def test_a_search_that_the_client_runs_is_a_function_to_other_models(upstream: DialectName) -> None:
    """Codex offers its search for tools under gpt-5.5's name, which an alias may give to any model."""
    asked = call_of(upstream, "responses", tools=[SEARCH])
    [offered] = json.loads(asked.outgoing.body)["tools"]
    function = offered.get("function", offered)
    assert ("tool_search", "Find tools.") == (function["name"], function["description"])
    assert "tool_search" in asked.repairs
    said = check_responses_stream(streamed(asked, SEARCH_WIRE[upstream])).response
    [searched] = said["output"]
    assert {
        "id": searched["id"], "type": "tool_search_call", "status": "completed", "execution": "client",
        "call_id": "call_tool_search", "arguments": {"query": "a"},
    } == searched  # fmt: skip
    assert [SEARCH] == said["tools"]
    collector = call_of(upstream, "responses", stream=False, tools=[SEARCH]).collector()
    collector.feed(SEARCH_WIRE[upstream])
    [whole] = json.loads(collector.close())["output"]
    assert {**searched, "id": whole["id"]} == whole


@pytest.mark.parametrize(
    ("found", "text"), [("read", "The tool read is now available."), (None, "No tool was found.")]
)
def test_a_search_and_what_it_found_stay_a_call_and_its_result(found: str | None, text: str) -> None:
    tools = [] if found is None else [{"type": "function", "name": found}]
    history = [
        *_hi(),
        {"type": "tool_search_call", "call_id": "s", "execution": "client", "arguments": {"query": "a"}},
        {"type": "tool_search_output", "call_id": "s", "execution": "client", "tools": tools},
    ]
    sent = json.loads(call_of("chat", "responses", input=history, tools=[SEARCH]).outgoing.body)
    [called] = sent["messages"][-2]["tool_calls"]
    assert {"name": "tool_search", "arguments": '{"query":"a"}'} == called["function"]
    assert {"role": "tool", "content": text, "tool_call_id": "s"} == sent["messages"][-1]
    assert ["tool_search", *filter(None, [found])] == [tool["function"]["name"] for tool in sent["tools"]]


def test_a_search_that_was_cut_stays_incomplete() -> None:
    """AC-19: nobody searches with invented arguments."""
    wire = call(0, '{"query":"a', "tool_search") + chat.finish("length") + chat.DONE
    asked = call_of("chat", "responses", tools=[SEARCH])
    [cut] = check_responses_stream(streamed(asked, wire)).response["output"]
    assert ("incomplete", '{"query":"a') == (cut["status"], cut["arguments"])


def test_a_schema_that_other_models_take_is_one_that_claude_takes() -> None:
    """AC-43: Claude refuses a schema whose objects do not say that they have no other members."""
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    sent = json.loads(call_of("messages", "chat", response_format=form).outgoing.body)
    assert {**schema, "additionalProperties": False} == sent["output_config"]["format"]["schema"]


@pytest.mark.parametrize("upstream", ["messages", "responses"])
def test_a_participants_name_is_not_lost_silently(upstream: DialectName) -> None:
    named = call_of(upstream, "chat", messages=[{"role": "user", "name": "ann", "content": "Hi"}])
    assert "name" in named.losses


def _budget_of(upstream: DialectName, surface: DialectName, **asked: Any) -> Any:
    model = Model(id="up-1", dialects=(upstream,), thinking_budget=(1024, 32_000))
    engine = Engine(
        Settings(), DIALECTS, lambda: (model,), lambda: "scope", lambda: 1.0, lambda prefix: prefix
    )
    body = ask(surface, "up-1", "Hi", stream=True) | asked
    sent = json.loads(engine.prepare(DIALECTS[surface], json.dumps(body).encode()).outgoing.body)
    return sent.get("thinking_budget", sent.get("thinking", {}).get("budget_tokens"))


def test_a_budget_of_thinking_leaves_room_for_the_answer() -> None:
    """What is thought counts against the output limit: an effort that takes all of it gives an empty answer."""
    hard = {"reasoning": {"effort": "high"}, "max_output_tokens": 4000}
    assert [3000, 3000] == [_budget_of(upstream, "responses", **hard) for upstream in ("chat", "messages")]
    adaptive = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}, "max_tokens": 4000}
    assert 3000 == _budget_of("messages", "messages", **adaptive)
    stated = {"thinking": {"type": "enabled", "budget_tokens": 9000}, "max_tokens": 4000}
    assert [3999, 3999] == [_budget_of(upstream, "messages", **stated) for upstream in ("chat", "messages")]
    tight = {**hard, "max_output_tokens": 900}
    assert [None, None] == [_budget_of(upstream, "responses", **tight) for upstream in ("chat", "messages")]


ALLOWED: dict[DialectName, Callable[[Any], dict[str, Any]]] = {
    "chat": lambda named: {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [named]}},
    "responses": lambda named: {"type": "allowed_tools", "mode": "auto", "tools": [named]},
}


@pytest.mark.parametrize("surface", ["chat", "responses"])
def test_allowed_tools_have_the_names_that_the_tools_have(surface: DialectName) -> None:
    """AC-61: upstream refuses a choice among tools that it was not told of."""
    name = "files.read"
    named = {"function": {"name": name}} if surface == "chat" else {"name": name}
    asked = {
        "tools": [ARGUMENTLESS[surface]({}) | {"type": "function"} | named],
        "tool_choice": ALLOWED[surface]({"type": "function", **named}),
    }
    sent = json.loads(call_of(surface, surface, **asked).outgoing.body)
    [tool] = sent["tools"]
    short = tool.get("function", tool)["name"]
    assert name != short
    assert 1 == json.dumps(sent["tool_choice"]).count(f'"{short}"')
    assert name not in json.dumps(sent)


@pytest.mark.parametrize("surface", SURFACES)
def test_ids_that_a_model_gives_twice_do_not_end_a_session_with_claude(surface: DialectName) -> None:
    """Claude refuses them for ever; models that count their calls anew in each answer left them behind."""
    turns = [("call_0", "one"), ("call_0", "two"), ("call_0_2", "three")]
    history: dict[DialectName, list[dict[str, Any]]] = {"chat": _hi(), "messages": _hi(), "responses": _hi()}
    for call_id, answer in turns:
        function = {"name": "f", "arguments": "{}"}
        history["chat"] += [
            {"role": "assistant", "tool_calls": [{"id": call_id, "type": "function", "function": function}]},
            {"role": "tool", "tool_call_id": call_id, "content": answer},
        ]
        history["messages"] += [
            {"role": "assistant", "content": [{"type": "tool_use", "id": call_id, "name": "f", "input": {}}]},
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": call_id, "content": answer}],
            },
        ]
        history["responses"] += [
            {"type": "function_call", "call_id": call_id, **function},
            {"type": "function_call_output", "call_id": call_id, "output": answer},
        ]
    member = "input" if surface == "responses" else "messages"
    asked = call_of("messages", surface, **{member: history[surface]})
    assert "tool_ids" in asked.repairs
    blocks = [
        block
        for turn in json.loads(asked.outgoing.body)["messages"]
        for block in turn["content"]
        if isinstance(block, dict)
    ]
    used = [block["id"] for block in blocks if block["type"] == "tool_use"]
    answered = {block["tool_use_id"]: block["content"] for block in blocks if block["type"] == "tool_result"}
    assert 3 == len(set(used))
    assert used == list(answered)
    for call_id, (_, answer) in zip(used, turns, strict=True):
        assert answer in json.dumps(answered[call_id])


@pytest.mark.parametrize("stream", [True, False])
def test_a_call_whose_id_the_conversation_has_gets_another(*, stream: bool) -> None:
    """Claude Code finds results by the id alone, and would take the first call's result for the second one's."""
    history = [
        *_hi(),
        {"role": "assistant", "content": [{"type": "tool_use", "id": "call_0", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_0", "content": "one"}]},
    ]
    asked = call_of("chat", "messages", stream=stream, messages=history)
    pieces = [chat.call(0, "{}", call_id="call_0", name="f"), chat.call(1, "{}", call_id="call_1", name="g")]
    wire = chat.calls(*pieces) + chat.finish("tool_calls") + chat.DONE
    if stream:
        content = check_messages_stream(streamed(asked, wire)).content
    else:
        collector = asked.collector()
        collector.feed(wire)
        content = json.loads(collector.close())["content"]
    assert ["call_0_2", "call_1"] == [block["id"] for block in content]
