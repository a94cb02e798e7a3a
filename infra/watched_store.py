"""A state store that is watched: its failures are told once, and it is not waited for again and again."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final, ParamSpec, TypeVar

from core.ports import StateStore, StoreError

_log = logging.getLogger(__name__)

SLOW: Final = 1.0  # seconds after which a failure counts as one that had to be waited for
REST: Final = 5.0  # seconds for which such a store is not asked again: one call waits, not each
REMINDER: Final = 300.0  # seconds between two lines of the log about a store that keeps failing

_P = ParamSpec("_P")
_R = TypeVar("_R")


class WatchedStore:
    """A `StateStore` around another one.

    ticks: seconds of a clock that never goes back. Reading and writing are watched apart: of a full disk only the
    writing fails, and its recovery must not be told at each read.
    """

    def __init__(self, store: StateStore, ticks: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._reading = Watch("reading", ticks)
        self._writing = Watch("writing", ticks)

    def load(self, kind: str, key: str) -> bytes | None:
        """Return the record, or None when it is missing or expired."""
        return self._reading.call(self._store.load, kind, key)

    def save(self, kind: str, key: str, value: bytes, *, expires_at: float | None = None) -> None:
        """Create or replace the record."""
        self._writing.call(self._store.save, kind, key, value, expires_at=expires_at)

    def delete(self, kind: str, key: str, *, expected: bytes | None = None) -> bool:
        """Remove the record and the counters, or with `expected` the record alone; return whether there were any."""
        return self._writing.call(self._store.delete, kind, key, expected=expected)

    def entries(self, kind: str) -> dict[str, bytes]:
        """Return every live record of this kind by key, sorted by key."""
        return self._reading.call(self._store.entries, kind)

    def claim(self, kind: str, key: str, owner: str, *, expires_at: float) -> bool:
        """Take the lease for `owner` unless another owner holds a live one; return whether it is ours."""
        return self._writing.call(self._store.claim, kind, key, owner, expires_at=expires_at)

    def release(self, kind: str, key: str, owner: str) -> None:
        """Give the lease back; do nothing when `owner` does not hold it."""
        self._writing.call(self._store.release, kind, key, owner)

    def add(
        self, kind: str, key: str, amounts: Mapping[str, int], *, expires_at: float | None = None
    ) -> dict[str, int]:
        """Add to named counters atomically and return all counters of the record. Raises OverflowError."""
        return self._writing.call(self._store.add, kind, key, amounts, expires_at=expires_at)

    def counters(self, kind: str) -> dict[str, dict[str, int]]:
        """Return every live counter record of this kind by key, sorted by key."""
        return self._reading.call(self._store.counters, kind)


class Watch:
    """What is known of one half of a store. `_failure` is the last one, None while all goes well."""

    def __init__(self, what: str, ticks: Callable[[], float]) -> None:
        self._what, self._ticks = what, ticks
        self._lock = threading.Lock()
        self._failure: StoreError | None = None
        self._told_at = 0.0
        self._rests_until = 0.0

    def call(self, operation: Callable[_P, _R], /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Do it, unless it would only be waited for in vain. Raises StoreError."""
        began = self._ticks()
        failure = self._failure
        if failure is not None and began < self._rests_until:
            raise StoreError(str(failure))
        try:
            result = operation(*args, **kwargs)
        except StoreError as error:
            self._note(error, began)
            raise
        if failure is not None:
            self._recover()
        return result

    def _note(self, error: StoreError, began: float) -> None:
        now = self._ticks()
        with self._lock:
            due = self._failure is None or now - self._told_at >= REMINDER
            self._failure = error
            if now - began >= SLOW:
                self._rests_until = now + REST
            if due:
                self._told_at = now
        if due:
            _log.warning("store.failed doing=%s message=%r", self._what, str(error))

    def _recover(self) -> None:
        with self._lock:
            recovered, self._failure = self._failure is not None, None
        if recovered:
            _log.warning("store.recovered doing=%s", self._what)
