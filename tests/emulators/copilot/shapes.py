"""Read untrusted JSON without ever raising: wrong types come out empty."""

from typing import Any, Final, TypeGuard

import msgspec

Obj = dict[str, Any]

_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder()


def is_object(value: object) -> TypeGuard[Obj]:
    """Say whether it is a JSON object."""
    return isinstance(value, dict)


def is_array(value: object) -> TypeGuard[list[Any]]:
    """Say whether it is a JSON array."""
    return isinstance(value, list)


def members(value: object) -> Obj:
    """Return a JSON object's members, or none when it is no object."""
    return value if is_object(value) else {}


def items(value: object) -> list[Any]:
    """Return a JSON array's items, or none when it is no array."""
    return value if is_array(value) else []


def objects(value: object) -> list[Obj]:
    """Return those items of a JSON array that are objects."""
    return [item for item in items(value) if is_object(item)]


def string(value: object) -> str:
    """Return a JSON string, or "" when it is none."""
    return value if isinstance(value, str) else ""


def integer(value: object, default: int = 0) -> int:
    """Return a JSON number as an integer, or the default."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return default
    return int(value)


def decode(raw: bytes) -> object:
    """Decode JSON; raise ValueError when it is not valid."""
    try:
        return _DECODER.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def encode(value: object) -> bytes:
    """Encode as compact JSON."""
    return _ENCODER.encode(value)
