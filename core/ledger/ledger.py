"""The ledger: counts requests in memory at once, in the store a little later, and reads both."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from msgspec import Struct

from core.exchange import Exchange
from core.ledger import slots
from core.ledger.figures import Figures
from core.ledger.recent import RecentError, RecentErrors
from core.ports import StateStore, StoreError

log = logging.getLogger("gateway")

# Counters that one call adds to: DynamoDB takes expressions of 4 KB.
MOST_NAMES: Final = 40
# Records that wait for a store which fails; a day of a busy person makes some hundred.
MOST_WAITING: Final = 2000

_Place = tuple[int, str, str, str]  # hour, surface, API key, model


class Row(Struct, frozen=True):
    """The figures of one API key and one model in one slot.

    slot: `2026-11-23`, or `2026-11-23T14` for an hour; UTC. key: the API key's name, "" where none was asked. model: the
    catalogue's id, "" for requests that failed before it was known.
    """

    slot: str
    key: str
    model: str
    figures: Figures


class Total(Struct, frozen=True):
    """The figures of this process since its start, of one surface, API key and model."""

    surface: str
    key: str
    model: str
    figures: Figures


class _Waiting(Struct):
    """Counters to be added to one record."""

    amounts: dict[str, int]
    expires_at: float


class Ledger:
    """Counts every request that asks for a model; an observer of exchanges.

    state: where the figures are kept, for all processes. now: unix seconds. ticks: seconds of a clock that never goes back.
    every: seconds between two writes; 0 writes at each `tend`, for processes that may be frozen or ended at any time.

    Invariants: a request is in `_fresh` first; a write moves all of that into `_totals` and, as counters, into
    `_waiting`, from where each record goes to the store once. What the store did not take waits there, up to
    `MOST_WAITING` records. `_lock` guards the three and is held for no I/O; `_writing` lets one thread write at a time.
    """

    def __init__(
        self,
        state: StateStore,
        now: Callable[[], float],
        ticks: Callable[[], float],
        *,
        every: float = 1.0,
    ) -> None:
        self._state, self._now, self._ticks, self._every = state, now, ticks, every
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._fresh: dict[_Place, Figures] = {}
        self._waiting: dict[tuple[str, str], _Waiting] = {}
        self._totals: dict[tuple[str, str, str], Figures] = {}
        self._errors = RecentErrors(state, now, ticks)
        self._due_at = ticks() + every
        self._failed = False

    def note(self, done: Exchange) -> None:
        """Count a request that is over."""
        if not done.surface:
            return
        place = (slots.hour_of(self._now()), done.surface, done.caller.name, done.model)
        with self._lock:
            figures = self._fresh.get(place)
            if figures is None:
                figures = self._fresh[place] = Figures()
            figures.take(done)
            self._errors.note(done)

    def observe(self, done: Exchange) -> None:
        """Count a request that is over, and write what was counted when it is time to."""
        self.note(done)
        self.tend()

    def tend(self) -> None:
        """Write what was counted, if the last write is long enough ago. Never fails, and never waits for another thread."""
        if self._ticks() >= self._due_at and self._writing.acquire(blocking=False):
            try:
                self._write()
            finally:
                self._writing.release()

    def flush(self) -> None:
        """Write all that was counted. Never fails: what cannot be written waits."""
        with self._writing:
            self._write()

    def days(self, since: float, until: float | None = None) -> list[Row]:
        """Return a row for each day, key and model from one moment to another (unix seconds), the oldest first.

        until: now, if not given. The days of both moments are in, whole. Days are UTC. Raises StoreError.
        """
        end = self._now() if until is None else until
        first, last = (slots.hour_name(slots.hour_of(moment))[:10] for moment in (since, end))
        return self._rows(slots.day_kinds(since, end), first, last)

    def hours(self, since: float, until: float | None = None) -> list[Row]:
        """Return a row for each hour, key and model, as `days` does; hours are kept for eight days."""
        end = self._now() if until is None else until
        first, last = (slots.hour_name(slots.hour_of(moment)) for moment in (since, end))
        return self._rows(slots.hour_kinds(since, end), first, last)

    def recent_errors(self) -> list[RecentError]:
        """Return the last errors of all processes, the latest first. Raises StoreError."""
        with self._writing:
            self._write()
            return self._errors.read()

    def totals(self) -> list[Total]:
        """Return what this process has counted since its start. Asks nothing of the store."""
        with self._lock:
            self._settle()
            copies = [(place, Figures()) for place in sorted(self._totals)]
            for place, figures in copies:
                figures.add(self._totals[place])
        return [Total(*place, figures) for place, figures in copies]

    def _rows(self, kinds: Iterable[str], first: str, last: str) -> list[Row]:
        found: dict[str, Figures] = {}
        with self._writing:  # so that nothing is on its way from here to the store meanwhile
            self._write()
            for kind in kinds:
                for key, amounts in (*self._state.counters(kind).items(), *self._waiting_of(kind)):
                    found.setdefault(key, Figures()).read(amounts)
        return [row for key in sorted(found) if (row := _row(key, found[key])) and first <= row.slot <= last]

    def _waiting_of(self, kind: str) -> list[tuple[str, dict[str, int]]]:
        with self._lock:
            return [(key, dict(each.amounts)) for (of, key), each in self._waiting.items() if of == kind]

    def _write(self) -> None:
        self._due_at = self._ticks() + self._every
        with self._lock:
            self._settle()
        try:
            while (taken := self._take()) is not None:
                self._add(*taken)
            self._errors.write()
        except StoreError as error:
            if not self._failed:
                log.warning("ledger.not_written reason=%r", str(error))
            self._failed = True
        else:
            self._failed = False

    def _settle(self) -> None:
        """Move what is fresh to where it waits. Called with the lock held."""
        fresh, self._fresh = self._fresh, {}
        for (hour, surface, key, model), figures in fresh.items():
            self._totals.setdefault((surface, key, model), Figures()).add(figures)
            amounts, name = figures.amounts(), slots.hour_name(hour)
            began = hour * slots.HOUR
            self._wait(
                slots.day_kind(name),
                slots.record_key(name[:10], key, model),
                amounts,
                began + slots.DAYS_LAST,
            )
            self._wait(
                slots.hour_kind(name), slots.record_key(name, key, model), amounts, began + slots.HOURS_LAST
            )

    def _wait(self, kind: str, key: str, amounts: dict[str, int], expires_at: float) -> None:
        waiting = self._waiting.setdefault((kind, key), _Waiting({}, expires_at))
        for name, amount in amounts.items():
            waiting.amounts[name] = waiting.amounts.get(name, 0) + amount
        while len(self._waiting) > MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]

    def _take(self) -> tuple[tuple[str, str], _Waiting] | None:
        with self._lock:
            return self._waiting.popitem() if self._waiting else None

    def _add(self, place: tuple[str, str], waiting: _Waiting) -> None:
        """Add to one record; what was not added waits again. Raises StoreError."""
        left = dict(waiting.amounts)
        try:
            for part in _parts(waiting.amounts):
                self._state.add(*place, part, expires_at=waiting.expires_at)
                for name in part:
                    del left[name]
        except StoreError:
            with self._lock:
                self._wait(*place, left, waiting.expires_at)
            raise
        except (OverflowError, ValueError):  # no store will ever take it
            log.warning("ledger.refused kind=%s", place[0])


def _parts(amounts: dict[str, int]) -> Iterator[dict[str, int]]:
    names = list(amounts)
    for start in range(0, len(names), MOST_NAMES):
        yield {name: amounts[name] for name in names[start : start + MOST_NAMES]}


def _row(key: str, figures: Figures) -> Row | None:
    parts = slots.read_record_key(key)
    return None if parts is None else Row(*parts, figures)
