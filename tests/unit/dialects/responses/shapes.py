"""Wire shapes that these tests are made of."""

import itertools
import json
from collections.abc import Iterable, Iterator
from typing import Any

from core.canonical import BlockDelta, Reply, Request, StreamEvent
from core.dialect import Echo, Target
from core.dialects.responses import RESPONSES
from core.grammar import fold
from core.model import Model

SIZES = [1, 2, 3, 7, 64, None]
USAGE = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 7},
    "output_tokens": 9,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 109,
}


def target(scope: str = "me", **facts: Any) -> Target:
    """Return a reasoning model that speaks Responses."""
    members = {"id": "gpt-5.5", "dialects": ("responses",), "efforts": ("low", "medium", "high"), **facts}
    return Target(Model(**members), scope)


def echo(request: Request | None = None, **members: Any) -> Echo:
    """Return an echo whose ids count up, each kind for itself."""
    counters: dict[str, Iterator[int]] = {}

    def new_id(prefix: str) -> str:
        return f"{prefix}{next(counters.setdefault(prefix, itertools.count()))}"

    base: dict[str, Any] = {
        "id": "abc",
        "model": "asked",
        "created": 1763846400,
        "new_id": new_id,
        "request": request,
    }
    return Echo(**{**base, **members})


def pieces(stream: bytes, size: int | None) -> Iterable[bytes]:
    """Cut a stream into pieces; None: whole."""
    if size is None:
        return [stream]
    return [stream[i : i + size] for i in range(0, len(stream), size)]


def sse(*events: dict[str, Any], done: bool = False) -> bytes:
    """Render events; those without a number get the next one."""
    out = b""
    for number, event in enumerate(events):
        members = {"type": event["type"], "sequence_number": number, **event}
        out += f"event: {event['type']}\ndata: {json.dumps(members, ensure_ascii=False)}\n\n".encode()
    return out + (b"data: [DONE]\n\n" if done else b"")


def response(status: str = "completed", output: list[Any] | None = None, **members: Any) -> dict[str, Any]:
    """Return upstream's response object."""
    base = {"id": "resp_up", "object": "response", "created_at": 1, "status": status, "model": "gpt-5.5-2026"}
    usage = USAGE if status in {"completed", "incomplete"} else None
    return {
        **base,
        "output": output or [],
        "usage": usage,
        "error": None,
        "incomplete_details": None,
        **members,
    }


def created() -> dict[str, Any]:
    return {"type": "response.created", "response": response("in_progress")}


def completed(*output: Any, **members: Any) -> dict[str, Any]:
    return {"type": "response.completed", "response": response("completed", list(output), **members)}


def added(index: int, **item: Any) -> dict[str, Any]:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def done(index: int, **item: Any) -> dict[str, Any]:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def said(kind: str, index: int, item_id: str = "x", **members: Any) -> dict[str, Any]:
    """Return an event inside an item."""
    return {
        "type": f"response.{kind}",
        "output_index": index,
        "item_id": item_id,
        "content_index": 0,
        **members,
    }


def message(text: str, item_id: str = "msg_1", **members: Any) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": []}
    base = {"id": item_id, "type": "message", "status": "completed", "role": "assistant", "content": [part]}
    return {**base, **members}


def call(name: str, arguments: str, call_id: str = "call_1", **members: Any) -> dict[str, Any]:
    base = {"id": "fc_1", "type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}
    return {**base, "status": "completed", **members}


def decode(stream: bytes, size: int | None = None, scope: str = "") -> list[StreamEvent]:
    """Feed a stream in pieces; neighbouring deltas are joined, so that the pieces do not show."""
    decoder = RESPONSES.decoder(scope)
    events: list[StreamEvent] = []
    for chunk in pieces(stream, size):
        events += decoder.feed(chunk)
    return [*events, *decoder.close()]


def decode_reply(stream: bytes, size: int | None = None, scope: str = "") -> Reply:
    return fold(decode(stream, size, scope))


def texts(events: list[StreamEvent]) -> list[str]:
    return [event.text for event in events if isinstance(event, BlockDelta)]


def encode_stream(events: Iterable[StreamEvent], to: Echo | None = None) -> bytes:
    encoder = RESPONSES.encoder(to or echo())
    return b"".join([encoder.feed(event) for event in events]) + encoder.close()


def relay(stream: bytes, size: int | None = None, to: Echo | None = None) -> bytes:
    """Relay a stream as the engine does: what goes wrong becomes the stream's own error."""
    from core.errors import GatewayError

    relayed = RESPONSES.relay(to or echo())
    out = b""
    try:
        for chunk in pieces(stream, size):
            out += relayed.feed(chunk)
        out += relayed.close()
    except GatewayError as error:
        out += relayed.error(error)
    return out


def body(**members: Any) -> bytes:
    """Return a client's request body."""
    return json.dumps({"model": "gpt-5.5", "input": "hi", **members}).encode()


def request(**members: Any) -> Request:
    return RESPONSES.decode_request(body(**members))


def upstream_body(asked: Request, to: Target | None = None) -> dict[str, Any]:
    """Return what upstream is sent."""
    sent: dict[str, Any] = json.loads(RESPONSES.encode_request(asked, to or target()).body)
    return sent
