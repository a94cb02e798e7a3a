"""Fixtures of the contract suites: every adapter of a port, each on empty ground."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.ports import SecretStore, StateStore
from infra.aws.service import make_client
from tests.contract import moto_server
from tests.contract.stores import (
    SECRET_ADAPTERS,
    STATE_ADAPTERS,
    Clock,
    DynamoAdapter,
    SecretAdapter,
    SecretsManagerAdapter,
    StateAdapter,
)
from tests.emulators.copilot.certificate import Certificate

ON_AWS = {"dynamodb", "secrets_manager"}


def _marked(names: Iterable[str]) -> list[Any]:
    """Let `make test` pass over the adapters that want a server of their own."""
    return [pytest.param(name, marks=[pytest.mark.aws] if name in ON_AWS else []) for name in names]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def certificate() -> Iterator[Certificate]:
    made = Certificate.create()
    yield made
    made.remove()


@pytest.fixture(params=_marked(STATE_ADAPTERS))
def state_adapter(request: pytest.FixtureRequest, tmp_path: Path) -> StateAdapter:
    adapter = STATE_ADAPTERS[request.param](tmp_path)
    if isinstance(adapter, DynamoAdapter):
        request.getfixturevalue("aws")
        create_table(adapter.table)
    return adapter


@pytest.fixture
def state(state_adapter: StateAdapter, clock: Clock) -> Iterator[StateStore]:
    store = state_adapter.open(clock)
    yield store
    state_adapter.close(store)


@pytest.fixture(params=_marked(SECRET_ADAPTERS))
def secret_adapter(request: pytest.FixtureRequest, tmp_path: Path) -> SecretAdapter:
    adapter = SECRET_ADAPTERS[request.param](tmp_path)
    if isinstance(adapter, SecretsManagerAdapter):
        request.getfixturevalue("aws")
    return adapter


@pytest.fixture
def secret_store(secret_adapter: SecretAdapter) -> SecretStore:
    return secret_adapter.open()


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    with moto_server.moto_server() as url:
        yield url


@pytest.fixture
def aws(moto: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Lead boto3 to the moto server, here and in child processes; return the server's URL."""
    for name, value in moto_server.environment(moto).items():
        monkeypatch.setenv(name, value)
    return moto


@pytest.fixture
def dynamo_adapter(aws: str, tmp_path: Path) -> DynamoAdapter:
    adapter = DynamoAdapter(tmp_path)
    create_table(adapter.table)
    return adapter


def create_table(name: str) -> None:
    """Create the table as the stack does."""
    client = make_client("dynamodb")
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
    )
