"""The conversation from the canonical model to the turns that upstream accepts."""

from base64 import b64decode
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw, structs

from core.canonical import (
    Block,
    CacheBreakpoint,
    Compaction,
    Document,
    Image,
    Message,
    Native,
    Refusal,
    SearchResult,
    ServerToolResult,
    ServerToolUse,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from core.custom_tools import wrap_input
from core.dialect import Target
from core.dialects.messages.blocks_out import (
    citations_wire,
    document_wires,
    hosted_text,
    image_wire,
    input_wire,
    result_wire,
    search_result_wire,
    text_wire,
    with_cache,
)
from core.dialects.messages.turns import Piece, Turn
from core.dialects.messages.values import safe_id
from core.errors import UnsupportedFeatureError
from core.names import short_name
from core.opaque import comes_home

PDF: Final = "application/pdf"

_decode_text: Final = msgspec.json.Decoder(str).decode


class HistoryWriter:
    """Write messages as turns. `losses` and `repairs` collect the names of what could not be said as it stood."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.losses: list[str] = []
        self.repairs: list[str] = []
        self._writers: Final[dict[type[Block], Callable[[Any, str], list[Piece]]]] = {
            Text: self._text,
            Refusal: self._refusal,
            Thinking: self._thinking,
            Image: self._image,
            Document: self._document,
            SearchResult: self._search_result,
            ToolUse: self._tool_use,
            ToolResult: self._tool_result,
            ServerToolUse: self._server_use,
            ServerToolResult: self._server_result,
            Compaction: self._compaction,
            Native: self._native,
        }

    def system(self, messages: Sequence[Message]) -> tuple[list[Piece], list[Turn]]:
        """Write the leading system turns as the system prompt's blocks; what it cannot hold, the user tells."""
        pieces: list[Piece] = []
        for position, message in enumerate(messages):
            pieces.extend(self._blocks(message, f"$.messages[{position}]"))
        beside = beside_system(pieces)
        if beside:
            self.repairs.append("mid_system")
        return [piece for piece in pieces if piece.type == "text"], beside

    def turn(self, message: Message, path: str) -> Turn:
        """Write one later message. A system turn that the model refuses becomes marked text of the user (AC-38)."""
        if message.name is not None:
            self.losses.append("name")
        pieces = self._blocks(message, path)
        if message.role == "system" and not self._target.model.mid_system:
            self.repairs.append("mid_system")
            return Turn("user", [marked_system(piece) for piece in pieces])
        if message.role == "assistant":
            trim_end(pieces)
        return Turn(message.role, pieces)

    def _blocks(self, message: Message, path: str) -> list[Piece]:
        pieces: list[Piece] = []
        for position, block in enumerate(message.content):
            pieces.extend(self._writers[type(block)](block, f"{path}.content[{position}]"))
        return pieces

    def _text(self, block: Text, _path: str) -> list[Piece]:
        if not block.text.strip():
            if block.text:
                self.repairs.append("empty_text")
            return []
        wire = text_wire(block.text, block.cache)
        own = [
            cited
            for cited in block.citations
            if cited.native is not None and cited.native.dialect == "messages"
        ]
        if len(own) < len(block.citations):
            self.losses.append("citations")
        if own:
            wire["citations"] = citations_wire(own)
        return [_piece(wire, block.cache)]

    def _refusal(self, block: Refusal, path: str) -> list[Piece]:
        return self._text(Text(block.text), path)

    def _thinking(self, block: Thinking, _path: str) -> list[Piece]:
        opaque = block.opaque
        if opaque is None or not comes_home(opaque, "messages", self._target.scope):
            self.losses.append("thinking")
            return []
        if block.redacted:
            return [_piece({"type": "redacted_thinking", "data": opaque.value})]
        return [_piece({"type": "thinking", "thinking": block.text, "signature": opaque.value})]

    def _image(self, block: Image, path: str) -> list[Piece]:
        self._check_image(block, path)
        return [_piece(image_wire(block), block.cache)]

    def _document(self, block: Document, path: str) -> list[Piece]:
        wires = document_wires(self._readable(block, path))
        return [*[_piece(wire) for wire in wires[:-1]], _piece(wires[-1], block.cache)]

    def _search_result(self, block: SearchResult, _path: str) -> list[Piece]:
        return [_piece(search_result_wire(block), block.cache)]

    def _tool_use(self, block: ToolUse, _path: str) -> list[Piece]:
        if block.opaque is not None:
            self.losses.append("thinking")
        arguments = wrap_input(block.arguments) if block.custom else block.arguments
        call_id = safe_id(block.call_id)
        wire: dict[str, Any] = {
            "type": "tool_use",
            "id": call_id,
            "name": short_name(block.name),
            "input": input_wire(arguments),
        }
        return [Piece("tool_use", with_cache(wire, block.cache), call_id, cached=block.cache is not None)]

    def _tool_result(self, block: ToolResult, path: str) -> list[Piece]:
        content = tuple(
            self._result_part(part, f"{path}.content[{at}]") for at, part in enumerate(block.content)
        )
        wire = result_wire(structs.replace(block, content=content))
        return [Piece("tool_result", wire, safe_id(block.call_id), cached="cache_control" in wire)]

    def _result_part(self, part: Any, path: str) -> Any:
        if isinstance(part, Image):
            self._check_image(part, path)
        if isinstance(part, Document):
            return self._readable(part, path)
        if isinstance(part, Native) and part.dialect != "messages":
            self._native(part, path)
        return part

    def _server_use(self, block: ServerToolUse, path: str) -> list[Piece]:
        self.repairs.append("server_tools_as_text")
        return self._text(Text(f"[{block.name}: {block.arguments}]"), path)

    def _server_result(self, block: ServerToolResult, path: str) -> list[Piece]:
        self.repairs.append("server_tools_as_text")
        return self._text(Text(hosted_text(block)), path)

    def _compaction(self, _block: Compaction, path: str) -> list[Piece]:
        raise UnsupportedFeatureError(
            f"Only the model that made a compaction item can read it (at {path})", param=path
        )

    def _native(self, block: Native, path: str) -> list[Piece]:
        if block.dialect != "messages":
            raise UnsupportedFeatureError(f"This model has no '{block.type}' (at {path})", param=path)
        return [Piece(block.type, Raw(block.raw))]

    def _check_image(self, image: Image, path: str) -> None:
        if image.url:
            raise UnsupportedFeatureError(
                f"This model takes no images by URL: send the image itself, as base64 (at {path})", param=path
            )
        if self._target.model.vision is False:
            raise UnsupportedFeatureError(f"{self._target.model.id} takes no images (at {path})", param=path)
        if image.detail not in {None, "auto"}:
            self.losses.append("detail")

    def _readable(self, document: Document, path: str) -> Document:
        """Check a document; base64 text becomes text. Raises `UnsupportedFeatureError` for what upstream refuses."""
        if document.url:
            raise UnsupportedFeatureError(
                f"This model takes no documents by URL: send the document itself (at {path})", param=path
            )
        for position, part in enumerate(document.content or ()):
            if isinstance(part, Image):
                self._check_image(part, f"{path}.source.content[{position}]")
        if not document.base64 or document.media_type == PDF:
            return document
        text = _decoded(document) if document.media_type.startswith("text/") else None
        if text is None:
            raise UnsupportedFeatureError(
                f"This model takes PDF and text documents, not '{document.media_type}' (at {path})",
                param=path,
            )
        return structs.replace(document, base64="", text=text)


def marked_system(piece: Piece) -> Piece:
    """Return a system turn's text as user text that says what it is; an image stays what it is."""
    if piece.type != "text":
        return piece
    members = piece.members()
    text = members["text"]
    if isinstance(text, Raw):
        text = _plain(text)
    members["text"] = f"<system>\n{text}\n</system>"
    return piece


def beside_system(pieces: list[Piece]) -> list[Turn]:
    """Return what a system turn shows beside text, as a turn of the user: the system prompt takes text alone."""
    shown = [piece for piece in pieces if piece.type != "text"]
    return [Turn("user", shown)] if shown else []


def trim_end(pieces: list[Piece]) -> bool:
    """Take white space off the end of a turn (upstream refuses it in the last one); tell whether there was any."""
    if not pieces or pieces[-1].type != "text":
        return False
    members = pieces[-1].members()
    text = _plain(members["text"]) if isinstance(members["text"], Raw) else members["text"]
    trimmed = text.rstrip()
    if trimmed == text:
        return False
    members["text"] = trimmed
    return True


def _plain(raw: Raw) -> str:
    return _decode_text(raw)


def _decoded(document: Document) -> str | None:
    try:
        return b64decode(document.base64, validate=True).decode()
    except ValueError:
        return None


def _piece(wire: dict[str, Any], cache: CacheBreakpoint | None = None) -> Piece:
    return Piece(wire["type"], wire, cached=cache is not None)
