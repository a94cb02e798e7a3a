"""A client's images, judged before upstream sees them: its own refusal comes late and names no place.

One walk for all dialects, over bodies that hold images alone. How many images a model takes is left to upstream: editors
send far more than the catalogue states, and are answered.
"""

import binascii
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final, cast
from urllib.parse import urlsplit

import msgspec

from core.errors import InvalidRequestError, UnsupportedFeatureError
from core.model import Model

MARKS: Final = (b'"image_url"', b'"input_image"', b'"image"')
TURNS: Final = ("messages", "input")
# What holds further parts: a turn, a tool's result, a document that is made of parts.
HOLDERS: Final = ("content", "output", "source")
IMAGES: Final = frozenset({"image_url", "input_image", "image"})
SAME_TYPE: Final = {"image/jpg": "image/jpeg"}
PRIVATE: Final = (".localhost", ".local", ".internal", ".lan", ".home.arpa")

Part = dict[str, object]


def check_images(body: bytes, model: Model) -> None:
    """Refuse images that upstream cannot show the model.

    Raises `InvalidRequestError` with the path of the bad member, `UnsupportedFeatureError` for a model without eyes. A
    body without the marks costs a byte search; one that is no JSON is somebody else's to refuse.
    """
    if not any(mark in body for mark in MARKS):
        return
    try:
        request = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return
    for part, path in _images(request):
        if model.vision is False:
            raise UnsupportedFeatureError(f"{model.id} cannot see images (at {path})", param=path)
        if part["type"] == "image":
            _check_source(part.get("source"), f"{path}.source", model)
        else:
            _check_url(*_url_of(part.get("image_url"), f"{path}.image_url"), model)


def _images(request: object) -> Iterator[tuple[Part, str]]:
    """Yield each image part with its path, in order."""
    top = cast("Part", request) if isinstance(request, dict) else {}
    pending = [(top[name], f"$.{name}") for name in TURNS if name in top]
    while pending:
        item, path = pending.pop()
        if isinstance(item, list):
            held = cast("list[object]", item)
            pending += reversed([(one, f"{path}[{index}]") for index, one in enumerate(held)])
        elif isinstance(item, dict):
            part = cast("Part", item)
            kind = part.get("type")
            if isinstance(kind, str) and kind in IMAGES:
                yield part, path
            else:
                pending += [(part[name], f"{path}.{name}") for name in HOLDERS if name in part]


def _url_of(image: object, path: str) -> tuple[object, str]:
    """Return the URL and its path: Chat Completions puts it into an object of its own."""
    if isinstance(image, dict):
        return cast("Part", image).get("url"), f"{path}.url"
    return image, path


def _check_url(url: object, path: str, model: Model) -> None:
    if not isinstance(url, str) or not url:
        raise InvalidRequestError(f"an image needs a URL (at {path})", param=path)
    if url.startswith("data:"):
        head, comma, data = url.partition(",")
        if not comma or not head.endswith(";base64"):
            raise InvalidRequestError(
                f"a data: URL needs a media type and base64: data:image/png;base64,... (at {path})",
                param=path,
            )
        _check_data(data, head.removeprefix("data:").partition(";")[0], path, model)
    elif not url.startswith(("https://", "http://")):
        raise InvalidRequestError(f"expected an http(s) URL or a base64 data: URL (at {path})", param=path)
    elif _is_private(url):
        raise InvalidRequestError(
            f"upstream cannot reach this address: send the image itself as a base64 data: URL (at {path})",
            param=path,
        )


def _check_source(source: object, path: str, model: Model) -> None:
    """Judge a Messages source; sources of other types are the dialect's to refuse."""
    members = cast("Part", source) if isinstance(source, dict) else {}
    if members.get("type") == "url":
        _check_url(members.get("url"), f"{path}.url", model)
    if members.get("type") != "base64":
        return
    data, media_type = members.get("data"), members.get("media_type")
    if not isinstance(data, str) or not isinstance(media_type, str):
        raise InvalidRequestError(f"an image needs media_type and data (at {path})", param=path)
    _check_data(data, media_type, f"{path}.data", model)


def _check_data(data: str, media_type: str, path: str, model: Model) -> None:
    if not data:
        raise InvalidRequestError(f"the image is empty (at {path})", param=path)
    declared = model.image_types
    if media_type and declared and SAME_TYPE.get(media_type, media_type) not in declared:
        raise InvalidRequestError(
            f"{model.id} does not take {media_type}, but {', '.join(declared)} (at {path})", param=path
        )
    size, most = len(data) * 3 // 4 - data[-2:].count("="), model.max_image_bytes
    if most is not None and size > most:
        raise InvalidRequestError(
            f"image exceeds the maximum of {model.id}: {size} bytes > {most} bytes (at {path})", param=path
        )
    try:
        binascii.a2b_base64(data, strict_mode=True)
    except ValueError as error:
        raise InvalidRequestError(f"the image is no base64: {error} (at {path})", param=path) from error


def _is_private(url: str) -> bool:
    """Tell whether an address means something only where the client is."""
    try:
        host = (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return True
    try:
        return not ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(PRIVATE)
