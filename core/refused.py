"""A body that upstream refused, under repair: the dialects' tables of refusals are applied here.

Upstream's words decide which rule applies; only the members that a rule touches are written anew.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from core.dialect import Encoded
from core.errors import GatewayError

# What one of upstream's own bodies can make a repair stumble over: such a body is left as it is.
BROKEN: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, GatewayError, KeyError)

encode: Final = msgspec.json.Encoder().encode
members_of: Final = msgspec.json.Decoder(dict[str, Raw]).decode
items_of: Final = msgspec.json.Decoder(list[Raw]).decode


def first_byte(raw: Raw | bytes) -> bytes:
    """Return the byte that tells a JSON value's type."""
    return bytes(memoryview(raw)[:1])


class Refused:
    """The body's top-level members and feature flags; `losses` names what the client will miss."""

    def __init__(self, body: bytes, betas: tuple[str, ...] = ()) -> None:
        self.members: dict[str, Raw] = members_of(body)
        self.betas = betas
        self.losses: list[str] = []

    def put(self, name: str, value: Any) -> None:
        """Set a member; `Raw` values inside keep their bytes."""
        self.members[name] = Raw(encode(value))

    def rewrite(self, name: str, change: Callable[[list[Raw]], list[Raw]]) -> bool:
        """Set an array to what is made of its items; return whether that is something else."""
        items = items_of(self.members[name])
        changed = change(items)
        if changed == items:
            return False
        self.put(name, changed)
        return True

    def drop(self, name: str) -> bool:
        """Take a member out that the client will miss; return whether it was there."""
        if self.members.pop(name, None) is None:
            return False
        self.losses.append(name)
        return True

    def inner(self, name: str) -> dict[str, Raw]:
        """Return the members of a member; none when it is absent or no object."""
        raw = self.members.get(name)
        return members_of(raw) if raw is not None and first_byte(raw) == b"{" else {}

    def drop_inner(self, name: str, inner: str) -> bool:
        """Take a member of a member out, and the outer one with its last; return whether it was there."""
        members = self.inner(name)
        if members.pop(inner, None) is None:
            return False
        if members:
            self.put(name, members)
        else:
            del self.members[name]
        self.losses.append(f"{name}.{inner}")
        return True

    def number(self, name: str) -> int | None:
        """Return a whole number; None when it is absent or something else."""
        raw = self.members.get(name)
        return int(bytes(raw)) if raw is not None and re.fullmatch(rb"-?[0-9]{1,15}", bytes(raw)) else None


class Rule(Struct, frozen=True):
    """A refusal and what helps. `repair` returns whether it found something to change."""

    name: str
    pattern: re.Pattern[str]
    repair: Callable[[Refused, re.Match[str]], bool]


def rule(name: str, pattern: str, repair: Callable[[Refused, re.Match[str]], bool]) -> Rule:
    """Compose a rule; the pattern is sought in upstream's code and message, whatever their case."""
    return Rule(name, re.compile(pattern, re.IGNORECASE), repair)


def heal(
    rules: Sequence[Rule], body: bytes, error: GatewayError, betas: tuple[str, ...] = ()
) -> Encoded | None:
    """Return the body as the first rule that applies repairs it, None when no rule does."""
    said = f"{error.code or ''}: {error.message}"
    for each in rules:
        match = each.pattern.search(said)
        if match is None:
            continue
        try:
            refused = Refused(body, betas)
            if each.repair(refused, match):
                return Encoded(encode(refused.members), tuple(refused.losses), (each.name,), refused.betas)
        except BROKEN:
            continue
    return None
