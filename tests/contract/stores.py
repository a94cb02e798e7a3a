"""The adapters that the contract suites run over; a new adapter joins by one class and one line in its table.

Adapters are picklable: the suites also open them in other processes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from core.ports import SecretStore, StateStore
from infra.aws.dynamodb import DynamoStateStore
from infra.aws.secrets_manager import SecretsManagerStore
from infra.local.secrets import FileSecretStore
from infra.local.state import SqliteStateStore


@dataclass
class Clock:
    """A clock that tests set by hand, in unix seconds."""

    time: float = 1_000_000.0

    def __call__(self) -> float:
        return self.time


class StateAdapter(Protocol):
    def open(self, now: Callable[[], float]) -> StateStore: ...

    def close(self, store: StateStore) -> None: ...


class SecretAdapter(Protocol):
    def open(self) -> SecretStore: ...


@dataclass(frozen=True)
class SqliteAdapter:
    directory: Path

    def open(self, now: Callable[[], float]) -> SqliteStateStore:
        return SqliteStateStore(self.directory / "state.sqlite3", now)

    def close(self, store: StateStore) -> None:
        assert isinstance(store, SqliteStateStore)
        store.close()


@dataclass(frozen=True)
class FileAdapter:
    directory: Path

    def open(self) -> FileSecretStore:
        return FileSecretStore(self.directory / "secrets")


# These are for a process whose environment leads boto3 to a moto server.

PATIENCE: Final = 240  # seconds


def patient_client(name: str) -> Any:
    """Return boto3's client for a crowd: moto answers one after the other, and an addition that is asked for anew counts twice."""
    import boto3  # here: not for each process of a crowd
    from botocore.config import Config

    patience = Config(connect_timeout=PATIENCE, read_timeout=PATIENCE, max_pool_connections=50)
    return boto3.session.Session().client(name, config=patience)


@dataclass(frozen=True)
class DynamoAdapter:
    directory: Path

    @property
    def table(self) -> str:
        return f"state-{self.directory.parent.name}-{self.directory.name}"[-255:]

    def open(self, now: Callable[[], float]) -> DynamoStateStore:
        return DynamoStateStore(self.table, partial(patient_client, "dynamodb"), now)

    def close(self, store: StateStore) -> None: ...


@dataclass(frozen=True)
class SecretsManagerAdapter:
    directory: Path

    def open(self) -> SecretsManagerStore:
        return SecretsManagerStore(f"gateway{self.directory}", partial(patient_client, "secretsmanager"))


STATE_ADAPTERS: Final[dict[str, Callable[[Path], StateAdapter]]] = {
    "sqlite": SqliteAdapter,
    "dynamodb": DynamoAdapter,
}
SECRET_ADAPTERS: Final[dict[str, Callable[[Path], SecretAdapter]]] = {
    "file": FileAdapter,
    "secrets_manager": SecretsManagerAdapter,
}
