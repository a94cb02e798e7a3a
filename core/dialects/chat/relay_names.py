"""Tools' names and calls' ids in a body that passes through: what upstream refuses gets a stand-in."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct

from core.dialects.chat.call_ids import numbered
from core.dialects.chat.draft import Notes
from core.dialects.chat.reading import first_byte, read
from core.dialects.chat.schema import NULL, encode
from core.names import LONG_NAMES, short_name


class _Function(Struct):
    name: str | None = None


class _Tool(Struct):
    function: _Function | None = None


class _Allowed(Struct):
    tools: list[_Tool] = []


class _Choice(_Tool):
    allowed_tools: _Allowed | None = None


class _Call(Struct):
    id: str | None = None
    function: _Function | None = None


class _Message(Struct):
    tool_call_id: str | None = None
    tool_calls: list[_Call] | None = None


_tools = msgspec.json.Decoder(list[_Tool])
_choice = msgspec.json.Decoder(_Choice)
_message = msgspec.json.Decoder(_Message)
_array = msgspec.json.Decoder(list[dict[str, Raw]])
_members = msgspec.json.Decoder(dict[str, Raw])


def rename_tools(tools: Raw, notes: Notes) -> Raw | None:
    """Return the tools under names that upstream takes (AC-61), None when they have them."""
    found = read(_tools, tools, "$.tools")
    if not any(map(_is_long, found)):
        return None
    notes.repair(LONG_NAMES)
    return Raw(encode(_renamed(found, tools)))


def rename_choice(choice: Raw) -> Raw | None:
    """Return the choice with the names that its tools now have, None when those are the same."""
    if first_byte(choice) != b"{":
        return None
    chosen = read(_choice, choice, "$.tool_choice")
    members = _members.decode(choice)
    if chosen.allowed_tools is not None and any(map(_is_long, chosen.allowed_tools.tools)):
        allowed = _members.decode(members["allowed_tools"])
        renamed = {**allowed, "tools": _renamed(chosen.allowed_tools.tools, allowed["tools"])}
        return Raw(encode({**members, "allowed_tools": renamed}))
    if not _is_long(chosen):
        return None
    return Raw(encode(_with_name(members, short_name(_name(chosen)))))


def _renamed(found: list[_Tool], tools: Raw) -> list[Any]:
    return [
        _with_name(members, short_name(_name(tool))) if _is_long(tool) else members
        for tool, members in zip(found, _array.decode(tools), strict=True)
    ]


def rename_calls(messages: list[Raw], notes: Notes) -> list[Raw] | None:
    """Return the conversation's calls and results as upstream takes them, None when they are so already."""
    found = [read(_message, raw, f"$.messages[{index}]") for index, raw in enumerate(messages)]
    calls = [call for message in found for call in message.tool_calls or ()]
    ids: dict[str, str] = {}
    if notes.target.model.numbered_call_ids:
        ids = numbered((call.id, _name(call)) for call in calls if call.id)
        if all(given == call_id for call_id, given in ids.items()):
            ids = {}
        else:
            notes.repair("numbered_call_ids")
    if any(map(_is_long, calls)):
        notes.repair(LONG_NAMES)
    elif not ids:
        return None
    return [_message_renamed(raw, message, ids) for raw, message in zip(messages, found, strict=True)]


def restore_calls(message: Raw, names: Mapping[str, str]) -> Raw:
    """Return a reply's message with the tools' own names in its calls; the same bytes where no name is to change."""
    calls = _message.decode(message).tool_calls
    if not calls or not any(_name(call) in names for call in calls):
        return message
    members = _members.decode(message)
    restored: list[dict[str, Any]] = []
    for call, wire in zip(calls, _array.decode(members["tool_calls"]), strict=True):
        name = names.get(_name(call))
        restored.append(wire if name is None else _with_name(wire, name))
    return Raw(encode({**members, "tool_calls": restored}))


def _message_renamed(raw: Raw, message: _Message, ids: Mapping[str, str]) -> Raw:
    changes: dict[str, Any] = {}
    if message.tool_call_id is not None and message.tool_call_id in ids:
        changes["tool_call_id"] = ids[message.tool_call_id]
    members = _members.decode(raw)
    calls = message.tool_calls or ()
    if any(call.id in ids or _is_long(call) for call in calls):
        wires = _array.decode(members["tool_calls"])
        changes["tool_calls"] = [
            _call_renamed(call, wire, ids) for call, wire in zip(calls, wires, strict=True)
        ]
    return Raw(encode({**members, **changes})) if changes else raw


def _call_renamed(call: _Call, wire: dict[str, Raw], ids: Mapping[str, str]) -> dict[str, Any]:
    named = _with_name(wire, short_name(_name(call))) if _is_long(call) else wire
    return {**named, "id": ids[call.id]} if call.id is not None and call.id in ids else named


def _is_long(tool: _Tool | _Call) -> bool:
    name = _name(tool)
    return bool(name) and short_name(name) != name


def _name(tool: _Tool | _Call) -> str:
    return "" if tool.function is None else tool.function.name or ""


def _with_name(members: dict[str, Raw], name: str) -> dict[str, Any]:
    function = members.get("function", NULL)
    return {**members, "function": {**_members.decode(function), "name": name}}
