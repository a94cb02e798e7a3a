"""One circuit of the breaker: counts refusals, opens, lets one request try, closes. No clock, no store."""

from typing import Final, Literal

from msgspec import Struct

from core.access.limits import CLOCK_SKEW
from core.errors import ErrorKind
from core.exchange import Exchange

LONGEST: Final = 300.0  # seconds until a request may try, however long upstream says it will refuse
FIRST: Final = 10.0  # the same where upstream does not say; doubled each time that the trial is refused, too
TRIAL: Final = 60.0  # seconds after which a trial that has shown nothing stands in nobody's way

Verdict = Literal["pass", "try", "wait"]

# A refusal is repeated in its own kind where retrying cannot help; all others are a 429, by which clients pace themselves.
_KINDS: Final[dict[str, ErrorKind]] = {"quota_exceeded": "quota_exceeded", "permission": "permission"}


class Opening(Struct, frozen=True, kw_only=True):
    """Why and until when nobody is let through (unix seconds). promised: until when upstream said it would refuse."""

    opened_at: float
    until: float
    promised: float
    kind: ErrorKind
    message: str
    code: str = ""

    def is_in_force(self, now: float) -> bool:
        """Say whether nobody is let through: not where the clock was set back, or a jump would lengthen the wait."""
        return 0 < self.until - now <= LONGEST + CLOCK_SKEW


class Circuit:
    """The circuit of one model, or of the whole account.

    Invariants: it is closed while `opening` is None, and then fewer than `threshold` refusals in a row have been seen.
    While it is open and its time is over, `trial` is the request that tries, or None when the next one may. Only a
    request that began after the first refusal can show that upstream serves again.
    """

    def __init__(self, threshold: int) -> None:
        self._threshold = threshold
        self._refusals = 0
        self._since = 0.0  # when the first of the refusals in a row was asked
        self._trips = 0
        self.trial: Exchange | None = None
        self._trial_ends = 0.0
        self.opening: Opening | None = None

    def ask(self, asked: Exchange, now: float) -> Verdict:
        """Say what a request may do. After "try" it is the one that tries."""
        if self.opening is None:
            return "pass"
        if self.trial is not None and self.trial.first_token is not None:
            self._close()  # upstream is answering
            return "pass"
        if self.opening.is_in_force(now) or 0 < self._trial_ends - now <= TRIAL:
            return "wait"
        self.trial, self._trial_ends = asked, now + TRIAL
        return "try"

    def stand_back(self, until: float) -> None:
        """Give the trial back: another process's request tries, or its opening is still in force."""
        self.trial, self._trial_ends = None, until

    def adopt(self, opening: Opening) -> None:
        """Open because another process did."""
        self.opening, self.trial, self._trial_ends = opening, None, 0.0
        self._since = opening.opened_at

    def refused(self, asked: Exchange, now: float) -> Opening | None:
        """Count a refusal; return the opening that follows from it, if one does."""
        tried = self.trial is asked
        if self.opening is not None and not tried:
            return None  # it was under way when the circuit opened
        if self._refusals == 0:
            self._since = asked.began_at
        self._refusals += 1
        if not tried and self._refusals < self._threshold:
            return None
        self._trips += 1
        self.trial, self._trial_ends = None, 0.0
        self.opening = _opening(asked, now, self._trips)
        return self.opening

    def served(self, asked: Exchange) -> bool:
        """Note that upstream answers; return whether that closes an open circuit."""
        if self.trial is not asked and asked.began_at < self._since:
            return False
        was_open = self.opening is not None
        self._close()
        return was_open

    def undecided(self, asked: Exchange) -> None:
        """Note that a request showed nothing: when it was the trial, the next one may try."""
        if self.trial is asked:
            self.trial, self._trial_ends = None, 0.0

    def _close(self) -> None:
        self.opening = self.trial = None
        self._refusals = self._trips = 0
        self._trial_ends = 0.0


def _opening(asked: Exchange, now: float, trips: int) -> Opening:
    told = float(asked.retry_after or 0)
    pause = min(told or FIRST * 2 ** (min(trips, 10) - 1), LONGEST)
    return Opening(
        opened_at=now,
        until=now + pause,
        promised=now + max(told, pause),
        kind=_KINDS.get(asked.error, "rate_limit"),
        message=asked.message,
        code=asked.code,
    )
