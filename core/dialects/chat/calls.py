"""Which tool call a piece belongs to, when upstream numbers and names the pieces as it likes."""

from hashlib import sha256
from typing import Final

import msgspec
from msgspec import Raw

from core.dialects.chat.schema import CallPiece

_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode
LEGACY: Final = -1  # the index of the one call that `function_call` can make


class Call:
    """A call in the making; `ordinal` counts the calls of the answer from 0."""

    __slots__ = ("custom", "id", "index", "name", "ordinal", "pieces")

    def __init__(self, ordinal: int, index: int | None) -> None:
        self.ordinal = ordinal
        self.index = index
        self.id = ""
        self.name = ""
        self.custom = False
        self.pieces: list[str] = []

    @property
    def arguments(self) -> str:
        """What came so far."""
        return "".join(self.pieces)

    def complete(self) -> bool:
        """Tell whether the arguments are a whole JSON object, so that nothing more can belong to them."""
        return is_object(self.arguments)


class CallBook:
    """Assign each piece to its call (AC-14: by index, then by id).

    A known id is its call, whatever the index says. A new id starts a call, unless the call at that index has none
    yet. Without an id the index decides, and without an index the call that was last spoken of, unless the piece
    names another function.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._by_id: dict[str, Call] = {}
        self._by_index: dict[int, Call] = {}

    def take(self, piece: CallPiece) -> Call:
        """Return the call of this piece with the piece's id and name noted; its arguments are the caller's to add."""
        call = self._with_id(piece) if piece.id else self._without_id(piece)
        if piece.id and not call.id:
            call.id = piece.id
            self._by_id[piece.id] = call
        if not call.name:
            call.name = piece.said.name or ""
        call.custom = call.custom or piece.custom is not None
        return call

    def _with_id(self, piece: CallPiece) -> Call:
        known = self._by_id.get(piece.id or "")
        if known is not None:
            return known
        waiting = self._without_index() if piece.index is None else self._by_index.get(piece.index)
        if waiting is None or waiting.id or (waiting.name and piece.function and piece.function.name):
            return self._new(piece.index)
        return waiting

    def _without_id(self, piece: CallPiece) -> Call:
        if piece.index is not None:
            return self._by_index.get(piece.index) or self._new(piece.index)
        last = self._without_index()
        name = piece.function.name if piece.function is not None else None
        if last is None or (name and last.name and (name != last.name or last.complete())):
            return self._new(None)
        return last

    def _without_index(self) -> Call | None:
        return self.calls[-1] if self.calls else None

    def _new(self, index: int | None) -> Call:
        call = Call(len(self.calls), index)
        self.calls.append(call)
        if index is not None:
            self._by_index[index] = call
        return call


def is_object(text: str) -> bool:
    """Tell whether the text is one JSON object."""
    try:
        _decode_object(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    return True


def made_up_id(message_id: str, ordinal: int) -> str:
    """Return an id for a call that upstream left without one: the same for the same call of the same message."""
    return "call_" + sha256(f"{message_id}:{ordinal}".encode("utf-8", "replace")).hexdigest()[:24]
