"""What the catalogue does not say about a model: tables by id, the last matching row wins, settings win over all.

Rows name families and generations, never a whole list of ids, because ids come and go monthly.
"""

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

OutputLimitName = Literal["max_tokens", "max_completion_tokens"]


class Quirks(Struct, frozen=True, kw_only=True):
    """See `core.model.Model` for all but one. adaptive_only: refuses a thinking budget, wants `adaptive`."""

    output_limit_name: OutputLimitName = "max_tokens"
    sampling: bool = True
    prefill: bool = True
    adaptive_only: bool = False
    mid_system: bool = False
    numbered_call_ids: bool = False


_Row = tuple[re.Pattern[str], dict[str, bool | str]]

_ROWS: Final[tuple[_Row, ...]] = (
    # OpenAI's reasoning models answer `max_tokens` with a 400 that asks for `max_completion_tokens`; LiteLLM and Copilot
    # proxies report the same for GPT-5 and later. The same generations take temperature 1 only (VS Code omits it).
    (
        re.compile(r"(gpt-([5-9]|[12][0-9])|o[1-9])(?![0-9])"),
        {"output_limit_name": "max_completion_tokens", "sampling": False},
    ),
    # VS Code omits temperature and top_p for every codex model.
    (re.compile(r".*codex"), {"sampling": False}),
    # VS Code puts its own fixed values in place of the caller's for Kimi, and gives every call in the history an id of the
    # form that Kimi itself gives: `functions.read:0`.
    (re.compile(r"kimi"), {"sampling": False, "numbered_call_ids": True}),
    # Recorded Responses traffic of the model refuses temperature; it is offered on that endpoint only.
    (re.compile(r"mai-code"), {"sampling": False}),
    # Anthropic's release notes: from 4.6 on, a conversation that ends with an assistant turn is a 400.
    (re.compile(r"claude-[a-z]+-(4[.-][6-9]|[5-9](?![0-9]))"), {"prefill": False}),
    # Anthropic's release notes: Opus from 4.7 on refuses thinking budgets, and any temperature, top_p or top_k.
    (re.compile(r"claude-opus-(4[.-][7-9]|[5-9](?![0-9]))"), {"adaptive_only": True, "sampling": False}),
    # Claude Code puts `role: system` turns into the conversation from Opus 4.8 and the fifth generation on; older
    # models answer them with a 400.
    (re.compile(r"claude-(opus-4[.-][89]|[a-z]+-[5-9](?![0-9]))"), {"mid_system": True}),
)


def quirks_of(model_id: str, corrections: Mapping[str, Mapping[str, bool | str]]) -> Quirks:
    """Return a model's quirks; `corrections` are the operator's, by id pattern. Unknown names in them are ignored."""
    facts: dict[str, bool | str] = {}
    for pattern, row in _ROWS:
        if pattern.match(model_id.lower()):
            facts |= row
    for glob, correction in corrections.items():
        if fnmatchcase(model_id, glob):
            facts |= correction
    return _checked(facts)


def _checked(facts: Mapping[str, bool | str]) -> Quirks:
    quirks = Quirks()
    for name in ("sampling", "prefill", "adaptive_only", "mid_system", "numbered_call_ids"):
        value = facts.get(name)
        if isinstance(value, bool):
            quirks = replace(quirks, **{name: value})
    if facts.get("output_limit_name") == "max_completion_tokens":
        quirks = replace(quirks, output_limit_name="max_completion_tokens")
    return quirks
