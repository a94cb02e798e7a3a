"""The hub: one neutral model of a request, a reply and a stream, that every dialect can say and hear.

Lossless for what the three dialects share, and for what one of them keeps to itself it holds the original bytes
(`Native`) or an opaque value tagged with where it came from (`Opaque`). JSON fragments of unknown shape
(schemas, hosted tools) are kept as the bytes that the client sent.
"""

from typing import Final, Literal

from msgspec import Struct

from core.model import DialectName

Json = bytes  # one complete JSON value, as received

Role = Literal["system", "user", "assistant"]
StopReason = Literal[
    "end_turn",
    "max_tokens",
    "stop_sequence",
    "tool_use",
    "refusal",  # a content filter or the model itself
    "pause_turn",  # a hosted tool wants another round
    "context_window",  # the window was full before the answer was
    "other",  # upstream said something unknown; `raw` has it
]

# Where several reasons meet (split choices), the later one in this list wins.
SEVERITY: Final[tuple[StopReason, ...]] = (
    "other", "end_turn", "pause_turn", "stop_sequence", "tool_use", "max_tokens", "context_window", "refusal",
)  # fmt: skip

# The model was cut off: a tool call may be half written then, which is no fault of the protocol.
CUT_OFF: Final[frozenset[StopReason]] = frozenset({"max_tokens", "context_window"})


class CacheBreakpoint(Struct, frozen=True):
    """The prompt up to here shall be cached. `ttl`: "5m", "1h" or None for the default."""

    ttl: str | None = None


class Opaque(Struct, frozen=True):
    """A signature or ciphertext that only its issuer can read; it goes back only there, unchanged.

    dialect: the upstream dialect that issued it. scope: the account it belongs to (a short hash), "" when unknown.
    item_id: the id it must be paired with (Responses reasoning items).
    """

    dialect: DialectName
    value: str
    item_id: str = ""
    scope: str = ""


class Citation(Struct, frozen=True):
    """What a stretch of text rests on. `start`/`end` are character offsets in the text block, where known."""

    url: str = ""
    title: str = ""
    cited_text: str = ""
    start: int | None = None
    end: int | None = None
    native: "Native | None" = None


# --- Content blocks -------------------------------------------------------------------------------------------


class Native(Struct, frozen=True):
    """A block, item or tool that only its own dialect knows: goes back there unchanged, nowhere else."""

    dialect: DialectName
    type: str
    raw: Json


class Text(Struct, frozen=True):
    """`phase` is Responses' `commentary` or `final_answer`."""

    text: str
    citations: tuple[Citation, ...] = ()
    phase: str | None = None
    cache: CacheBreakpoint | None = None


class Thinking(Struct, frozen=True):
    """`text` is empty where the issuer shows none; `redacted` is Anthropic's redacted_thinking."""

    text: str
    opaque: Opaque | None = None
    redacted: bool = False


class Refusal(Struct, frozen=True):
    """The model's own words of refusal."""

    text: str


class Image(Struct, frozen=True):
    """Exactly one of `base64` (with `media_type`) and `url`. `detail` is OpenAI's low, high, auto."""

    media_type: str = ""
    base64: str = ""
    url: str = ""
    detail: str | None = None
    cache: CacheBreakpoint | None = None


class Document(Struct, frozen=True):
    """Exactly one of `base64` (with `media_type`), `url`, `text` and `content` (blocks)."""

    media_type: str = ""
    base64: str = ""
    url: str = ""
    text: str | None = None
    content: "tuple[Text | Image, ...] | None" = None
    title: str | None = None
    context: str | None = None
    citations: bool = False
    cache: CacheBreakpoint | None = None


class SearchResult(Struct, frozen=True):
    """A search result that the client found itself (Anthropic's search_result block)."""

    source: str
    title: str
    content: tuple[Text, ...]
    citations: bool = False
    cache: CacheBreakpoint | None = None


class ToolUse(Struct, frozen=True):
    """A call of a client's tool. `arguments` is JSON text, or free text when `custom`; "" is never kept: use "{}".

    `name` is the tool's flat name, which begins with its `namespace` where it has one (`files__read`).
    """

    call_id: str
    name: str
    arguments: str
    custom: bool = False
    opaque: Opaque | None = None  # a thought signature that some chat models hang on the call
    namespace: str | None = None
    cache: CacheBreakpoint | None = None


ResultContent = Text | Image | Document | SearchResult | Native


class ToolResult(Struct, frozen=True):
    """What a client's tool answered. An empty `content` is an empty answer."""

    call_id: str
    content: tuple[ResultContent, ...] = ()
    is_error: bool | None = None
    custom: bool = False
    cache: CacheBreakpoint | None = None


class ServerToolUse(Struct, frozen=True):
    """A call of a tool that the upstream runs itself (web search)."""

    call_id: str
    name: str
    arguments: str
    native: Native | None = None


class ServerToolResult(Struct, frozen=True):
    """The answer of a hosted tool: sources found, `text` of any other kind, or `error_code`."""

    call_id: str
    name: str
    sources: tuple[Citation, ...] = ()
    error_code: str | None = None
    native: Native | None = None
    text: str = ""


class Compaction(Struct, frozen=True):
    """Upstream's own summary of what was before it (Responses `compaction`)."""

    opaque: Opaque


Block = (
    Text | Thinking | Refusal | Image | Document | SearchResult | ToolUse | ToolResult
    | ServerToolUse | ServerToolResult | Compaction | Native
)  # fmt: skip

# --- Request --------------------------------------------------------------------------------------------------


class Message(Struct, frozen=True):
    """One turn. System turns stand where the client put them; the leading ones are the instructions."""

    role: Role
    content: tuple[Block, ...]
    name: str | None = None


class Tool(Struct, frozen=True, kw_only=True):
    """A client's tool. `parameters` is a JSON Schema object; a `custom` tool has a `grammar` (or none) instead.

    `name` is flat: it begins with the `namespace` where there is one (`files__read`). `searches`: it is the client's own
    search for more tools, which Responses tells apart from a function.
    """

    name: str
    description: str | None = None
    parameters: Json = b'{"type":"object","properties":{}}'
    strict: bool | None = None
    custom: bool = False
    grammar: Json | None = None
    deferred: bool = False
    searches: bool = False
    namespace: str | None = None
    cache: CacheBreakpoint | None = None


class HostedTool(Struct, frozen=True):
    """A tool that the upstream runs itself, as its dialect writes it. `kind` is the neutral name or ""."""

    dialect: DialectName
    type: str
    raw: Json
    name: str = ""
    kind: Literal["web_search", ""] = ""


class ToolChoice(Struct, frozen=True):
    """`name` only with mode "tool"."""

    mode: Literal["auto", "none", "required", "tool"]
    name: str = ""


class Reasoning(Struct, frozen=True):
    """How hard to think. `mode` None: not said. `effort` is upstream's word (minimal … max). `summary`: how to show it."""

    mode: Literal["off", "budget", "adaptive"] | None = None
    budget: int | None = None
    effort: str | None = None
    summary: str | None = None


class OutputFormat(Struct, frozen=True):
    """Structured output. `schema` only with kind "json_schema"."""

    kind: Literal["json_object", "json_schema"]
    name: str = ""
    schema: Json | None = None
    strict: bool | None = None
    description: str | None = None


class Request(Struct, frozen=True, kw_only=True):
    """What a client asks for. None means that the client did not say."""

    model: str
    messages: tuple[Message, ...]
    stream: bool = False
    include_usage: bool = False  # chat: a usage chunk at the end of the stream
    tools: tuple[Tool | HostedTool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    max_output: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    choices: int = 1
    reasoning: Reasoning | None = None
    verbosity: str | None = None
    format: OutputFormat | None = None
    user: str | None = None
    cache_key: str | None = None
    # Members that change nothing in the answer's meaning, by name, as received: kept by the own dialect, a loss elsewhere.
    extras: dict[str, Json] = {}

    @property
    def asks_citations(self) -> bool:
        """Whether the answer shall cite a document or a search result of the client's."""
        blocks = [block for message in self.messages for block in message.content]
        results = [part for block in blocks if isinstance(block, ToolResult) for part in block.content]
        return any(
            block.citations for block in (*blocks, *results) if isinstance(block, Document | SearchResult)
        )

    @property
    def forces_missing_tool(self) -> bool:
        """Whether a tool must be called though there is none: no upstream takes that."""
        choice = self.tool_choice
        return not self.tools and choice is not None and choice.mode in {"required", "tool"}


# --- Reply ----------------------------------------------------------------------------------------------------


class Usage(Struct, frozen=True):
    """Tokens. `input_tokens` includes the cached ones (both reads and writes); encoders subtract where their dialect does.

    `nano_credits`: upstream's own price of the request (1e9 = one credit), where it says one.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    nano_credits: int | None = None


class Reply(Struct, frozen=True, kw_only=True):
    """A complete answer; the fold of its events."""

    id: str
    model: str
    content: tuple[Block, ...]
    stop_reason: StopReason
    stop_sequence: str | None = None
    usage: Usage = Usage()


# --- Stream ---------------------------------------------------------------------------------------------------
# MessageStart (BlockStart (BlockDelta | BlockOpaque | BlockCitation)* BlockStop)* MessageStop; see grammar.py.


class MessageStart(Struct, frozen=True, gc=False):
    """`id` and `model` are upstream's; either may be empty. `usage` is a first guess, where upstream makes one."""

    id: str
    model: str
    usage: Usage | None = None


class BlockStart(Struct, frozen=True):
    """A block opens. Text that `block` already holds counts; deltas append to it."""

    index: int
    block: Block


class BlockDelta(Struct, frozen=True, gc=False):
    """More of the open block: its text, or the next piece of a call's arguments."""

    index: int
    text: str


class BlockOpaque(Struct, frozen=True):
    """The open Thinking or ToolUse block's opaque value; the last one holds."""

    index: int
    opaque: Opaque


class BlockCitation(Struct, frozen=True):
    """A citation of the open Text block."""

    index: int
    citation: Citation


class BlockStop(Struct, frozen=True, gc=False):
    """The open block is complete."""

    index: int


class MessageStop(Struct, frozen=True):
    """The answer is complete. `raw` is upstream's own word for the stop reason."""

    stop_reason: StopReason
    usage: Usage
    stop_sequence: str | None = None
    raw: str = ""


StreamEvent = MessageStart | BlockStart | BlockDelta | BlockOpaque | BlockCitation | BlockStop | MessageStop
