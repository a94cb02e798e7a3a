"""What holds for every request, every reply and every stream, however broken."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.canonical import Reply, Request, StreamEvent
from core.dialect import Target
from core.dialects.messages import MESSAGES
from core.errors import GatewayError, UpstreamProtocolError
from core.grammar import Folder, GrammarError, fold, unfold
from tests.grammar.messages import check_messages_stream
from tests.unit.dialects.messages.strategies import MODEL, echo, pieces, replies, requests
from tests.unit.dialects.messages.test_stream_decoder import RICH

few = settings(max_examples=100, deadline=None)
chunk_sizes = st.sampled_from([1, 2, 3, 7, 64, None])


def stream_of(reply: Reply) -> bytes:
    encoder = MESSAGES.encoder(echo())
    return b"".join(encoder.feed(event) for event in unfold(reply)) + encoder.close()


@few
@given(requests())
def test_a_request_survives_the_wire(request_: Request) -> None:
    encoded = MESSAGES.encode_request(request_, Target(MODEL))
    assert MESSAGES.decode_request(encoded.body) == request_


@few
@given(requests())
def test_a_request_that_we_wrote_passes_through_unchanged(request_: Request) -> None:
    body = MESSAGES.encode_request(request_, Target(MODEL)).body
    assert MESSAGES.relay_request(body, Target(MODEL)).body is body


@few
@given(replies)
def test_a_reply_survives_the_wire(reply: Reply) -> None:
    decoded = MESSAGES.decode_response(MESSAGES.encode_response(reply, echo(id=reply.id, model="m")))
    assert decoded.content == reply.content
    assert (decoded.id, decoded.model, decoded.usage) == (reply.id, reply.model, reply.usage)


@few
@given(replies, chunk_sizes)
def test_stream_and_complete_reply_say_the_same(reply: Reply, size: int | None) -> None:
    decoder = MESSAGES.decoder()
    events: list[StreamEvent] = []
    for piece in pieces(stream_of(reply), size):
        events += decoder.feed(piece)
    events += decoder.close()
    assert fold(events) == MESSAGES.decode_response(MESSAGES.encode_response(reply, echo()))


@few
@given(replies)
def test_every_stream_is_legal_for_clients(reply: Reply) -> None:
    folded = check_messages_stream(stream_of(reply))
    assert folded.error is None
    assert folded.message["model"] == "asked"


def refusal(read: Callable[[bytes], object], body: bytes) -> int | None:
    """Return the status of the error, None when there is none."""
    try:
        read(body)
    except GatewayError as error:
        return error.status
    return None


mutations = st.lists(st.tuples(st.integers(0, len(RICH) - 1), st.binary(max_size=3)), max_size=3)


def mutated(changes: list[tuple[int, bytes]], cut: int) -> bytes:
    wire = RICH
    for at, put in changes:
        wire = wire[:at] + put + wire[at + len(put) :]
    return wire[:cut]


@few
@given(mutations, st.integers(0, len(RICH)), chunk_sizes)
def test_a_decoder_obeys_the_grammar_whatever_comes(
    changes: list[tuple[int, bytes]], cut: int, size: int | None
) -> None:
    """AC-66."""
    decoder, folder = MESSAGES.decoder(), Folder()
    try:
        for piece in pieces(mutated(changes, cut), size):
            for event in decoder.feed(piece):
                folder.feed(event)
        for event in decoder.close():
            folder.feed(event)
    except GrammarError:
        raise
    except GatewayError:
        return
    folder.reply()


@few
@given(mutations, st.integers(0, len(RICH)), chunk_sizes)
def test_a_relayed_stream_is_legal_whatever_comes(
    changes: list[tuple[int, bytes]], cut: int, size: int | None
) -> None:
    """AC-66."""
    relay, out = MESSAGES.relay(echo()), b""
    try:
        for piece in pieces(mutated(changes, cut), size):
            out += relay.feed(piece)
        out += relay.close()
    except GatewayError as error:
        out += relay.error(error)
    assert relay.error(UpstreamProtocolError("late")) == b""
    assert relay.done
    check_messages_stream(out)


@few
@given(st.binary(max_size=200))
def test_random_bytes_never_crash_anything(body: bytes) -> None:
    for read in (
        MESSAGES.peek,
        MESSAGES.decode_request,
        MESSAGES.decode_response,
        lambda raw: MESSAGES.relay_request(raw, Target(MODEL)),
        lambda raw: MESSAGES.relay_response(raw, echo()),
    ):
        with pytest.raises(GatewayError):
            read(body)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "text", "content", "role", "id"]), inner, max_size=3)
    ),
    max_leaves=8,
)
MEMBERS = ["system", "messages", "tools", "thinking", "tool_choice", "metadata", "max_tokens", "output_config", "cache_control", "context_management", "stop_sequences", "temperature", "thread", "output_format"]  # fmt: skip


@settings(max_examples=250, deadline=None)
@given(st.sampled_from(MEMBERS), json_values)
def test_a_member_of_any_shape_never_crashes_anything(name: str, value: object) -> None:
    body = json.dumps(
        {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}], name: value}
    ).encode()
    for read in (
        MESSAGES.peek,
        MESSAGES.decode_request,
        lambda raw: MESSAGES.relay_request(raw, Target(MODEL)),
    ):
        assert refusal(read, body) in {None, 400}


@settings(max_examples=250, deadline=None)
@given(st.sampled_from(["user", "assistant", "system"]), st.lists(json_values, max_size=3))
def test_blocks_of_any_shape_never_crash_anything(role: str, blocks: list[object]) -> None:
    typed = [
        {"type": kind, **value}
        for value in blocks
        if isinstance(value, dict)
        for kind in (
            "text",
            "tool_use",
            "tool_result",
            "image",
            "document",
            "thinking",
            "search_result",
            "novelty",
        )
    ]
    body = json.dumps(
        {"model": "m", "max_tokens": 9, "messages": [{"role": role, "content": typed or blocks}]}
    ).encode()
    for read in (
        MESSAGES.peek,
        MESSAGES.decode_request,
        lambda raw: MESSAGES.relay_request(raw, Target(MODEL)),
    ):
        assert refusal(read, body) in {None, 400}
