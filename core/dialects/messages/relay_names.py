"""Tool names on the pass-through lane: too long ones go out under a stand-in, and come back as the client's own."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from core.dialects.messages.turns import Piece, raw_members
from core.names import LONG_NAMES, native_name

_encode: Final = msgspec.json.Encoder().encode


class _Named(Struct):
    type: str = ""
    name: str | None = None


_named: Final = msgspec.json.Decoder(_Named).decode
_blocks: Final = msgspec.json.Decoder(list[Raw]).decode


def shorten(piece: Piece, name: str, repairs: list[str]) -> None:
    """Give a tool, or a call of one, a name that upstream takes (AC-61)."""
    short = native_name(name)
    if name and short != name:
        piece.members()["name"] = short
        repairs.append(LONG_NAMES)


def restored_block(block: Raw, names: Mapping[str, str]) -> Raw:
    """Return a block with its tool's own name; the same bytes where it has it."""
    found = _named(block)
    name = names.get(found.name or "") if found.type == "tool_use" else None
    return block if name is None else Raw(_encode({**raw_members(block), "name": name}))


def restored_reply(members: dict[str, Any], names: Mapping[str, str]) -> bool:
    """Put the tools' own names into a reply's content; tell whether there was anything to do."""
    blocks = _blocks(members["content"]) if names and "content" in members else []
    restored = [restored_block(block, names) for block in blocks]
    if all(new is old for new, old in zip(restored, blocks, strict=True)):
        return False
    members["content"] = restored
    return True
