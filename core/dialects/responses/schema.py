"""Wire structs of OpenAI's Responses API: what is read from outside is loose, what is written is exact.

Public sources: OpenAI's API reference and the types of the openai Python SDK.
"""

from typing import Annotated, Any, Final, TypeGuard

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

Absent = UnsetType

# What every JSON reader can hold exactly; a larger number could not be written again.
MOST: Final = 2**53
Count = Annotated[int, Meta(ge=0, le=MOST)]


# --- Requests, as clients send them ---------------------------------------------------------------------------


class TextConfig(Struct):
    """`text`: how the answer's text shall look."""

    format: Raw | Absent = UNSET
    verbosity: str | None = None


class TextFormat(Struct):
    """`text.format`."""

    type: str
    name: str = ""
    schema: Raw | Absent = UNSET
    strict: bool | None = None
    description: str | None = None


class ItemPeek(Struct):
    """What tells one input item from another."""

    type: str | None = None
    role: str | None = None
    content: Raw | Absent = UNSET


class PartPeek(Struct):
    """What tells one content part from another."""

    type: str | None = None
    text: str | None = None


class MessageItem(Struct):
    """A message in the input; `type` may be missing."""

    role: str
    content: Raw
    phase: str | None = None
    name: str | None = None


class ReasoningItem(Struct):
    """Reasoning that an earlier answer held."""

    id: str | None = None
    summary: list[PartPeek] | None = None
    content: list[PartPeek] | None = None
    encrypted_content: str | None = None


class FunctionCallItem(Struct):
    """A call of a client's function."""

    call_id: str
    name: str
    arguments: str = ""
    namespace: str | None = None


class CustomCallItem(Struct):
    """A call of a client's freeform tool."""

    call_id: str
    name: str
    input: str = ""
    namespace: str | None = None


class CallOutputItem(Struct):
    """What a client's tool answered: text or parts."""

    call_id: str
    output: Raw


class CompactionItem(Struct):
    """Upstream's own summary of what was before."""

    encrypted_content: str
    id: str | None = None


class ToolsItem(Struct):
    """`additional_tools`: tools declared inside the input; or `tool_search_output`: those that a search found."""

    tools: list[Raw] = []
    call_id: str | None = None


class ToolSearchItem(Struct):
    """`tool_search_call`: a search for tools; what the client ran has a `call_id`."""

    arguments: Raw = Raw(b"{}")
    call_id: str | None = None


class ContentPart(Struct):
    """Any content part that this gateway knows."""

    type: str
    text: str = ""
    refusal: str = ""
    image_url: str | None = None
    detail: str | None = None
    file_id: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    filename: str | None = None
    annotations: list[Raw] | None = None


class UrlCitation(Struct):
    """An annotation of type `url_citation`; others are kept as they are."""

    type: str = ""
    url: str = ""
    title: str | None = None
    start_index: Count | None = None
    end_index: Count | None = None


class ToolPeek(Struct):
    """What tells one declared tool from another."""

    type: str = "function"
    name: str = ""


class FunctionTool(Struct):
    """A function that the client offers."""

    name: str
    description: str | None = None
    parameters: Raw | Absent = UNSET
    strict: bool | None = None
    defer_loading: bool = False


class CustomTool(Struct):
    """A freeform tool that the client offers; `format` is its grammar."""

    name: str
    description: str | None = None
    format: Raw | Absent = UNSET
    defer_loading: bool = False


class SearchTool(Struct):
    """`tool_search`: run by the client, or else by upstream."""

    execution: str | None = None
    description: str | None = None
    parameters: Raw | Absent = UNSET


class NamespaceTool(Struct):
    """Tools under one name."""

    name: str
    description: str | None = None
    tools: list[Raw] = []


class ChoicePeek(Struct):
    """`tool_choice` as an object."""

    type: str
    name: str = ""
    mode: str = "auto"
    tools: list[Raw] = []


# --- Stream events and complete replies, as upstream sends them --------------------------------------------------


class WireEvent(Struct, gc=False):
    """The members of every known event; an event uses a few of them. Large ones stay bytes until they are needed."""

    type: str = ""
    output_index: Count | None = None
    content_index: Count = 0
    summary_index: Count = 0
    delta: str | None = None
    text: str | None = None
    refusal: str | None = None
    arguments: str | None = None
    input: str | None = None
    item: Raw | Absent = UNSET
    part: Raw | Absent = UNSET
    annotation: Raw | Absent = UNSET
    response: Raw | Absent = UNSET
    error: Raw | Absent = UNSET
    code: str | int | None = None
    message: str | None = None
    copilot_usage: Raw | Absent = UNSET


class TypeOnly(Struct, gc=False):
    """The type of an event of unknown shape."""

    type: str = ""


class OutputItem(Struct):
    """The members of every output item that this gateway reads."""

    type: str = ""
    id: str | None = None
    status: str | None = None
    content: list[Raw] | None = None
    summary: list[PartPeek] | None = None
    encrypted_content: str | None = None
    phase: str | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: str | None = None
    input: str | None = None
    action: Raw | Absent = UNSET


class SearchAction(Struct):
    """What a `web_search_call` did."""

    type: str = ""
    query: str | None = None
    queries: list[str] | None = None
    url: str | None = None
    sources: list[UrlCitation] | None = None


class InputTokensDetails(Struct):
    """Cached parts of the prompt."""

    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None


class OutputTokensDetails(Struct):
    """Parts of the answer."""

    reasoning_tokens: Count | None = None


class WireUsage(Struct):
    """Upstream's count."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    input_tokens_details: InputTokensDetails | None = None
    output_tokens_details: OutputTokensDetails | None = None


class CopilotUsage(Struct):
    """Copilot's price of the request."""

    total_nano_aiu: Annotated[float, Meta(ge=0, le=MOST)] | None = None


class WireError(Struct):
    """`response.error`, or the error of an `error` event."""

    code: str | int | None = None
    message: str | None = None
    type: str | None = None


class IncompleteDetails(Struct):
    """Why an answer is incomplete."""

    reason: str | None = None


class WireResponse(Struct):
    """The response object of lifecycle events and of complete replies."""

    id: str | None = None
    model: str | None = None
    status: str | None = None
    output: list[Raw] | None = None
    usage: WireUsage | None = None
    error: WireError | None = None
    incomplete_details: IncompleteDetails | None = None
    copilot_usage: CopilotUsage | None = None


decode_any = msgspec.json.Decoder(Any).decode
decode_raws = msgspec.json.Decoder(list[Raw]).decode
decode_members = msgspec.json.Decoder(dict[str, Raw]).decode
decode_event = msgspec.json.Decoder(WireEvent).decode
decode_type = msgspec.json.Decoder(TypeOnly).decode
_decode_item = msgspec.json.Decoder(OutputItem).decode
decode_part = msgspec.json.Decoder(ContentPart).decode
decode_citation = msgspec.json.Decoder(UrlCitation).decode
decode_search = msgspec.json.Decoder(SearchAction).decode
decode_response_object = msgspec.json.Decoder(WireResponse).decode
decode_error = msgspec.json.Decoder(WireError).decode
decode_copilot_usage = msgspec.json.Decoder(CopilotUsage).decode
encode = msgspec.json.Encoder().encode

JSON_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


# Items whose members this gateway reads; the members of others may have any shape.
READ_ITEMS: Final = frozenset(
    {"message", "reasoning", "function_call", "custom_tool_call", "web_search_call", "compaction"}
)


def decode_item(raw: bytes | Raw) -> OutputItem:
    """Read an output item; of one that is unknown, only its type. Raises msgspec's errors."""
    try:
        return _decode_item(raw)
    except msgspec.ValidationError:
        kind = decode_type(raw).type
        if kind in READ_ITEMS:
            raise
        return OutputItem(type=kind)


def is_set(raw: Raw | Absent | None) -> TypeGuard[Raw]:
    """Tell whether a raw member is there and not null."""
    return isinstance(raw, Raw) and bytes(raw) != b"null"
