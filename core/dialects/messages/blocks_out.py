"""Content blocks from the canonical model to the wire, for upstream and for clients."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec import Raw

from core.canonical import (
    CacheBreakpoint,
    Citation,
    Document,
    Image,
    ResultContent,
    SearchResult,
    ServerToolResult,
    ServerToolUse,
    Text,
    ToolResult,
)
from core.dialects.messages.values import is_object, one_line, safe_id
from core.images import SAME_TYPE

Wire = dict[str, Any]

WEB_SEARCH: Final = "web_search"
EMPTY_INPUT: Final = Raw(b"{}")

_encode: Final = msgspec.json.Encoder().encode


def text_wire(text: str, cache: CacheBreakpoint | None = None) -> Wire:
    """Return a text block."""
    return with_cache({"type": "text", "text": text}, cache)


def with_cache(block: Wire, cache: CacheBreakpoint | None) -> Wire:
    """Hang the cache mark on a block, where there is one."""
    if cache is not None:
        block["cache_control"] = cache_wire(cache)
    return block


def cache_wire(cache: CacheBreakpoint) -> Wire:
    """Return a cache mark with nothing but what Copilot accepts."""
    return {"type": "ephemeral"} if cache.ttl is None else {"type": "ephemeral", "ttl": cache.ttl}


def titled(title: str | None, context: str | None, text: str) -> str:
    """Return a document as text that says what it is (Copilot refuses text documents)."""
    head = f"[Document: {title}]" if title else "[Document]"
    return "\n".join(part for part in (head, context or "", text) if part)


def source_base64(media_type: str, content: str) -> Wire:
    """Return the source of an image or a PDF."""
    return {"type": "base64", "media_type": media_type, "data": content}


def image_wire(image: Image) -> Wire:
    """Return an image block; the caller has made sure that it is no URL."""
    source = source_base64(SAME_TYPE.get(image.media_type, image.media_type), image.base64)
    return with_cache({"type": "image", "source": source}, image.cache)


def document_wires(document: Document) -> list[Wire]:
    """Return a PDF as it is, and any other document as titled text (and its images)."""
    if document.base64:
        block: Wire = {"type": "document", "source": source_base64(document.media_type, document.base64)}
        members = (("title", document.title), ("context", document.context))
        block.update({name: value for name, value in members if value is not None})
        if document.citations:
            block["citations"] = {"enabled": True}
        return [with_cache(block, document.cache)]
    if document.content is None:
        text = titled(document.title, document.context, document.text or "")
        return [text_wire(text, document.cache)]
    head = titled(document.title, document.context, "")
    inside = [
        text_wire(part.text) if isinstance(part, Text) else image_wire(part) for part in document.content
    ]
    blocks = [text_wire(head), *(block for block in inside if block.get("text", "-").strip())]
    with_cache(blocks[-1], document.cache)
    return blocks


def search_result_wire(result: SearchResult) -> Wire:
    """Return a search_result block."""
    block: Wire = {
        "type": "search_result",
        "source": result.source,
        "title": result.title,
        "content": [text_wire(text.text) for text in result.content],
    }
    if result.citations:
        block["citations"] = {"enabled": True}
    return with_cache(block, result.cache)


def result_wire(result: ToolResult) -> Wire:
    """Return a tool_result block. A cache mark inside its content moves to the block: upstream refuses it there."""
    content: list[Wire | Raw] = []
    cache = result.cache
    for part in result.content:
        cache = cache or getattr(part, "cache", None)
        content.extend(_result_parts(part))
    block: Wire = {"type": "tool_result", "tool_use_id": safe_id(result.call_id), "content": content}
    if result.is_error is not None:
        block["is_error"] = result.is_error
    return with_cache(block, cache)


def _result_parts(part: ResultContent) -> list[Wire | Raw]:
    match part:
        case Text():
            return [text_wire(part.text)] if part.text.strip() else []
        case Image():
            wires = [image_wire(part)]
        case Document():
            wires = document_wires(part)
        case SearchResult():
            wires = [search_result_wire(part)]
        case _:
            return [Raw(part.raw)] if part.dialect == "messages" else []
    for wire in wires:
        wire.pop("cache_control", None)
    return list(wires)


def citation_wire(citation: Citation) -> Wire | Raw:
    """Return a citation; one that another dialect found becomes a web search location."""
    if citation.native is not None and citation.native.dialect == "messages":
        return Raw(one_line(citation.native.raw))
    return {
        "type": "web_search_result_location",
        "url": citation.url,
        "title": citation.title or None,
        "encrypted_index": "",
        "cited_text": citation.cited_text,
    }


def citations_wire(citations: Iterable[Citation]) -> list[Wire | Raw]:
    """Return all of a text's citations."""
    return [citation_wire(citation) for citation in citations]


def input_wire(arguments: str) -> Raw:
    """Return a call's input; arguments that are no JSON object are put into one, so that nothing is lost."""
    if not arguments:
        return EMPTY_INPUT
    return Raw(arguments.encode() if is_object(arguments) else _encode({"input": arguments}))


def server_use_wire(use: ServerToolUse) -> Wire:
    """Return a server_tool_use block."""
    return {
        "type": "server_tool_use",
        "id": safe_id(use.call_id),
        "name": use.name,
        "input": input_wire(use.arguments),
    }


def server_result_wire(result: ServerToolResult) -> Wire | Raw:
    """Return a hosted tool's result; what another dialect found is said as web search results."""
    if result.native is not None and result.native.dialect == "messages":
        return Raw(one_line(result.native.raw))
    block: Wire = {"type": "web_search_tool_result", "tool_use_id": safe_id(result.call_id)}
    if result.error_code is not None:
        block["content"] = {"type": "web_search_tool_result_error", "error_code": result.error_code}
    else:
        block["content"] = [_found(source) for source in result.sources]
    return block


def hosted_text(result: ServerToolResult) -> str:
    """Return what a hosted tool found as text, for models that refuse such blocks (AC-44)."""
    tool = "Web search" if result.name == WEB_SEARCH else result.name
    if result.error_code is not None:
        return f"[{tool} failed: {result.error_code}]"
    lines = [f"- {source.title or source.url}: {source.url}" for source in result.sources]
    return "\n".join([f"[{tool} results]", *lines, *filter(None, [result.text])])


def _found(source: Citation) -> Wire:
    return {
        "type": "web_search_result",
        "url": source.url,
        "title": source.title or source.url,  # OpenAI's sources have none, and clients show nothing else
        "encrypted_content": "",
        "page_age": None,
    }
