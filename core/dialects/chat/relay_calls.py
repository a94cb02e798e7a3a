"""Tool calls of a relayed stream: every piece numbered, id and name said once, together and first."""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import UNSET, Struct, UnsetType, structs

from core.dialects.chat.calls import Call, CallBook, is_object, made_up_id
from core.dialects.chat.schema import CallPiece
from core.errors import UpstreamProtocolError


class OutPieceFunction(Struct, frozen=True):
    """A piece of a function call."""

    arguments: str
    name: str | UnsetType = UNSET


class OutPieceCustom(Struct, frozen=True):
    """A piece of a custom tool's call."""

    input: str
    name: str | UnsetType = UNSET


class OutPiece(Struct, frozen=True):
    """One entry of `tool_calls` as clients join them: by index, strings appended."""

    index: int
    function: OutPieceFunction | UnsetType = UNSET
    custom: OutPieceCustom | UnsetType = UNSET
    id: str | UnsetType = UNSET
    type: str | UnsetType = UNSET


class RelayCalls:
    """Judge and rewrite the pieces; `_said` maps the calls that the client knows to their index there.

    `names` are the tools' own names by the ones that upstream knows, where those are others.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self._book = CallBook()
        self._said: dict[int, int] = {}

    def __bool__(self) -> bool:
        return bool(self._book.calls)

    def take(self, pieces: Sequence[CallPiece]) -> list[OutPiece] | None:
        """Return the pieces as they should be, None when they are so already."""
        fine = True
        written: list[OutPiece] = []
        for piece in pieces:
            if piece.function is None and piece.custom is None and not piece.id:
                fine = False  # it says nothing that a client could add to a call
                continue
            call = self._book.take(piece)
            arguments = piece.said.arguments or ""
            if arguments:
                call.pieces.append(arguments)
            fine = self._is_fine(piece, call) and fine
            written += self._written(call, arguments)
        return None if fine else written

    def rest(self, message_id: str, *, cut: bool) -> Iterator[OutPiece]:
        """Return what is still owed when the answer is complete; nothing for a call that the output limit `cut`.

        Raises `UpstreamProtocolError` for a call without a name or without a JSON object (AC-19, AC-23).
        """
        for call in self._book.calls:
            whole = call.custom or is_object(call.arguments or ("" if cut else "{}"))
            if not whole or not call.name:
                if cut:
                    continue
                raise UpstreamProtocolError(
                    f"upstream called {call.name!r} with arguments that are no JSON object"
                )
            if call.ordinal not in self._said:
                call.id = call.id or made_up_id(message_id, call.ordinal)
                yield from self._written(call, "")
            if not call.pieces and not call.custom:
                yield OutPiece(self._said[call.ordinal], OutPieceFunction("{}"))

    def _is_fine(self, piece: CallPiece, call: Call) -> bool:
        if piece.index != self._said.get(call.ordinal, len(self._said)):
            return False
        function = piece.said
        if call.ordinal in self._said:
            # openai-python takes a later `"type":null` for the call's type, and then fails on it.
            return (
                piece.type is not None
                and not piece.id
                and not function.name
                and function.arguments is not None
            )
        if function.name in self._names:
            return False
        named = piece.id and function.name and piece.type == _kind(call)
        # What came before its name was known waits to be told with it.
        return bool(named) and function.arguments == call.arguments

    def _written(self, call: Call, arguments: str) -> Iterator[OutPiece]:
        if call.ordinal in self._said:
            if arguments:
                yield _piece(self._said[call.ordinal], call, arguments)
        elif call.id and call.name:
            index = self._said[call.ordinal] = len(self._said)
            begun = _piece(index, call, call.arguments, self._names.get(call.name, call.name))
            yield structs.replace(begun, id=call.id, type=_kind(call))


def _kind(call: Call) -> str:
    return "custom" if call.custom else "function"


def _piece(index: int, call: Call, text: str, name: str | UnsetType = UNSET) -> OutPiece:
    if call.custom:
        return OutPiece(index, custom=OutPieceCustom(text, name))
    return OutPiece(index, OutPieceFunction(text, name))
