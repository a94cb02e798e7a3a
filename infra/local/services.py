"""The laptop's composition root: the services of `start`, `models`, `check-usage` and the demo."""

import os
import time
from pathlib import Path

from core.access.keys import KeyCheck, KeyRing
from core.access.managed_keys import AnyOf, ManagedKeys
from core.ports import SecretStore, StoreError
from core.settings import Settings
from handlers.services import Services
from infra.local.secrets import FileSecretStore
from infra.local.state import STATE_FILE, SqliteStateStore
from infra.logs.requests import log_request
from infra.settings import is_exposed
from infra.watched_store import WatchedStore
from infra.wiring import build_clients, join


def build_services(settings: Settings, secrets: SecretStore | None = None) -> Services:
    """Join the core to this machine: SQLite, the secret file (or another place for the login), the wall clock."""
    data = Path(settings.data_dir)
    state = WatchedStore(SqliteStateStore(data / STATE_FILE, time.time))
    return join(
        settings,
        secrets=secrets or FileSecretStore(data),
        state=state,
        clients=build_clients(settings, os.environ),
        keys=key_ring(settings, ManagedKeys(state, time.time)),
        observers=(log_request,),
    )


def key_ring(settings: Settings, managed: ManagedKeys) -> KeyRing | None:
    """Return what checks keys; None, for an open door, only where no other machine may call and nobody has made a key."""
    if settings.api_key:
        return AnyOf(KeyCheck(settings.api_key), managed)
    try:
        is_open = not is_exposed(settings) and not managed.list()
    except StoreError:  # closed until the store can say otherwise
        is_open = False
    return None if is_open else managed
