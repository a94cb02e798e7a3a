"""Ids of calls as upstream takes them: short ones everywhere, and numbered ones (`functions.read:0`) for Kimi."""

import re
from collections.abc import Iterable, Mapping
from itertools import count
from typing import Final

from core.names import short_call_id, short_name

NUMBERED: Final = re.compile(r"functions\.[a-zA-Z0-9_-]+:([0-9]{1,9})")


def numbered(calls: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Map each call's id, given with the tool's name, to one of Kimi's form, counted over the whole conversation.

    An id of that form stays, and no other call gets it.
    """
    named = dict(calls)
    found = {call_id: NUMBERED.fullmatch(call_id) for call_id in named}
    taken = {int(match[1]) for match in found.values() if match is not None}
    free = (number for number in count() if number not in taken)
    return {
        call_id: call_id if found[call_id] else f"functions.{short_name(name)}:{next(free)}"
        for call_id, name in named.items()
    }


def sent_id(call_id: str, ids: Mapping[str, str]) -> str:
    """Return the id that goes upstream; `ids` has the numbered ones, where the model wants them."""
    return ids.get(call_id) or short_call_id(call_id, dotted=True)
