"""One request every so many seconds, agreed between all processes that share a state store."""

import math
from collections.abc import Callable
from threading import Lock
from typing import Final

import msgspec
from msgspec import Struct

from core.errors import GatewayError
from core.exchange import Exchange
from core.ports import StateStore, StoreError, read_stored

KIND: Final = "rate-limit"
KEY: Final = "all"
CLOCK_SKEW: Final = 5.0  # seconds that the clocks of two machines may be apart
GLANCE: Final = 1.0  # the longest pause, in seconds, after which it is seen whether the client still waits
RETRY_PAUSE: Final = 0.05  # seconds; another process has taken the turn and is about to say until when


class _Turn(Struct, frozen=True):
    """Whose turn it is, from when to when (unix seconds)."""

    began: float
    ends: float
    owner: str


class RateLimit:
    """A gate that lets one request pass in `seconds`.

    A turn is a lease in the store that nobody gives back: it ends by itself after `seconds`. Beside it stands a
    record of its end and its owner, so that those who come too early know how long. Where the store fails, this process
    keeps the interval by itself. now: unix seconds.
    """

    def __init__(
        self,
        state: StateStore,
        seconds: float,
        *,
        wait: bool,
        now: Callable[[], float],
        sleep: Callable[[float], None],
        new_owner: Callable[[], str],
    ) -> None:
        self._state, self._seconds, self._wait = state, seconds, wait
        self._now, self._sleep, self._new_owner = now, sleep, new_owner
        self._lock = Lock()
        self._ends = 0.0  # of the last turn that was taken here

    def enter(self, asked: Exchange) -> None:
        """Take the next turn; when it is too early, wait for it or raise GatewayError `rate_limit`."""
        owner = self._new_owner()
        while not self._take(owner):
            left = self._left()
            if not self._wait:
                raise GatewayError(
                    f"The gateway lets one request pass every {self._seconds:g} s. Try again in {math.ceil(left)} s.",
                    kind="rate_limit",
                    code="gateway_rate_limit",
                    retry_after=max(math.ceil(left), 1),
                )
            asked.wanted()
            self._sleep(min(max(left, RETRY_PAUSE), GLANCE))

    def _take(self, owner: str) -> bool:
        began = self._now()
        turn = _Turn(began, began + self._seconds, owner)
        try:
            if not self._state.claim(KIND, KEY, owner, expires_at=turn.ends):
                return False
            self._state.save(KIND, KEY, msgspec.json.encode(turn), expires_at=turn.ends)
        except StoreError:
            return self._take_here(turn)
        self._ends = turn.ends
        return True

    def _take_here(self, turn: _Turn) -> bool:
        with self._lock:
            if 0 < self._ends - turn.began <= self._seconds:
                return False
            self._ends = turn.ends
            return True

    def _left(self) -> float:
        """Return the seconds until the turn in force ends; 0 when it has just ended or is being taken."""
        try:
            record = self._state.load(KIND, KEY)
        except StoreError:
            return max(self._ends - self._now(), 0.0)
        turn = read_stored(record, _Turn)
        if turn is None:
            return 0.0
        now = self._now()
        if now < turn.began - CLOCK_SKEW:  # the clock was set back: the turn would last as long as the jump
            self._state.release(KIND, KEY, turn.owner)
            self._state.delete(KIND, KEY, expected=record)
            return 0.0
        return max(turn.ends - now, 0.0)
