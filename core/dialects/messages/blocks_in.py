"""Content blocks from the wire to the canonical model: one function a block type, found by table."""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from msgspec import Raw, structs

from core.canonical import (
    Block,
    CacheBreakpoint,
    Citation,
    Document,
    Image,
    Native,
    ResultContent,
    SearchResult,
    ServerToolResult,
    ServerToolUse,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from core.dialects.messages.hosted_results import error_of, sources_of, text_of
from core.dialects.messages.schema import (
    CacheControl,
    CitationIn,
    CompactionBlock,
    DocumentBlock,
    ImageBlock,
    RedactedThinkingBlock,
    SearchResultBlock,
    ServerToolResultBlock,
    Source,
    TextBlock,
    ThinkingBlock,
    ToolReference,
    ToolResultBlock,
    ToolUseBlock,
    TypeOf,
    read,
)
from core.dialects.messages.values import original_id
from core.errors import InvalidRequestError, UnsupportedFeatureError
from core.opaque import unseal

decode_type: Final = msgspec.json.Decoder(TypeOf).decode
_text: Final = msgspec.json.Decoder(TextBlock).decode
_thinking: Final = msgspec.json.Decoder(ThinkingBlock).decode
_redacted: Final = msgspec.json.Decoder(RedactedThinkingBlock).decode
_image: Final = msgspec.json.Decoder(ImageBlock).decode
_document: Final = msgspec.json.Decoder(DocumentBlock).decode
_search_result: Final = msgspec.json.Decoder(SearchResultBlock).decode
_tool_use: Final = msgspec.json.Decoder(ToolUseBlock).decode
_tool_result: Final = msgspec.json.Decoder(ToolResultBlock).decode
_server_tool_result: Final = msgspec.json.Decoder(ServerToolResultBlock).decode
_compaction: Final = msgspec.json.Decoder(CompactionBlock).decode
_tool_reference: Final = msgspec.json.Decoder(ToolReference).decode
_citation: Final = msgspec.json.Decoder(CitationIn).decode
_input: Final = msgspec.json.Decoder(dict[str, Raw]).decode

RESULT_SUFFIX: Final = "_tool_result"
SEARCH_RESULT: Final = "web_search_tool_result"


def block_in(raw: bytes, path: str) -> Block:
    """Read one content block; an unknown type becomes `Native`. Raises `InvalidRequestError`, `UnsupportedFeatureError`."""
    block_type = read(decode_type, raw, path).type
    reader = _READERS.get(block_type)
    if reader is not None:
        return reader(raw, path)
    if not block_type:
        raise InvalidRequestError(f"A content block needs a type (at {path}.type)", param=f"{path}.type")
    if block_type.endswith(RESULT_SUFFIX):
        return _read_server_tool_result(raw, path, block_type)
    return Native("messages", block_type, bytes(raw))


def blocks_in(content: str | Sequence[Raw], path: str) -> list[Block]:
    """Read a message's content, which may be a bare string."""
    if isinstance(content, str):
        return [Text(content)]
    return [block_in(raw, f"{path}[{position}]") for position, raw in enumerate(content)]


def cache_in(cache: CacheControl | None) -> CacheBreakpoint | None:
    """Read a cache mark; members that Copilot refuses (`scope`) are not kept."""
    return None if cache is None else CacheBreakpoint(cache.ttl)


def citation_in(raw: bytes, path: str) -> Citation:
    """Read one citation, of whatever kind."""
    cited = read(_citation, raw, path)
    return Citation(
        url=cited.url or cited.source,
        title=cited.title or cited.document_title or "",
        cited_text=cited.cited_text,
        native=Native("messages", cited.type, bytes(raw)),
    )


def _read_text(raw: bytes, path: str) -> Text:
    block = read(_text, raw, path)
    citations = block.citations or ()
    return Text(
        block.text,
        citations=tuple(citation_in(item, f"{path}.citations[{at}]") for at, item in enumerate(citations)),
        cache=cache_in(block.cache_control),
    )


def _read_thinking(raw: bytes, path: str) -> Thinking:
    block = read(_thinking, raw, path)
    return Thinking(block.thinking, unseal(block.signature, "messages") if block.signature else None)


def _read_redacted(raw: bytes, path: str) -> Thinking:
    block = read(_redacted, raw, path)
    return Thinking("", unseal(block.data, "messages"), redacted=True)


def _read_image(raw: bytes, path: str) -> Image:
    block = read(_image, raw, path)
    source, cache = block.source, cache_in(block.cache_control)
    if source.type == "base64":
        return Image(media_type=source.media_type, base64=source.data, cache=cache)
    if source.type == "url":
        return Image(url=source.url, cache=cache)
    raise _unsupported_source(source, path)


def _read_document(raw: bytes, path: str) -> Document:
    block = read(_document, raw, path)
    document = Document(
        title=block.title,
        context=block.context,
        citations=block.citations is not None and block.citations.enabled,
        cache=cache_in(block.cache_control),
    )
    source = block.source
    match source.type:
        case "base64":
            return structs.replace(document, media_type=source.media_type, base64=source.data)
        case "url":
            return structs.replace(document, url=source.url)
        case "text":
            return structs.replace(document, media_type=source.media_type or "text/plain", text=source.data)
        case "content":
            return structs.replace(document, content=_document_content(source, path))
        case _:
            raise _unsupported_source(source, path)


def _document_content(source: Source, path: str) -> tuple[Text | Image, ...]:
    blocks = blocks_in(source.content, f"{path}.source.content")
    for position, block in enumerate(blocks):
        if not isinstance(block, (Text, Image)):
            at = f"{path}.source.content[{position}]"
            raise InvalidRequestError(f"A document's content holds text and images only (at {at})", param=at)
    return tuple(block for block in blocks if isinstance(block, (Text, Image)))


def _read_search_result(raw: bytes, path: str) -> SearchResult:
    block = read(_search_result, raw, path)
    texts = [read(_text, item, f"{path}.content[{at}]").text for at, item in enumerate(block.content)]
    return SearchResult(
        source=block.source,
        title=block.title,
        content=tuple(Text(text) for text in texts),
        citations=block.citations is not None and block.citations.enabled,
        cache=cache_in(block.cache_control),
    )


def _read_tool_use(raw: bytes, path: str) -> ToolUse:
    block = read(_tool_use, raw, path)
    return ToolUse(
        original_id(block.id), block.name, _arguments(block.input, path), cache=cache_in(block.cache_control)
    )


def _read_tool_result(raw: bytes, path: str) -> ToolResult:
    block = read(_tool_result, raw, path)
    content = () if not block.content else _result_content(block.content, f"{path}.content")
    return ToolResult(
        original_id(block.tool_use_id),
        content,
        is_error=block.is_error,
        cache=cache_in(block.cache_control),
    )


def _result_content(content: str | list[Raw], path: str) -> tuple[ResultContent, ...]:
    found: list[ResultContent] = []
    for position, block in enumerate(blocks_in(content, path)):
        if isinstance(block, Native) and block.type == "tool_reference":
            name = read(_tool_reference, block.raw, f"{path}[{position}]").tool_name
            found.append(Text(reference_text(name)))
        elif isinstance(block, (Text, Image, Document, SearchResult, Native)):
            found.append(block)
        else:
            at = f"{path}[{position}].type"
            raise InvalidRequestError(f"A tool result cannot hold this block (at {at})", param=at)
    return tuple(found)


def reference_text(tool_name: str) -> str:
    """Return what the model reads instead of a `tool_reference`, which Copilot's backends refuse."""
    return f"The tool {tool_name} is now available."


def _read_server_tool_use(raw: bytes, path: str) -> ServerToolUse:
    block = read(_tool_use, raw, path)
    return ServerToolUse(original_id(block.id), block.name, _arguments(block.input, path))


def _read_server_tool_result(raw: bytes, path: str, block_type: str) -> ServerToolResult:
    block = read(_server_tool_result, raw, path)
    result = ServerToolResult(
        original_id(block.tool_use_id),
        block_type.removesuffix(RESULT_SUFFIX),
        native=Native("messages", block_type, bytes(raw)),
    )
    if block_type == SEARCH_RESULT:
        sources, error_code = sources_of(block.content)
        return structs.replace(result, sources=sources, error_code=error_code)
    error_code = error_of(block.content)
    return structs.replace(
        result, error_code=error_code, text="" if error_code is not None else text_of(block.content)
    )


def _read_compaction(raw: bytes, path: str) -> Text:
    block = read(_compaction, raw, path)
    # What follows is no part of the summary, and chat joins the texts of a turn.
    summary = f"[Summary of the conversation so far]\n{block.content}\n\n" if block.content else ""
    return Text(summary, cache=cache_in(block.cache_control))


def _arguments(raw: Raw, path: str) -> str:
    read(_input, raw, f"{path}.input")
    try:
        return bytes(raw).decode()
    except UnicodeDecodeError:
        raise InvalidRequestError(f"Not UTF-8 (at {path}.input)", param=f"{path}.input") from None


def _unsupported_source(source: Source, path: str) -> UnsupportedFeatureError:
    at = f"{path}.source.type"
    return UnsupportedFeatureError(
        f"A source of type '{source.type}' is not available here: send the content as base64 (at {at})",
        param=at,
    )


_READERS: Final[dict[str, Callable[[bytes, str], Block]]] = {
    "text": _read_text,
    "thinking": _read_thinking,
    "redacted_thinking": _read_redacted,
    "image": _read_image,
    "document": _read_document,
    "search_result": _read_search_result,
    "tool_use": _read_tool_use,
    "tool_result": _read_tool_result,
    "server_tool_use": _read_server_tool_use,
    "compaction": _read_compaction,
}
