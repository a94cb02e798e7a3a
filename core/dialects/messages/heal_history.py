"""Repairs of a refused conversation: thinking that upstream did not issue, calls and results that lost each other."""

import re
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from core.dialects.messages.schema import MessageIn
from core.dialects.messages.thinking import starts_without_thinking
from core.dialects.messages.turns import Piece, Turn, settle, text_piece
from core.refused import Refused, items_of

THINKING: Final = frozenset({"thinking", "redacted_thinking"})


class _Block(Struct):
    type: str = ""
    id: str | None = None
    tool_use_id: str | None = None


class _Edit(Struct):
    type: str = ""


_message: Final = msgspec.json.Decoder(MessageIn).decode
_block: Final = msgspec.json.Decoder(_Block).decode
_edit: Final = msgspec.json.Decoder(_Edit).decode


def strip_thinking(refused: Refused, _: re.Match[str]) -> bool:
    """Take all thinking out of the history: which of it is foreign cannot be told, and the rest would not suffice.

    Where a tool round is open and upstream would want its thinking to begin it, the answer goes without thinking.
    """
    raws = items_of(refused.members["messages"])
    if not any(b"thinking" in bytes(raw) for raw in raws):
        return False
    turns = settle([_without_thinking(_turn(raw)) for raw in raws], [])
    if not turns or not _put(refused, raws, turns):
        return False
    refused.losses.append("thinking")
    if b'"enabled"' in bytes(refused.members.get("thinking", b"")) and starts_without_thinking(turns):
        stop_thinking(refused)
    return True


def settle_calls(refused: Refused, _: re.Match[str]) -> bool:
    """Put each result right after its call; one without a call becomes text, a call without one gets one."""
    raws = items_of(refused.members["messages"])
    return _put(refused, raws, settle([_turn(raw) for raw in raws], []))


def stop_thinking(refused: Refused) -> bool:
    """Ask for an answer without thinking, and for nothing that belongs to it."""
    if refused.members.pop("thinking", None) is None:
        return False
    refused.losses.append("reasoning")
    edits = items_of(refused.inner("context_management").get("edits", Raw(b"[]")))
    kept = [edit for edit in edits if not _edit(edit).type.startswith("clear_thinking")]
    if edits and not kept:
        refused.drop("context_management")
    elif len(kept) < len(edits):
        refused.put("context_management", {**refused.inner("context_management"), "edits": kept})
    return True


def _put(refused: Refused, raws: list[Raw], turns: list[Turn]) -> bool:
    sent: list[Any] = [turn.wire() for turn in turns]
    if sent == raws:
        return False
    refused.put("messages", sent)
    return True


def _turn(raw: Raw) -> Turn:
    message = _message(raw)
    if isinstance(message.content, str):
        return Turn(message.role, [text_piece(message.content)] if message.content else [], raw)
    return Turn(message.role, [_piece(block) for block in message.content], raw)


def _piece(raw: Raw) -> Piece:
    block = _block(raw)
    return Piece(block.type, raw, block.tool_use_id or block.id or "")


def _without_thinking(turn: Turn) -> Turn:
    kept = [piece for piece in turn.pieces if piece.type not in THINKING]
    return turn if len(kept) == len(turn.pieces) else Turn(turn.role, kept)
