"""The laws, each as a function of one input; what raises anything else than they allow is a defect."""

import json
import re
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any, Final, TypeVar

from core import passthrough
from core.call import Call, Engine
from core.canonical import StreamEvent
from core.dialect import Dialect, Echo, StreamDecoder, StreamRelay
from core.dialects.responses.known import LIFECYCLE
from core.errors import STATUS, GatewayError, UpstreamProtocolError
from core.grammar import Folder, GrammarError
from core.model import Model
from core.route import Lane
from core.settings import Settings
from core.translate import Collector, StreamTranslator
from tests.fuzz import corpus
from tests.fuzz.mutation import chunkings
from tests.fuzz.shapes import BY_NAME, MODELS, SCOPE, echo
from tests.grammar.chat import check_chat_stream
from tests.grammar.messages import check_messages_stream
from tests.grammar.responses import TERMINAL, check_responses_stream

T = TypeVar("T")

# A small upstream event may become a few hundred bytes of the client's; a stream's texts are repeated at its end.
ROOM: Final = (30_000, 80)
NAME: Final = re.compile(r"[\x21-\x2b\x2d-\x7e]{1,100}")  # what may stand in a header's list
MOST_NAMES: Final = 64


def bounded(out: bytes, size: int) -> None:
    """AssertionError when an output is larger than its input explains."""
    base, each = ROOM
    assert len(out) <= base + each * size, f"{len(out)} bytes out of {size}"


def tried(call: Callable[..., T], *given: Any) -> tuple[T | None, GatewayError | None]:
    """Return what a call gives, or its error; anything but a `GatewayError` rises, and so does a broken grammar."""
    try:
        return call(*given), None
    except GrammarError:
        raise
    except GatewayError as error:
        error.message.encode()
        return None, error


# --- decoders ---


def decoded(decoder: StreamDecoder, chunks: list[bytes]) -> tuple[list[StreamEvent], str | None]:
    """Return the events, and the error that ended them."""
    events: list[StreamEvent] = []

    def feed() -> None:
        for chunk in chunks:
            events.extend(decoder.feed(chunk))
        events.extend(decoder.close())

    _, error = tried(feed)
    return events, None if error is None else f"{error.kind} {error.code} {error.message}"


def decoder_of(dialect: Dialect) -> Callable[[bytes], None]:
    """Any bytes in any pieces give one stream of the canonical grammar."""

    def hold(data: bytes) -> None:
        whole, *others = (decoded(dialect.decoder(SCOPE), chunks) for chunks in chunkings(data))
        assert others == [whole] * len(others), "the pieces show"
        folder = Folder()
        for event in whole[0]:
            folder.feed(event)
        if whole[1] is None:
            folder.reply()
        bounded(repr(whole[0]).encode("utf-8"), len(data))

    return hold


# --- relays and lanes ---


def relayed(relay: StreamRelay, chunks: list[bytes]) -> tuple[bytes, GatewayError | None]:
    """Do as the engine does: stop at the terminal event, end with the error."""
    said: list[bytes] = []

    def feed() -> None:
        for chunk in chunks:
            if relay.done:
                break
            said.append(relay.feed(chunk))
        said.append(relay.close())

    _, error = tried(feed)
    if error is not None:
        said.append(relay.error(error))
    assert relay.error(UpstreamProtocolError("late")) == b"", "two ends"
    return b"".join(said), error


def relay_of(dialect: Dialect) -> Callable[[bytes], None]:
    """Any bytes in any pieces become one legal stream of the same dialect."""

    def hold(data: bytes) -> None:
        for include_usage in (True, False) if dialect.name == "chat" else (False,):
            made = lambda: dialect.relay(echo(include_usage=include_usage))  # noqa: B023, E731 - used at once
            whole, *others = (relayed(made(), chunks)[0] for chunks in chunkings(data))
            assert others == [whole] * len(others), "the pieces show"
            RELAYED[dialect.name](whole)
            bounded(whole, len(data))

    return hold


def check_relayed_responses(wire: bytes) -> None:
    """A relay forwards what upstream says of its items as it is; what it vouches for is judged here."""
    wire = re.sub(rb"\r\n|\r|\n", b"\n", wire)
    wire.decode()
    events = []
    for block in wire.split(b"\n\n"):
        lines = [line for line in block.split(b"\n") if line and not line.startswith(b":")]
        data = [line.removeprefix(b"data:").removeprefix(b" ") for line in lines if line.startswith(b"data:")]
        names = [line.removeprefix(b"event:").strip() for line in lines if line.startswith(b"event:")]
        if data:
            event = json.loads(b"\n".join(data))
            assert event["type"] == names[-1].decode()
            events.append(event)
    kinds = [event["type"] for event in events]
    assert kinds[0] == "response.created"
    assert [kind for kind in kinds if kind in TERMINAL] == [kinds[-1]]
    assert kinds.count("response.created") == 1
    numbers = [event["sequence_number"] for event in events if event.get("sequence_number") is not None]
    assert all(a < b for a, b in pairwise(numbers)), numbers
    responses = [event["response"] for event in events if event["type"] in LIFECYCLE]
    assert len({response["id"] for response in responses}) == 1
    assert {response["model"] for response in responses} == {"asked"}


STREAM: Final[dict[str, Callable[[bytes], Any]]] = {
    "chat": check_chat_stream,
    "messages": check_messages_stream,
    "responses": check_responses_stream,
}
RELAYED: Final[dict[str, Callable[[bytes], Any]]] = {
    **STREAM, "chat": partial(check_chat_stream, repeats=True), "responses": check_relayed_responses,
}  # fmt: skip


def lane_of(upstream: Dialect, surface: Dialect) -> Callable[[bytes], None]:
    """Any upstream bytes in any pieces become one legal stream of the surface, and the same complete reply."""
    asked = [
        None,
        *(surface.decode_request(body) for body in corpus.requests(surface.name) if _decodes(surface, body)),
    ]

    def hold(data: bytes) -> None:
        request = asked[len(data) % len(asked)]
        made: Callable[[], Echo] = lambda: echo(request=request, include_usage=True)  # noqa: E731
        whole, *others = (
            relayed(StreamTranslator(upstream.decoder(SCOPE), surface.encoder(made())), chunks)
            for chunks in chunkings(data)
        )
        assert [other[0] for other in others] == [whole[0]] * len(others), "the pieces show"
        told = STREAM[surface.name](whole[0])
        bounded(whole[0], len(data) + len(str(request)))
        body, error = collected(Collector(upstream.decoder(SCOPE), surface, made()), data)
        assert (error is None) is (whole[1] is None), f"stream: {whole[1]}; reply: {error}"
        if error is None:
            assert TEXT[surface.name](json.loads(body)) == told.text

    return hold


def _decodes(surface: Dialect, body: bytes) -> bool:
    return tried(surface.decode_request, body)[1] is None


def collected(collector: Collector, data: bytes) -> tuple[bytes, GatewayError | None]:
    """Return the complete reply."""
    body = [b""]

    def feed() -> None:
        collector.feed(data)
        body.append(collector.close())

    _, error = tried(feed)
    return body[-1], error


def _chat_text(body: dict[str, Any]) -> str:
    [choice] = body["choices"]
    return choice["message"]["content"] or ""


def _messages_text(body: dict[str, Any]) -> str:
    return "".join(block["text"] for block in body["content"] if block["type"] == "text")


def _responses_text(body: dict[str, Any]) -> str:
    parts = [part for item in body["output"] if item["type"] == "message" for part in item["content"]]
    return "".join(part.get("text", "") for part in parts)


TEXT: Final[dict[str, Callable[[dict[str, Any]], str]]] = {
    "chat": _chat_text,
    "messages": _messages_text,
    "responses": _responses_text,
}


# --- requests ---

ENGINE: Final = Engine(
    settings=Settings(),
    dialects=BY_NAME,
    models=lambda: MODELS,
    scope=lambda: SCOPE,
    now=lambda: 1_763_846_400.0,
    new_id=lambda prefix: prefix + "1",
)
BETAS: Final = ("x-1", "interleaved-thinking-2025-05-14")
REFUSALS: Final = (
    "Unsupported parameter: 'temperature' is not supported with this model.", "messages.1.content.0: Invalid `signature` in `thinking` block",
    "The encrypted content could not be verified.", "max_tokens: 64001 > 64000, which is the maximum allowed number of output tokens",
    "Unexpected value(s) `x` for the `anthropic-beta` header", "tools.0.custom.eager_input_streaming: Extra inputs are not permitted",
    "Unknown parameter: 'input[0].phase'.", "Use 'max_completion_tokens' instead.", "", "Item 'rs_1' not found",
)  # fmt: skip


def request_of(surface: Dialect) -> Callable[[bytes], None]:
    """Any body becomes a request for each upstream, or a 4xx in the surface's envelope."""

    def hold(body: bytes) -> None:
        for model in MODELS[:5]:
            named = _named(body, model)
            call, error = tried(ENGINE.prepare, surface, named, BETAS)
            if error is not None:
                check_refusal(surface, error)
            if call is not None:
                check_call(call, model, named)

    return hold


def _named(body: bytes, model: Model) -> bytes:
    """Ask for that model where the body asks for any; the rest of the body stays as damaged as it is."""
    return re.sub(rb'"model"(\s*:\s*)"[^"\\]*"', b'"model"\\1"%b"' % model.id.encode(), body, count=1)


def check_call(call: Call, model: Model, body: bytes) -> None:
    """A prepared call is JSON for the model, and says in header-safe words what became of the client's body."""
    sent = json.loads(call.outgoing.body)
    assert sent["model"] == call.lane.model.id
    assert model.id == sent["model"] or call.lane.model.id in {"gpt-up", "gpt-both"}
    bounded(call.outgoing.body, len(body))
    for names in (call.losses, call.repairs):
        assert all(NAME.fullmatch(name) for name in names), names
        assert len(names) <= MOST_NAMES, len(names)
    for words in REFUSALS:
        healed = call.healed(GatewayError(words, kind="invalid_request", code="unsupported_value"))
        if healed is not None:
            json.loads(healed.outgoing.body)
            assert all(NAME.fullmatch(name) for name in (*healed.losses, *healed.repairs))


def check_refusal(surface: Dialect, error: GatewayError) -> None:
    """A refusal is a 4xx that the surface can say."""
    assert error.kind in STATUS
    assert 400 <= error.status < 500, f"{error.status} {error.message}"
    shown = surface.encode_error(error)
    assert shown.status == error.status
    assert isinstance(json.loads(shown.body)["error"]["message"], str)


# --- complete replies ---


def reply_of(upstream: Dialect) -> Callable[[bytes], None]:
    """Any body is a reply on every surface, or upstream's fault."""

    def hold(body: bytes) -> None:
        reply, error = tried(upstream.decode_response, body, SCOPE)
        if error is not None:
            assert error.status >= 400
        lane = Lane(upstream, upstream, MODELS[0], "asked")
        written = [tried(passthrough.complete, lane, body, echo(), BY_NAME)[0]]
        if reply is not None:
            written += [tried(surface.encode_response, reply, echo())[0] for surface in BY_NAME.values()]
        for said in written:
            if said is not None:
                json.loads(said)
                bounded(said, len(body))

    return hold
