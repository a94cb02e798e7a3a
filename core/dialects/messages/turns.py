"""The order of turns that upstream insists on, for requests that are passed through and for those that are built.

A turn's blocks are `Piece`s, which hold either the client's own bytes or a block that we made. What needs no change
keeps its bytes: `Turn.raw` is the whole turn as received, until something in it changes.
"""

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from core.dialects.messages.blocks_out import text_wire
from core.names import unseen

_encode: Final = msgspec.json.Encoder().encode


class _ResultIn(Struct):
    content: str | list[Raw] | None = None


class _TextPart(Struct):
    text: str = ""


_result: Final = msgspec.json.Decoder(_ResultIn).decode
_text_part: Final = msgspec.json.Decoder(_TextPart).decode

NO_RESULT: Final = "No result: the call was interrupted."
MOST_BREAKPOINTS: Final = 4


class Piece(Struct):
    """One block (or tool) on its way upstream. `link` is the id that joins a call to its result."""

    type: str
    body: Raw | dict[str, Any]
    link: str = ""
    cached: bool = False

    def members(self) -> dict[str, Any]:
        """Return the block's members for a change; from now on the block is our own."""
        if isinstance(self.body, Raw):
            self.body = raw_members(self.body)
        return self.body


class Turn(Struct):
    """One turn on its way upstream."""

    role: str
    pieces: list[Piece]
    raw: Raw | None = None

    def wire(self) -> Raw | dict[str, Any]:
        """Return what to send."""
        if self.raw is not None:
            return self.raw
        return {"role": self.role, "content": [piece.body for piece in self.pieces]}


_raw_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode


def raw_members(raw: bytes) -> dict[str, Any]:
    """Return an object's members, each as the bytes that came in."""
    return dict(_raw_members(raw))


def text_piece(text: str) -> Piece:
    """Return a text block of our own."""
    return Piece("text", text_wire(text))


def settle(turns: list[Turn], repairs: list[str]) -> list[Turn]:
    """Return the turns as upstream wants them: none empty, roles alternating, results right after their calls.

    Names of what was done are added to `repairs`.
    """
    turns = _merge(_system_after_results([turn for turn in turns if turn.pieces]), repairs)
    _single_ids(turns, repairs)
    settled: list[Turn] = []
    calls: list[str] = []
    for turn in turns:
        if turn.role == "user":
            _place_results(turn, calls, repairs)
        elif calls:
            settled.append(_answered(calls, repairs))
        settled.append(turn)
        calls = _calls(turn)
    if calls:
        settled.append(_answered(calls, repairs))
    return settled


def _calls(turn: Turn) -> list[str]:
    """Return the ids of the calls that the next turn has to answer."""
    return (
        [piece.link for piece in turn.pieces if piece.type == "tool_use"] if turn.role == "assistant" else []
    )


def _single_ids(turns: Sequence[Turn], repairs: list[str]) -> None:
    """Give calls whose ids came before ids of their own, with their results.

    Upstream takes each id once, and some models count theirs anew in each answer (claude-code#20631).
    """
    seen: set[str] = set()
    for turn, answers in zip_longest(turns, turns[1:]):
        links = _calls(turn)
        if len(set(links)) == len(links) and seen.isdisjoint(links):
            seen.update(links)
            continue
        repairs.append("tool_ids")
        fresh: dict[str, list[str]] = {}
        for piece in turn.pieces:
            if piece.type == "tool_use":
                fresh.setdefault(piece.link, []).append(unseen(piece.link, seen))
                _relink(turn, piece, "id", fresh[piece.link][-1])
        for piece in answers.pieces if answers is not None else ():
            if answers is not None and piece.type == "tool_result" and fresh.get(piece.link):
                _relink(answers, piece, "tool_use_id", fresh[piece.link].pop(0))


def _relink(turn: Turn, piece: Piece, name: str, link: str) -> None:
    if piece.link != link:
        piece.link = piece.members()[name] = link
        turn.raw = None


def _system_after_results(turns: list[Turn]) -> list[Turn]:
    """Let a system turn that stands between a call and its result change places with the result."""
    ordered = list(turns)
    for at in range(1, len(ordered) - 1):
        if ordered[at].role == "system" and _calls(ordered[at - 1]) and ordered[at + 1].role == "user":
            ordered[at], ordered[at + 1] = ordered[at + 1], ordered[at]
    return ordered


def _answered(calls: Iterable[str], repairs: list[str]) -> Turn:
    repairs.append("orphan_tool_use")
    return Turn("user", [_no_result(call) for call in calls])


def _merge(turns: Iterable[Turn], repairs: list[str]) -> list[Turn]:
    """Join neighbours of one role (a system turn stays alone)."""
    merged: list[Turn] = []
    for turn in turns:
        last = merged[-1] if merged else None
        if last is None or last.role != turn.role:
            merged.append(turn)
            continue
        merged[-1] = Turn(last.role, [*last.pieces, *turn.pieces])
        repairs.append("merged_turns")
    return merged


def _place_results(turn: Turn, calls: Sequence[str], repairs: list[str]) -> None:
    """Put each call's result first, in place; a call without one gets one, a result without a call becomes text."""
    if not calls and not any(piece.type == "tool_result" for piece in turn.pieces):
        return
    results: dict[str, Piece] = {}
    rest: list[Piece] = []
    for piece in turn.pieces:
        if piece.type != "tool_result":
            rest.append(piece)
        elif piece.link in calls and piece.link not in results:
            results[piece.link] = piece
        else:
            repairs.append("orphan_tool_result")
            rest.append(text_piece(_orphan_text(piece)))
    if any(call not in results for call in calls):
        repairs.append("orphan_tool_use")
    missing = [_no_result(call) for call in dict.fromkeys(calls) if call not in results]
    placed = [*results.values(), *missing, *rest]
    if placed != turn.pieces:
        turn.pieces, turn.raw = placed, None


def _no_result(call: str) -> Piece:
    body = {"type": "tool_result", "tool_use_id": call, "content": NO_RESULT, "is_error": True}
    return Piece("tool_result", body, call)


def _orphan_text(piece: Piece) -> str:
    try:
        content = _result(_encode(piece.body)).content
    except (msgspec.DecodeError, RecursionError):
        content = None  # nothing that anybody could read
    texts = [content] if isinstance(content, str) else [_text_of(raw) for raw in content or ()]
    return "\n".join(["[Result of an earlier tool call]", *filter(None, texts)])


def _text_of(raw: Raw) -> str:
    try:
        return _text_part(raw).text
    except msgspec.ValidationError:
        return ""


def limit_breakpoints(tools: list[Piece], system: list[Piece], turns: list[Turn], repairs: list[str]) -> None:
    """Keep the four cache marks that are worth most: the end of the system prompt and the latest in the conversation."""
    latest = [piece for turn in reversed(turns) for piece in reversed(turn.pieces) if piece.cached]
    prompt = [piece for piece in reversed(system) if piece.cached]
    declared = [piece for piece in reversed(tools) if piece.cached]
    ranked = (
        [*prompt[:1], *latest, *prompt[1:], *declared] if prompt else [*declared[:1], *latest, *declared[1:]]
    )
    surplus = ranked[MOST_BREAKPOINTS:]
    if not surplus:
        return
    repairs.append("cache_breakpoints")
    for piece in surplus:
        piece.members().pop("cache_control", None)
        piece.cached = False
    for turn in turns:
        if any(piece is gone for piece in turn.pieces for gone in surplus):
            turn.raw = None


def add_breakpoints(tools: list[Piece], system: list[Piece], turns: list[Turn], repairs: list[str]) -> None:
    """Mark the end of the tools, of the system prompt and of the last user turn: upstream caches nothing unasked."""
    last_user = next((turn for turn in reversed(turns) if turn.role == "user"), None)
    for pieces in (tools, system, last_user.pieces if last_user is not None else []):
        if pieces:
            pieces[-1].members()["cache_control"] = {"type": "ephemeral"}
            pieces[-1].cached = True
    repairs.append("cache_breakpoints")
