"""POST /embeddings: vectors made from a hash, equal for equal inputs."""

import hashlib
from typing import Any, Final

from tests.emulators.copilot.context import Call
from tests.emulators.copilot.conversation import tokens_in
from tests.emulators.copilot.models import limit
from tests.emulators.copilot.shapes import integer, is_array, items
from tests.emulators.copilot.wire import Reply, capi_error, json_reply, text_reply

SIZE: Final = 1536
MAX_TOKENS: Final = 8191


def embed(call: Call) -> Reply:
    """Embed a batch: an array of texts or of token arrays; anything else is a bad request."""
    inputs = call.body.get("input")
    if not is_array(inputs) or not inputs:
        return text_reply(400, "Bad Request\n")
    batch = items(inputs)
    most = limit(call.model, "max_inputs", 256)
    if len(batch) > most:
        return capi_error(
            400, f"input: at most {most} items are allowed, got {len(batch)}", "invalid_request_body"
        )
    counts = [_tokens(item) for item in batch]
    if any(count is None for count in counts):
        return text_reply(400, "Bad Request\n")
    sizes = [count or 0 for count in counts]
    if max(sizes) > MAX_TOKENS:
        return capi_error(400, f"input: at most {MAX_TOKENS} tokens are allowed", "invalid_request_body")
    size = integer(call.body.get("dimensions"), SIZE)
    # Without `object` and `model`, as the live service leaves them out.
    vectors = [
        {"embedding": vector(item, max(1, min(size, SIZE))), "index": n} for n, item in enumerate(batch)
    ]
    return json_reply(
        200, {"data": vectors, "usage": {"prompt_tokens": sum(sizes), "total_tokens": sum(sizes)}}
    )


def _tokens(item: Any) -> int | None:
    if isinstance(item, str):
        return tokens_in(item) if item else None
    if items(item) and all(isinstance(token, int) for token in items(item)):
        return len(items(item))
    return None


def vector(item: Any, size: int) -> list[float]:
    """Return numbers between -1 and 1 that depend on the item only; a shorter vector is a prefix."""
    stream = hashlib.shake_128(repr(item).encode("utf-8", "surrogatepass")).digest(size * 2)
    return [int.from_bytes(stream[at : at + 2], "big") / 32768 - 1 for at in range(0, size * 2, 2)]
