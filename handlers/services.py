"""What the handlers were given: built by a composition root, kept in `app.extensions`."""

from collections.abc import Callable
from typing import Protocol, cast

from flask import current_app
from msgspec import Struct, field

from core.access.approval import Approvals
from core.access.breaker import Breaker
from core.access.keys import KeyRing
from core.call import Engine
from core.copilot.catalogue import Catalogue
from core.copilot.client import CopilotClient
from core.copilot.github import GitHub
from core.copilot.usage import Quota
from core.exchange import Exchange, Leave, Observer
from core.ledger.ledger import Ledger
from core.ports import StateStore
from core.settings import Settings

EXTENSION = "gateway"


class Gate(Protocol):
    """Something that may hold a request up, or refuse it with a `GatewayError`: a rate limit, a manual approval."""

    def enter(self, asked: Exchange) -> Leave | None:
        """Let the request pass, when its time has come; return what wants to know when it is over, if anything does."""
        ...


class Services(Struct, frozen=True, kw_only=True):
    """Everything a handler may touch. `keys` is None where no key is asked (loopback without `api_key`).

    breaker: among the gates, too; None where it is off. approvals: likewise, where a person approves each request.
    observers: told of every request after its answer's last byte, whatever became of it. They must be quick.
    ledger: one of them. under_way: ids of the requests for a model that are not over.
    ticks: seconds of a clock that never goes back.
    """

    settings: Settings
    engine: Engine
    copilot: CopilotClient
    catalogue: Catalogue
    github: GitHub
    state: StateStore
    quota: Callable[[], Quota]
    keys: KeyRing | None
    gates: tuple[Gate, ...]
    now: Callable[[], float]
    ticks: Callable[[], float]
    new_id: Callable[[str], str]
    breaker: Breaker | None = None
    approvals: Approvals | None = None
    ledger: Ledger
    observers: tuple[Observer, ...] = ()
    under_way: set[str] = field(default_factory=set[str])


def services() -> Services:
    """Return the services of the running app."""
    return cast("Services", current_app.extensions[EXTENSION])
