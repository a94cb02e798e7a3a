"""Tool names and call ids that every upstream accepts, made reversibly from the client's own.

Upstream takes `[a-zA-Z0-9_-]`, at most 64 of them. A name that fits stays as it is; any other becomes readable text
plus a hash, the same one every time, so that history, tool list and reply agree without a table being kept.
"""

import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

# The repair of a body that has such names: the way back has to take part in it.
LONG_NAMES: Final = "long_names"

LONGEST: Final = 64
HASH_LENGTH: Final = 10
# Anthropic's API takes longer names than OpenAI's.
LONGEST_NATIVE: Final = 128
_FITS: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_FITS_NATIVE: Final = re.compile(rf"[a-zA-Z0-9_-]{{1,{LONGEST_NATIVE}}}")
_ODD: Final = re.compile(r"[^a-zA-Z0-9_-]")
_ID_FITS: Final = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")


def short_name(name: str) -> str:
    """Return `name` where upstream accepts it, else a stand-in of at most 64 characters."""
    return name if _FITS.fullmatch(name) else _stand_in(name)


def native_name(name: str) -> str:
    """Return `name` where an Anthropic upstream accepts it, else the same stand-in as `short_name`."""
    return name if _FITS_NATIVE.fullmatch(name) else _stand_in(name)


def full_name(name: str, namespace: str | None = None) -> str:
    """Return one flat name for a tool that lives in a namespace (`files__read`)."""
    return f"{namespace}__{name}" if namespace else name


def restore(names: Iterable[str]) -> dict[str, str]:
    """Map the stand-in of each name that needs one to the name; a name that is not in the map stands for itself."""
    return {_stand_in(name): name for name in names if not _FITS.fullmatch(name)}


def short_call_id(call_id: str, *, dotted: bool = False) -> str:
    """Return `call_id` where upstream accepts it, else a stand-in.

    `dotted` admits `.` and `:` too, for the ids that some chat models insist on (`functions.read:0`). The way back is
    not needed: a stand-in is only ever seen upstream, on the call and on its result alike.
    """
    fits = _ID_FITS if dotted else _FITS
    return call_id if fits.fullmatch(call_id) else _stand_in(call_id)


def unseen(call_id: str, seen: set[str]) -> str:
    """Return the id, or one made of it, that is not in `seen` yet, and put it there."""
    single, count = call_id, 1
    while single in seen:
        count += 1
        single = f"{call_id}_{count}"
    seen.add(single)
    return single


def _stand_in(name: str) -> str:
    digest = sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:HASH_LENGTH]
    return f"{_ODD.sub('_', name)[: LONGEST - HASH_LENGTH - 1]}_{digest}"
