"""How many requests of a key are under way at once, agreed between all processes that share a state store."""

from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import Final

from core.ports import StateStore, StoreError

KIND: Final = "slot"
# Seconds; as long as Lambda lets a function run. A slot of a process that died is free after it.
LEASE: Final = 900.0


class Slots:
    """Numbered leases in the store, so many for each key as it may have requests at once. now: unix seconds.

    Invariants: `_held` has the slots that this process holds or is trying for, by key, each with its owner and until when
    the store keeps it. A lease that this process still needs is renewed when its key asks for another slot, and counts
    here even when it has ended there.
    """

    def __init__(self, state: StateStore, *, now: Callable[[], float]) -> None:
        self._state, self._now = state, now
        self._lock = Lock()
        self._held: dict[str, dict[int, tuple[str, float]]] = {}

    def take(self, name: str, most: int, owner: str) -> bool:
        """Take a slot for `owner`; return whether one of the `most` was free. Raises StoreError."""
        self._renew(name)
        tried: set[int] = set()
        while (number := self._reserve(name, most, owner, tried)) is not None:
            try:
                if self._claim(name, number, owner):
                    return True
            except StoreError:
                self._drop(name, number)
                raise
            self._drop(name, number)
            tried.add(number)
        return False

    def give_back(self, name: str, owner: str) -> None:
        """Free the slot of `owner`. Where the store fails, it frees itself in time."""
        with self._lock:
            held = self._held.get(name, {})
            number = next((number for number, (holder, _) in held.items() if holder == owner), None)
            if number is None:
                return
            del held[number]
        with suppress(StoreError):
            self._state.release(KIND, f"{name} {number}", owner)

    def _reserve(self, name: str, most: int, owner: str, tried: set[int]) -> int | None:
        """Return the first slot that nobody in this process has, now kept from the others; None when there is none."""
        with self._lock:
            held = self._held.setdefault(name, {})
            if len(held) >= most:
                return None
            number = next((n for n in range(most) if n not in held and n not in tried), None)
            if number is not None:
                held[number] = (owner, 0.0)
            return number

    def _claim(self, name: str, number: int, owner: str) -> bool:
        ends = self._now() + LEASE
        if not self._state.claim(KIND, f"{name} {number}", owner, expires_at=ends):
            return False
        with self._lock:
            is_needed = self._held[name].get(number, ("", 0.0))[0] == owner
            if is_needed:
                self._held[name][number] = (owner, ends)
        if not is_needed:  # given back while it was renewed
            self._state.release(KIND, f"{name} {number}", owner)
        return True

    def _drop(self, name: str, number: int) -> None:
        with self._lock:
            self._held[name].pop(number, None)

    def _renew(self, name: str) -> None:
        soon = self._now() + LEASE / 2
        with self._lock:
            held = self._held.get(name, {})
            ending = [(number, owner) for number, (owner, ends) in held.items() if 0 < ends < soon]
        for number, owner in ending:
            self._claim(name, number, owner)
