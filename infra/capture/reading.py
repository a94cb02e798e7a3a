"""A captured exchange, read from its file."""

import base64
import binascii
from pathlib import Path
from typing import Any, cast

import msgspec
from msgspec import Struct

from core.model import Model
from infra.capture.recording import VERSION, Bodies, Item


class CaptureError(Exception):
    """The file holds no exchange that can be played again; the message says why."""


class Part(Struct, kw_only=True):
    """A request or a reply. failure: why upstream's part of it ended early."""

    call: int = 0
    method: str = ""
    path: str = ""
    status: int = 0
    headers: dict[str, str] = {}
    failure: str = ""
    pieces: list[bytes] = []

    @property
    def body(self) -> bytes:
        """The whole body."""
        return b"".join(self.pieces)


class Capture(Struct, kw_only=True):
    """One exchange. replies: upstream's, by the number of the request that they answer."""

    bodies: Bodies
    gateway: str
    scope: str
    settings: dict[str, Any]
    models: tuple[Model, ...]
    request: Part
    calls: list[Part]
    replies: dict[int, Part]
    reply: Part


def read_capture(path: Path) -> Capture:
    """Return what the file holds. Raises CaptureError."""
    try:
        items = [msgspec.json.decode(line, type=Item) for line in path.read_bytes().splitlines()]
        return _assembled(items)
    except OSError as error:
        raise CaptureError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (msgspec.MsgspecError, binascii.Error, UnicodeError, RecursionError, LookupError) as error:
        raise CaptureError(f"{path} is no capture of this gateway ({error}).") from error


def _assembled(items: list[Item]) -> Capture:
    head, rest = (items[0], items[1:]) if items else ({}, [])
    if head.get("kind") != "capture" or head.get("version") != VERSION:
        raise CaptureError(f"This is no capture of version {VERSION}.")
    if head.get("truncated"):
        raise CaptureError("This exchange was too long to be captured whole; it cannot be played again.")
    parts = _parts(rest)
    asked = [part for kind, part in parts if kind == "client_request"]
    answered = [part for kind, part in parts if kind == "client_reply"]
    if not asked or not answered:
        raise CaptureError("The capture ends before the client's answer began.")
    return Capture(
        bodies=head["bodies"],
        gateway=head["gateway"],
        scope=head["scope"],
        settings=head["settings"],
        models=msgspec.convert(head["models"], tuple[Model, ...]),
        request=asked[0],
        calls=[part for kind, part in parts if kind == "upstream_request"],
        replies={part.call: part for kind, part in parts if kind == "upstream_reply"},
        reply=answered[-1],  # an application may begin an answer anew
    )


def _parts(items: list[Item]) -> list[tuple[str, Part]]:
    parts: list[tuple[str, Part]] = []
    for item in items:
        kind = str(item["kind"])
        if kind.endswith("_body"):
            parts[-1][1].pieces.append(_piece(item))
        else:
            parts.append((kind, msgspec.convert(item, Part)))
    return parts


def _piece(item: Item) -> bytes:
    if "text" in item:
        return cast("str", item["text"]).encode()
    return base64.b64decode(item["base64"], validate=True)
