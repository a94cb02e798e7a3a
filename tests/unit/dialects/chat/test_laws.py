"""What holds for every request, reply and stream."""

import json
import string
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from core.canonical import (
    Block,
    Citation,
    Image,
    Message,
    Opaque,
    OutputFormat,
    Reasoning,
    Refusal,
    Reply,
    Request,
    StopReason,
    StreamEvent,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolResult,
    ToolUse,
    Usage,
)
from core.dialect import Target
from core.dialects.chat import CHAT
from core.errors import GatewayError
from core.grammar import Folder, fold, unfold
from core.model import Model
from tests.grammar.chat import check_chat_stream
from tests.unit.dialects.chat.wire import (
    DONE,
    call,
    calls,
    chunk,
    decode,
    echo,
    encoded,
    event,
    finish,
    split,
    text,
    usage,
)

LAW = settings(max_examples=100, deadline=None)
FUZZ = settings(max_examples=150, deadline=None)
MODEL = Model(id="m", vendor="Anthropic", efforts=("low", "high"))

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
spoken = words.map(lambda text: text.strip() + ".")
names = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=12)
objects = st.dictionaries(words, st.integers(-9, 9) | words, max_size=3).map(
    lambda members: json.dumps(members, separators=(",", ":"))
)
counts = st.integers(0, 10**6)
opaques = words.filter(lambda value: not value.startswith("cg1")).map(lambda value: Opaque("chat", value))


@st.composite
def replies(draw: st.DrawFn) -> Reply:
    """Replies that chat can say in full: thinking, then text, then calls."""
    blocks: list[Block] = []
    if draw(st.booleans()):
        blocks.append(Thinking(draw(words), draw(st.none() | opaques)))
    if draw(st.booleans()):
        cited = draw(st.booleans())
        blocks.append(
            Text(draw(words), citations=(Citation("https://x", "X", start=0, end=1),) if cited else ())
        )
    ids = draw(st.lists(names, max_size=3, unique=True))
    if not ids and draw(st.booleans()):
        blocks.append(Refusal(draw(words)))
    blocks += [ToolUse(call_id, draw(names), draw(objects)) for call_id in ids]
    refused = any(isinstance(block, Refusal) for block in blocks)
    plain: list[StopReason] = ["refusal"] if refused else ["end_turn", "refusal", "max_tokens"]
    reason: StopReason = "tool_use" if ids else draw(st.sampled_from(plain))
    cached, written, prompt = draw(counts), draw(counts), draw(counts)
    total = Usage(prompt + cached + written, draw(counts), cached, written, draw(counts))
    return Reply(id="chatcmpl-1", model="asked", content=tuple(blocks), stop_reason=reason, usage=total)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """Requests that Copilot's chat can be given without loss."""
    messages = [Message("system", (Text(draw(spoken)),))] if draw(st.booleans()) else []
    pictures = st.builds(
        Image, media_type=st.just("image/png"), base64=st.just("aGk="), detail=st.none() | st.just("low")
    )
    for number in range(draw(st.integers(1, 3))):
        parts = draw(st.lists(words.map(Text) | pictures, min_size=1, max_size=3))
        messages.append(Message("user", tuple(parts), draw(st.none() | names)))
        ids = [f"{call_id}-{number}" for call_id in draw(st.lists(names, max_size=2, unique=True))]
        thought = draw(st.none() | st.builds(Thinking, words, opaques))
        blocks: list[Block] = [] if thought is None else [thought]
        blocks.append(Text(draw(spoken)))
        blocks += [ToolUse(call_id, draw(names), draw(objects)) for call_id in ids]
        messages.append(Message("assistant", tuple(blocks)))
        if ids:
            results = [
                ToolResult(call_id, draw(st.just(()) | words.map(lambda text: (Text(text),))))
                for call_id in ids
            ]
            messages.append(Message("user", tuple(results)))
    tools = tuple(
        Tool(name=name, description=draw(st.none() | words), strict=draw(st.none() | st.booleans()))
        for name in draw(st.lists(names, max_size=2, unique=True))
    )
    choice = (
        st.none()
        | st.sampled_from(["auto", "none", "required"]).map(ToolChoice)
        | names.map(lambda n: ToolChoice("tool", n))
    )
    return Request(
        model="m",
        messages=tuple(messages),
        stream=True,
        include_usage=True,
        tools=tools,
        tool_choice=draw(choice) if tools else None,
        parallel_tools=draw(st.none() | st.booleans()) if tools else None,
        max_output=draw(st.none() | st.integers(1, 10**6)),
        temperature=draw(st.none() | st.floats(0, 2)),
        top_p=draw(st.none() | st.floats(0, 1)),
        frequency_penalty=draw(st.none() | st.floats(-2, 2)),
        presence_penalty=draw(st.none() | st.floats(-2, 2)),
        seed=draw(st.none() | st.integers(-(2**63), 2**63 - 1)),
        stop=tuple(draw(st.lists(words, max_size=4))),
        reasoning=draw(
            st.none() | st.sampled_from(["low", "high"]).map(lambda effort: Reasoning(effort=effort))
        ),
        format=draw(
            st.none()
            | st.just(OutputFormat("json_object"))
            | st.just(OutputFormat("json_schema", "f", b'{"a":1}', strict=True))
        ),
        user=draw(st.none() | names),
    )


@LAW
@given(requests())
def test_a_request_survives_the_wire(request_: Request) -> None:
    written = CHAT.encode_request(request_, Target(MODEL))
    assert ((), ()) == (written.losses, written.repairs)
    assert request_ == CHAT.decode_request(written.body)


@LAW
@given(replies())
def test_a_reply_survives_the_wire(reply: Reply) -> None:
    """AC-07, AC-22."""
    assert reply == CHAT.decode_response(CHAT.encode_response(reply, echo(id="chatcmpl-1")))


@LAW
@given(replies(), st.sampled_from([1, 7, None]))
def test_stream_and_complete_reply_say_the_same(reply: Reply, size: int | None) -> None:
    """AC-66."""
    stream = encoded(unfold(reply), echo(id="chatcmpl-1", include_usage=True))
    decoder = CHAT.decoder()
    events = [event for piece in split(stream, size) for event in decoder.feed(piece)] + decoder.close()
    assert CHAT.decode_response(CHAT.encode_response(reply, echo(id="chatcmpl-1"))) == fold(events)
    check_chat_stream(stream)


@LAW
@given(replies())
def test_a_clean_stream_is_forwarded_byte_for_byte(reply: Reply) -> None:
    stream = encoded(unfold(reply), echo(include_usage=True))
    relay = CHAT.relay(echo(include_usage=True))
    assert stream == relay.feed(stream) + relay.close()


PIECES = st.sampled_from(
    [
        text("Hi"), text(" there"), text("", role="x"), finish(), finish("length"), finish("tool_calls"), finish("odd"), DONE,
        chunk({"role": "assistant", "content": None}), chunk({"role": "assistant", "content": "again"}), chunk(None),
        chunk({"content": "A"}, {"tool_calls": [call(0, "{}", call_id="a", name="f")]}), chunk({"reasoning_text": "Hm"}),
        chunk({"reasoning_opaque": "sig"}), chunk({"refusal": "no"}), chunk({"content": "x"}, finish="stop"),
        calls(call(0, '{"a"', call_id="a", name="f")), calls(call(0, ":1}")), calls(call(1, "{}", call_id="b", name="g")),
        calls(call(None, "{}", call_id="c", name="h")), calls(call(0, call_id="d")), calls(call(0, name="i")),
        calls(call(5, "{}", name="j")), chunk({"function_call": {"name": "k", "arguments": "{}"}}), event({"choices": []}),
        event({"choices": [], "usage": usage()}), event({"choices": None, "usage": None}), b": ping\n\n", b"data:\n\n",
        event({"error": {"message": "m", "code": "overloaded"}}), event({"id": "", "object": "", "created": 0, "choices": [{"delta": {"content": "y"}}]}),
        event({"choices": [{"message": {"content": "whole"}, "finish_reason": "stop"}]}), event({"id": "other", "choices": [{"index": 3, "delta": {"content": "z"}}]}),
        b'data: {"cho', b"data: junk\n\n", b"\r\n\r\n", b'{"error":{}}\n\n', b"\xff\xfe\n\n", event([]), finish("error"),
    ]
)  # fmt: skip


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """Any order of good and bad chunks, sometimes mutated, cut anywhere."""
    stream = b"".join(draw(st.lists(PIECES, max_size=9)))
    if draw(st.booleans()):
        stream += finish() + DONE
    if stream and draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(stream) - 1))
        stream = stream[:at] + draw(st.binary(max_size=3)) + stream[at + 1 :]
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    return stream, [stream[start:end] for start, end in pairwise([0, *cuts, len(stream)])]


def watched(decoder: Any, pieces: list[bytes]) -> tuple[list[StreamEvent], str | None]:
    """Return the events, and the message of the error that ended them."""
    events: list[StreamEvent] = []
    try:
        for piece in pieces:
            events += decoder.feed(piece)
        events += decoder.close()
    except GatewayError as error:
        return events, error.message
    return events, None


@FUZZ
@given(streams())
def test_any_stream_obeys_the_grammar_wherever_it_is_cut(found: tuple[bytes, list[bytes]]) -> None:
    """AC-66."""
    stream, pieces = found
    events, failure = watched(CHAT.decoder(), pieces)
    whole, same = watched(CHAT.decoder(), [stream])
    assert (whole, same) == (events, failure) or failure is not None
    assert failure == same
    folder = Folder()
    for event_ in events:
        folder.feed(event_)
    if failure is None:
        folder.reply()


@FUZZ
@given(streams(), st.booleans())
def test_any_relayed_stream_is_legal_wherever_it_is_cut(
    found: tuple[bytes, list[bytes]],
    asked: bool,  # noqa: FBT001 - Hypothesis gives it by position
) -> None:
    """AC-66: exactly one terminal event, whatever upstream does."""
    stream, pieces = found
    said = forwarded(pieces, include_usage=asked)
    reply = check_chat_stream(said)
    assert said == forwarded([stream], include_usage=asked)
    assert asked or reply.error or reply.usage is None or b'"usage"' in said


def forwarded(pieces: list[bytes], *, include_usage: bool) -> bytes:
    relay = CHAT.relay(echo(include_usage=include_usage))
    said = b""
    try:
        for piece in pieces:
            said += relay.feed(piece)
        said += relay.close()
    except GatewayError as error:
        said += relay.error(error)
    return said + relay.error(GatewayError("late", kind="internal"))


@FUZZ
@given(streams())
def test_any_stream_is_said_legally_to_a_chat_client(found: tuple[bytes, list[bytes]]) -> None:
    """AC-66."""
    encoder, decoder = CHAT.encoder(echo()), CHAT.decoder()
    said = b""
    try:
        for piece in found[1]:
            said += b"".join([encoder.feed(event_) for event_ in decoder.feed(piece)])
        said += b"".join([encoder.feed(event_) for event_ in decoder.close()]) + encoder.close()
    except GatewayError as error:
        said += encoder.error(error)
    check_chat_stream(said + encoder.close())


@FUZZ
@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda x: (
            st.lists(x, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "choices",
                        "delta",
                        "message",
                        "content",
                        "tool_calls",
                        "function",
                        "usage",
                        "id",
                        "error",
                    ]
                ),
                x,
                max_size=4,
            )
        ),
    ).map(lambda x: json.dumps(x).encode())
)
def test_only_gateway_errors_leave_a_decoder(body: bytes) -> None:
    for read in (CHAT.decode_response, CHAT.decode_request, CHAT.peek, decode_event, relay_body, relay_reply):
        try:
            read(body)
        except GatewayError:
            continue


def decode_event(body: bytes) -> None:
    decode(b"data: " + body + b"\n\n")


def relay_body(body: bytes) -> None:
    CHAT.relay_request(body, Target(MODEL))


def relay_reply(body: bytes) -> None:
    CHAT.relay_response(body, echo())
