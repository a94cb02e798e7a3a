"""The reply modes by name, what each needs, and how they become a delivery."""

from typing import Any, Final

from tests.emulators.copilot.shapes import members, string
from tests.emulators.copilot.wire import Delivery

CHAT_MODES: Final = frozenset(
    {
        "chat_split_choices", "chat_anthropic_body", "chat_no_index", "chat_same_index", "chat_repeat_id",
        "chat_interleaved_tools", "chat_finish_stop_on_tool", "chat_no_done", "chat_no_finish",
        "chat_usage_separate_chunk", "chat_null_choices", "chat_error_midstream", "chat_comments",
        "chat_copilot_errors", "chat_requires_opaque", "chat_bare_error_at_end", "reasoning_text+opaque",
        "late_thinking",
    }
)  # fmt: skip
RESPONSES_MODES: Final = frozenset(
    {
        "resp_rotate_ids", "resp_keepalive", "resp_failed_after_created", "resp_error_event", "resp_phase",
        "resp_summary_only_in_done", "resp_trailing_done", "resp_encrypted_check", "resp_content_filter",
        "resp_search_without_sources",
    }
)  # fmt: skip
MESSAGES_MODES: Final = frozenset(
    {
        "msg_copilot_usage",
        "msg_trailing_done",
        "msg_error_event",
        "msg_backend",
        "msg_redacted",
        "msg_leaked_call",
    }
)
# Values: bytes, ms, ms, {"before": s} or {"after_events": n, "seconds": s}, events, flags.
DELIVERY_MODES: Final = frozenset(
    {
        "cut_after_n_bytes", "cut_with_reset", "pace_ms", "slow_first_byte", "stall", "events_per_write",
        "split_utf8_across_writes", "crlf", "gzip", "stamp",
    }
)  # fmt: skip
ALL_MODES: Final = CHAT_MODES | RESPONSES_MODES | MESSAGES_MODES | DELIVERY_MODES

# What the live service is reported to do, by model; `FakeCopilot(realistic=True)` sets them.
REALISTIC: Final[dict[str, dict[str, Any]]] = {
    "claude-sonnet-4.6": {"chat_split_choices": True, "msg_backend": "bdrk", "msg_copilot_usage": True},
    "claude-opus-4.8": {"chat_anthropic_body": True, "msg_backend": "vrtx", "msg_copilot_usage": True},
    "claude-sonnet-5": {"chat_split_choices": True, "msg_trailing_done": True},
    "claude-haiku-4.5": {"chat_split_choices": True, "chat_repeat_id": True},
    "gemini-3.8-flash": {
        "chat_same_index": True, "chat_finish_stop_on_tool": True, "reasoning_text+opaque": True,
        "chat_requires_opaque": True, "chat_no_done": True,
    },
    "gpt-4.1": {"chat_comments": True},
    "gpt-5-mini": {"chat_usage_separate_chunk": True, "resp_rotate_ids": True},
    "gpt-5.4": {"resp_rotate_ids": True, "resp_phase": True},
    "gpt-5.5": {"resp_rotate_ids": True, "resp_keepalive": True, "resp_phase": True, "resp_summary_only_in_done": True},
}  # fmt: skip


def unknown(modes: object) -> list[str]:
    """Return the names that are no mode."""
    return sorted(set(members(modes)) - ALL_MODES)


def delivery(modes: dict[str, Any]) -> Delivery:
    """Return how a reply under these modes travels."""
    if not modes.keys() & DELIVERY_MODES:
        return Delivery()
    stall = members(modes.get("stall"))
    return Delivery(
        pace=_number(modes.get("pace_ms")) / 1000,
        events_per_write=int(_number(modes.get("events_per_write"), 1)),
        silent_before_headers=_number(stall.get("before")),
        silent_after_events=int(_number(stall.get("after_events"), -1)),
        silent_for=_number(stall.get("seconds")),
        first_byte_delay=_number(modes.get("slow_first_byte")) / 1000,
        cut_after=int(_number(modes.get("cut_after_n_bytes"), -1)),
        reset=bool(modes.get("cut_with_reset")),
        split_utf8=bool(modes.get("split_utf8_across_writes")),
        crlf=bool(modes.get("crlf")),
        gzip=bool(modes.get("gzip")),
        stamp=bool(modes.get("stamp")),
    )


def backend(modes: dict[str, Any]) -> str:
    """Return the infix of Anthropic ids: `bdrk_`, `vrtx_` or nothing."""
    return {"bdrk": "bdrk_", "vrtx": "vrtx_"}.get(string(modes.get("msg_backend")), "")


def _number(value: object, default: float = 0) -> float:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else default
