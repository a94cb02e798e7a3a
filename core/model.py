"""What the engine knows of one upstream model; the catalogue builds it, nothing here is hard-coded by model."""

from typing import Literal

from msgspec import Struct

DialectName = Literal["chat", "messages", "responses"]
Kind = Literal["chat", "embeddings", "completion"]


class Prices(Struct, frozen=True, kw_only=True):
    """Credits (1 credit = 0.01 USD) per `batch` tokens.

    context_max: input tokens up to which these hold; 0 where upstream sets no such bound. beyond: those of a longer input.
    """

    batch: int = 1_000_000
    input: float = 0.0
    output: float = 0.0
    cache_read: float = 0.0
    cache_write: float = 0.0
    context_max: int = 0
    beyond: "Prices | None" = None


class Model(Struct, frozen=True, kw_only=True):
    """One entry of the live catalogue, with Copilot's quirks resolved into plain facts. Sizes are tokens.

    None in a limit means that upstream did not say; a None in a capability means "not declared: try it".
    """

    id: str
    name: str = ""
    vendor: str = ""
    family: str = ""
    version: str = ""
    kind: Kind = "chat"
    dialects: tuple[DialectName, ...] = ("chat",)
    policy: str = "enabled"  # "enabled", "disabled", "unconfigured"
    preview: bool = False
    picker: bool = True
    warnings: tuple[str, ...] = ()
    context_window: int | None = None
    max_prompt: int | None = None
    max_output: int | None = None
    max_non_streaming_output: int | None = None
    max_inputs: int | None = None  # embeddings: inputs a call
    vision: bool | None = None
    max_images: int | None = None
    max_image_bytes: int | None = None
    image_types: tuple[str, ...] = ()  # media types; empty: none declared
    tools: bool | None = None
    parallel_tools: bool | None = None
    structured_outputs: bool | None = None
    efforts: tuple[str, ...] = ()  # declared reasoning efforts, weakest first; empty: none declared
    thinking_budget: tuple[int, int] | None = None  # (least, most) tokens; None: no budget accepted
    adaptive_thinking: bool = False
    output_limit_name: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    sampling: bool = True  # accepts temperature, top_p and the penalties
    prefill: bool = True  # accepts a conversation that ends with an assistant turn
    mid_system: bool = False  # messages: accepts system turns inside the conversation
    numbered_call_ids: bool = False  # chat: takes call ids of the form `functions.read:0` only
    prices: Prices | None = None
