"""What Copilot's Responses endpoint refuses, and the same body without it: one table, in the order it is searched."""

import re
from typing import Final

import msgspec
from msgspec import Raw

from core.dialect import Encoded
from core.dialects.responses.heal_items import settle_calls, strip_ids, strip_reasoning
from core.errors import GatewayError
from core.refused import Refused, Rule, encode, first_byte, items_of, members_of, rule
from core.refused import heal as heal_by
from core.tool_schema import INVALID_SCHEMA, with_schema

# What may be left out without changing what is asked; input, tools, formats and memory may not.
KNOBS: Final = frozenset({
    "temperature", "top_p", "service_tier", "truncation", "top_logprobs", "text.verbosity", "prompt_cache_key",
    "prompt_cache_retention", "prompt_cache_options", "client_metadata", "reasoning.context", "reasoning.summary",
    "reasoning.effort", "metadata", "user", "safety_identifier", "stream_options", "include",
})  # fmt: skip
# Those whose value is a word; upstream may name the word alone.
WORDS: Final = (
    "reasoning.effort",
    "reasoning.summary",
    "reasoning.context",
    "text.verbosity",
    "truncation",
    "service_tier",
)

_string: Final = msgspec.json.Decoder(str).decode


def heal(body: bytes, error: GatewayError) -> Encoded | None:
    """See `Dialect.heal`."""
    return heal_by(RULES, body, error)


def _drop_effort(refused: Refused, _: re.Match[str]) -> bool:
    return refused.drop_inner("reasoning", "effort")


def _drop_knob(refused: Refused, match: re.Match[str]) -> bool:
    return match[1].lower() in KNOBS and _drop(refused, match[1].lower())


def _drop(refused: Refused, name: str) -> bool:
    outer, _, inner = name.partition(".")
    return refused.drop_inner(outer, inner) if inner else refused.drop(outer)


def _drop_value(refused: Refused, match: re.Match[str]) -> bool:
    """Leave out the knobs that hold the value which the refusal names: it does not say where the value stands."""
    dropped = [_drop_include(refused, match[1])]
    dropped += [_drop(refused, name) for name in WORDS if _word(refused, name) == match[1]]
    return any(dropped)


def _word(refused: Refused, name: str) -> str | None:
    outer, _, inner = name.partition(".")
    raw = refused.inner(outer).get(inner) if inner else refused.members.get(outer)
    return _string(raw) if raw is not None and first_byte(raw) == b'"' else None


def _drop_include(refused: Refused, value: str) -> bool:
    raws = items_of(refused.members.get("include", b"[]"))
    kept = [raw for raw in raws if _string(raw) != value]
    if len(kept) == len(raws):
        return False
    refused.losses.append(f"include.{value}")
    if kept:
        refused.put("include", kept)
    else:
        del refused.members["include"]
    return True


def _complete_schemas(refused: Refused, _: re.Match[str]) -> bool:
    return refused.rewrite("tools", lambda tools: [_with_schema(tool) for tool in tools])


def _with_schema(tool: Raw) -> Raw:
    members = members_of(tool)
    match _string(members["type"]):
        case "function":
            function = with_schema(members)
            return tool if function is None else Raw(encode(function))
        case "namespace":
            inner = items_of(members["tools"])
            mended = [_with_schema(member) for member in inner]
            return tool if mended == inner else Raw(encode({**members, "tools": mended}))
        case _:
            return tool


RULES: Final[tuple[Rule, ...]] = (
    rule("item_id", r"expected an id that begins with", strip_ids),
    rule("encrypted_content", r"input_item_not_owned|does not belong to this connection", strip_reasoning),
    rule("encrypted_content", r"invalid_encrypted_content|encrypted.{0,200}could not be (?:verified|decrypted)", strip_reasoning),
    rule("encrypted_content", r"item_id.{0,20}mismatch|item_id did not match", strip_reasoning),
    rule("encrypted_content", r"item with id .{1,100} not found", strip_reasoning),
    rule("encrypted_content", r"was provided without its required", strip_reasoning),
    rule("orphan_tool_call", r"no tool (?:call|output) found for", settle_calls),
    rule("tool_schema", INVALID_SCHEMA, _complete_schemas),
    rule("effort", r"invalid_reasoning_effort|reasoning[. ]effort.{0,80}not supported", _drop_effort),
    rule("unsupported_value", r"(?:invalid|unsupported) value: '([A-Za-z0-9_.-]{1,60})'", _drop_value),
    rule("unsupported_parameter", r"(?:unsupported|unknown|unrecognized)[a-z ]{0,20}: '([a-z_.]{1,40})'", _drop_knob),
    rule("unsupported_parameter", r"'([a-z_.]{1,40})' is not supported", _drop_knob),
)  # fmt: skip
