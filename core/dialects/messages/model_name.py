"""Put another model id into a body without touching any other byte of it."""

import re
from typing import Any, Final

import msgspec

_encode: Final = msgspec.json.Encoder().encode


def with_model(body: bytes, members: dict[str, Any], model_id: str) -> bytes:
    """Return `body` (whose members these are) with `model` set.

    The member cannot occur inside a string, where its quotes would be escaped; if it occurs in a nested object as well,
    or is spelled in an odd way, the top level is written anew around the members' own bytes.
    """
    value = bytes(members["model"]) if "model" in members else b""
    places = list(re.finditer(rb'"model"\s*:\s*' + re.escape(value), body)) if value else []
    if len(places) == 1:
        end = places[0].end()
        return b"".join((body[: end - len(value)], _encode(model_id), body[end:]))
    return _encode({**members, "model": model_id})
