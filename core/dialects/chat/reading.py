"""Reading a client's JSON so that every mistake becomes a 400 that names the place."""

import re
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta, Raw

from core.errors import InvalidRequestError, invalid_json

T = TypeVar("T")

Count = Annotated[int, Meta(ge=0, le=2**53)]
Number = Annotated[float, Meta(ge=-1e9, le=1e9)]
Seed = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]

_MISSING: Final = re.compile(r"missing required field `(\w+)`")
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError)


def read(decoder: msgspec.json.Decoder[T], raw: Raw | bytes, path: str = "$") -> T:
    """Decode one value that stands at `path` of the body. Raises `InvalidRequestError`."""
    try:
        return decoder.decode(raw)
    except _BROKEN as error:
        refused = invalid_json(error, path)
        missing = _MISSING.search(refused.message)
        if missing is not None:
            refused.param = f"{refused.param}.{missing[1]}"
        raise refused from error
    except RecursionError as error:
        raise InvalidRequestError("the JSON is nested too deeply", param=path) from error


def first_byte(raw: Raw | bytes) -> bytes:
    """Return the byte that tells a JSON value's type."""
    return bytes(memoryview(raw)[:1])


def check_utf8(body: bytes) -> None:
    """Refuse a body that is no UTF-8: members that are only passed on are not looked into. Raises `InvalidRequestError`."""
    if body.isascii():
        return
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise invalid_json(error) from error
