"""Pass-through of content blocks: each stays as received, but for the named repairs that Copilot's backends need."""

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from core.canonical import Document, Image, ServerToolResult, Text
from core.dialect import Target
from core.dialects.messages.blocks_in import RESULT_SUFFIX, block_in, reference_text
from core.dialects.messages.blocks_out import hosted_text, text_wire, titled
from core.dialects.messages.relay_names import shorten
from core.dialects.messages.schema import read
from core.dialects.messages.turns import Piece, raw_members, text_piece
from core.dialects.messages.values import safe_id
from core.errors import InvalidRequestError, UnsupportedFeatureError
from core.names import native_name
from core.opaque import PREFIX, comes_home, unseal

Unset = Raw | UnsetType


class Glance(Struct):
    """What the repairs look at in a block; everything else is skipped over."""

    type: str = ""
    id: Unset = UNSET
    tool_use_id: Unset = UNSET
    name: Unset = UNSET
    text: Unset = UNSET
    signature: Unset = UNSET
    data: Unset = UNSET
    content: Unset = UNSET
    source: Unset = UNSET
    citations: Unset = UNSET
    cache_control: Unset = UNSET


class _SourceType(Struct):
    type: str = ""


_glance: Final = msgspec.json.Decoder(Glance).decode
_string: Final = msgspec.json.Decoder(str).decode
_array: Final = msgspec.json.Decoder(list[Raw]).decode
_source: Final = msgspec.json.Decoder(_SourceType).decode
_encode: Final = msgspec.json.Encoder().encode

_BLANK: Final = re.compile(rb'"(?:[ ]|\\[nrtf]|\xc2\xa0)*"')
_SEALED: Final = b'"' + PREFIX.encode()
PLAIN_MARKS: Final = frozenset({b'{"type":"ephemeral"}', b'{"type": "ephemeral"}'})
MARK_MEMBERS: Final = frozenset({"type", "ttl"})
# Hosted tools that Copilot does not run: their blocks in the history are refused with them.
NOT_HOSTED: Final = (
    "web_search", "web_fetch", "code_execution", "bash_code_execution", "text_editor_code_execution",
)  # fmt: skip
NOT_HOSTED_NAMES: Final = frozenset(f'"{name}"'.encode() for name in NOT_HOSTED)


class BlockRelay:
    """Repair blocks. `losses` and `repairs` collect names; a block that needs nothing keeps its bytes."""

    def __init__(self, target: Target, losses: list[str], repairs: list[str]) -> None:
        self._target = target
        self._losses = losses
        self._repairs = repairs
        self._on: Final[dict[str, Callable[[Piece, Glance, str], list[Piece]]]] = {
            "text": self._text,
            "thinking": self._thinking,
            "redacted_thinking": self._thinking,
            "image": self._image,
            "document": self._document,
            "tool_use": self._tool_use,
            "tool_result": self._tool_result,
            "server_tool_use": self._server_tool_use,
            **{name + RESULT_SUFFIX: self._hosted_result for name in NOT_HOSTED},
            "tool_reference": self._tool_reference,
        }

    def pieces(self, raw: Raw, path: str) -> list[Piece]:
        """Return what to send for one block: itself, a repaired one, or nothing. Raises `InvalidRequestError`."""
        glance = read(_glance, raw, path)
        piece = Piece(glance.type, raw)
        self.clean_mark(piece, glance.cache_control, f"{path}.cache_control")
        on = self._on.get(glance.type)
        return [piece] if on is None else on(piece, glance, path)

    def clean_mark(self, piece: Piece, mark: Unset, path: str) -> None:
        """Note a cache mark; take out of it what Copilot refuses (Claude Code sends `scope`, AC-55)."""
        if isinstance(mark, UnsetType) or bytes(mark) == b"null":
            return
        piece.cached = True
        if bytes(mark) in PLAIN_MARKS:
            return
        members = read(raw_members, mark, path)
        if members.keys() <= MARK_MEMBERS:
            return
        kept = {name: value for name, value in members.items() if name in MARK_MEMBERS}
        piece.members()["cache_control"] = kept
        self._repairs.append("cache_scope")

    def _text(self, piece: Piece, glance: Glance, path: str) -> list[Piece]:
        if isinstance(glance.text, UnsetType) or not bytes(glance.text).startswith(b'"'):
            raise InvalidRequestError(f"A text block needs a text (at {path}.text)", param=f"{path}.text")
        if is_blank(glance.text):
            self._repairs.append("empty_text")
            return []
        if not isinstance(glance.citations, UnsetType) and _is_ours(glance.citations):
            piece.members().pop("citations")
            self._repairs.append("foreign_citations")
        return [piece]

    def _thinking(self, piece: Piece, glance: Glance, path: str) -> list[Piece]:
        """Keep what upstream issued byte for byte; drop what it cannot read; open what we sealed (AC-60)."""
        name = "signature" if glance.type == "thinking" else "data"
        value = getattr(glance, name)
        if isinstance(value, UnsetType) or is_blank(value):
            self._losses.append("thinking")
            return []
        if bytes(value).startswith(_SEALED):
            opaque = unseal(read(_string, value, f"{path}.{name}"), "messages")
            if not comes_home(opaque, "messages", self._target.scope) or opaque.value.startswith(PREFIX):
                self._losses.append("thinking")
                return []
            piece.members()[name] = opaque.value
            self._repairs.append("unsealed_thinking")
        if not isinstance(glance.cache_control, UnsetType):
            piece.members().pop("cache_control")
            piece.cached = False
            self._repairs.append("cache_on_thinking")
        return [piece]

    def _image(self, piece: Piece, glance: Glance, path: str) -> list[Piece]:
        self._only_base64(glance, path, "images")
        return [piece]

    def _document(self, piece: Piece, glance: Glance, path: str) -> list[Piece]:
        """Copilot takes PDFs alone; text is said as text."""
        if _source_type(glance, path) in {"text", "content"}:
            self._repairs.append("text_document")
            return self._document_as_text(piece, path)
        self._only_base64(glance, path, "documents")
        return [piece]

    def _document_as_text(self, piece: Piece, path: str) -> list[Piece]:
        document = block_in(_encode(piece.body), path)
        if not isinstance(document, Document):
            return [piece]
        if document.citations:
            self._losses.append("citations")
        texts = [
            document.text or "",
            *(part.text for part in document.content or () if isinstance(part, Text)),
        ]
        text = text_piece(titled(document.title, document.context, "\n".join(filter(None, texts))))
        if piece.cached:
            text.members()["cache_control"] = piece.members()["cache_control"]
            text.cached = True
        images = [part for part in document.content or () if isinstance(part, Image)]
        if images:
            at = f"{path}.source.content"
            raise UnsupportedFeatureError(f"Send a document's images as image blocks (at {at})", param=at)
        return [text]

    def _only_base64(self, glance: Glance, path: str, what: str) -> None:
        source = _source_type(glance, path)
        if source != "base64":
            at = f"{path}.source.type"
            raise UnsupportedFeatureError(
                f"Copilot takes {what} as base64 only, not as '{source}' (at {at})", param=at
            )

    def _tool_use(self, piece: Piece, glance: Glance, path: str) -> list[Piece]:
        piece.link = self._safe(piece, "id", glance.id, path)
        if not isinstance(glance.name, UnsetType):
            shorten(piece, read(_string, glance.name, f"{path}.name"), self._repairs)
        return [piece]

    def _tool_result(self, piece: Piece, glance: Glance, path: str) -> list[Piece]:
        piece.link = self._safe(piece, "tool_use_id", glance.tool_use_id, path)
        if isinstance(glance.content, UnsetType) or not bytes(glance.content).startswith(b"["):
            return [piece]
        parts = read(_array, glance.content, f"{path}.content")
        kept = [part for at, raw in enumerate(parts) for part in self.pieces(raw, f"{path}.content[{at}]")]
        marked = [part for part in kept if part.cached]
        for part in marked:
            mark = part.members().pop("cache_control")
            if not piece.cached:
                piece.members()["cache_control"] = mark
                piece.cached = True
            self._repairs.append("cache_in_tool_result")
        if len(kept) != len(parts) or any(
            part.body is not raw for part, raw in zip(kept, parts, strict=True)
        ):
            piece.members()["content"] = [part.body for part in kept]
        return [piece]

    def _tool_reference(self, piece: Piece, _glance: Glance, _path: str) -> list[Piece]:
        """Some backends answer 503 to these; the tool itself is sent in full (see `relay_tools`)."""
        self._repairs.append("tool_reference")
        name = msgspec.json.decode(_encode(piece.members().get("tool_name", "")))
        return [text_piece(reference_text(native_name(name) if isinstance(name, str) else ""))]

    def _server_tool_use(self, piece: Piece, glance: Glance, _path: str) -> list[Piece]:
        if isinstance(glance.name, UnsetType) or bytes(glance.name) not in NOT_HOSTED_NAMES:
            return [piece]
        self._repairs.append("server_tools_as_text")
        asked = _encode(piece.members().get("input", {})).decode()
        return [text_piece(f"[{_string(glance.name)}: {asked}]")]

    def _hosted_result(self, piece: Piece, _glance: Glance, path: str) -> list[Piece]:
        self._repairs.append("server_tools_as_text")
        result = block_in(_encode(piece.body), path)
        if not isinstance(result, ServerToolResult):
            return []
        return [Piece("text", text_wire(hosted_text(result)))]

    def _safe(self, piece: Piece, name: str, value: Unset, path: str) -> str:
        """Return the block's id in letters that upstream accepts."""
        if isinstance(value, UnsetType):
            raise InvalidRequestError(f"Object missing required field `{name}` (at {path})", param=path)
        call_id = read(_string, value, f"{path}.{name}")
        safe = call_id if call_id.startswith("cgid_") else safe_id(call_id)
        if safe != call_id:
            piece.members()[name] = safe
            self._repairs.append("tool_ids")
        return safe


def is_blank(raw: bytes) -> bool:
    """Tell whether a JSON string holds nothing or white space alone."""
    return _BLANK.fullmatch(raw) is not None


def _is_ours(citations: bytes) -> bool:
    """Tell whether the citations were made by this gateway: upstream would refuse their empty index."""
    return re.search(rb'"encrypted_index"\s*:\s*""', citations) is not None


def _source_type(glance: Glance, path: str) -> str:
    if isinstance(glance.source, UnsetType):
        raise InvalidRequestError(f"Object missing required field `source` (at {path})", param=path)
    return read(_source, glance.source, f"{path}.source").type


def any_changed(pieces: list[Piece], raws: list[Any]) -> bool:
    """Tell whether the pieces are no longer exactly what came in."""
    return len(pieces) != len(raws) or any(
        piece.body is not raw for piece, raw in zip(pieces, raws, strict=True)
    )
