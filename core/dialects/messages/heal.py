"""What Copilot's Messages endpoint refuses, and the same body without it: one table, in the order it is searched.

Left alone, because only the client can help: a prefill, a hosted tool, an image by URL, a prompt that is too long.
"""

import re
from typing import Any, Final

from msgspec import Raw

from core.canonical import Reasoning
from core.dialect import Encoded
from core.dialects.messages import betas as flags
from core.dialects.messages.heal_history import settle_calls, stop_thinking, strip_thinking
from core.dialects.messages.heal_paths import NAMED, drop_named
from core.dialects.messages.output_schema import closed
from core.dialects.messages.thinking import LEAST_BUDGET
from core.effort import budget_of
from core.errors import GatewayError
from core.refused import Refused, Rule, members_of, rule
from core.refused import heal as heal_by

BETA: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+){0,8}-20[0-9]{2}-[0-9]{2}-[0-9]{2}")
_STRING: Final = re.compile(rb'"[a-z_]{1,40}"')


def heal(body: bytes, error: GatewayError, betas: tuple[str, ...]) -> Encoded | None:
    """See `Dialect.heal`."""
    return heal_by(RULES, body, error, betas)


# --- Flags ----------------------------------------------------------------------------------------------------


def _drop_betas(refused: Refused, match: re.Match[str]) -> bool:
    """Leave out the flags that the refusal names, or all when it names none, with what needs them."""
    if not refused.betas:
        return False
    named = set(BETA.findall(match.string)) & set(refused.betas) or set(refused.betas)
    refused.betas = tuple(beta for beta in refused.betas if beta not in named)
    compacts = b'"compact_' in bytes(refused.members.get("context_management", b""))
    if flags.CONTEXT_MANAGEMENT in named or (flags.COMPACT in named and compacts):
        refused.drop("context_management")
    return True


# --- Thinking and effort --------------------------------------------------------------------------------------


def _adapt(refused: Refused, _: re.Match[str]) -> bool:
    """Ask a model that takes no budget to think as it sees fit."""
    if _text(refused.inner("thinking").get("type")) != "enabled":
        return False
    refused.put("thinking", {"type": "adaptive", "display": "summarized"})
    return True


def _budget(refused: Refused, _: re.Match[str]) -> bool:
    """Give a model that does not adapt a budget: what the effort is worth."""
    if _text(refused.inner("thinking").get("type")) != "adaptive":
        return False
    effort = _text(refused.inner("output_config").get("effort"))
    asked = Reasoning("adaptive", effort=effort or None)
    return _put_budget(refused, budget_of(asked, refused.number("max_tokens")) or LEAST_BUDGET)


def _fit_budget(refused: Refused, _: re.Match[str]) -> bool:
    return _put_budget(refused, _asked_budget(refused))


def _raise_budget(refused: Refused, match: re.Match[str]) -> bool:
    least = int(match[1])
    return _put_budget(refused, max(least, _asked_budget(refused)), least)


def _no_thinking(refused: Refused, _: re.Match[str]) -> bool:
    return stop_thinking(refused)


def _put_budget(refused: Refused, budget: int, least: int = LEAST_BUDGET) -> bool:
    """Set a budget below the output limit; without room for one there is no thinking."""
    limit = refused.number("max_tokens")
    fitting = min(budget, limit - 1) if limit is not None else budget
    if fitting < least:
        return stop_thinking(refused)
    thinking: dict[str, Any] = {**refused.inner("thinking"), "type": "enabled", "budget_tokens": fitting}
    refused.put("thinking", thinking)
    return True


def _asked_budget(refused: Refused) -> int:
    raw = refused.inner("thinking").get("budget_tokens")
    return int(bytes(raw)) if raw is not None and re.fullmatch(rb"[0-9]{1,9}", bytes(raw)) else 0


def _close_schema(refused: Refused, _: re.Match[str]) -> bool:
    config = refused.inner("output_config")
    form = members_of(config["format"])
    shut = Raw(closed(form["schema"]))
    if shut == form["schema"]:
        return False
    refused.put("output_config", {**config, "format": {**form, "schema": shut}})
    return True


def _drop_effort(refused: Refused, _: re.Match[str]) -> bool:
    return refused.drop_inner("output_config", "effort")


# --- Limits and sampling --------------------------------------------------------------------------------------


def _lower_limit(refused: Refused, match: re.Match[str]) -> bool:
    asked, most = refused.number("max_tokens"), int(match[1])
    if asked is None or not 0 < most < asked:
        return False
    refused.put("max_tokens", most)
    refused.losses.append("max_tokens")
    if _asked_budget(refused) >= most:
        _put_budget(refused, _asked_budget(refused))
    return True


def _drop_top_p(refused: Refused, _: re.Match[str]) -> bool:
    return refused.drop("top_p")


def _drop_knob(refused: Refused, match: re.Match[str]) -> bool:
    return refused.drop(match[1].lower())


def _text(raw: Any) -> str:
    """Return a plain JSON string's text, nothing for anything else."""
    return bytes(raw)[1:-1].decode() if raw is not None and _STRING.fullmatch(bytes(raw)) else ""


_KNOB: Final = r"`?\b(temperature|top_p|top_k|service_tier|metadata|speed)`?"

RULES: Final[tuple[Rule, ...]] = (
    rule("refused_beta", r"anthropic[-_ ]beta|\bbetas?\b.{0,40}(?:unsupported|unknown|unexpected|invalid)", _drop_betas),
    rule("refused_field", NAMED.pattern, drop_named),
    rule("thinking_signature", r"\b(?:signature|data)`? in `?(?:redacted_)?thinking|thinking.{0,80}signature", strip_thinking),
    rule("thinking_signature", r"thinking`? blocks.{0,80}cannot be modified", strip_thinking),
    rule("orphan_tool_call", r"tool_use_id.{0,40}tool_result|`?tool_use`? ids were found|multiple `?tool_result", settle_calls),
    rule("no_thinking", r"expected `?thinking`?.{0,60}but found", _no_thinking),
    rule("no_thinking", r"thinking may not be enabled when tool_choice", _no_thinking),
    rule("thinking_form", r"thinking\.type\.enabled\W{1,3}is not supported", _adapt),
    rule("thinking_form", r"adaptive thinking is not supported|thinking\.type\.adaptive\W{1,3}is not supported", _budget),
    rule("thinking_budget", r"max_tokens`? must be greater than `?thinking", _fit_budget),
    rule("thinking_budget", r"budget_tokens: input should be greater than or equal to (\d{1,7})", _raise_budget),
    rule("effort", r"invalid_reasoning_effort|not support the effort parameter", _drop_effort),
    rule("output_schema", r"'object' type, .additionalProperties", _close_schema),
    rule("max_tokens", r"exceeds the model limit of (\d{1,9})", _lower_limit),
    rule("max_tokens", r"max_tokens: \d{1,12} > (\d{1,9}), which is the maximum", _lower_limit),
    rule("sampling", r"temperature`? and `?top_p`? cannot both", _drop_top_p),
    rule("sampling", rf"{_KNOB} (?:may only|must be|is deprecated|is not supported|cannot be)", _drop_knob),
)  # fmt: skip
