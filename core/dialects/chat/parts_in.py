"""Content parts of a client's messages."""

import binascii
from base64 import b64decode
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Raw, Struct

from core.canonical import Block, CacheBreakpoint, Document, Image, Native, Refusal, Text
from core.dialects.chat.reading import first_byte, read
from core.errors import InvalidRequestError, UnsupportedFeatureError

PDF: Final = "application/pdf"


class CacheControl(Struct):
    """A cache mark, as the gateways in front of Anthropic models spell it."""

    type: str = "ephemeral"
    ttl: str | None = None


class _Typed(Struct):
    type: str


class _TextPart(Struct):
    text: str
    cache_control: CacheControl | None = None


class _Url(Struct):
    url: str
    detail: str | None = None


class _ImagePart(Struct):
    image_url: _Url | str
    cache_control: CacheControl | None = None


class _File(Struct):
    file_data: str | None = None
    filename: str | None = None
    file_id: str | None = None


class _FilePart(Struct):
    file: _File
    cache_control: CacheControl | None = None


class _RefusalPart(Struct):
    refusal: str


_parts = msgspec.json.Decoder(list[Raw])
_string = msgspec.json.Decoder(str)
_typed = msgspec.json.Decoder(_Typed)
_text_part = msgspec.json.Decoder(_TextPart)
_image_part = msgspec.json.Decoder(_ImagePart)
_file_part = msgspec.json.Decoder(_FilePart)
_refusal_part = msgspec.json.Decoder(_RefusalPart)


def decode_content(content: Raw, path: str) -> tuple[Block, ...]:
    """Read a message's content: text, parts, or null (no blocks). Raises `InvalidRequestError`."""
    first = first_byte(content)
    if first == b"n":
        return ()
    if first == b'"':
        return (Text(read(_string, content, path)),)
    if first != b"[":
        raise InvalidRequestError(f"expected a string or an array of parts (at {path})", param=path)
    parts = read(_parts, content, path)
    return tuple(_part(raw, f"{path}[{index}]") for index, raw in enumerate(parts))


def breakpoint_of(control: CacheControl | None) -> CacheBreakpoint | None:
    """Return the cache mark."""
    return None if control is None else CacheBreakpoint(control.ttl)


def _part(raw: Raw, path: str) -> Block:
    if first_byte(raw) == b'"':  # a bare string among the parts
        return Text(read(_string, raw, path))
    kind = read(_typed, raw, path).type
    decode = _PARTS.get(kind)
    return Native("chat", kind, bytes(raw)) if decode is None else decode(raw, path)


def _text(raw: Raw, path: str) -> Block:
    part = read(_text_part, raw, path)
    return Text(part.text, cache=breakpoint_of(part.cache_control))


def _image(raw: Raw, path: str) -> Block:
    part = read(_image_part, raw, path)
    image = part.image_url if isinstance(part.image_url, _Url) else _Url(part.image_url)
    cache = breakpoint_of(part.cache_control)
    at = f"{path}.image_url.url"
    if image.url.startswith(("https://", "http://")):
        return Image(url=image.url, detail=image.detail, cache=cache)
    media_type, base64 = _data_url(image.url, at)
    return Image(media_type=media_type or "image/png", base64=base64, detail=image.detail, cache=cache)


def _file(raw: Raw, path: str) -> Block:
    part = read(_file_part, raw, path)
    file = part.file
    if file.file_data is None:
        raise UnsupportedFeatureError(
            "files must be sent as file_data: there is no file store", param=f"{path}.file"
        )
    at = f"{path}.file.file_data"
    media_type, base64 = (
        _data_url(file.file_data, at) if file.file_data.startswith("data:") else ("", file.file_data)
    )
    cache = breakpoint_of(part.cache_control)
    if media_type.startswith("text/"):
        return Document(media_type=media_type, text=_plain(base64, at), title=file.filename, cache=cache)
    return Document(media_type=media_type or PDF, base64=base64, title=file.filename, cache=cache)


def _refusal(raw: Raw, path: str) -> Block:
    return Refusal(read(_refusal_part, raw, path).refusal)


def _audio(_raw: Raw, path: str) -> Block:
    raise UnsupportedFeatureError("audio is not offered by Copilot's models", param=path)


def _data_url(url: str, path: str) -> tuple[str, str]:
    """Cut `data:image/png;base64,AAAA` into media type and base64 text."""
    head, comma, base64 = url.partition(",")
    if not head.startswith("data:") or not comma or not head.endswith(";base64") or not base64:
        raise InvalidRequestError(f"expected an http(s) URL or a base64 data: URL (at {path})", param=path)
    return head.removeprefix("data:").removesuffix(";base64").partition(";")[0], base64


def _plain(base64: str, path: str) -> str:
    try:
        return b64decode(base64, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise InvalidRequestError(f"expected base64 of UTF-8 text (at {path})", param=path) from error


_PARTS: Final[dict[str, Callable[[Raw, str], Block]]] = {
    "text": _text,
    "image_url": _image,
    "file": _file,
    "refusal": _refusal,
    "input_audio": _audio,
}
