"""What both composition roots share: the core joined to two stores, the wall clock and HTTP."""

import os
import time
from collections.abc import Callable, Mapping
from typing import Final
from uuid import uuid4

from core.access.allowance import Allowances
from core.access.approval import Approvals
from core.access.breaker import Breaker
from core.access.caller import Limits
from core.access.keys import KeyRing
from core.access.limits import RateLimit
from core.call import Engine
from core.copilot.auto import AutoMode
from core.copilot.catalogue import Catalogue
from core.copilot.client import CopilotClient
from core.copilot.github import GitHub
from core.copilot.hosts import stand_in
from core.copilot.token import CopilotTokens
from core.copilot.transport import Transport
from core.copilot.usage import fetch_quota
from core.exchange import Observer
from core.ledger.ledger import Ledger
from core.ports import SecretStore, StateStore
from core.settings import Settings
from core.surfaces import DIALECTS
from handlers.services import Gate, Services
from infra.proxies import ca_bundle, read_proxy

# What no person with several agents reaches, and a loop that ran away does.
REQUESTS_PER_MINUTE: Final = 300
REQUESTS_PER_DAY: Final = 10_000


def join(
    settings: Settings,
    *,
    secrets: SecretStore,
    state: StateStore,
    clients: tuple[Transport, GitHub],
    keys: KeyRing | None,
    forget_login: Callable[[], None] = lambda: None,
    observers: tuple[Observer, ...] = (),
    ledger_every: float = 1.0,
) -> Services:
    """Build the services. forget_login: makes `secrets` read the login anew, where it has a memory.

    ledger_every: seconds between two writes of the ledger; 0 where this process may be ended between two requests.
    """
    transport, github = clients
    tokens = CopilotTokens(
        settings, secrets, state, github,
        now=time.time, new_id=_hex, wait=time.sleep, forget_login=forget_login,
    )  # fmt: skip
    copilot = CopilotClient(
        settings, tokens, transport, now=time.time, new_id=lambda: str(uuid4()), ticks=time.monotonic
    )
    catalogue = Catalogue(settings, copilot, state, now=time.time, new_id=_hex, wait=time.sleep)
    auto = AutoMode(copilot, state, now=time.time, new_id=_hex, wait=time.sleep)
    breaker = Breaker(state, settings.breaker_refusals, now=time.time) if settings.breaker_refusals else None
    approvals = Approvals(settings.approval_timeout, now=time.time) if settings.manual else None
    ledger = Ledger(state, time.time, time.monotonic, every=ledger_every)
    return Services(
        settings=settings,
        engine=Engine(settings, DIALECTS, catalogue.models, tokens.scope, time.time, _new_id, auto),
        copilot=copilot,
        catalogue=catalogue,
        github=github,
        state=state,
        quota=lambda: fetch_quota(github, settings, tokens.github_token(), now=time.time),
        keys=keys,
        gates=_gates(settings, state, breaker, approvals),
        breaker=breaker,
        approvals=approvals,
        observers=(ledger.observe, *observers),
        ledger=ledger,
        now=time.time,
        ticks=time.perf_counter,
        new_id=_new_id,
    )


def build_clients(settings: Settings, environ: Mapping[str, str]) -> tuple[Transport, GitHub]:
    """Build both HTTP clients with this machine's certificates and, unless switched off, its proxy."""
    proxy = read_proxy(environ if settings.proxy_env else {})
    proxies = {"https": proxy.url}
    bundle = ca_bundle(environ)[0] or None
    patience = settings.connect_timeout
    return (
        Transport(
            now=time.time,
            ticks=time.monotonic,
            connect_timeout=patience,
            ca_bundle=bundle,
            proxies=proxies,
            bypass=proxy.bypass,
        ),
        GitHub(
            now=time.monotonic,
            connect_timeout=patience,
            ca_bundle=bundle,
            proxies=proxies,
            bypass=proxy.bypass,
        ),
    )


def ceilings(settings: Settings) -> Limits:
    """Return what all keys together may use. A stand-in for upstream spends nothing, so there only a word sets a limit."""
    usual = (0, 0) if stand_in(settings) else (REQUESTS_PER_MINUTE, REQUESTS_PER_DAY)
    chosen = (settings.requests_per_minute, settings.requests_per_day)
    per_minute, per_day = (
        default if value is None else value for value, default in zip(chosen, usual, strict=True)
    )
    return Limits(
        per_minute=per_minute or None,
        per_day=per_day or None,
        credits_per_day=settings.credits_per_day or None,
    )


def _gates(
    settings: Settings, state: StateStore, breaker: Breaker | None, approvals: Approvals | None
) -> tuple[Gate, ...]:
    """Return the gates in their order: what costs least to ask comes first, and a person last."""
    interval = None
    if settings.rate_limit > 0:
        interval = RateLimit(
            state, settings.rate_limit, wait=settings.wait, now=time.time, sleep=time.sleep, new_owner=_hex
        )
    allowances = Allowances(state, ceilings(settings), now=time.time)
    return tuple(gate for gate in (breaker, allowances, interval, approvals) if gate is not None)


def _hex() -> str:
    return uuid4().hex


def _new_id(prefix: str) -> str:
    return prefix + os.urandom(16).hex()
