"""Repairs of a client's input items and tools on the pass-through lane; each names who needs it."""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from core.canonical import Opaque
from core.dialect import Target
from core.dialects.responses.reading import no_reference, read
from core.dialects.responses.schema import decode_members, decode_raws, encode, is_set
from core.errors import UnsupportedFeatureError
from core.names import LONG_NAMES, short_call_id, short_name
from core.opaque import PREFIX, comes_home, unseal
from core.tool_count import MOST_TOOLS, check_count

# What upstream wants an item's id to begin with; clients that make their own ids get it wrong.
ID_PREFIX: Final[dict[str, str]] = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "custom_tool_call": "ctc",
}


class Repair:
    """A body's top-level members under repair, and what was done to them."""

    def __init__(self, members: dict[str, Raw], target: Target) -> None:
        self.members = members
        self.target = target
        self.losses: list[str] = []
        self.repairs: list[str] = []
        self.changed = False

    def put(self, name: str, value: Raw) -> None:
        """Replace a member."""
        self.members[name] = value
        self.changed = True

    def drop(self, name: str, *, loses: bool) -> None:
        """Remove a member."""
        del self.members[name]
        self.changed = True
        if loses:
            self.lose(name)

    def lose(self, name: str) -> None:
        """Note a loss."""
        if name not in self.losses:
            self.losses.append(name)

    def note(self, name: str) -> None:
        """Note a repair."""
        if name not in self.repairs:
            self.repairs.append(name)


class ItemFacts(Struct):
    """What repairs look at."""

    type: str | None = None
    id: str | None = None
    encrypted_content: str | None = None
    call_id: str | None = None
    name: str | None = None


class ToolFacts(Struct):
    """What repairs look at in a tool."""

    name: str | None = None
    defer_loading: bool | None = None


_decode_facts = msgspec.json.Decoder(ItemFacts).decode
_decode_tool = msgspec.json.Decoder(ToolFacts).decode


def repair_items(repair: Repair) -> None:
    """Go over the input's items; most of them stay the bytes that they are."""
    raw = repair.members.get("input")
    if raw is None or bytes(raw)[:1] != b"[":
        return
    items = read(decode_raws, raw, "$.input")
    kept: list[Raw] = []
    for index, item in enumerate(items):
        repaired = _repair_item(repair, item, f"$.input[{index}]")
        if repaired is not None:
            kept.append(repaired)
    if len(kept) != len(items) or any(new is not old for new, old in zip(kept, items, strict=True)):
        repair.put("input", Raw(b"[" + b",".join(kept) + b"]"))


def _repair_item(repair: Repair, item: Raw, path: str) -> Raw | None:
    facts = read(_decode_facts, item, path)
    if facts.type == "item_reference":
        raise no_reference(path)
    changes: dict[str, Any] = {}
    if facts.type in OPAQUE_ITEMS and not OPAQUE_ITEMS[facts.type](repair, facts, changes, path):
        return None
    _check_id(repair, facts, changes)
    if facts.call_id is not None and short_call_id(facts.call_id) != facts.call_id:
        repair.note("call_id")
        changes["call_id"] = short_call_id(facts.call_id)
    if facts.name is not None and facts.type in ID_PREFIX and short_name(facts.name) != facts.name:
        repair.note(LONG_NAMES)
        changes["name"] = short_name(facts.name)
    if not changes:
        return item
    members: dict[str, Any] = {**decode_members(item), **changes}
    return Raw(encode({name: value for name, value in members.items() if value is not None}))


def _check_id(repair: Repair, facts: ItemFacts, changes: dict[str, Any]) -> None:
    """Upstream refuses ids of the wrong family (`Expected an ID that begins with 'rs'`); none at all is fine."""
    item_id = changes.get("id", facts.id)
    prefix = ID_PREFIX.get(facts.type or "")
    if item_id is not None and prefix is not None and not item_id.startswith(prefix):
        repair.note("item_id")
        changes["id"] = None


def _reasoning(repair: Repair, facts: ItemFacts, changes: dict[str, Any], _path: str) -> bool:
    """Keep reasoning only with its own ciphertext: an id alone refers to what nobody stored."""
    if not facts.encrypted_content:
        repair.note("reasoning_without_content")
        return False
    if not facts.encrypted_content.startswith(PREFIX):
        return True
    opaque = _opened(repair, facts.encrypted_content, facts.id)
    if opaque is None:
        repair.note("foreign_reasoning")
        repair.lose("thinking")
        return False
    changes["encrypted_content"] = opaque.value
    changes["id"] = opaque.item_id or None
    return True


def _compaction(repair: Repair, facts: ItemFacts, changes: dict[str, Any], path: str) -> bool:
    """Open a compaction that was sealed; one of another issuer holds a history that nobody here can read."""
    if facts.encrypted_content and facts.encrypted_content.startswith(PREFIX):
        opaque = _opened(repair, facts.encrypted_content, facts.id)
        if opaque is None:
            raise UnsupportedFeatureError(
                "a compacted history can only go back where it came from", param=path
            )
        changes["encrypted_content"] = opaque.value
        changes["id"] = opaque.item_id or facts.id
    return True


def _opened(repair: Repair, sealed: str, item_id: str | None) -> Opaque | None:
    opaque = unseal(sealed, "responses", item_id or "")
    if opaque.value.startswith(PREFIX) or not comes_home(opaque, "responses", repair.target.scope):
        return None
    return opaque


OPAQUE_ITEMS: Final[dict[str | None, Callable[[Repair, ItemFacts, dict[str, Any], str], bool]]] = {
    "reasoning": _reasoning,
    "compaction": _compaction,
}


def shorten_tools(repair: Repair) -> None:
    """Upstream takes names of at most 64 plain characters; the relay of the reply gives the long ones back."""
    raw = repair.members.get("tools")
    if is_set(raw):
        tools = read(decode_raws, raw, "$.tools")
        if len(tools) > MOST_TOOLS:
            shown = [tool for tool in tools if not read(_decode_tool, tool, "$.tools").defer_loading]
            check_count(len(shown))
        short = [_short_tool(tool, f"$.tools[{index}]") for index, tool in enumerate(tools)]
        if any(new is not old for new, old in zip(short, tools, strict=True)):
            repair.put("tools", Raw(encode(short)))
            repair.note(LONG_NAMES)
    choice = repair.members.get("tool_choice")
    if is_set(choice) and bytes(choice)[:1] == b"{":
        short_choice = _short_allowed(_short_tool(choice, "$.tool_choice"))
        if short_choice is not choice:
            repair.put("tool_choice", short_choice)


def _short_allowed(choice: Raw) -> Raw:
    members = decode_members(choice)
    if "tools" not in members:
        return choice
    tools = read(decode_raws, members["tools"], "$.tool_choice.tools")
    short = [_short_tool(tool, f"$.tool_choice.tools[{index}]") for index, tool in enumerate(tools)]
    same = all(new is old for new, old in zip(short, tools, strict=True))
    return choice if same else Raw(encode({**members, "tools": short}))


def _short_tool(tool: Raw, path: str) -> Raw:
    facts = read(_decode_tool, tool, path)
    if facts.name is None or short_name(facts.name) == facts.name:
        return tool
    return Raw(encode({**decode_members(tool), "name": short_name(facts.name)}))
