"""What a hosted tool found, as those read it whose model has no such tool."""

from typing import Any, Final, cast

import msgspec

from core.canonical import Citation
from core.dialects.messages.schema import WebSearchResult

UNREADABLE: Final = (msgspec.DecodeError, UnicodeError, RecursionError)
# What no other model can read: ciphertext for the tool's own model, and files.
SEALED: Final = "encrypted_"

_results: Final = msgspec.json.Decoder(list[WebSearchResult]).decode
_error: Final = msgspec.json.Decoder(WebSearchResult).decode
_any: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode


def sources_of(content: bytes) -> tuple[tuple[Citation, ...], str | None]:
    """Return a search's sources, or why there are none."""
    try:
        results = _results(content)
    except UNREADABLE:
        return (), error_of(content) or "unavailable"
    return tuple(Citation(url=result.url, title=result.title) for result in results), None


def error_of(content: bytes) -> str | None:
    """Return why a tool failed; None for one that did not."""
    try:
        return _error(content).error_code
    except UNREADABLE:
        return None


def text_of(content: bytes) -> str:
    """Return what any other tool answered (a page, a program's output) as JSON that a model reads."""
    try:
        return _encode(_readable(_any(content))).decode()
    except UNREADABLE:
        return ""


def _readable(value: Any) -> Any:
    match value:
        case {"type": "base64", "media_type": media_type}:
            return {"type": "base64", "media_type": media_type}
        case dict():
            members = cast("dict[str, object]", value)
            return {name: _readable(part) for name, part in members.items() if not name.startswith(SEALED)}
        case list():
            return [_readable(part) for part in cast("list[object]", value)]
        case _:
            return value
