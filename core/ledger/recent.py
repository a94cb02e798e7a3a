"""The last errors, for the operator: when, whose, which; never what was asked."""

import re
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec
from msgspec import Struct

from core.exchange import CLIENT_LEFT, Exchange
from core.ledger.slots import DAY
from core.ports import StateStore, StoreError, read_stored
from core.redaction import redact

KIND: Final = "ledger-errors"
KEPT: Final = 50
LAST: Final = 30 * DAY  # seconds for which an error is kept at most
_COUNTER: Final = "count"
_LONGEST: Final = 300  # characters of a message
# Words that upstream quotes may be the user's own; names and numbers are short.
_QUOTED: Final = re.compile(r"""(?<!\w)(["'`]).{40,}?\1(?!\w)|\S{80,}""", re.DOTALL)
# An error storm must not become a storm of writes: so many at once, then one every so many seconds.
BURST: Final = 20
PAUSE: Final = 3.0


class RecentError(Struct, frozen=True, kw_only=True):
    """One request that failed.

    at: unix seconds, of its end. kind: as in `Exchange.error`. id and upstream_id: what support asks for.
    """

    at: float
    id: str
    key: str = ""
    surface: str = ""
    model: str = ""
    kind: str = ""
    status: int = 0
    message: str = ""
    upstream_id: str = ""


class RecentErrors:
    """The last `KEPT` errors of all processes, in as many records of the store, written round and round.

    A counter in the store deals the places out. What is to be written waits in memory until `write`, a few of them; of
    a storm only some are kept.
    """

    def __init__(self, state: StateStore, now: Callable[[], float], ticks: Callable[[], float]) -> None:
        self._state, self._now, self._ticks = state, now, ticks
        self._waiting: deque[RecentError] = deque(maxlen=BURST)
        self._allowed, self._counted_at = float(BURST), ticks()

    def note(self, done: Exchange) -> None:
        """Keep a request that failed, if there is room; one that asked for no model or whose client left is none."""
        if not done.surface or not done.error or done.error == CLIENT_LEFT:
            return
        now = self._ticks()
        self._allowed = min(self._allowed + (now - self._counted_at) / PAUSE, BURST)
        self._counted_at = now
        if self._allowed >= 1:
            self._allowed -= 1
            self._waiting.append(_error_of(done, self._now()))

    def write(self) -> None:
        """Write what waits. Raises StoreError; what was not written waits on."""
        with suppress(IndexError):
            while True:
                error = self._waiting.popleft()
                try:
                    self._keep(error)
                except StoreError:
                    self._waiting.appendleft(error)
                    raise

    def read(self) -> list[RecentError]:
        """Return them, the latest first. Raises StoreError."""
        read = (read_stored(record, RecentError) for record in self._state.entries(KIND).values())
        found = [*(error for error in read if error is not None), *self._waiting]
        return sorted(found, key=lambda error: (-error.at, error.id))[:KEPT]

    def _keep(self, error: RecentError) -> None:
        place = self._state.add(KIND, _COUNTER, {_COUNTER: 1})[_COUNTER] % KEPT
        ends = self._now() + LAST
        self._state.save(KIND, f"{place:02}", msgspec.json.encode(error), expires_at=ends)


def _error_of(done: Exchange, now: float) -> RecentError:
    return RecentError(
        at=now,
        id=done.id,
        key=done.caller.name,
        surface=done.surface,
        model=done.model,
        kind=done.error,
        status=done.status,
        message=_said(done.told),
        upstream_id=done.upstream_id,
    )


def _said(message: str) -> str:
    """Return a message without secrets and without what may be somebody's own words."""
    shortened = _QUOTED.sub("'...'", redact(message[: 4 * _LONGEST]))
    return shortened if len(shortened) <= _LONGEST else shortened[: _LONGEST - 3] + "..."
