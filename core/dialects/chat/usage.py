"""Token counts and finish reasons, both ways."""

from typing import Final

import msgspec
from msgspec import UNSET, Raw, Struct

from core.canonical import SEVERITY, StopReason, Usage
from core.dialects.chat.reading import Count
from core.dialects.chat.schema import NULL, CompletionDetails, OutUsage, PromptDetails

STOP_REASON: Final[dict[str, StopReason]] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
    "refusal": "refusal",
    "model_context_window_exceeded": "context_window",
}

# Copilot ends a failed answer with one of these instead of an error chunk.
FAILED: Final = frozenset({"error", "server_error"})

FINISH_REASON: Final[dict[StopReason, str]] = {
    "end_turn": "stop",
    "max_tokens": "length",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    "pause_turn": "stop",
    "context_window": "length",
    "other": "stop",
}


class _PromptDetails(Struct, frozen=True):
    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None


class _CompletionDetails(Struct, frozen=True):
    reasoning_tokens: Count | None = None


class _Usage(Struct, frozen=True):
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    reasoning_tokens: Count | None = None  # Gemini's place for it


class _Count(Struct):
    prompt_tokens: int
    completion_tokens: int


class _CopilotUsage(Struct, frozen=True):
    total_nano_aiu: Count | None = None


class _Counted(Struct, frozen=True):
    usage: Raw = NULL
    copilot_usage: Raw = NULL


_decode_counted = msgspec.json.Decoder(_Counted).decode
_decode_usage = msgspec.json.Decoder(_Usage | None).decode
_decode_count = msgspec.json.Decoder(_Count).decode
_decode_price = msgspec.json.Decoder(_CopilotUsage | None).decode


def decode_usage(raw: Raw) -> Usage | None:
    """Read upstream's counts; None for null and for what cannot be understood (AC-13: never a reason to fail)."""
    try:
        found = _decode_usage(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if found is None:
        return None
    prompt = found.prompt_tokens_details or _PromptDetails()
    completion = found.completion_tokens_details or _CompletionDetails()
    return Usage(
        input_tokens=found.prompt_tokens or 0,
        output_tokens=found.completion_tokens or 0,
        cache_read_tokens=prompt.cached_tokens or 0,
        cache_write_tokens=prompt.cache_write_tokens or 0,
        reasoning_tokens=completion.reasoning_tokens or found.reasoning_tokens or 0,
    )


def reply_usage(body: bytes) -> Usage | None:
    """Read what a complete reply says it used; None for a reply that says nothing, or says it in another dialect."""
    try:
        counted = _decode_counted(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    usage, price = decode_usage(counted.usage), decode_price(counted.copilot_usage)
    if usage is None or not (usage.input_tokens or usage.output_tokens):
        return None
    return usage if price is None else msgspec.structs.replace(usage, nano_credits=price)


def is_count(raw: Raw) -> bool:
    """Tell whether usage has the two numbers that clients read without a look."""
    try:
        _decode_count(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def decode_price(raw: Raw) -> int | None:
    """Read Copilot's price of the request, in billionths of a credit."""
    try:
        found = _decode_price(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return None if found is None else found.total_nano_aiu


def encode_usage(usage: Usage) -> OutUsage:
    """Write the counts as OpenAI does."""
    return OutUsage(
        prompt_tokens=usage.input_tokens,
        completion_tokens=usage.output_tokens,
        total_tokens=usage.input_tokens + usage.output_tokens,
        prompt_tokens_details=PromptDetails(
            cached_tokens=usage.cache_read_tokens, cache_write_tokens=usage.cache_write_tokens or UNSET
        ),
        completion_tokens_details=CompletionDetails(reasoning_tokens=usage.reasoning_tokens),
    )


def severer(one: str, other: str) -> str:
    """Return the finish reason that says more (AC-21); an unknown one says least."""
    return other if _severity(other) > _severity(one) else one


def _severity(reason: str) -> int:
    return SEVERITY.index(STOP_REASON.get(reason, "other")) if reason else -1


def stop_reason_of(finish_reason: str, *, tools: bool, refused: bool) -> StopReason:
    """Judge by what upstream said and what it sent.

    Calls make it `tool_use` whatever a plain `stop` or an unknown word claims (AC-12, AC-24), no call never does
    (AC-04); a refusal in the model's own words ends with `stop`.
    """
    reason = STOP_REASON.get(finish_reason, "end_turn")
    if reason not in {"end_turn", "tool_use"}:
        return reason
    if tools:
        return "tool_use"
    return "refusal" if refused else "end_turn"
