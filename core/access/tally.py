"""How much of the day is used up, counted together by all processes that share a state store."""

import math
from collections.abc import Callable, Mapping
from time import gmtime, strftime
from typing import Final

from msgspec import Struct

from core.ledger.slots import DAY
from core.ports import StateStore

KEPT: Final = 3600.0  # seconds for which a day's counters outlive it
TOKENS: Final = "tokens"
NANO: Final = "nano"  # billionths of a credit
_MINUTE: Final = "m"  # and its number in the hour: the requests that came in it

Counters = Mapping[str, int]


class Used(Struct, frozen=True, kw_only=True):
    """What has been used. minute, day: requests of this minute and of this day, UTC. nano: billionths of a credit."""

    minute: int = 0
    day: int = 0
    tokens: int = 0
    nano: int = 0


class Tally:
    """The counters of one key, or of all together. now: unix seconds. All methods raise StoreError.

    A record in the store counts one hour, so that an addition brings back all that may change; the day's other hours stand
    still, and are read once an hour. A minute counts for no more than `per_minute` requests of the day: those beyond it
    were refused.
    """

    def __init__(self, state: StateStore, scope: str, *, now: Callable[[], float]) -> None:
        self._state, self._scope, self._now = state, scope, now
        self._others: tuple[str, tuple[Counters, ...]] = ("", ())
        self._seen: tuple[str, Used] = ("", Used())

    def add(
        self, *, requests: int = 0, tokens: int = 0, nano: int = 0, per_minute: int | None = None
    ) -> Used:
        """Add to what is used, and return what is used then."""
        moment = self._now()
        kind, hour, minute = _place(self._scope, moment)
        amounts = {minute: requests, TOKENS: tokens, NANO: nano}
        given = {name: amount for name, amount in amounts.items() if amount}
        current = self._state.add(kind, hour, given, expires_at=_midnight(moment) + KEPT)
        used = _sum((current, *self._rest(kind, hour)), current.get(minute, 0), per_minute)
        self._seen = (f"{kind} {hour} {minute}", used)
        return used

    def seen(self) -> Used:
        """Return the least that is used now, by what this process has seen, without asking the store."""
        kind, hour, minute = _place(self._scope, self._now())
        at, used = self._seen
        if at == f"{kind} {hour} {minute}":
            return used
        is_today = at.startswith(f"{kind} ")
        return Used(day=used.day, tokens=used.tokens, nano=used.nano) if is_today else Used()

    def today(self, *, per_minute: int | None = None) -> Used:
        """Return what is used, without counting."""
        kind, hour, minute = _place(self._scope, self._now())
        hours = self._state.counters(kind)
        return _sum(tuple(hours.values()), hours.get(hour, {}).get(minute, 0), per_minute)

    def _rest(self, kind: str, hour: str) -> tuple[Counters, ...]:
        """Return the day's other hours."""
        at = f"{kind} {hour}"
        if self._others[0] != at:
            hours = self._state.counters(kind)
            self._others = (at, tuple(counters for name, counters in hours.items() if name != hour))
        return self._others[1]


def seconds_to_minute(now: float) -> int:
    """Return the whole seconds until the next minute begins, at least one."""
    return max(math.ceil(60 - now % 60), 1)


def seconds_to_midnight(now: float) -> int:
    """Return the whole seconds until the next day begins in UTC, at least one."""
    return max(math.ceil(_midnight(now) - now), 1)


def _midnight(now: float) -> float:
    return (now // DAY + 1) * DAY


def _place(scope: str, moment: float) -> tuple[str, str, str]:
    """Return the kind and the key of the hour's record, and the minute's counter in it."""
    day, hour, minute = strftime("%Y-%m-%d %H %M", gmtime(moment)).split()
    return f"tally {scope} {day}", hour, f"{_MINUTE}{minute}"


def _sum(hours: tuple[Counters, ...], minute: int, per_minute: int | None) -> Used:
    most = math.inf if per_minute is None else per_minute
    requests = (
        min(amount, most)
        for counters in hours
        for name, amount in counters.items()
        if name.startswith(_MINUTE)
    )
    return Used(
        minute=minute,
        day=int(sum(requests)),
        tokens=sum(counters.get(TOKENS, 0) for counters in hours),
        nano=sum(counters.get(NANO, 0) for counters in hours),
    )
