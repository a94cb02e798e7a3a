"""The laptop's composition root: the services of `start`, `models`, `check-usage` and the demo."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from core.access.keys import KeyCheck, KeyRing
from core.access.limits import RateLimit
from core.access.managed_keys import AnyOf, ManagedKeys
from core.call import Engine
from core.copilot.auto import AutoMode
from core.copilot.catalogue import Catalogue
from core.copilot.client import CopilotClient
from core.copilot.github import GitHub
from core.copilot.hosts import is_loopback
from core.copilot.token import CopilotTokens
from core.copilot.transport import Transport
from core.copilot.usage import fetch_quota
from core.ports import StoreError
from core.settings import Settings
from core.surfaces import DIALECTS
from handlers.services import Gate, Services
from infra.local.secrets import FileSecretStore
from infra.local.state import STATE_FILE, SqliteStateStore


def build_services(settings: Settings) -> Services:
    """Join the core to this machine: SQLite, the secret file, the wall clock."""
    data = Path(settings.data_dir)
    state = SqliteStateStore(data / STATE_FILE, time.time)
    transport, github = build_clients(settings)
    tokens = CopilotTokens(
        settings, FileSecretStore(data), state, github, now=time.time, new_id=_hex, wait=time.sleep
    )
    copilot = CopilotClient(settings, tokens, transport, now=time.time, new_id=lambda: str(uuid4()))
    catalogue = Catalogue(settings, copilot, state, now=time.time, new_id=_hex)
    auto = AutoMode(copilot, state, now=time.time, new_id=_hex, wait=time.sleep)
    gates: tuple[Gate, ...] = ()
    if settings.rate_limit > 0:
        gates = (
            RateLimit(
                state,
                settings.rate_limit,
                wait=settings.wait,
                now=time.time,
                sleep=time.sleep,
                new_owner=_hex,
            ),
        )
    return Services(
        settings=settings,
        engine=Engine(settings, DIALECTS, catalogue.models, tokens.scope, time.time, _new_id, auto),
        copilot=copilot,
        catalogue=catalogue,
        github=github,
        state=state,
        quota=lambda: fetch_quota(github, settings, tokens.github_token(), now=time.time),
        keys=key_ring(settings, ManagedKeys(state, time.time)),
        gates=gates,
        now=time.time,
        new_id=_new_id,
    )


def key_ring(settings: Settings, managed: ManagedKeys) -> KeyRing | None:
    """Return what checks keys; None, for an open door, only on loopback and where nobody has made a key."""
    if settings.api_key:
        return AnyOf(KeyCheck(settings.api_key), managed)
    try:
        is_open = is_loopback(settings.host) and not managed.list()
    except StoreError:  # closed until the store can say otherwise
        is_open = False
    return None if is_open else managed


def build_clients(settings: Settings) -> tuple[Transport, GitHub]:
    """Build both HTTP clients with this machine's certificates and, unless switched off, its proxy."""
    proxies, bypass = _proxy() if settings.proxy_env else ({}, _nothing)
    bundle = next(
        (os.environ[name] for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE") if os.environ.get(name)), None
    )
    patience = settings.connect_timeout
    return (
        Transport(now=time.time, connect_timeout=patience, ca_bundle=bundle, proxies=proxies, bypass=bypass),
        GitHub(now=time.time, connect_timeout=patience, ca_bundle=bundle, proxies=proxies, bypass=bypass),
    )


def _proxy() -> tuple[dict[str, str], Callable[[str], bool]]:
    """Read HTTPS_PROXY and NO_PROXY once, as the standard library understands them."""
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 - slow to import; only a proxy needs it

    if not any(name.lower() in {"https_proxy", "all_proxy"} for name in os.environ):
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
