"""What Copilot's chat refuses, and the same body without it: one table, in the order in which it is searched.

Orphan calls and results are not among it: no body leaves with them (see `orphans`).
"""

import re
from typing import Final

from msgspec import Raw

from core.dialect import Encoded
from core.dialects.chat.heal_calls import tell_unsigned_calls
from core.errors import GatewayError
from core.refused import Refused, Rule, encode, members_of, rule
from core.refused import heal as heal_by
from core.tool_schema import INVALID_SCHEMA, with_schema

LIMITS: Final = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
# What may be left out without changing what is asked; `stop`, `n`, `response_format` and the tools may not.
KNOBS: Final = frozenset({
    "temperature", "top_p", "frequency_penalty", "presence_penalty", "seed", "logit_bias", "logprobs", "top_logprobs",
    "reasoning_effort", "verbosity", "thinking_budget", "prediction", "stream_options", "store", "metadata", "user",
    "service_tier", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "safety_identifier",
})  # fmt: skip
REASONING: Final = ("reasoning_opaque", "reasoning_text", "reasoning_content")


def heal(body: bytes, error: GatewayError) -> Encoded | None:
    """See `Dialect.heal`."""
    return heal_by(RULES, body, error)


def _rename_limit(refused: Refused, match: re.Match[str]) -> bool:
    """GPT-5 wants one name, all others the other; a model that the catalogue's quirks do not know yet is told apart here."""
    wrong = match[1].lower()
    if wrong not in refused.members:
        return False
    refused.members[LIMITS[wrong]] = refused.members.pop(wrong)
    return True


def _lower_limit(refused: Refused, match: re.Match[str]) -> bool:
    name = next((name for name in LIMITS if name in refused.members), None)
    asked, most = refused.number(name or ""), int(match[1])
    if name is None or asked is None or not 0 < most < asked:
        return False
    refused.put(name, most)
    refused.losses.append("max_output")
    return True


def _drop_effort(refused: Refused, _: re.Match[str]) -> bool:
    return refused.drop("reasoning_effort")


def _drop_top_p(refused: Refused, _: re.Match[str]) -> bool:
    return refused.drop("top_p")


def _drop_knob(refused: Refused, match: re.Match[str]) -> bool:
    name = match[1].lower()
    return name in KNOBS and refused.drop(name)


def _strip_reasoning(refused: Refused, _: re.Match[str]) -> bool:
    """Another account's, or another backend's, thought signature: the thinking goes, text and calls stay."""
    if not refused.rewrite("messages", lambda raws: [_without_reasoning(raw) for raw in raws]):
        return False
    refused.losses.append("thinking")
    return True


def _tell_calls(refused: Refused, _: re.Match[str]) -> bool:
    """A call without its thought signature: a client that keeps no unknown members, or a call of another model."""
    if not refused.rewrite("messages", tell_unsigned_calls):
        return False
    refused.losses.append("thinking")
    return True


def _complete_schemas(refused: Refused, _: re.Match[str]) -> bool:
    return refused.rewrite("tools", lambda tools: [_with_schema(tool) for tool in tools])


def _with_schema(tool: Raw) -> Raw:
    members = members_of(tool)
    function = with_schema(members_of(members["function"])) if "function" in members else None
    return tool if function is None else Raw(encode({**members, "function": function}))


def _without_reasoning(raw: Raw) -> Raw:
    if b'"reasoning_' not in bytes(raw):
        return raw
    members = members_of(raw)
    kept = {name: value for name, value in members.items() if name not in REASONING}
    return raw if len(kept) == len(members) else Raw(encode(kept))


RULES: Final[tuple[Rule, ...]] = (
    rule("output_limit_name", r"\b(max_tokens|max_completion_tokens)\W? is not supported", _rename_limit),
    rule("max_output", r"max_(?:completion_)?tokens is too large.{0,80}?at most (\d{1,9})", _lower_limit),
    rule("tool_schema", INVALID_SCHEMA, _complete_schemas),
    rule("effort", r"invalid_reasoning_effort|reasoning.?effort.{0,80}not supported", _drop_effort),
    rule("sampling", r"temperature\W{1,3}and\W{1,3}top_p\W.{0,20}cannot both", _drop_top_p),
    # One that is missing cannot be made up; Google's own words have it too.
    rule("unsigned_calls", r"\bmissing\b.{0,60}(?:reasoning_opaque|thought.?signature)", _tell_calls),
    rule("thinking_signature", r"^(?!.*\bmissing\b).*(?:reasoning_opaque|thought.signature|invalid signature)", _strip_reasoning),
    rule("unsupported_parameter", r"(?:unsupported|unknown|unrecognized)[a-z ]{0,20}: '([a-z_]{1,40})'", _drop_knob),
    rule("unsupported_parameter", r"'([a-z_]{1,40})' (?:is not|does not) support", _drop_knob),
    rule("unsupported_parameter", r"\b([a-z_]{1,40}): Extra inputs are not permitted", _drop_knob),
)  # fmt: skip
