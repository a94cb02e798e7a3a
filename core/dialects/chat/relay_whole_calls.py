"""The calls of a complete reply that is passed through: each has an id, and arguments that are an object."""

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Raw

from core.dialects.chat.calls import is_object, made_up_id
from core.dialects.chat.schema import CallPiece, encode
from core.errors import UpstreamProtocolError

_call: Final = msgspec.json.Decoder(CallPiece).decode
_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode


def sound_calls(calls: Iterable[Raw], message_id: str, *, cut: bool) -> list[Raw]:
    """Return the calls that can be run, as they came where nothing is wrong with them (AC-18).

    `cut`: the answer hit its limit, so that a half call is to be expected; it is left out. Raises
    `UpstreamProtocolError` for any other call without a name or without a JSON object (AC-19, AC-23).
    """
    found = (_sound(raw, ordinal, message_id, cut=cut) for ordinal, raw in enumerate(calls))
    return [call for call in found if call is not None]


def _sound(raw: Raw, ordinal: int, message_id: str, *, cut: bool) -> Raw | None:
    call = _call(raw)
    function = call.function
    if function is None:  # a custom tool's call: its input is free text
        return raw
    arguments = function.arguments or ("" if cut else "{}")
    if not function.name or not is_object(arguments):
        if cut:
            return None
        raise UpstreamProtocolError(
            f"upstream called {function.name!r} with arguments that are no JSON object"
            if function.name
            else "upstream called a tool without naming it"
        )
    if call.id and call.type == "function" and arguments == function.arguments:
        return raw
    members = _members(raw)
    whole = {**_members(members["function"]), "arguments": arguments}
    call_id = call.id or made_up_id(message_id, ordinal)
    return Raw(encode({**members, "id": call_id, "type": "function", "function": whole}))
