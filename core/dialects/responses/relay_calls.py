"""The calls of an answer that is passed through: what a client may run has a name, and arguments that are an object."""

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Raw, Struct

from core.dialects.responses.items import EMPTY_ARGUMENTS, is_object
from core.dialects.responses.schema import decode_members, encode
from core.dialects.responses.writers import INCOMPLETE
from core.errors import UpstreamProtocolError

MARK: Final = b'"function_call"'  # cheap to seek in items


class CallFacts(Struct):
    """What decides whether a call can be run."""

    type: str = ""
    name: str | None = None
    arguments: str | None = None
    status: str | None = None


_decode_call: Final = msgspec.json.Decoder(CallFacts).decode


def sound(item: Raw) -> Raw | None:
    """Return a finished item as it came, a call without arguments with `{}` (AC-18), or None for a call that nobody can run.

    That is one without a name or without a JSON object (AC-19, AC-23). Upstream's own `incomplete` passes.
    """
    if MARK not in bytes(item):
        return item
    call = _decode_call(item)
    if call.type != "function_call" or call.status == INCOMPLETE:
        return item
    if not call.name or not is_object(call.arguments or EMPTY_ARGUMENTS):
        return None
    return item if call.arguments else _with(item, "arguments", EMPTY_ARGUMENTS)


def settled(items: Iterable[Raw], *, cut: bool) -> list[Raw]:
    """Return the output of a stream's last event. `cut`: a call that nobody can run is to be expected, and marked.

    Raises `UpstreamProtocolError` for such a call in a whole answer.
    """
    return [sound(item) or cut_off(item, cut=cut) for item in items]


def runnable(items: Iterable[Raw], *, cut: bool) -> list[Raw]:
    """Return the output of a complete reply. `cut`: a call that nobody can run is to be expected, and left out.

    Raises `UpstreamProtocolError` for such a call in a whole answer.
    """
    return settled((item for item in items if not (cut and _is_half(item))), cut=cut)


def cut_off(item: Raw, *, cut: bool) -> Raw:
    """Mark a call as one that the output limit cut. Raises `UpstreamProtocolError` where it did not."""
    if not cut:
        name = _decode_call(item).name
        raise UpstreamProtocolError(
            f"the arguments of {name} are not a JSON object"
            if name
            else "upstream called a tool without naming it"
        )
    return _with(item, "status", INCOMPLETE)


def _is_half(item: Raw) -> bool:
    if MARK not in bytes(item):
        return False
    call = _decode_call(item)
    return call.type == "function_call" and not is_object(call.arguments or "")


def _with(item: Raw, name: str, value: str) -> Raw:
    return Raw(encode({**decode_members(item), name: value}))
