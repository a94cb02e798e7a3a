"""The quota as a page shows it, which looks again and again: GitHub is asked at most once a minute, by all processes."""

from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec

from core.copilot.usage import Quota
from core.ports import StateStore, StoreError, read_stored

KIND: Final = "quota"
LIFE: Final = 60.0  # seconds


class RecentQuota:
    """Remembers the quota of an account in the state store. fetch: asks GitHub. now: unix seconds."""

    def __init__(self, state: StateStore, fetch: Callable[[], Quota], now: Callable[[], float]) -> None:
        self._state, self._fetch, self._now = state, fetch, now

    def look(self, account: str) -> Quota:
        """Return the quota, not older than a minute. account: names it. Raises GatewayError, as `fetch` does."""
        known = self._stored(account)
        if known is not None:
            return known
        quota = self._fetch()
        with suppress(StoreError):
            self._state.save(KIND, account, msgspec.json.encode(quota), expires_at=self._now() + LIFE)
        return quota

    def _stored(self, account: str) -> Quota | None:
        try:
            return read_stored(self._state.load(KIND, account), Quota)
        except StoreError:
            return None
