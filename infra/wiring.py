"""What both composition roots share: the core joined to two stores, the wall clock and HTTP."""

import time
from collections.abc import Callable, Mapping
from uuid import uuid4

from core.access.keys import KeyRing
from core.access.limits import RateLimit
from core.call import Engine
from core.copilot.auto import AutoMode
from core.copilot.catalogue import Catalogue
from core.copilot.client import CopilotClient
from core.copilot.github import GitHub
from core.copilot.token import CopilotTokens
from core.copilot.transport import Transport
from core.copilot.usage import fetch_quota
from core.exchange import Observer
from core.ports import SecretStore, StateStore
from core.settings import Settings
from core.surfaces import DIALECTS
from handlers.services import Gate, Services
from infra.proxies import ca_bundle, read_proxy


def join(
    settings: Settings,
    *,
    secrets: SecretStore,
    state: StateStore,
    clients: tuple[Transport, GitHub],
    keys: KeyRing | None,
    forget_login: Callable[[], None] = lambda: None,
    observers: tuple[Observer, ...] = (),
) -> Services:
    """Build the services. forget_login: makes `secrets` read the login anew, where it has a memory."""
    transport, github = clients
    tokens = CopilotTokens(
        settings,
        secrets,
        state,
        github,
        now=time.time,
        new_id=_hex,
        wait=time.sleep,
        forget_login=forget_login,
    )
    copilot = CopilotClient(
        settings, tokens, transport, now=time.time, new_id=lambda: str(uuid4()), ticks=time.monotonic
    )
    catalogue = Catalogue(settings, copilot, state, now=time.time, new_id=_hex)
    auto = AutoMode(copilot, state, now=time.time, new_id=_hex, wait=time.sleep)
    return Services(
        settings=settings,
        engine=Engine(settings, DIALECTS, catalogue.models, tokens.scope, time.time, _new_id, auto),
        copilot=copilot,
        catalogue=catalogue,
        github=github,
        state=state,
        quota=lambda: fetch_quota(github, settings, tokens.github_token(), now=time.time),
        keys=keys,
        gates=_gates(settings, state),
        observers=observers,
        now=time.time,
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


def _gates(settings: Settings, state: StateStore) -> tuple[Gate, ...]:
    if settings.rate_limit <= 0:
        return ()
    limit = RateLimit(
        state, settings.rate_limit, wait=settings.wait, now=time.time, sleep=time.sleep, new_owner=_hex
    )
    return (limit,)


def _hex() -> str:
    return uuid4().hex


def _new_id(prefix: str) -> str:
    return f"{prefix}{uuid4().hex}"
