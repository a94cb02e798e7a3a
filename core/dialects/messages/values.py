"""Words and numbers that Messages and the canonical model say differently: stop reasons, usage, ids."""

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Raw, UnsetType, structs

from core.canonical import StopReason, Usage
from core.dialects.messages.schema import CopilotUsage, UsageIn

STOP_REASON: Final[dict[str, StopReason]] = {
    "end_turn": "end_turn",
    "max_tokens": "max_tokens",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_use",
    "refusal": "refusal",
    "pause_turn": "pause_turn",
    "model_context_window_exceeded": "context_window",
}
STOP_WORD: Final[dict[StopReason, str]] = {
    **{reason: word for word, reason in STOP_REASON.items()},
    "other": "end_turn",
}


_SAFE_ID: Final = re.compile(r"[a-zA-Z0-9_-]+")
_ESCAPED: Final = "cgid_"

_decode_copilot_usage = msgspec.json.Decoder(CopilotUsage).decode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode


def stop_word(reason: StopReason, *, calls: bool, refused: bool) -> str:
    """Return Anthropic's word.

    Clients would ignore a tool call without "tool_use", and wait for ever on "tool_use" without one.
    """
    if refused:
        return "refusal"
    if calls and reason in {"end_turn", "other"}:
        return "tool_use"
    if not calls and reason == "tool_use":
        return "end_turn"
    return STOP_WORD[reason]


def usage_out(usage: Usage, estimate: int = 0) -> dict[str, int]:
    """Return Anthropic's usage object, whose `input_tokens` excludes what was read from or written to the cache.

    estimate: our own count of the input, which stands where upstream said none: no request has zero tokens.
    """
    cached = usage.cache_read_tokens + usage.cache_write_tokens
    return {
        "input_tokens": max(0, (usage.input_tokens or estimate) - cached),
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "output_tokens": usage.output_tokens,
    }


def searches_out(searches: int) -> dict[str, int]:
    """Return the count of hosted searches; strict clients want both members."""
    return {"web_search_requests": searches, "web_fetch_requests": 0}


class UsageTap:
    """Add up what the events of one stream say of usage; a later figure replaces an earlier one."""

    def __init__(self) -> None:
        self._seen = UsageIn()
        self._nano_credits: int | None = None
        self.heard = False

    def take(self, usage: UsageIn | None, copilot_usage: Raw | UnsetType) -> None:
        """Take what one event says."""
        if usage is not None:
            self.heard = True
            for name in UsageIn.__struct_fields__:
                value = getattr(usage, name)
                if value is not None:
                    setattr(self._seen, name, value)
        if not isinstance(copilot_usage, UnsetType):
            self._nano_credits = _nano_credits(copilot_usage)

    @property
    def usage(self) -> Usage:
        """What was counted so far."""
        seen = self._seen
        read, written = seen.cache_read_input_tokens or 0, seen.cache_creation_input_tokens or 0
        details = seen.output_tokens_details
        return Usage(
            input_tokens=(seen.input_tokens or 0) + read + written,
            output_tokens=seen.output_tokens or 0,
            cache_read_tokens=read,
            cache_write_tokens=written,
            reasoning_tokens=(details.thinking_tokens or 0) if details is not None else 0,
            nano_credits=self._nano_credits,
        )


def usage_in(usage: UsageIn | None, copilot_usage: Raw | UnsetType) -> Usage:
    """Return the canonical usage of one complete object."""
    tap = UsageTap()
    tap.take(structs.replace(usage) if usage is not None else None, copilot_usage)
    return tap.usage


def safe_id(call_id: str) -> str:
    """Return an id that Anthropic accepts (`^[a-zA-Z0-9_-]+$`); `original_id` undoes it."""
    if _SAFE_ID.fullmatch(call_id) and not call_id.startswith(_ESCAPED):
        return call_id
    return _ESCAPED + urlsafe_b64encode(call_id.encode()).decode().rstrip("=")


def original_id(call_id: str) -> str:
    """Return the id that `safe_id` was given; ids that it did not make stay as they are."""
    if not call_id.startswith(_ESCAPED):
        return call_id
    body = call_id.removeprefix(_ESCAPED)
    try:
        original = urlsafe_b64decode(body + "=" * (-len(body) % 4)).decode()
    except (binascii.Error, ValueError):
        return call_id
    return original if safe_id(original) == call_id else call_id


def is_object(arguments: str) -> bool:
    """Tell whether the text is one JSON object."""
    try:
        _decode_object(arguments)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    return True


def one_line(raw: bytes) -> bytes:
    """Return JSON without line ends, which would break a server-sent event."""
    return msgspec.json.format(raw, indent=-1) if b"\n" in raw or b"\r" in raw else raw


def unique(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names in order, each once."""
    return tuple(dict.fromkeys(names))


def _nano_credits(raw: Raw) -> int | None:
    try:
        total = _decode_copilot_usage(raw).total_nano_aiu
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return None if total is None else int(total)
