"""Upstream's bytes, put together for this folder's tests."""

import json
from typing import Any

from core.canonical import StreamEvent
from core.dialects.messages import MESSAGES

SIZES = [1, 2, 3, 7, 64, None]


def split(wire: bytes, size: int | None) -> list[bytes]:
    return [wire] if size is None else [wire[at : at + size] for at in range(0, len(wire), size)]


def event(kind: str, **members: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **members})}\n\n".encode()


def start(**members: Any) -> bytes:
    message = {
        "id": "msg_bdrk_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-6", "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 60, "output_tokens": 1, "cache_read_input_tokens": 40},
    }  # fmt: skip
    return event("message_start", message={**message, **members})


def block(index: int, **members: Any) -> bytes:
    return event("content_block_start", index=index, content_block=members)


def delta(index: int, kind: str, **members: Any) -> bytes:
    return event("content_block_delta", index=index, delta={"type": kind, **members})


def text_delta(index: int, text: str) -> bytes:
    return delta(index, "text_delta", text=text)


def json_delta(index: int, text: str) -> bytes:
    return delta(index, "input_json_delta", partial_json=text)


def stop(index: int) -> bytes:
    return event("content_block_stop", index=index)


def end(reason: str | None = "end_turn", sequence: str | None = None, **members: Any) -> bytes:
    return event(
        "message_delta",
        delta={"stop_reason": reason, "stop_sequence": sequence},
        **{"usage": {"output_tokens": 7}, **members},
    )


STOP = event("message_stop")


def text_block(index: int, text: str) -> bytes:
    return block(index, type="text", text="") + text_delta(index, text) + stop(index)


def call_block(index: int, call_id: str, name: str, *parts: str) -> bytes:
    opened = block(index, type="tool_use", id=call_id, name=name, input={})
    return opened + b"".join(json_delta(index, part) for part in parts) + stop(index)


def decode(wire: bytes, size: int | None = None, scope: str = "") -> list[StreamEvent]:
    decoder = MESSAGES.decoder(scope)
    events: list[StreamEvent] = []
    for piece in split(wire, size):
        events += decoder.feed(piece)
    return events + decoder.close()
