"""Let a person approve every request before it goes out: in the terminal, on the dashboard, whichever answers first."""

from collections.abc import Callable
from threading import Condition
from typing import Final

from msgspec import Struct

from core.errors import GatewayError
from core.exchange import Exchange

GLANCE: Final = 0.5  # seconds between two looks at whether the client still waits
MOST: Final = 100  # requests that wait; each keeps a connection and a thread

# Shows what wants to pass and returns the person's answer. The second argument raises when the question is moot; where the
# question can be taken back, it is called while it is open, and None is returned once it returns False.
Ask = Callable[[str, Callable[[], bool]], bool | None]


class Pending(Struct, frozen=True, kw_only=True):
    """A request that waits for a person. began_at: unix seconds. key: its name. model: as the client wrote it."""

    id: str
    began_at: float
    key: str
    surface: str
    model: str


class Approvals:
    """A gate that holds every request until a person answers, or refuses it after `patience` seconds. now: unix seconds.

    Invariants: `_waiting` holds the requests that wait, in the order of their coming; each is taken out by its own thread
    alone. `_answers` has answers of theirs that this thread has not read yet. `_asking` is the request that the terminal
    asks about, the oldest one at the time.
    """

    def __init__(self, patience: float, *, now: Callable[[], float]) -> None:
        self._patience, self._now = patience, now
        self._ask: Ask | None = None
        self._changed = Condition()
        self._waiting: dict[str, Pending] = {}
        self._answers: dict[str, bool] = {}
        self._asking = ""

    def attend(self, ask: Ask) -> None:
        """Let a terminal answer, too."""
        self._ask = ask

    def pending(self) -> list[Pending]:
        """Return what waits, the oldest first."""
        with self._changed:
            return [asked for name, asked in self._waiting.items() if name not in self._answers]

    def answer(self, request_id: str, approved: bool) -> bool:  # noqa: FBT001 - the one thing that is said
        """Let a request pass, or refuse it; return False when it does not wait (any more)."""
        with self._changed:
            if request_id not in self._waiting or request_id in self._answers:
                return False
            self._answers[request_id] = approved
            self._changed.notify_all()
            return True

    def enter(self, asked: Exchange) -> None:
        """Return when a person agrees. Raises GatewayError `permission`, and what `asked.wanted` raises."""
        self._queue(asked)
        try:
            approved = self._answered(asked, self._now() + self._patience)
        finally:
            with self._changed:
                self._waiting.pop(asked.id, None)
                self._answers.pop(asked.id, None)
                self._changed.notify_all()
        if not approved:
            raise _refusal("The person who watches the gateway did not approve this request.")

    def _queue(self, asked: Exchange) -> None:
        waiting = Pending(
            id=asked.id,
            began_at=asked.began_at,
            key=asked.caller.name,
            surface=asked.surface,
            model=asked.requested,
        )
        with self._changed:
            if len(self._waiting) >= MOST:
                raise GatewayError(
                    f"{MOST} requests wait for a person's approval already.",
                    kind="rate_limit",
                    code="approvals_full",
                    retry_after=30,
                )
            self._waiting[asked.id] = waiting
            self._changed.notify_all()

    def _answered(self, asked: Exchange, ends: float) -> bool:
        while True:
            self._check(asked, ends)
            with self._changed:
                if asked.id in self._answers:
                    return self._answers[asked.id]
                ask = self._ask if not self._asking and asked.id == next(iter(self._waiting)) else None
                if ask is None:
                    self._changed.wait(GLANCE)
                    continue
                self._asking = asked.id
            self._ask_now(ask, asked, ends)

    def _ask_now(self, ask: Ask, asked: Exchange, ends: float) -> None:
        def is_open() -> bool:
            self._check(asked, ends)
            return asked.id not in self._answers

        try:
            approved = ask(f"{asked.surface} {asked.requested}", is_open)
        finally:
            with self._changed:
                self._asking = ""
                self._changed.notify_all()
        if approved is not None:
            self.answer(asked.id, approved)

    def _check(self, asked: Exchange, ends: float) -> None:
        asked.wanted()
        if self._now() >= ends:
            raise _refusal(f"Nobody approved this request within {self._patience:g} seconds.")


def _refusal(message: str) -> GatewayError:
    return GatewayError(message, kind="permission", code="not_approved")
