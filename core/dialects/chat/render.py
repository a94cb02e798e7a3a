"""What chat has no block for, told as text: documents, search results, a hosted tool's own steps."""

import binascii
from base64 import b64decode
from collections.abc import Iterable, Iterator

from core.canonical import Block, Document, Image, SearchResult, ServerToolResult, ServerToolUse, Text
from core.errors import UnsupportedFeatureError


def told(block: Block) -> str | None:
    """Return the text that stands for a block, None for a block that is not told as text.

    Raises `UnsupportedFeatureError` for a document whose text is not at hand.
    """
    match block:
        case Text():
            return block.text
        case Document():
            return _document(block)
        case SearchResult():
            return _tagged("search_result", block.title, _lines(block.content), source=block.source)
        case ServerToolUse():
            return f"[{block.name} was called with {block.arguments}]"
        case ServerToolResult():
            return _sources(block)
        case _:
            return None


def images_of(block: Block) -> Iterator[Image]:
    """Return the images that a block is or holds."""
    if isinstance(block, Image):
        yield block
    elif isinstance(block, Document):
        yield from (part for part in block.content or () if isinstance(part, Image))


def _document(document: Document) -> str:
    if document.text is not None:
        text = document.text
    elif document.content is not None:
        text = _lines(document.content)
    elif document.base64 and document.media_type.startswith("text/"):
        text = _decoded(document.base64)
    else:
        kind = document.media_type or "linked"
        raise UnsupportedFeatureError(
            f"this model cannot be given a {kind} document: it takes text only, and the gateway does not extract "
            "text from files; choose a model that reads documents natively, or send the document's text",
            param="messages",
        )
    return _tagged("document", document.title or "", text, context=document.context or "")


def _decoded(base64: str) -> str:
    try:
        return b64decode(base64, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise UnsupportedFeatureError(
            "the text document is no base64 of UTF-8 text", param="messages"
        ) from error


def _sources(result: ServerToolResult) -> str:
    if result.error_code is not None:
        return f"[{result.name} failed: {result.error_code}]"
    if result.text:
        return f"[{result.name} answered]\n{result.text}"
    lines = [f"[{result.name} found {len(result.sources)} sources]"]
    for source in result.sources:
        cited = f": {source.cited_text}" if source.cited_text else ""
        lines.append(f"- {source.title or source.url} <{source.url}>{cited}")
    return "\n".join(lines)


def _lines(blocks: Iterable[Text | Image]) -> str:
    return "\n".join(block.text for block in blocks if isinstance(block, Text))


def _tagged(tag: str, title: str, text: str, **notes: str) -> str:
    attributes = "".join(
        f' {name}="{value.replace(chr(34), chr(39))}"'
        for name, value in {"title": title, **notes}.items()
        if value
    )
    return f"<{tag}{attributes}>\n{text}\n</{tag}>"
