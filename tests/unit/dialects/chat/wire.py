"""Short ways to write chat streams and to read them; no test lives here."""

import json
from collections.abc import Iterable
from typing import Any

from core.canonical import StreamEvent
from core.dialect import Echo, Target
from core.dialects.chat import CHAT
from core.model import Model

SIZES = [1, 2, 3, 7, 64, None]
DONE = b"data: [DONE]\n\n"
GPT = Model(
    id="gpt-5-mini",
    vendor="OpenAI",
    efforts=("low", "medium", "high"),
    output_limit_name="max_completion_tokens",
    sampling=False,
)
OLD_GPT = Model(id="gpt-4.1", vendor="OpenAI", max_output=16384)
CLAUDE = Model(id="claude-sonnet-4.6", vendor="Anthropic", max_output=64000, thinking_budget=(1024, 32000))


def chunk(*deltas: dict[str, Any] | None, finish: str | None = None, **members: Any) -> bytes:
    """One chunk; several deltas are several choices, None is a choice without a delta."""
    choices = [
        {"index": 0, "delta": delta, "finish_reason": finish}
        if delta is not None
        else {"index": 0, "finish_reason": finish}
        for delta in deltas
    ]
    body = {"id": "chatcmpl-1", "created": 1763846400, "model": "upstream-1", "choices": choices, **members}
    return event(body)


def event(body: Any) -> bytes:
    return b"data: " + json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode() + b"\n\n"


def text(words: str, **members: Any) -> bytes:
    return chunk({"content": words}, **members)


def call(
    index: int | None, arguments: str | None = None, *, call_id: str | None = None, name: str | None = None
) -> dict[str, Any]:
    """One entry of `tool_calls`, without what is None."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    head = {key: value for key, value in (("index", index), ("id", call_id)) if value is not None}
    return {**head, **({"type": "function"} if call_id else {}), "function": function}


def calls(*pieces: dict[str, Any], **more: Any) -> bytes:
    return chunk({"tool_calls": list(pieces)}, **more)


def finish(reason: str = "stop", **members: Any) -> bytes:
    return chunk({}, finish=reason, **members)


def usage(prompt: int = 100, completion: int = 7, cached: int | None = 40) -> dict[str, Any]:
    details = None if cached is None else {"cached_tokens": cached}
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": details,
    }


def split(stream: bytes, size: int | None) -> list[bytes]:
    return [stream] if size is None else [stream[at : at + size] for at in range(0, len(stream), size)]


def decode(stream: bytes, size: int | None = None) -> list[StreamEvent]:
    decoder = CHAT.decoder("here")
    events = [event for piece in split(stream, size) for event in decoder.feed(piece)]
    return [*events, *decoder.close()]


def relayed(stream: bytes, echo: Echo, size: int | None = None) -> bytes:
    relay = CHAT.relay(echo)
    said = b"".join([relay.feed(piece) for piece in split(stream, size)])
    return said + relay.close()


def encoded(events: Iterable[StreamEvent], echo: Echo) -> bytes:
    encoder = CHAT.encoder(echo)
    return b"".join([encoder.feed(event) for event in events]) + encoder.close()


def echo(**members: Any) -> Echo:
    ready: dict[str, Any] = {
        "id": "chatcmpl-9",
        "model": "asked",
        "created": 1700000000,
        "new_id": lambda prefix: prefix + "1",
    }
    return Echo(**{**ready, **members})


def body(**members: Any) -> bytes:
    """A client's request."""
    ready: dict[str, Any] = {"model": "asked", "messages": [{"role": "user", "content": "Hi"}]}
    return json.dumps({**ready, **members}).encode()


def sent(request_body: bytes, model: Model = OLD_GPT, scope: str = "here") -> dict[str, Any]:
    """What upstream gets for a client's request in a translating lane."""
    return json.loads(CHAT.encode_request(CHAT.decode_request(request_body), Target(model, scope)).body)
