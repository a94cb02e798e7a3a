"""One entry of Copilot's model list, read leniently: what is broken is left out, never the rest of the list."""

from collections.abc import Mapping
from typing import Final, TypeVar

import msgspec
from msgspec import Raw, Struct

from core.copilot.quirks import quirks_of
from core.effort import LEVELS
from core.model import DialectName, Kind, Model, Prices

_NULL: Final = Raw(b"null")
_NO_TYPES: Final[list[str]] = []
_T = TypeVar("_T")
_D = TypeVar("_D")

ENDPOINTS: Final[dict[str, DialectName]] = {
    "/v1/messages": "messages",
    "/responses": "responses",
    "/chat/completions": "chat",
}
_KIND: Final[dict[str, Kind]] = {
    "embeddings": "embeddings",
    "completion": "completion",
}


class _Entry(Struct):
    id: str
    name: Raw = _NULL
    vendor: Raw = _NULL
    version: Raw = _NULL
    preview: Raw = _NULL
    model_picker_enabled: Raw = _NULL
    capabilities: Raw = _NULL
    supported_endpoints: Raw = _NULL
    policy: Raw = _NULL
    billing: Raw = _NULL
    warning_messages: Raw = _NULL


class _Capabilities(Struct):
    type: Raw = _NULL
    family: Raw = _NULL
    limits: Raw = _NULL
    supports: Raw = _NULL


class _Policy(Struct):
    state: str = "enabled"


class _Notice(Struct):
    code: str = ""
    message: str = ""


class _Billing(Struct):
    token_prices: dict[str, Raw] | None = None


def decode_entry(raw: Raw, corrections: Mapping[str, Mapping[str, bool | str]]) -> Model:
    """Decode one entry; raises msgspec.ValidationError when it has no id or its capabilities are no object."""
    entry = msgspec.json.decode(raw, type=_Entry)
    if not entry.id:
        raise msgspec.ValidationError("Expected a model id - at `$.id`")
    capabilities = msgspec.json.decode(entry.capabilities, type=_Capabilities | None) or _Capabilities()
    limits = _members(capabilities.limits)
    vision = _members(limits.get("vision", _NULL))
    supports = _members(capabilities.supports)
    kind = _KIND.get(_get(capabilities.type, str, "chat"), "chat")
    quirks = quirks_of(entry.id, corrections)
    efforts = _get(supports.get("reasoning_effort", _NULL), list[str], None) or ()
    return Model(
        id=entry.id,
        name=_get(entry.name, str, entry.id),
        vendor=_get(entry.vendor, str, ""),
        family=_get(capabilities.family, str, ""),
        version=_get(entry.version, str, ""),
        kind=kind,
        dialects=_dialects(entry.supported_endpoints, kind),
        policy=_get(entry.policy, _Policy, _Policy()).state,
        preview=_get(entry.preview, bool, False),  # noqa: FBT003 - a default value
        picker=_get(entry.model_picker_enabled, bool, True),  # noqa: FBT003
        warnings=_warnings(entry.warning_messages),
        context_window=_size(limits, "max_context_window_tokens"),
        max_prompt=_size(limits, "max_prompt_tokens"),
        max_output=_size(limits, "max_output_tokens"),
        max_non_streaming_output=_size(limits, "max_non_streaming_output_tokens"),
        max_inputs=_size(limits, "max_inputs"),
        vision=_flag(supports, "vision"),
        max_images=_size(vision, "max_prompt_images"),
        max_image_bytes=_size(vision, "max_prompt_image_size"),
        image_types=tuple(_get(vision.get("supported_media_types", _NULL), list[str], _NO_TYPES)),
        tools=_flag(supports, "tool_calls"),
        parallel_tools=_flag(supports, "parallel_tool_calls"),
        structured_outputs=_flag(supports, "structured_outputs"),
        efforts=tuple(sorted(efforts, key=_strength)),
        thinking_budget=None if quirks.adaptive_only else _budget(supports),
        adaptive_thinking=quirks.adaptive_only or bool(_flag(supports, "adaptive_thinking")),
        output_limit_name=quirks.output_limit_name,
        sampling=quirks.sampling,
        prefill=quirks.prefill,
        mid_system=quirks.mid_system,
        numbered_call_ids=quirks.numbered_call_ids,
        prices=_prices(entry.billing),
    )


def _get(raw: Raw, kind: type[_T], default: _D) -> _T | _D:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return default


def _members(raw: Raw) -> dict[str, Raw]:
    return _get(raw, dict[str, Raw], None) or {}


def _dialects(endpoints: Raw, kind: str) -> tuple[DialectName, ...]:
    # Missing means chat completions only, for a chat model; embeddings and completion models never list any.
    if kind != "chat":
        return ()
    named = _get(endpoints, list[str], None)
    if named is None:
        return ("chat",)
    return tuple(dict.fromkeys(ENDPOINTS[name] for name in named if name in ENDPOINTS))


def _warnings(raw: Raw) -> tuple[str, ...]:
    notices = [_get(one, _Notice, _Notice()) for one in _get(raw, list[Raw], None) or ()]
    return tuple(text for notice in notices if (text := notice.message or notice.code))


def _number(members: Mapping[str, Raw], *names: str) -> float | None:
    for name in names:
        value = _get(members.get(name, _NULL), float, None)
        if value is not None and 0 <= value < 1e15:  # noqa: PLR2004 - nothing real is larger
            return value
    return None


def _size(members: Mapping[str, Raw], name: str) -> int | None:
    value = _number(members, name)
    return int(value) if value else None


def _flag(members: Mapping[str, Raw], name: str) -> bool | None:
    return _get(members.get(name, _NULL), bool, None)


def _budget(supports: Mapping[str, Raw]) -> tuple[int, int] | None:
    least, most = _size(supports, "min_thinking_budget"), _size(supports, "max_thinking_budget")
    return None if most is None else (least or 1024, most)


def _strength(effort: str) -> int:
    return LEVELS.index(effort) if effort in LEVELS else len(LEVELS)


def _prices(billing: Raw) -> Prices | None:
    tiers = _get(billing, _Billing, _Billing()).token_prices
    if not tiers:
        return None
    batch = int(_number(tiers, "batch_size") or 1_000_000)
    beyond = _tier(_members(tiers.get("long_context", _NULL)), batch, None)
    return _tier(_members(tiers.get("default", _NULL)) or tiers, batch, beyond)


def _tier(tier: Mapping[str, Raw], batch: int, beyond: Prices | None) -> Prices | None:
    if _number(tier, "input_price") is None and _number(tier, "output_price") is None:
        return None
    return Prices(
        batch=batch,
        input=_number(tier, "input_price") or 0.0,
        output=_number(tier, "output_price") or 0.0,
        # The spelling of some has changed over the months.
        cache_read=_number(tier, "cache_price", "cache_read_price") or 0.0,
        cache_write=_number(tier, "cache_write_price") or 0.0,
        context_max=int(_number(tier, "context_max", "max_prompt_tokens") or 0),
        beyond=beyond,
    )
