"""Fixtures of the contract suites: every adapter of a port, each on empty ground."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.ports import SecretStore, StateStore
from tests.contract.stores import SECRET_ADAPTERS, STATE_ADAPTERS, Clock, SecretAdapter, StateAdapter


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=STATE_ADAPTERS)
def state_adapter(request: pytest.FixtureRequest, tmp_path: Path) -> StateAdapter:
    return STATE_ADAPTERS[request.param](tmp_path)


@pytest.fixture
def state(state_adapter: StateAdapter, clock: Clock) -> Iterator[StateStore]:
    store = state_adapter.open(clock)
    yield store
    state_adapter.close(store)


@pytest.fixture(params=SECRET_ADAPTERS)
def secret_adapter(request: pytest.FixtureRequest, tmp_path: Path) -> SecretAdapter:
    return SECRET_ADAPTERS[request.param](tmp_path)


@pytest.fixture
def secret_store(secret_adapter: SecretAdapter) -> SecretStore:
    return secret_adapter.open()
