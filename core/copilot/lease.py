"""A lease in the shared state store: of all processes, one asks upstream for what they share."""

from collections.abc import Callable
from typing import Final

from core.ports import StateStore, StoreError

LIFE: Final = 30.0  # seconds, longer than any of the answers may take


class Lease:
    """The leases of one kind. Sharing is a convenience: who cannot reach the store has the lease."""

    def __init__(self, state: StateStore, kind: str, now: Callable[[], float]) -> None:
        self._state = state
        self._kind = kind
        self._now = now

    def claim(self, key: str, owner: str) -> bool:
        """Say whether `owner` asks now; nobody else does until it releases the lease, or has died."""
        try:
            return self._state.claim(self._kind, key, owner, expires_at=self._now() + LIFE)
        except StoreError:
            return True

    def release(self, key: str, owner: str) -> None:
        """Let the next one ask."""
        try:
            self._state.release(self._kind, key, owner)
        except StoreError:
            return
