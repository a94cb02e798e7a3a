"""The composition root on AWS: DynamoDB, Secrets Manager, managed keys."""

import os
import time
from collections.abc import Mapping
from functools import partial
from typing import Final

from core.access.managed_keys import ManagedKeys
from core.settings import Settings
from handlers.services import Services
from infra.aws.dynamodb import DynamoStateStore
from infra.aws.secrets_manager import SecretsManagerStore
from infra.aws.service import make_client
from infra.aws.settings import load_function_settings, load_place
from infra.watched_secrets import WatchedSecrets
from infra.watched_store import WatchedStore
from infra.wiring import build_clients, join

# Endpoints whose functions may only read the table (roles-rest.yml).
READERS: Final = frozenset({"health"})


def services_from_environment(only: str | None = None) -> Services:
    """Build the services of this function. only: the one endpoint that it serves. Raises SettingsError."""
    return build_services(load_function_settings(os.environ), os.environ, only)


def build_services(settings: Settings, environ: Mapping[str, str], only: str | None = None) -> Services:
    """Join the core to the stage that the environment names. Raises SettingsError.

    A key is always asked: without one in the store nobody gets in. Nothing is asked of AWS, and boto3 is not imported,
    before the first request needs it.
    """
    place = load_place(environ)
    state = WatchedStore(DynamoStateStore(place.table, partial(make_client, "dynamodb"), time.time))
    secrets = SecretsManagerStore(place.secret, partial(make_client, "secretsmanager"))
    return join(
        settings,
        secrets=WatchedSecrets(secrets),
        state=state,
        clients=build_clients(settings, environ),
        keys=ManagedKeys(state, time.time, notes_use=only not in READERS),
        forget_login=secrets.forget,
        ledger_every=0.0,
    )
