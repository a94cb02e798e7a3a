"""Content parts: the text, images and files inside items, from and to the wire."""

from base64 import b64decode
from binascii import Error as Base64Error
from typing import Any, Final

from msgspec import Raw

from core.canonical import Citation, Document, Image, Native, Refusal, ResultContent, SearchResult, Text
from core.dialects.responses.reading import read, split_data_url
from core.dialects.responses.schema import (
    ContentPart,
    decode_any,
    decode_citation,
    decode_members,
    decode_part,
    decode_raws,
)
from core.errors import InvalidRequestError, UnsupportedFeatureError

TEXT_TYPES: Final = frozenset({"input_text", "output_text", "text", "summary_text", "reasoning_text"})

PartBlock = Text | Refusal | Image | Document | Native


# --- From the wire ----------------------------------------------------------------------------------------------


def decode_content(raw: Raw, path: str, phase: str | None = None) -> tuple[PartBlock, ...]:
    """Read a message's content, text or parts."""
    text = bytes(raw)
    if text[:1] == b'"':
        return (Text(read(_decode_str, raw, path), phase=phase),)
    if text[:1] != b"[":
        raise InvalidRequestError(f"content must be a string or an array (at {path})", param=path)
    parts = read(decode_raws, raw, path)
    return tuple(_decode_block(part, f"{path}[{index}]", phase) for index, part in enumerate(parts))


def _decode_str(raw: bytes | Raw) -> str:
    value = decode_any(raw)
    return value if isinstance(value, str) else ""


def _decode_block(raw: Raw, path: str, phase: str | None) -> PartBlock:
    part = read(decode_part, raw, path)
    if part.type in TEXT_TYPES:
        return Text(part.text, decode_citations(part.annotations, path), phase=phase)
    if part.type == "refusal":
        return Refusal(part.refusal)
    if part.type == "input_image":
        return _decode_image(part, path)
    if part.type == "input_file":
        return _decode_file(part, path)
    return Native("responses", part.type, bytes(raw))


def _decode_image(part: ContentPart, path: str) -> Image:
    if not part.image_url:
        raise UnsupportedFeatureError(
            f"images must come as image_url, not as file_id (at {path})", param=f"{path}.file_id"
        )
    if not part.image_url.startswith("data:"):
        return Image(url=part.image_url, detail=part.detail)
    media_type, body = split_data_url(part.image_url, f"{path}.image_url")
    return Image(media_type=media_type, base64=body, detail=part.detail)


def _decode_file(part: ContentPart, path: str) -> Document:
    if part.file_data:
        at = f"{path}.file_data"
        if not part.file_data.startswith("data:"):
            return Document(media_type="application/pdf", base64=part.file_data, title=part.filename)
        media_type, body = split_data_url(part.file_data, at)
        return Document(media_type=media_type, base64=body, title=part.filename)
    if part.file_url:
        return Document(url=part.file_url, title=part.filename)
    raise UnsupportedFeatureError("files must come as file_data or file_url", param=f"{path}.file_id")


def decode_citations(raws: list[Raw] | None, path: str) -> tuple[Citation, ...]:
    """Read the annotations of a text part that stands at `path`. Raises `InvalidRequestError`."""
    return tuple(
        read(decode_annotation, raw, f"{path}.annotations[{index}]") for index, raw in enumerate(raws or ())
    )


def decode_annotation(raw: Raw | bytes) -> Citation:
    """Read one annotation; kinds that cite no URL are kept as they are."""
    citation = decode_citation(raw)
    if citation.type != "url_citation":
        return Citation(native=Native("responses", citation.type, bytes(raw)))
    return Citation(
        url=citation.url, title=citation.title or "", start=citation.start_index, end=citation.end_index
    )


# --- To the wire ------------------------------------------------------------------------------------------------


def encode_annotation(citation: Citation, length: int = 0) -> Any:
    """Write a citation of text that is `length` long; one that names nothing a Responses client knows becomes None."""
    if citation.native is not None and citation.native.dialect == "responses":
        return Raw(citation.native.raw)
    if not citation.url:
        return None
    return {
        "type": "url_citation",
        "start_index": citation.start or 0,
        "end_index": length if citation.end is None else citation.end,
        "url": citation.url,
        "title": citation.title,
    }


def encode_annotations(citations: tuple[Citation, ...], length: int) -> list[Any]:
    """Write the citations of a text part."""
    annotations = [encode_annotation(citation, length) for citation in citations]
    return [annotation for annotation in annotations if annotation is not None]


def encode_text(text: Text) -> dict[str, Any]:
    """Write text that the model wrote."""
    return {
        "type": "output_text",
        "text": text.text,
        "annotations": encode_annotations(text.citations, len(text.text)),
    }


def encode_image(image: Image) -> dict[str, Any]:
    """Write an image that the model shall see."""
    url = image.url or f"data:{image.media_type};base64,{image.base64}"
    part = {"type": "input_image", "image_url": url}
    return part if image.detail is None else {**part, "detail": image.detail}


def encode_document(document: Document, param: str) -> list[dict[str, Any]]:
    """Write a document: text as titled text, anything else as a file."""
    if document.text is not None:
        return [_titled(document.title, document.context, document.text)]
    if document.content is not None:
        blocks = [encode_input(block, param) for block in document.content]
        return [_titled(document.title, document.context, ""), *[part for parts in blocks for part in parts]]
    if document.media_type.startswith("text/"):
        return [_titled(document.title, document.context, _plain_text(document.base64, param))]
    name = document.title or "document.pdf"
    if document.url:
        return [{"type": "input_file", "file_url": document.url}]
    file_data = f"data:{document.media_type};base64,{document.base64}"
    return [{"type": "input_file", "filename": name, "file_data": file_data}]


def encode_search_result(result: SearchResult) -> dict[str, Any]:
    """Write a search result that the client found as titled text."""
    text = "\n".join(block.text for block in result.content)
    return _titled(result.title, f"Source: {result.source}", text)


def encode_input(block: ResultContent | Refusal, param: str) -> list[dict[str, Any]]:
    """Write what a user or a tool said as input parts. Raises `UnsupportedFeatureError` for foreign blocks."""
    match block:
        case Text():
            return [{"type": "input_text", "text": block.text}]
        case Image():
            return [encode_image(block)]
        case Document():
            return encode_document(block, param)
        case SearchResult():
            return [encode_search_result(block)]
        case Refusal():
            return [{"type": "input_text", "text": block.text}]
        case Native():
            if block.dialect != "responses":
                raise UnsupportedFeatureError(
                    f"{block.type} blocks cannot be sent to this model", param=param
                )
            return [_native_part(block)]


def _native_part(block: Native) -> dict[str, Any]:
    return dict(decode_members(block.raw))


def _titled(title: str | None, context: str | None, text: str) -> dict[str, Any]:
    lines = [line for line in (title, context, text) if line]
    return {"type": "input_text", "text": "\n".join(lines)}


def _plain_text(base64: str, param: str) -> str:
    try:
        return b64decode(base64, validate=True).decode()
    except (Base64Error, UnicodeDecodeError, ValueError):
        raise InvalidRequestError("the document is not base64 of UTF-8 text", param=param) from None
