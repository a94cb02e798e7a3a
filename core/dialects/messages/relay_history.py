"""Pass-through of the conversation, the system prompt and the tools."""

from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from core.dialects.messages.history_out import beside_system, marked_system, trim_end
from core.dialects.messages.relay_blocks import BlockRelay, any_changed, is_blank
from core.dialects.messages.relay_names import shorten
from core.dialects.messages.request_decode import ROLES, without_billing_line
from core.dialects.messages.request_encode import check_prefill
from core.dialects.messages.schema import MessageIn, ToolIn, read
from core.dialects.messages.tools_in import object_schema
from core.dialects.messages.tools_out import WEB_SEARCH_OFF, without_dialect
from core.dialects.messages.turns import Piece, Turn, raw_members, settle
from core.errors import InvalidRequestError, UnsupportedFeatureError
from core.model import Model
from core.tool_count import MOST_TOOLS, check_count

_message: Final = msgspec.json.Decoder(MessageIn).decode
_tool: Final = msgspec.json.Decoder(ToolIn).decode
_array: Final = msgspec.json.Decoder(list[Raw]).decode
_string: Final = msgspec.json.Decoder(str).decode
_encode: Final = msgspec.json.Encoder().encode


class _SystemText(Struct):
    text: str = ""


_system_text: Final = msgspec.json.Decoder(_SystemText).decode

# Tool types that Copilot's backends know; everything else with a type is refused with an obscure message.
HOSTED_PREFIXES: Final = ("bash_", "text_editor_", "memory_", "tool_search_tool_", "computer_")
# Members of a tool that only some backends accept, and that change nothing in what the tool is.
TOOL_KNOBS: Final = ("eager_input_streaming",)


class HistoryRelay:
    """Repair the three lists of a request. `losses` and `repairs` are shared with the request's other repairs."""

    def __init__(self, blocks: BlockRelay, model: Model, losses: list[str], repairs: list[str]) -> None:
        self._blocks = blocks
        self._model = model
        self._losses = losses
        self._repairs = repairs

    def system(self, raw: Raw | None) -> list[Piece]:
        """Return the system prompt's blocks, without Claude Code's volatile first line (AC-39)."""
        if raw is None or bytes(raw) in {b'""', b"null"}:
            return []
        if bytes(raw).startswith(b'"'):
            only = self._steady(Raw(b'{"type":"text","text":%b}' % bytes(raw)), "$.system")
            return [Piece("text", only)] if only is not None else []
        pieces: list[Piece] = []
        for at, block in enumerate(read(_array, raw, "$.system")):
            steady = self._steady(block, f"$.system[{at}]")
            if steady is not None:
                pieces.extend(self._blocks.pieces(steady, f"$.system[{at}]"))
        return pieces

    def _steady(self, block: Raw, path: str) -> Raw | None:
        """Return a block of the system prompt without the volatile line; None when it held nothing else."""
        text = read(_system_text, block, path).text
        rest = without_billing_line(text)
        if rest == text:
            return block
        self._repairs.append("billing_line")
        return Raw(_encode({**raw_members(bytes(block)), "text": rest})) if rest else None

    def tools(self, raws: list[Raw]) -> list[Piece]:
        """Return the tools. Raises `UnsupportedFeatureError` for too many, and for hosted ones that Copilot does not run."""
        searches = any(b'"tool_search_tool_' in bytes(raw) for raw in raws)
        pieces = [self._one_tool(raw, f"$.tools[{at}]", searches=searches) for at, raw in enumerate(raws)]
        if len(raws) > MOST_TOOLS:
            check_count(sum(not (searches and _tool(raw).defer_loading) for raw in raws))
        return pieces

    def turns(self, raws: list[Raw], system: list[Piece]) -> list[Turn]:
        """Return the turns as upstream accepts them; leading system turns join `system`."""
        turns = self._place_system(
            [self._turn(raw, f"$.messages[{at}]") for at, raw in enumerate(raws)], system
        )
        turns = settle(turns, self._repairs)
        if not turns:
            raise InvalidRequestError("messages: at least one message is required", param="$.messages")
        check_prefill(turns, self._model)
        last = turns[-1]
        if last.role == "assistant" and _ends_blank(last) and trim_end(last.pieces):
            last.raw = None
            self._repairs.append("trailing_whitespace")
        return turns

    def _turn(self, raw: Raw, path: str) -> Turn:
        message = read(_message, raw, path)
        if message.role not in ROLES:
            raise InvalidRequestError(
                f"Expected user, assistant or system (at {path}.role)", param=f"{path}.role"
            )
        content = message.content
        if message.role == "user" and not content:
            at = f"{path}.content"
            raise InvalidRequestError(f"user messages must have non-empty content (at {at})", param=at)
        if isinstance(content, str):
            return self._string_turn(message.role, content, raw)
        pieces = [
            piece
            for at, block in enumerate(content)
            for piece in self._blocks.pieces(block, f"{path}.content[{at}]")
        ]
        return Turn(message.role, pieces, None if any_changed(pieces, content) else raw)

    def _string_turn(self, role: str, content: str, raw: Raw) -> Turn:
        if not content.strip():
            self._repairs.append("empty_text")
            return Turn(role, [])
        return Turn(role, [Piece("text", {"type": "text", "text": content})], raw)

    def _place_system(self, turns: list[Turn], system: list[Piece]) -> list[Turn]:
        """Move system turns to where the model accepts them: never first, and in the middle only newer ones (AC-38).

        The system prompt holds text alone: what else the leading ones have is told by the user.
        """
        kept: list[Turn] = []
        for turn in turns:
            if turn.role != "system" or (kept and self._model.mid_system):
                kept.append(turn)
                continue
            self._repairs.append("mid_system")
            if kept:
                kept.append(Turn("user", [marked_system(piece) for piece in turn.pieces]))
            else:
                system.extend(piece for piece in turn.pieces if piece.type == "text")
                kept += beside_system(turn.pieces)
        return kept

    def _one_tool(self, raw: Raw, path: str, *, searches: bool) -> Piece:
        tool = read(_tool, raw, path)
        piece = Piece(tool.type or "custom", raw)
        if tool.cache_control is not None:
            self._blocks.clean_mark(piece, raw_members(raw)["cache_control"], f"{path}.cache_control")
        if tool.type is not None and tool.type != "custom":
            _check_hosted(tool.type, path)
            return piece
        shorten(piece, tool.name, self._repairs)
        schema = without_dialect(object_schema(tool.input_schema, f"{path}.input_schema"))
        if schema != bytes(tool.input_schema):
            piece.members()["input_schema"] = Raw(schema)
            self._repairs.append("input_schema")
        self._drop_knobs(piece, tool, raw, searches=searches)
        return piece

    def _drop_knobs(self, piece: Piece, tool: ToolIn, raw: Raw, *, searches: bool) -> None:
        """Leave out what Copilot refuses in a tool.

        Without a hosted tool search a deferred tool could never be found: it is sent in full (AC-55, clients' own search).
        """
        if tool.defer_loading is not None and not searches:
            piece.members().pop("defer_loading")
            self._repairs.append("defer_loading")
        for name in TOOL_KNOBS:
            if name.encode() in bytes(raw) and piece.members().pop(name, None) is not None:
                self._losses.append(name)


def _check_hosted(tool_type: str, path: str) -> None:
    if tool_type.startswith("web_search_"):
        raise UnsupportedFeatureError(f"{WEB_SEARCH_OFF} (at {path})", param=path)
    if not tool_type.startswith(HOSTED_PREFIXES):
        raise UnsupportedFeatureError(
            f"Copilot does not run tools of type '{tool_type}' (at {path})", param=path
        )


def _ends_blank(turn: Turn) -> bool:
    """Look before changing: a turn whose text ends well keeps its bytes."""
    last = turn.pieces[-1] if turn.pieces else None
    if last is None or last.type != "text":
        return False
    text: Any = raw_members(last.body)["text"] if isinstance(last.body, Raw) else last.body["text"]
    shown: str = _string(text) if isinstance(text, Raw) else text
    return shown != shown.rstrip() and not is_blank(shown.encode())
