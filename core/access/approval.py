"""Let a person approve every request before it goes out."""

from collections.abc import Callable
from threading import Lock

from core.errors import GatewayError
from core.exchange import Exchange


class Approval:
    """A gate that asks, one request at a time. ask: shows what wants to pass and returns the person's answer."""

    def __init__(self, ask: Callable[[str], bool]) -> None:
        self._ask = ask
        self._lock = Lock()

    def enter(self, asked: Exchange) -> None:
        """Return when the person agrees. Raises GatewayError `permission` when they do not."""
        with self._lock:
            approved = self._ask(f"{asked.surface} {asked.requested}")
        if not approved:
            raise GatewayError(
                "The person at the gateway's terminal did not approve this request.",
                kind="permission",
                code="not_approved",
            )
