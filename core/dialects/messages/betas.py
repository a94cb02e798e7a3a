"""Anthropic's feature flags (`anthropic-beta`): which ones Copilot knows. Unknown ones can cost a 400 (AC-58)."""

from collections.abc import Iterable
from typing import Final

CONTEXT_MANAGEMENT: Final = "context-management-2025-06-27"
COMPACT: Final = "compact-2026-01-12"

ACCEPTED: Final = frozenset({
    "interleaved-thinking-2025-05-14",
    CONTEXT_MANAGEMENT,
    COMPACT,
    "advanced-tool-use-2025-11-20",
    "extended-cache-ttl-2025-04-11",
})  # fmt: skip
ACCEPTED_PREFIXES: Final = ("computer-use-",)


def accepted(betas: Iterable[str]) -> tuple[str, ...]:
    """Return the flags to send, in order, each once."""
    names = (name.strip() for value in betas for name in value.split(","))
    return tuple(
        dict.fromkeys(name for name in names if name in ACCEPTED or name.startswith(ACCEPTED_PREFIXES))
    )
