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
from core.ports import SecretStore, StateStore
from core.settings import Settings
from core.surfaces import DIALECTS
from handlers.services import Gate, Services


def join(
    settings: Settings,
    *,
    secrets: SecretStore,
    state: StateStore,
    clients: tuple[Transport, GitHub],
    keys: KeyRing | None,
    forget_login: Callable[[], None] = lambda: None,
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
    copilot = CopilotClient(settings, tokens, transport, now=time.time, new_id=lambda: str(uuid4()))
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
        now=time.time,
        new_id=_new_id,
    )


def build_clients(settings: Settings, environ: Mapping[str, str]) -> tuple[Transport, GitHub]:
    """Build both HTTP clients with this machine's certificates and, unless switched off, its proxy."""
    proxies, bypass = _proxy(environ) if settings.proxy_env else ({}, _nothing)
    bundle = next(
        (environ[name] for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE") if environ.get(name)), None
    )
    patience = settings.connect_timeout
    return (
        Transport(now=time.time, connect_timeout=patience, ca_bundle=bundle, proxies=proxies, bypass=bypass),
        GitHub(now=time.time, connect_timeout=patience, ca_bundle=bundle, proxies=proxies, bypass=bypass),
    )


def _gates(settings: Settings, state: StateStore) -> tuple[Gate, ...]:
    if settings.rate_limit <= 0:
        return ()
    limit = RateLimit(
        state, settings.rate_limit, wait=settings.wait, now=time.time, sleep=time.sleep, new_owner=_hex
    )
    return (limit,)


def _proxy(environ: Mapping[str, str]) -> tuple[dict[str, str], Callable[[str], bool]]:
    """Read HTTPS_PROXY and NO_PROXY once, as the standard library understands them."""
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 - slow to import; only a proxy needs it

    if not any(name.lower() in {"https_proxy", "all_proxy"} for name in environ):
        return {}, _nothing
    found = getproxies()
    proxy = found.get("https") or found.get("all")
    return ({"https": proxy} if proxy else {}), lambda host: bool(proxy_bypass(host))


def _nothing(_host: str) -> bool:
    return False


def _hex() -> str:
    return uuid4().hex


def _new_id(prefix: str) -> str:
    return f"{prefix}{uuid4().hex}"
