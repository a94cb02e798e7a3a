"""The keys as the dashboard lists them: what each may use, and has used today."""

from collections.abc import Callable, Mapping

from msgspec import Struct

from core.access.caller import Limits
from core.access.managed_keys import ManagedKey, ManagedKeys
from core.access.tally import TOKENS, Tally
from core.ledger.figures import NANO, Figures
from core.ports import StateStore
from handlers.pages.words import brief, count, credits_


class Bound(Struct, frozen=True):
    """One limit of a key, in words: `12 of 100 requests today`. part: how much of it is used, 0 to 1, where that is counted."""

    words: str
    part: float | None = None


class KeyRow(Struct, frozen=True):
    """One key. Times are unix seconds. ended: it has expired. today: what the ledger has of it."""

    key: ManagedKey
    ended: bool
    last_used: float | None
    bounds: list[Bound]
    today: Figures


def key_rows(state: StateStore, now: Callable[[], float], today: Mapping[str, Figures]) -> list[KeyRow]:
    """Return the managed keys. today: the ledger's figures by key. Raises StoreError."""
    ring = ManagedKeys(state, now)
    used, moment = ring.last_used(), now()
    return [
        KeyRow(
            key,
            not key.lives(moment),
            used.get(key.name),
            _bounds(key, state, now),
            today.get(key.name, Figures()),
        )
        for key in ring.list()
    ]


def _bounds(key: ManagedKey, state: StateStore, now: Callable[[], float]) -> list[Bound]:
    limits = key.limits
    said = [
        Bound(f"only {', '.join(limits.surfaces)}") if limits.surfaces else None,
        Bound(f"only {', '.join(limits.models)}") if limits.models else None,
        Bound(f"{count(limits.at_once)} at once") if limits.at_once is not None else None,
        Bound(f"{count(limits.per_minute)} requests a minute") if limits.per_minute is not None else None,
    ]
    return [*(bound for bound in said if bound is not None), *_counted(key.name, limits, state, now)]


def _counted(name: str, limits: Limits, state: StateStore, now: Callable[[], float]) -> list[Bound]:
    """Return the limits of a day with what is used of them, as the gate counts it."""
    if (limits.per_day, limits.tokens_per_day, limits.credits_per_day) == (None, None, None):
        return []
    used = Tally(state, f"key {name}", now=now).today(per_minute=limits.per_minute)
    spent = used.nano / NANO
    rows = (
        (limits.per_day, used.day, count, "requests"),
        (limits.tokens_per_day, used.tokens, brief, TOKENS),
        (limits.credits_per_day, spent, credits_, "credits"),
    )
    return [
        Bound(f"{say(amount)} of {say(limit)} {what} today", min(amount / limit, 1.0) if limit else 1.0)
        for limit, amount, say, what in rows
        if limit is not None
    ]
