"""The shapes of Anthropic's Messages API as they come in. Lists from outside are `Raw`: unknown members must not fail."""

from collections.abc import Callable
from typing import TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from core.errors import InvalidRequestError, invalid_json

T = TypeVar("T")


def read(decode: Callable[[bytes], T], raw: bytes, path: str) -> T:
    """Decode a client's bytes. Raises `InvalidRequestError` whose path starts with `path`."""
    try:
        return decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise invalid_json(error, path) from None
    except RecursionError:
        raise InvalidRequestError(f"JSON is nested too deeply (at {path})", param=path) from None


# --- Blocks ---------------------------------------------------------------------------------------------------


class CacheControl(Struct):
    """A cache mark; only `ttl` has a meaning here."""

    ttl: str | None = None


class Source(Struct):
    """Where an image or a document comes from."""

    type: str
    media_type: str = ""
    data: str = ""
    url: str = ""
    content: str | list[Raw] = ""


class CitationsConfig(Struct):
    """Whether a document may be cited."""

    enabled: bool = False


class TypeOf(Struct):
    """The tag of anything."""

    type: str = ""


class TextBlock(Struct):
    """`text`."""

    text: str
    citations: list[Raw] | None = None
    cache_control: CacheControl | None = None


class ThinkingBlock(Struct):
    """`thinking`."""

    thinking: str
    signature: str = ""


class RedactedThinkingBlock(Struct):
    """`redacted_thinking`."""

    data: str


class ImageBlock(Struct):
    """`image`."""

    source: Source
    cache_control: CacheControl | None = None


class DocumentBlock(Struct):
    """`document`."""

    source: Source
    title: str | None = None
    context: str | None = None
    citations: CitationsConfig | None = None
    cache_control: CacheControl | None = None


class SearchResultBlock(Struct):
    """`search_result`."""

    source: str
    title: str
    content: list[Raw]
    citations: CitationsConfig | None = None
    cache_control: CacheControl | None = None


class ToolUseBlock(Struct):
    """`tool_use` and `server_tool_use`."""

    id: str
    name: str
    input: Raw = Raw(b"{}")
    cache_control: CacheControl | None = None


class ToolResultBlock(Struct):
    """`tool_result`."""

    tool_use_id: str
    content: str | list[Raw] | None = None
    is_error: bool | None = None
    cache_control: CacheControl | None = None


class ServerToolResultBlock(Struct):
    """`web_search_tool_result` and its like."""

    tool_use_id: str
    content: Raw = Raw(b"[]")


class CompactionBlock(Struct):
    """`compaction`: Claude's summary of what was before it; none where it failed."""

    content: str | None = None
    cache_control: CacheControl | None = None


class ToolReference(Struct):
    """`tool_reference`, inside a tool result."""

    tool_name: str = ""


class WebSearchResult(Struct):
    """One result of a hosted search, or its error."""

    type: str = ""
    url: str = ""
    title: str = ""
    error_code: str | None = None


class CitationIn(Struct):
    """A citation of any kind."""

    type: str = ""
    url: str = ""
    source: str = ""
    title: str | None = None
    document_title: str | None = None
    cited_text: str = ""


# --- Request --------------------------------------------------------------------------------------------------


class MessageIn(Struct):
    """One turn."""

    role: str
    content: str | list[Raw]


class ToolIn(Struct):
    """One tool, a client's or a hosted one."""

    name: str = ""
    type: str | None = None
    description: str | None = None
    input_schema: Raw = Raw(b"{}")
    strict: bool | None = None
    defer_loading: bool | None = None
    cache_control: CacheControl | None = None


class ToolChoiceIn(Struct):
    """`tool_choice`."""

    type: str
    name: str = ""
    disable_parallel_tool_use: bool | None = None


class ThinkingConfig(Struct):
    """`thinking`."""

    type: str
    budget_tokens: int | None = None
    display: str | None = None


class FormatIn(Struct):
    """`output_config.format`, and the older `output_format`."""

    type: str
    schema: Raw = Raw(b"{}")


class OutputConfig(Struct):
    """`output_config`."""

    effort: str | None = None
    format: FormatIn | None = None


class Metadata(Struct):
    """`metadata`."""

    user_id: str | None = None


class RequestBody(Struct):
    """The members that have a neutral meaning; all others become `extras`."""

    model: str
    messages: list[Raw]
    system: str | list[Raw] | None = None
    max_tokens: int | None = None
    stream: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: list[str] | None = None
    tools: list[Raw] | None = None
    tool_choice: ToolChoiceIn | None = None
    thinking: ThinkingConfig | None = None
    output_config: OutputConfig | None = None
    output_format: FormatIn | None = None
    metadata: Metadata | None = None
    thread: Raw | UnsetType = UNSET


# --- Reply and stream -----------------------------------------------------------------------------------------


class OutputDetails(Struct):
    """`usage.output_tokens_details`."""

    thinking_tokens: int | None = None


class UsageIn(Struct):
    """`usage`, whole or as far as one event says."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    output_tokens_details: OutputDetails | None = None


class CopilotUsage(Struct):
    """Copilot's own price of the request (1e9 nano-AIU = one credit)."""

    total_nano_aiu: int | float | None = None


class ErrorDetail(Struct):
    """`error`."""

    type: str = ""
    message: str = ""


class ReplyIn(Struct):
    """A complete reply; also the `message` of `message_start`."""

    type: str = "message"
    id: str = ""
    model: str = ""
    content: list[Raw] = []
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: UsageIn | None = None
    error: Raw | UnsetType = UNSET
    copilot_usage: Raw | UnsetType = UNSET


class CountedIn(Struct):
    """What a complete reply says it used."""

    usage: UsageIn | None = None
    copilot_usage: Raw | UnsetType = UNSET


class DeltaIn(Struct):
    """Both a block's delta and `message_delta`'s."""

    type: str = ""
    text: str = ""
    thinking: str = ""
    signature: str = ""
    partial_json: str = ""
    citation: Raw | UnsetType = UNSET
    stop_reason: str | None = None
    stop_sequence: str | None = None


class EventIn(Struct):
    """One event of upstream's stream; which members are set depends on `type`."""

    type: str = ""
    index: int = -1
    delta: DeltaIn | None = None
    content_block: Raw | UnsetType = UNSET
    message: Raw | UnsetType = UNSET
    usage: UsageIn | None = None
    error: Raw | UnsetType = UNSET
    copilot_usage: Raw | UnsetType = UNSET
