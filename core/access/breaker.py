"""A gate that stops asking a model which refuses again and again, and answers in upstream's place until one may try."""

import logging
import math
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import Final, Literal

import msgspec

from core.access.circuit import TRIAL, Circuit, Opening
from core.errors import GatewayError
from core.exchange import Exchange, Leave
from core.ports import StateStore, StoreError, read_stored

log = logging.getLogger("gateway")

KIND: Final = "circuit"
ACCOUNT: Final = "*"  # stands for all models
ELSEWHERE: Final = 2.0  # seconds to stand back for while another process's request tries

Outcome = Literal["served", "refused", "undecided"]

# What the error of a request that was let in says about upstream. A complaint about the request's content shows that
# upstream serves; what is not here (a cut, a timeout, a client that left) shows nothing.
OUTCOMES: Final[dict[str, Outcome]] = {
    "": "served",
    "invalid_request": "served",
    "unsupported_feature": "served",
    "not_found": "served",
    "context_overflow": "served",
    "content_filter": "served",
    "request_too_large": "served",
    "rate_limit": "refused",
    "overloaded": "refused",
    "quota_exceeded": "refused",
}
# Refusals of whatever the account asks for: the upstream's codes without a plan's suffix (`:pro`), and one phrase.
ACCOUNT_CODES: Final = frozenset(
    {"user_global_rate_limited", "user_weekly_rate_limited", "integration_rate_limited", "extension_blocked"}
)
BLOCK: Final = "extension_blocked"
TERMS: Final = "terms of service"
# Words of ours in upstream's kinds: they say nothing about it.
OWN_CODES: Final = frozenset({"store_unavailable", "shutting_down"})
# A quota of one session of Copilot's Auto mode, not of the account.
SESSION_QUOTA: Final = "session_quota_exceeded"


class Breaker:
    """A circuit for each model that has refused, and one for the account.

    threshold: refusals in a row that open a model's circuit; the account's takes twice as many, for its consequences are
    larger. now: unix seconds.

    An opening is kept in the store for as long as it is in force. The store is written when a circuit opens, read when
    upstream refuses and before a request tries, and not asked otherwise: another process learns of an opening from the
    first refusal that it meets itself. Where the store fails, each process is left to itself.
    """

    def __init__(self, state: StateStore, threshold: int, *, now: Callable[[], float]) -> None:
        self._state, self._threshold, self._now = state, threshold, now
        self._lock = Lock()
        self._circuits: dict[str, Circuit] = {}

    def enter(self, asked: Exchange) -> Leave:
        """Raise the refusal that upstream has last given, while the circuit of the model or the account is open."""
        for target in (ACCOUNT, asked.model):
            circuit = self._circuits.get(target)
            if circuit is not None and circuit.opening is not None:
                self._pass(target, circuit, asked)
        return self._leave

    def open_models(self) -> dict[str, float]:
        """Return the models that are not asked now, here or in another process, and for how many seconds yet.

        `*` is all of them.
        """
        now = self._now()
        found = self._shared() | {
            target: circuit.opening for target, circuit in self._circuits.copy().items() if circuit.opening
        }
        return {
            target: opening.until - now
            for target, opening in sorted(found.items())
            if opening.is_in_force(now)
        }

    def _pass(self, target: str, circuit: Circuit, asked: Exchange) -> None:
        now = self._now()
        with self._lock:
            verdict = circuit.ask(asked, now)
        if verdict == "try" and not self._may_try(target, circuit, asked):
            verdict = "wait"
        opening = circuit.opening
        if verdict == "wait" and opening is not None:
            raise _refusal(target, opening, now)

    def _may_try(self, target: str, circuit: Circuit, asked: Exchange) -> bool:
        """Say whether no other process tries or knows better."""
        known, now = self._load(target), self._now()
        if known is not None and known.is_in_force(now):
            with self._lock:
                circuit.adopt(known)
            return False
        with suppress(StoreError):
            if not self._state.claim(KIND, target, asked.id, expires_at=now + TRIAL):
                with self._lock:
                    circuit.stand_back(now + ELSEWHERE)
                return False
        return True

    def _leave(self, asked: Exchange) -> None:
        outcome = _outcome(asked)
        tried = [target for target in (ACCOUNT, asked.model) if self._tries(target, asked)]
        if outcome == "refused":
            self._refused(_target(asked), asked)
        for target in (ACCOUNT, asked.model):
            self._settle(target, asked, is_served=outcome == "served")
        for target in tried:
            with suppress(StoreError):
                self._state.release(KIND, target, asked.id)

    def _tries(self, target: str, asked: Exchange) -> bool:
        circuit = self._circuits.get(target)
        return circuit is not None and circuit.trial is asked

    def _refused(self, target: str, asked: Exchange) -> None:
        now = self._now()
        with self._lock:
            circuit = self._circuits.setdefault(target, self._new(target))
            was_open = circuit.opening is not None
            opening = circuit.refused(asked, now)
        if opening is not None:
            log.warning("upstream.circuit_opened target=%s seconds=%d", target, opening.until - now)
            with suppress(StoreError):
                record = msgspec.json.encode(opening)
                self._state.save(KIND, target, record, expires_at=opening.until)
        elif not was_open and (known := self._load(target)) is not None and known.is_in_force(now):
            with self._lock:
                circuit.adopt(known)

    def _settle(self, target: str, asked: Exchange, *, is_served: bool) -> None:
        """Let a circuit learn from what was no refusal of its own."""
        circuit = self._circuits.get(target)
        if circuit is None:
            return
        with self._lock:
            is_closed = is_served and circuit.served(asked)
            circuit.undecided(asked)
        if is_closed:
            log.info("upstream.circuit_closed target=%s", target)

    def _new(self, target: str) -> Circuit:
        return Circuit(self._threshold * (2 if target == ACCOUNT else 1))

    def _load(self, target: str) -> Opening | None:
        try:
            return read_stored(self._state.load(KIND, target), Opening)
        except StoreError:
            return None

    def _shared(self) -> dict[str, Opening]:
        try:
            records = self._state.entries(KIND)
        except StoreError:
            return {}
        return {
            target: opening for target, record in records.items() if (opening := read_stored(record, Opening))
        }


def _outcome(asked: Exchange) -> Outcome:
    if not asked.admitted or asked.code in OWN_CODES:
        return "undecided"
    if asked.first_token is not None and asked.error not in OUTCOMES:
        return "served"
    return "refused" if _is_block(asked) else OUTCOMES.get(asked.error, "undecided")


def _target(asked: Exchange) -> str:
    """Say what a refusal is about: the model, or whatever the account asks for."""
    family = asked.code.partition(":")[0]
    of_quota = asked.error == "quota_exceeded" and family != SESSION_QUOTA
    return ACCOUNT if of_quota or family in ACCOUNT_CODES or _is_block(asked) else asked.model


def _is_block(asked: Exchange) -> bool:
    """Say whether GitHub has shut the client or the account out, so that every further request makes it worse."""
    return asked.error == "permission" and (asked.code == BLOCK or TERMS in asked.message.lower())


def _refusal(target: str, opening: Opening, now: float) -> GatewayError:
    whom = "Copilot" if target == ACCOUNT else target
    left = max(math.ceil(opening.until - now), 1)
    return GatewayError(
        f"{opening.message} (The gateway does not ask {whom} again for {left} s: it has refused too often in a row.)",
        kind=opening.kind,
        code=opening.code or "circuit_open",
        retry_after=max(math.ceil(opening.promised - now), left),
    )
