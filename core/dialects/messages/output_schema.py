"""The schema of structured output as Claude takes it: every object has to say that it has no other members."""

from typing import Any, Final

import msgspec

_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode

# Where schemas stand in a schema. Not `allOf`: a branch that allows its own members alone refuses those of the others.
BY_NAME: Final = ("properties", "$defs", "definitions")
LISTED: Final = ("anyOf", "oneOf", "prefixItems")


def closed(schema: bytes) -> bytes:
    """Return the schema with its objects closed; one that is fine stays byte for byte.

    Other APIs take schemas that leave this open, so clients send them (litellm#35808). An object that names no members
    stays as it is: closed it could only be empty.
    """
    try:
        whole = _decode(schema)
        shut = _closed(whole)
    except (msgspec.DecodeError, RecursionError):
        return schema
    return schema if shut == whole else _encode(shut)


def _closed(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    members: dict[str, Any] = {**schema}
    for name in BY_NAME:
        if isinstance(members.get(name), dict):
            members[name] = {inner: _closed(value) for inner, value in members[name].items()}
    for name in LISTED:
        if isinstance(members.get(name), list):
            members[name] = [_closed(value) for value in members[name]]
    if "items" in members:
        members["items"] = _closed(members["items"])
    if members.get("properties") and members.get("additionalProperties", True) is True:
        members["additionalProperties"] = False
    return members
