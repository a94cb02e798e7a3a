"""Anthropic Messages as a stream."""

import re
from typing import Final

from tests.emulators.copilot.chat import upstream_name
from tests.emulators.copilot.context import Call, Spoken
from tests.emulators.copilot.messages import blocks, reply_id, stop_reason, usage_of
from tests.emulators.copilot.shapes import Obj, encode
from tests.emulators.copilot.usage import copilot_usage
from tests.emulators.copilot.wire import named_event, repeated

PING: Final = named_event("ping", {"type": "ping"})
OVERLOADED: Final = named_event(
    "error", {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
)
DONE: Final = b"data: [DONE]\n\n"
WORDS: Final = re.compile(r"\S+\s*|^\s+")


def pieces(call: Call, spoken: Spoken) -> list[bytes]:
    """Return the stream, one event each."""
    body = [piece for index, block in enumerate(blocks(call, spoken)) for piece in _block(index, block)]
    if call.on("msg_error_event"):
        return [_start(call, spoken), PING, *body[: max(1, len(body) // 2)], OVERLOADED]
    stream = [_start(call, spoken), PING, *body, *_ending(call, spoken)]
    return [*stream, DONE] if call.on("msg_trailing_done") else stream


def _start(call: Call, spoken: Spoken) -> bytes:
    message: Obj = {
        "id": reply_id(call, spoken), "type": "message", "role": "assistant", "model": upstream_name(call.model_id),
        "content": [], "stop_reason": None, "stop_sequence": None, "usage": {**usage_of(spoken), "output_tokens": 1},
    }  # fmt: skip
    return named_event("message_start", {"type": "message_start", "message": message})


def _block(index: int, block: Obj) -> list[bytes]:
    begin, kind, member, texts = _parts(block)

    def delta(text: str, kind: str = kind, member: str = member) -> bytes:
        change = {"type": kind, member: text}
        return named_event(
            "content_block_delta", {"type": "content_block_delta", "index": index, "delta": change}
        )

    start = {"type": "content_block_start", "index": index, "content_block": begin}
    pieces = [named_event("content_block_start", start), *repeated(delta, texts)]
    if block["type"] == "thinking":
        pieces.append(delta(block["signature"], "signature_delta", "signature"))
    return [*pieces, named_event("content_block_stop", {"type": "content_block_stop", "index": index})]


def _parts(block: Obj) -> tuple[Obj, str, str, list[str]]:
    """Return a block as it begins, and its deltas: their type, their member, its values."""
    match block["type"]:
        case "text":
            return {"type": "text", "text": ""}, "text_delta", "text", WORDS.findall(block["text"])
        case "thinking":
            begin = {"type": "thinking", "thinking": "", "signature": ""}
            return begin, "thinking_delta", "thinking", WORDS.findall(block["thinking"])
        case "tool_use":
            text = encode(block["input"]).decode() if block["input"] else ""
            size = max(1, -(-len(text) // 3))
            texts = ["", *(text[at : at + size] for at in range(0, len(text), size))]
            return {**block, "input": {}}, "input_json_delta", "partial_json", texts
        case _:
            return block, "", "", []


def _ending(call: Call, spoken: Spoken) -> list[bytes]:
    usage = usage_of(spoken)
    if spoken.usage.reasoning:
        usage["output_tokens_details"] = {"thinking_tokens": spoken.usage.reasoning}
    delta = {"stop_reason": stop_reason(call, spoken), "stop_sequence": spoken.answer.stop_sequence}
    last: Obj = {"type": "message_delta", "delta": delta, "usage": usage}
    if call.on("msg_copilot_usage"):
        last["copilot_usage"] = copilot_usage(spoken.usage)
    stop: Obj = {"type": "message_stop"}
    if call.modes.get("msg_backend") == "bdrk":
        stop["amazon-bedrock-invocationMetrics"] = {"outputTokenCount": spoken.usage.output}
    return [named_event("message_delta", last), named_event("message_stop", stop)]
