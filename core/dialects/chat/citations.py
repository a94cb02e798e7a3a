"""Citations: OpenAI's `annotations` and Copilot's own notes on licensed code, read and written."""

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Raw, Struct

from core.canonical import Citation
from core.dialects.chat.schema import Annotation, UrlCitation


class _Url(Struct, frozen=True):
    url: str = ""
    title: str | None = None
    start_index: int | None = None
    end_index: int | None = None


class _Annotation(Struct, frozen=True):
    url_citation: _Url | None = None


class _Snippet(Struct, frozen=True):
    url: str | None = None
    license: str | None = None
    snippet: str | None = None


class _CodeCitation(Struct, frozen=True):
    citations: _Snippet | None = None
    start_offset: int | None = None
    end_offset: int | None = None


class _CopilotAnnotations(Struct, frozen=True):
    IPCodeCitations: list[_CodeCitation] | None = None


_decode_annotation = msgspec.json.Decoder(_Annotation).decode
_decode_copilot = msgspec.json.Decoder(_CopilotAnnotations | None).decode
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode_annotations(found: Iterable[Raw]) -> Iterator[Citation]:
    """Read the web pages that an answer cites; anything else is not a citation."""
    for raw in found:
        try:
            cited = _decode_annotation(raw).url_citation
        except _BROKEN:
            continue
        if cited is not None and cited.url:
            yield Citation(cited.url, cited.title or "", start=cited.start_index, end=cited.end_index)


def decode_copilot_annotations(raw: Raw) -> Iterator[Citation]:
    """Read the public code that an answer resembles, with its licence as the title."""
    try:
        found = _decode_copilot(raw)
    except _BROKEN:
        return
    for note in (found.IPCodeCitations if found is not None else None) or ():
        source = note.citations
        if source is not None and source.url:
            yield Citation(
                source.url, source.license or "", source.snippet or "", note.start_offset, note.end_offset
            )


def encode_citation(citation: Citation, *, base: int, length: int) -> Annotation | None:
    """Write a citation of a text that starts at `base` in the whole content and is `length` long so far.

    None where there is no URL: chat clients know no other sources. A missing range is the place reached.
    """
    if not citation.url:
        return None
    start = length if citation.start is None else citation.start
    end = length if citation.end is None else citation.end
    return Annotation(UrlCitation(base + start, base + end, citation.url, citation.title))
