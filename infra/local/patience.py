"""How long a client may take: a connection is looked at now and then, and shown out when it does not get on."""

from typing import Final, Literal

from msgspec import Struct

Phase = Literal["idle", "head", "body", "serving", "sending", "lingering"]

# What counts as getting on, in bytes since the mark. A head or an unused connection cannot get on, only end.
QUANTUM: Final[dict[Phase, int]] = {"body": 64 * 1024, "sending": 4 * 1024}
# How long the rest of a refused request is read and thrown away, so that its sender gets to read the answer.
LINGER: Final = 10.0


class Patience(Struct, frozen=True, kw_only=True):
    """Limits in seconds: for a whole head, for each 64 KB of a body, for each 4 KB that are sent, and without any request."""

    head: float = 20.0
    body: float = 60.0
    send: float = 120.0
    keep_alive: float = 120.0

    def limit(self, phase: Phase) -> float | None:
        """Return the seconds that a phase may take without getting on; None where others see to it."""
        limits: dict[Phase, float] = {
            "idle": self.keep_alive,
            "head": self.head,
            "body": self.body,
            "sending": self.send,
            "lingering": LINGER,
        }
        return limits.get(phase)


class Watch:
    """What was seen of one connection.

    Invariant: `since` is the time from which its phase, its request and (but for a quantum) its bytes are the same.
    """

    def __init__(self, now: float) -> None:
        self.phase: Phase = "idle"
        self.since = now
        self._served = 0
        self._mark = 0

    def is_overdue(self, phase: Phase, served: int, moved: int, now: float, patience: Patience) -> bool:
        """Look at the connection and say whether its time is over.

        served: requests answered on it so far. moved: bytes that went in its phase's direction so far. now: seconds.
        """
        quantum = QUANTUM.get(phase)
        gets_on = quantum is not None and moved - self._mark >= quantum
        if gets_on or (phase, served) != (self.phase, self._served):
            self.phase, self._served, self._mark, self.since = phase, served, moved, now
        limit = patience.limit(phase)
        return limit is not None and now - self.since >= limit
