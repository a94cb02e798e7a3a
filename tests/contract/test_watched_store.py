"""A state store that fails: told once, waited for once."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.ports import StateStore, StoreError
from infra.local.state import SqliteStateStore
from infra.watched_store import REMINDER, REST, WatchedStore
from tests.contract.stores import Clock


class Slow:
    """What passes for a store that takes its time; each call moves the clock."""

    def __init__(self, store: StateStore, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self.takes, self.calls = 0.0, 0

    def __getattr__(self, name: str) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            self.calls += 1
            self._clock.time += self.takes
            return getattr(self._store, name)(*args, **kwargs)

        return call


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gateway" / "state.sqlite3"


@pytest.fixture
def sqlite(path: Path, clock: Clock) -> Iterator[SqliteStateStore]:
    store = SqliteStateStore(path, clock, patience=0.01)
    yield store
    store.close()


@pytest.fixture
def slow(sqlite: SqliteStateStore, clock: Clock) -> Slow:
    return Slow(sqlite, clock)


@pytest.fixture
def store(slow: Slow, clock: Clock) -> WatchedStore:
    return WatchedStore(slow, clock)  # type: ignore[arg-type] # it passes every call on


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message.split(" message=")[0] for record in caplog.records if "store." in record.message]


@pytest.fixture(autouse=True)
def heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="infra.watched_store")


def damage(path: Path, sqlite: SqliteStateStore) -> None:
    sqlite.close()
    path.write_bytes(b"not a database" * 1000)


def fails(store: WatchedStore) -> None:
    with pytest.raises(StoreError, match="is damaged"):
        store.load("kind", "key")


def test_what_is_kept_is_kept_through_it(store: WatchedStore, clock: Clock) -> None:
    store.save("kind", "key", b"value")
    assert (b"value", {"key": b"value"}) == (store.load("kind", "key"), store.entries("kind"))
    assert {"n": 2} == store.add("kind", "key", {"n": 2})
    assert {"key": {"n": 2}} == store.counters("kind")
    assert (True, False) == (
        store.claim("kind", "key", "me", expires_at=clock.time + 9),
        store.claim("kind", "key", "you", expires_at=clock.time + 9),
    )
    store.release("kind", "key", "me")
    assert store.claim("kind", "key", "you", expires_at=clock.time + 9)
    assert (False, True) == (
        store.delete("kind", "key", expected=b"other"), store.delete("kind", "key", expected=b"value"),
    )  # fmt: skip


def test_a_failure_is_told_once_and_its_end_once(
    *,
    store: WatchedStore,
    sqlite: SqliteStateStore,
    path: Path,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store.save("kind", "key", b"value")
    damage(path, sqlite)
    for _ in range(5):
        fails(store)
    assert ["store.failed doing=reading"] == told(caplog)
    clock.time += REMINDER
    fails(store)
    assert ["store.failed doing=reading"] * 2 == told(caplog)
    path.rename(path.with_suffix(".old"))
    assert store.load("kind", "key") is None
    store.load("kind", "key")
    assert ["store.failed doing=reading"] * 2 + ["store.recovered doing=reading"] == told(caplog)


def test_a_failure_of_writing_is_not_over_because_reading_works(
    store: WatchedStore, sqlite: SqliteStateStore, caplog: pytest.LogCaptureFixture
) -> None:
    """A full disk: told once, however often something is read in between."""
    store.save("kind", "key", b"value")
    for _ in range(3):
        with sqlite._database.connection() as connection:  # which the failure closes
            connection.execute("PRAGMA max_page_count = 20")
        with pytest.raises(StoreError, match="disk is full"):
            store.save("kind", "key", b"x" * 1_000_000)
        assert store.load("kind", "key") == b"value"
    assert ["store.failed doing=writing"] == told(caplog)


def test_a_store_that_was_waited_for_in_vain_is_left_alone_for_a_while(
    *, store: WatchedStore, slow: Slow, sqlite: SqliteStateStore, path: Path, clock: Clock
) -> None:
    store.save("kind", "key", b"value")
    damage(path, sqlite)
    slow.takes = 10.0
    fails(store)
    before = slow.calls
    for _ in range(5):
        fails(store)
    assert before == slow.calls
    clock.time += REST
    fails(store)
    assert before + 1 == slow.calls


def test_a_store_that_fails_at_once_is_asked_each_time(
    store: WatchedStore, slow: Slow, sqlite: SqliteStateStore, path: Path
) -> None:
    store.save("kind", "key", b"value")
    damage(path, sqlite)
    before = slow.calls
    for _ in range(3):
        fails(store)
    assert before + 3 == slow.calls
