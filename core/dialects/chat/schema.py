"""Chat Completions as it stands on the wire: what upstream sends, where nothing is sure, and what clients read."""

from typing import Final, Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from core.errors import UpstreamProtocolError

DONE: Final = b"[DONE]"  # what a stream ends with
NULL: Final = Raw(b"null")
NOTHING: Final = (NULL, Raw(b"[]"))  # no list, or one without entries

# --- What upstream sends: every member may be absent or null --------------------------------------------------


class CallFunction(Struct, gc=False):
    """The function of a call, or a piece of it."""

    name: str | None = None
    arguments: str | None = None


class CustomCall(Struct, gc=False):
    """The call of a custom tool, or a piece of it: free text."""

    name: str | None = None
    input: str | None = None


class CallPiece(Struct):
    """One entry of `tool_calls`: the whole call, or a piece of it. `index` may be missing, `id` repeated."""

    index: int | None = None
    id: str | None = None
    type: str | UnsetType | None = UNSET
    function: CallFunction | None = None
    custom: CustomCall | None = None

    @property
    def said(self) -> CallFunction:
        """What the piece says of its call, of either kind."""
        if self.custom is not None:
            return CallFunction(self.custom.name, self.custom.input)
        return self.function or CallFunction()


class Delta(Struct):
    """A piece of the answer, or all of it (`message`). Thinking goes by many names."""

    content: str | None = None
    tool_calls: list[CallPiece] | None = None
    reasoning_text: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    thinking: str | None = None
    cot_summary: str | None = None
    reasoning_opaque: str | None = None
    signature: str | None = None
    refusal: str | None = None
    annotations: list[Raw] | None = None
    copilot_annotations: Raw = NULL
    function_call: CallFunction | None = None


class Choice(Struct):
    """One choice. Copilot says one answer in several, all with index 0."""

    index: int | None = None
    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None


class Chunk(Struct):
    """A chunk of a stream, or a complete reply; `content` and `type` betray an Anthropic body."""

    id: str | None = None
    model: str | None = None
    choices: list[Choice] | None = None
    usage: Raw = NULL
    copilot_usage: Raw = NULL
    error: Raw = NULL
    copilot_errors: Raw = NULL
    content: Raw = NULL
    type: str | None = None


# --- What clients read ----------------------------------------------------------------------------------------


class OutFunction(Struct, frozen=True):
    """A function call's name and JSON arguments."""

    name: str
    arguments: str


class OutCustom(Struct, frozen=True):
    """A custom tool's call: free text."""

    name: str
    input: str


class OutCall(Struct, frozen=True):
    """A call of a tool; `index` only in streams."""

    id: str
    type: Literal["function", "custom"]
    index: int | UnsetType = UNSET
    function: OutFunction | UnsetType = UNSET
    custom: OutCustom | UnsetType = UNSET


class UrlCitation(Struct, frozen=True):
    """Where in `content` a source was used."""

    start_index: int
    end_index: int
    url: str
    title: str


class Annotation(Struct, frozen=True):
    """A citation as chat says it."""

    url_citation: UrlCitation
    type: Literal["url_citation"] = "url_citation"


class OutMessage(Struct, frozen=True, kw_only=True):
    """A complete answer. The thinking members exist only where there was thinking."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: str | None = None
    annotations: tuple[Annotation, ...] = ()
    reasoning_content: str | UnsetType = UNSET
    reasoning_text: str | UnsetType = UNSET
    reasoning_opaque: str | UnsetType = UNSET
    tool_calls: list[OutCall] | UnsetType = UNSET


class PromptDetails(Struct, frozen=True):
    """What the prompt's tokens were. `cache_write_tokens` is ours: OpenAI has no such count."""

    cached_tokens: int
    audio_tokens: int = 0
    cache_write_tokens: int | UnsetType = UNSET


class CompletionDetails(Struct, frozen=True):
    """What the answer's tokens were."""

    reasoning_tokens: int
    audio_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0


class OutUsage(Struct, frozen=True):
    """Token counts; `prompt_tokens` includes the cached ones."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails
    completion_tokens_details: CompletionDetails


class OutChoice(Struct, frozen=True):
    """The only choice."""

    message: OutMessage
    finish_reason: str
    index: int = 0
    logprobs: None = None


class Completion(Struct, frozen=True, kw_only=True):
    """A complete reply."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: tuple[OutChoice, ...]
    usage: OutUsage
    system_fingerprint: None = None


_decode_chunk = msgspec.json.Decoder(Chunk).decode
encode: Final = msgspec.json.Encoder().encode


def decode_chunk(body: bytes) -> Chunk:
    """Read a chunk or a complete reply. Raises `UpstreamProtocolError`."""
    try:
        return _decode_chunk(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UpstreamProtocolError(f"upstream sent a chunk that is no chat completion: {error}") from error
