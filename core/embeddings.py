"""Embeddings: what clients send made into what Copilot takes, and back (no dialect: one shape on both sides)."""

import sys
from array import array
from base64 import b64encode
from codecs import getincrementaldecoder
from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal, cast

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from core.canonical import Usage
from core.errors import InvalidRequestError, UpstreamProtocolError, invalid_json
from core.tokens import token_bytes

Input = str | list[int]
DEFAULT_BATCH: Final = 256  # VS Code's, where the catalogue has no `max_inputs`
MOST_INPUTS: Final = 2048  # OpenAI's own bound
MOST_TOKENS: Final = 8191  # of one input, for every embeddings model that Copilot offers
# Whose token ids can be read: OpenAI's embeddings models share one vocabulary.
READABLE: Final = "text-embedding-"
MOST_COUNTED: Final = 2**53  # tokens; more is no count
LONGEST_CHARACTER: Final = 4  # bytes of UTF-8


class EmbeddingsRequest(Struct, frozen=True):
    """A client's request, its input made a list."""

    model: str
    inputs: list[Input]
    encoding: Literal["float", "base64"] = "float"
    dimensions: int | None = None


class _Body(Struct):
    model: str
    input: str | list[Any]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = None


class _UpstreamBody(Struct):
    model: str
    input: Sequence[Input]
    dimensions: int | UnsetType = UNSET


class _Vector(Struct):
    embedding: list[float]
    index: int | None = None


class _Usage(Struct):
    # Whatever upstream counts, or not, an answer is not lost for it.
    prompt_tokens: float | None = None
    total_tokens: float | None = None

    def tokens(self) -> tuple[int, int]:
        """Return the prompt's tokens and all of them, which are the same here: either may be missing."""
        prompt, total = _count(self.prompt_tokens), _count(self.total_tokens)
        return prompt or total, total or prompt


class EmbeddingsReply(Struct):
    """Copilot's reply; `object` and `model` may be missing there."""

    data: list[_Vector]
    usage: _Usage | None = None


_decode_body = msgspec.json.Decoder(_Body).decode
_decode_reply = msgspec.json.Decoder(EmbeddingsReply).decode


def decode_request(body: bytes) -> EmbeddingsRequest:
    """Read a client's body. Raises `InvalidRequestError` with the JSON path."""
    try:
        asked = _decode_body(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _refusal(error) from error
    if asked.dimensions is not None and asked.dimensions < 1:
        raise InvalidRequestError("dimensions must be at least 1", param="$.dimensions")
    return EmbeddingsRequest(
        asked.model, _inputs(asked.input), asked.encoding_format or "float", asked.dimensions
    )


def with_texts(request: EmbeddingsRequest, model_id: str) -> EmbeddingsRequest:
    """Return the request with text in place of token ids, which Copilot is not known to take.

    Ids of a model whose vocabulary is not known stay. Raises `InvalidRequestError` for too many ids, and for ids that
    are no tokens or no text.
    """
    if not model_id.startswith(READABLE) or all(isinstance(item, str) for item in request.inputs):
        return request
    inputs: list[Input] = [
        item if isinstance(item, str) else _text(item, f"$.input[{index}]")
        for index, item in enumerate(request.inputs)
    ]
    return replace(request, inputs=inputs)


def encode_batches(
    request: EmbeddingsRequest, model_id: str, batch: int | None
) -> Iterator[tuple[bytes, int]]:
    """Yield the bodies for upstream and how many inputs each has, at most `batch`."""
    size = batch or DEFAULT_BATCH
    dimensions = UNSET if request.dimensions is None else request.dimensions
    for start in range(0, len(request.inputs), size):
        inputs = request.inputs[start : start + size]
        yield msgspec.json.encode(_UpstreamBody(model_id, inputs, dimensions)), len(inputs)


def decode_reply(body: bytes, expected: int) -> EmbeddingsReply:
    """Read upstream's reply, its vectors in the order of the inputs. Raises `UpstreamProtocolError`."""
    try:
        reply = _decode_reply(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UpstreamProtocolError(f"Copilot's embeddings reply cannot be read: {error}") from error
    if all(vector.index is not None for vector in reply.data):
        reply.data.sort(key=lambda vector: vector.index or 0)
    if len(reply.data) != expected:
        raise UpstreamProtocolError(f"Copilot returned {len(reply.data)} embeddings for {expected} inputs")
    return reply


def usage_of(replies: Sequence[EmbeddingsReply]) -> Usage | None:
    """Return what all batches used together; None where upstream did not count."""
    counted = [reply.usage.tokens()[0] for reply in replies if reply.usage]
    return Usage(input_tokens=sum(counted)) if counted else None


def encode_response(replies: Sequence[EmbeddingsReply], request: EmbeddingsRequest) -> bytes:
    """Write one reply for the client from all batches."""
    vectors = [vector.embedding for reply in replies for vector in reply.data]
    counted = [reply.usage.tokens() for reply in replies if reply.usage]
    pack = _base64 if request.encoding == "base64" else list
    return msgspec.json.encode(
        {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": pack(vector)}
                for index, vector in enumerate(vectors)
            ],
            "model": request.model,
            "usage": {
                "prompt_tokens": sum(prompt for prompt, _ in counted),
                "total_tokens": sum(total for _, total in counted),
            },
        }
    )


def _count(value: float | None) -> int:
    return int(value) if value is not None and 0 < value < MOST_COUNTED else 0


def _inputs(value: str | list[Any]) -> list[Input]:
    """Make the input a list: a bare string or a bare token array is one input."""
    if isinstance(value, str) or (value and all(type(item) is int for item in value)):
        value = [value]
    if not value:
        raise InvalidRequestError("input must not be empty", param="$.input")
    if len(value) > MOST_INPUTS:
        raise InvalidRequestError(f"input has more than {MOST_INPUTS} items", param="$.input")
    for index, item in enumerate(value):
        if not item or not (isinstance(item, str) or _is_token_array(item)):
            raise InvalidRequestError("expected text or an array of token ids", param=f"$.input[{index}]")
    return value


def _text(ids: list[int], path: str) -> str:
    """Return the text that token ids stand for.

    LangChain cuts long texts by tokens, and with them characters: what is left of those at either end is not text.
    """
    if len(ids) > MOST_TOKENS:
        raise InvalidRequestError(f"{len(ids)} tokens are more than {MOST_TOKENS} (at {path})", param=path)
    try:
        spelled = token_bytes(ids)
        head = next((at for at in range(LONGEST_CHARACTER) if not _continues(spelled[at : at + 1])), 0)
        text = getincrementaldecoder("utf-8")().decode(spelled[head:])
    except ValueError as error:
        raise InvalidRequestError(f"not token ids of text: {error} (at {path})", param=path) from error
    if not text:
        raise InvalidRequestError(f"these token ids are no text (at {path})", param=path)
    return text


def _continues(byte: bytes) -> bool:
    return b"\x80" <= byte < b"\xc0"


def _is_token_array(item: object) -> bool:
    if not isinstance(item, list):
        return False
    tokens = cast("list[object]", item)
    return all(type(token) is int and token >= 0 for token in tokens)


def _base64(vector: list[float]) -> str:
    packed = array("f", vector)
    if sys.byteorder == "big":
        packed.byteswap()
    return b64encode(packed.tobytes()).decode()


def _refusal(error: Exception) -> InvalidRequestError:
    if isinstance(error, RecursionError):
        return InvalidRequestError("the body is nested too deeply")
    return invalid_json(error)  # type: ignore[arg-type]  # the two other classes of the except clause
