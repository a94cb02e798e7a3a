"""What holds for every request, reply and stream, shown on random ones."""

import json
import random
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from core.canonical import (
    Citation,
    Compaction,
    Document,
    HostedTool,
    Image,
    Message,
    Opaque,
    OutputFormat,
    Reasoning,
    Refusal,
    Reply,
    Request,
    StreamEvent,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolResult,
    ToolUse,
    Usage,
)
from core.dialects.responses import RESPONSES
from core.errors import GatewayError
from core.grammar import Folder, fold, unfold
from core.opaque import unseal
from tests.grammar.responses import check_responses_stream
from tests.unit.dialects.responses.shapes import (
    SIZES,
    decode_reply,
    echo,
    encode_stream,
    pieces,
    relay,
    target,
)
from tests.unit.dialects.responses.test_relay_stream import CLEAN, rotating, rotating_compact
from tests.unit.dialects.responses.test_stream_decoder import HELLO

FAST = settings(max_examples=60, deadline=None)

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
names = st.text("abcXYZ_-1", min_size=1, max_size=10)
counts = st.integers(0, 10**6)
objects = st.dictionaries(words, st.integers() | words, max_size=2).map(json.dumps)
citations = st.builds(Citation, url=words, title=words, start=counts, end=counts)
phases = st.sampled_from([None, "commentary", "final_answer"])
texts = st.builds(Text, words, st.lists(citations, max_size=2).map(tuple), phases)
own = st.builds(Opaque, st.just("responses"), words.map("E".__add__), names.map("rs_".__add__), st.just("me"))
thinkings = st.builds(Thinking, words | st.just(""), own)
functions = st.builds(ToolUse, names, names, objects)
customs = st.builds(ToolUse, names, names, words, st.just(True))  # noqa: FBT003 - `custom`
compactions = st.builds(Compaction, own)
replies = st.builds(
    Reply,
    id=st.just("resp_abc"),
    model=st.just("asked"),
    content=st.lists(
        texts | thinkings | functions | customs | compactions | st.builds(Refusal, words), max_size=5
    ),
    stop_reason=st.just("end_turn"),
    usage=st.builds(Usage, counts, counts, counts, counts, counts),
)


def settled(reply: Reply) -> Reply:
    """Give a reply the stop reason that its content means, as this dialect cannot say another one."""
    kinds = {type(block) for block in reply.content}
    stop = "tool_use" if ToolUse in kinds else "refusal" if Refusal in kinds else "end_turn"
    return structs.replace(reply, content=tuple(reply.content), stop_reason=stop)


def sealed_back(reply: Reply) -> Reply:
    """Undo the sealing that every opaque value gets on its way to a client, as the way home does."""

    def undo(opaque: Opaque | None) -> Opaque | None:
        return None if opaque is None else unseal(opaque.value, "responses", opaque.item_id)

    content = tuple(
        structs.replace(block, opaque=undo(block.opaque))
        if isinstance(block, (Thinking, Compaction))
        else block  # type: ignore[type-var]
        for block in reply.content
    )
    return structs.replace(reply, content=content)


@FAST
@given(replies.map(settled))
def test_a_reply_survives_its_stream_and_its_body(reply: Reply) -> None:
    stream = encode_stream(unfold(reply))
    check_responses_stream(stream)
    from_stream = decode_reply(stream)
    assert from_stream == RESPONSES.decode_response(RESPONSES.encode_response(reply, echo()))
    assert sealed_back(from_stream) == reply


@FAST
@given(replies.map(settled), st.sampled_from(SIZES))
def test_a_stream_may_be_cut_anywhere(reply: Reply, size: int | None) -> None:
    """AC-66."""
    stream = encode_stream(unfold(reply))
    assert decode_reply(stream, size) == decode_reply(stream)
    assert relay(stream, size) == stream


images = st.builds(
    Image, media_type=st.just("image/png"), base64=st.just("AA=="), detail=st.sampled_from([None, "low"])
)
files = st.builds(Document, media_type=st.just("application/pdf"), base64=st.just("AA=="), title=words)
plain = st.builds(Text, words)
users = st.lists(plain | images | files, min_size=1, max_size=3).map(
    lambda blocks: Message("user", tuple(blocks))
)
systems = st.lists(plain, min_size=1, max_size=2).map(lambda blocks: Message("system", tuple(blocks)))


@st.composite
def rounds(draw: st.DrawFn) -> list[Message]:
    """Return a user's turn, an assistant's, and the answers to its calls."""
    blocks: list[Any] = draw(st.lists(texts | thinkings | functions | customs, min_size=1, max_size=4))
    for index, block in enumerate(blocks):
        if isinstance(block, ToolUse):
            blocks[index] = structs.replace(block, call_id=f"call_{index}")
    results = tuple(
        ToolResult(block.call_id, draw(st.sampled_from([(), (Text("ok"),)])), custom=block.custom)
        for block in blocks
        if isinstance(block, ToolUse)
    )
    return [
        draw(users),
        Message("assistant", tuple(blocks)),
        *([Message("user", results)] if results else []),
    ]


tools = st.lists(
    st.builds(Tool, name=names, description=st.none() | words, strict=st.booleans())
    | st.builds(Tool, name=names, custom=st.just(True), grammar=st.sampled_from([None, b'{"type":"text"}']))  # noqa: FBT003
    | st.builds(Tool, name=names.map("ns__".__add__), namespace=st.just("ns"), strict=st.booleans())
    | st.just(HostedTool("responses", "web_search", b'{"type":"web_search"}', "web_search", "web_search")),
    max_size=3,
    unique_by=lambda tool: tool.name,
)
requests = st.builds(
    Request,
    model=st.just("gpt-5.5"),
    messages=st.tuples(st.lists(systems, max_size=1), st.lists(rounds(), max_size=2), users).map(
        lambda parts: (*parts[0], *[message for turn in parts[1] for message in turn], parts[2])
    ),
    stream=st.just(True),  # noqa: FBT003 - upstream always streams
    max_output=st.none() | st.integers(16, 10**6),
    temperature=st.none() | st.floats(0, 2),
    top_p=st.none() | st.floats(0, 1),
    reasoning=st.none() | st.just(Reasoning(mode="off")) | st.builds(Reasoning, effort=st.sampled_from(["low", "high"]), summary=st.just("auto")),
    verbosity=st.none() | st.just("low"),
    format=st.none() | st.just(OutputFormat("json_object")) | st.builds(OutputFormat, st.just("json_schema"), names, st.just(b'{"a":1}'), st.booleans(), words),
    cache_key=st.none() | words,
    extras=st.dictionaries(st.just("metadata"), st.just(b'{"k":"v"}')),
)  # fmt: skip


@FAST
@given(requests, tools, st.none() | st.booleans())
def test_a_request_survives_its_body(request: Request, offered: list[Any], parallel: bool | None) -> None:  # noqa: FBT001 - drawn
    if offered:
        names_ = [tool.name for tool in offered]
        choice = ToolChoice("tool", names_[0]) if parallel else ToolChoice("required")
        request = structs.replace(request, tools=tuple(offered), tool_choice=choice, parallel_tools=parallel)
    encoded = RESPONSES.encode_request(request, target(efforts=("none", "low", "high")))
    assert (encoded.losses, encoded.repairs) == ((), ())
    back = RESPONSES.decode_request(encoded.body)
    kept = {name: raw for name, raw in back.extras.items() if name not in {"store", "include"}}
    assert _without_scope(structs.replace(back, extras=kept)) == _without_scope(request)


def _without_scope(request: Request) -> Request:
    """Forget the account of opaque values, which no wire carries."""
    messages = tuple(
        structs.replace(message, content=tuple(_bare(block) for block in message.content))
        for message in request.messages
    )
    return structs.replace(request, messages=messages)


def _bare(block: Any) -> Any:
    opaque = getattr(block, "opaque", None)
    return block if opaque is None else structs.replace(block, opaque=structs.replace(opaque, scope=""))


STREAMS = [HELLO, CLEAN, rotating(), rotating_compact()]


def mutated(seed: int) -> bytes:
    """Return a stream with a few bytes, lines or events changed, dropped, doubled or swapped."""
    rng = random.Random(seed)  # noqa: S311 - a test may repeat itself
    blocks = rng.choice(STREAMS).split(b"\n\n")
    for _ in range(rng.randrange(4)):
        index = rng.randrange(len(blocks))
        action = rng.randrange(5)
        if action == 0:
            del blocks[index]
        elif action == 1:
            blocks.insert(index, rng.choice(blocks) if blocks else b"")
        elif action == 2 and blocks[index]:
            place = rng.randrange(len(blocks[index]))
            blocks[index] = blocks[index][:place] + bytes([rng.randrange(256)]) + blocks[index][place + 1 :]
        elif action == 3:
            rng.shuffle(blocks)
        else:
            blocks[index] = (
                blocks[index].replace(b'"output_index":0', b'"output_index":7').replace(b"text", b"txt")
            )
        if not blocks:
            break
    stream = b"\n\n".join(blocks)
    return stream[: rng.randrange(len(stream) + 1)] if rng.random() < 0.3 else stream


def obeys_the_grammar(stream: bytes, size: int | None) -> tuple[list[StreamEvent], str]:
    """Feed anything; return the events and how it ended. Only gateway errors may rise."""
    decoder, folder, events = RESPONSES.decoder(), Folder(), list[StreamEvent]()
    ended = "whole"
    try:
        for chunk in pieces(stream, size):
            events += decoder.feed(chunk)
        events += decoder.close()
    except GatewayError as error:
        ended = error.kind
    for event in events:
        folder.feed(event)
    if ended == "whole":
        folder.reply()
    return events, ended


@settings(max_examples=120, deadline=None)
@given(st.integers(), st.sampled_from(SIZES))
def test_mutated_streams_obey_the_grammar_and_end_once(seed: int, size: int | None) -> None:
    """AC-66."""
    stream = mutated(seed)
    assert obeys_the_grammar(stream, size) == obeys_the_grammar(stream, None)
    _ends_once(relay(stream, size))


@settings(max_examples=120, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(SIZES))
def test_random_bytes_are_a_broken_stream_and_a_bad_request(raw: bytes, size: int | None) -> None:
    """AC-66."""
    _events, ended = obeys_the_grammar(raw, size)
    assert ended != "whole"
    _ends_once(relay(raw, size))
    for read in (
        RESPONSES.decode_request,
        RESPONSES.peek,
        lambda body: RESPONSES.relay_request(body, target()),
    ):
        assert _status(read, raw) in {200, 400}


@settings(max_examples=120, deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words,
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
                        st.sampled_from(["type", "role", "content", "text", "name", "call_id", "output", "tools"]), inner),
                    max_leaves=8), st.sampled_from(["input", "tools", "tool_choice", "reasoning", "text", "store"]))  # fmt: skip
def test_odd_members_are_understood_or_a_400(value: Any, member: str) -> None:
    body = json.dumps({"model": "m", "input": "x", member: value}).encode()
    for use in (_there_and_back, RESPONSES.peek, lambda raw: RESPONSES.relay_request(raw, target())):
        assert _status(use, body) in {200, 400}


def _status(use: Callable[[bytes], object], raw: bytes) -> int:
    try:
        use(raw)
    except GatewayError as error:
        return error.status
    return 200


def _there_and_back(body: bytes) -> None:
    request = RESPONSES.decode_request(body)
    RESPONSES.encode_request(request, target())
    encode_stream([], echo(request))


def _ends_once(relayed: bytes) -> None:
    """The relay forwards what upstream said of items as it is, but begins and ends every stream itself."""
    relayed.decode()
    kinds = [line for line in relayed.replace(b"\r\n", b"\n").split(b"\n") if line.startswith(b"event: ")]
    assert kinds[0] == b"event: response.created"
    terminal = {b"event: response.completed", b"event: response.incomplete", b"event: response.failed"}
    assert [kind for kind in kinds if kind in terminal] == [kinds[-1]]


def test_unfolding_and_folding_is_nothing() -> None:
    reply = Reply(id="", model="", content=(Text("x"),), stop_reason="end_turn")
    assert fold(unfold(reply)) == reply
