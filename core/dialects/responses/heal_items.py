"""Repairs of refused input items: ids and ciphertext that upstream does not know, calls and outputs without each other."""

import re
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from core.dialects.responses.schema import decode_raws, encode
from core.dialects.responses.turns import NO_RESULT
from core.refused import Refused, first_byte, members_of

# A compaction is the conversation itself: without it the model would answer something else.
HISTORY: Final = frozenset({"compaction", "compaction_summary"})
OUTPUTS: Final = {"function_call": "function_call_output", "custom_tool_call": "custom_tool_call_output"}
# Items that are nothing without their id.
NAMED: Final = HISTORY | {
    "item_reference", "web_search_call", "file_search_call", "image_generation_call", "code_interpreter_call", "mcp_call",
}  # fmt: skip
UNREADABLE: Final = "[this result can no longer be read]"
STRAY: Final = "[Result of an earlier tool call]"


class _Item(Struct):
    type: str | None = None
    id: str | None = None
    call_id: str | None = None


class _Part(Struct):
    type: str = ""
    text: str = ""


_item: Final = msgspec.json.Decoder(_Item).decode
_part: Final = msgspec.json.Decoder(_Part).decode


def strip_reasoning(refused: Refused, match: re.Match[str]) -> bool:
    """Take reasoning out, and every id and ciphertext: what upstream did not issue cannot be told from what it did."""
    raws = _items(refused)
    kept: list[Raw] = []
    for raw in raws:
        item = _item(raw)
        if item.type in HISTORY and item.id and item.id in match.string:
            return False
        if item.type != "reasoning":
            kept.append(raw if item.type in NAMED else _plain(raw))
    if kept == raws:
        return False
    if len(kept) < len(raws):
        refused.losses.append("thinking")
    return _put(refused, kept)


def strip_ids(refused: Refused, _: re.Match[str]) -> bool:
    """Take the ids out; upstream reads reasoning without its id, and needs no other."""
    raws = _items(refused)
    kept = [raw if _item(raw).type in NAMED else _without(raw, "id") for raw in raws]
    return kept != raws and _put(refused, kept)


def settle_calls(refused: Refused, _: re.Match[str]) -> bool:
    """Give a call without an output one, right behind it; an output without a call becomes the user's words."""
    raws = _items(refused)
    items = [_item(raw) for raw in raws]
    answered = _answered(items)
    called: set[str | None] = set()
    settled: list[Any] = []
    for raw, item in zip(raws, items, strict=True):
        if item.type in OUTPUTS.values() and item.call_id not in called:
            settled.append(_stray(raw))
            continue
        settled.append(raw)
        if item.type in OUTPUTS:
            called.add(item.call_id)
            if item.call_id not in answered:
                settled.append({"type": OUTPUTS[item.type], "call_id": item.call_id, "output": NO_RESULT})
    return settled != raws and _put(refused, settled)


def _answered(items: list[_Item]) -> set[str | None]:
    """Return the ids of calls that an output follows; one that stands before its call is none of it."""
    called: set[str | None] = set()
    answered: set[str | None] = set()
    for item in items:
        if item.type in OUTPUTS:
            called.add(item.call_id)
        elif item.type in OUTPUTS.values() and item.call_id in called:
            answered.add(item.call_id)
    return answered


def _items(refused: Refused) -> list[Raw]:
    raw = refused.members.get("input", Raw(b"[]"))
    return decode_raws(raw) if first_byte(raw) == b"[" else []


def _put(refused: Refused, items: list[Any]) -> bool:
    if not items:
        return False
    refused.put("input", items)
    return True


def _plain(raw: Raw) -> Raw:
    """Return an item without id and ciphertext. An output that had nothing else says so: its call needs an answer."""
    item = _without(raw, "id")
    if b'"encrypted_content"' not in bytes(item):
        return item
    members: dict[str, Any] = dict(members_of(item))
    members.pop("encrypted_content", None)
    for name in ("output", "content"):
        value = members.get(name, b"")
        if first_byte(value) == b"[":
            members[name] = [_readable(part) for part in decode_raws(value)]
    if _item(item).type in OUTPUTS.values():
        members.setdefault("output", UNREADABLE)
    return Raw(encode(members))


def _readable(part: Raw) -> Raw | dict[str, str]:
    sealed = b'"encrypted_content"' in bytes(part) and "encrypted_content" in members_of(part)
    return {"type": "input_text", "text": UNREADABLE} if sealed else part


def _without(raw: Raw, name: str) -> Raw:
    if b'"%b"' % name.encode() not in bytes(raw):
        return raw
    members = members_of(raw)
    return raw if members.pop(name, None) is None else Raw(encode(members))


def _stray(raw: Raw) -> dict[str, Any]:
    """Return an output as a user message, with its text and pictures."""
    output = members_of(raw).get("output", Raw(b'""'))
    parts: list[Any] = [{"type": "input_text", "text": STRAY}]
    if first_byte(output) == b"[":
        parts += [part for part in decode_raws(output) if _part(part).type.startswith("input_")]
    elif first_byte(output) == b'"' and bytes(output) != b'""':
        parts.append({"type": "input_text", "text": output})
    return {"type": "message", "role": "user", "content": parts}
