"""What every `StateStore` promises."""

import math
import multiprocessing
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from core.ports import StateStore
from tests.contract.stores import Clock, StateAdapter

REPOSITORY = Path(__file__).parents[2]
LARGEST = (bytes(range(256)) * 1172)[:300_000]
ODD_NAMES = [
    "a",
    " ",
    "a b",
    "a/b\\c",
    "../up",
    "%_*?",
    "'\";--",
    "é",
    "e\u0301",
    "日本語",
    "🦊",
    "\x00",
    "a\x00b",
    "\n",
    "x" * 500,
]

# Every call that names a record, by what it would be refused for.
ADDRESSED: dict[str, Callable[[StateStore, str, str], object]] = {
    "load": lambda store, kind, key: store.load(kind, key),
    "save": lambda store, kind, key: store.save(kind, key, b"x"),
    "delete": lambda store, kind, key: store.delete(kind, key),
    "claim": lambda store, kind, key: store.claim(kind, key, "me", expires_at=2_000_000.0),
    "release": lambda store, kind, key: store.release(kind, key, "me"),
    "add": lambda store, kind, key: store.add(kind, key, {"n": 1}),
}


# Records


def test_a_missing_record_is_none(state: StateStore) -> None:
    assert state.load("kind", "key") is None


def test_a_saved_record_is_loaded(state: StateStore) -> None:
    state.save("kind", "key", b"value")
    assert state.load("kind", "key") == b"value"


def test_save_replaces_value_and_expiry(state: StateStore, clock: Clock) -> None:
    state.save("kind", "key", b"old", expires_at=clock.time + 1)
    state.save("kind", "key", b"new")
    clock.time += 10
    assert state.load("kind", "key") == b"new"


def test_an_empty_value_is_a_value(state: StateStore) -> None:
    state.save("kind", "key", b"")
    assert state.load("kind", "key") == b""
    assert state.entries("kind") == {"key": b""}


def test_a_record_as_large_as_every_store_takes_it_comes_back(state: StateStore) -> None:
    state.save("kind", "key", LARGEST)
    assert state.load("kind", "key") == LARGEST
    assert state.entries("kind") == {"key": LARGEST}


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_address_only_themselves(state: StateStore, name: str) -> None:
    for other in ODD_NAMES:
        if other != name:
            state.save("kind", other, b"other")
            state.save(other, "key", b"other")
    assert state.load("kind", name) is None
    assert state.load(name, "key") is None
    state.save("kind", name, b"mine")
    state.save(name, "key", b"mine")
    assert state.load("kind", name) == b"mine"
    assert state.entries(name) == {"key": b"mine"}


@pytest.mark.parametrize("call", ADDRESSED.values(), ids=ADDRESSED.keys())
@pytest.mark.parametrize(("kind", "key"), [("", "key"), ("kind", ""), ("kind", "\ud800"), ("\ud800", "key")])
def test_names_that_are_no_text_are_refused(
    state: StateStore, call: Callable[[StateStore, str, str], object], kind: str, key: str
) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each adapter has its own words
        call(state, kind, key)


@pytest.mark.parametrize("name", ["", "\ud800"])
def test_kinds_owners_and_counters_that_are_no_text_are_refused(state: StateStore, name: str) -> None:
    for call in (
        lambda: state.entries(name),
        lambda: state.counters(name),
        lambda: state.claim("kind", "key", name, expires_at=2_000_000.0),
        lambda: state.add("kind", "key", {name: 1}),
    ):
        with pytest.raises(ValueError):  # noqa: PT011 - each adapter has its own words
            call()


def test_entries_are_one_kind_sorted_by_key(state: StateStore) -> None:
    for key in ("b", "a", "é", "B", "10", "9"):
        state.save("kind", key, key.encode())
    state.save("other", "c", b"c")
    assert list(state.entries("kind")) == ["10", "9", "B", "a", "b", "é"]
    assert state.entries("none") == {}


# Expiry


def test_a_record_ends_at_its_expiry(state: StateStore, clock: Clock) -> None:
    state.save("kind", "key", b"value", expires_at=clock.time + 10)
    clock.time += 9.75
    assert state.load("kind", "key") == b"value"
    assert state.entries("kind") == {"key": b"value"}
    clock.time += 0.25
    assert state.load("kind", "key") is None
    assert state.entries("kind") == {}
    assert state.delete("kind", "key") is False
    assert state.delete("kind", "key", expected=b"value") is False


def test_a_record_without_expiry_stays(state: StateStore, clock: Clock) -> None:
    state.save("kind", "key", b"value")
    clock.time += 1e9
    assert state.load("kind", "key") == b"value"


def test_a_record_saved_as_expired_does_not_exist(state: StateStore, clock: Clock) -> None:
    state.save("kind", "key", b"old")
    state.save("kind", "key", b"value", expires_at=clock.time)
    assert state.load("kind", "key") is None


def test_an_expired_record_does_not_come_back_when_the_clock_was_advanced_for_long(
    state: StateStore, clock: Clock
) -> None:
    state.save("kind", "gone", b"value", expires_at=clock.time + 1)
    state.save("kind", "kept", b"value", expires_at=clock.time + 7200)
    clock.time += 3600
    state.save("kind", "new", b"value")
    assert list(state.entries("kind")) == ["kept", "new"]


def test_an_expiry_that_is_no_time_is_refused(state: StateStore) -> None:
    with pytest.raises(ValueError, match="expires_at"):
        state.save("kind", "key", b"value", expires_at=math.nan)
    with pytest.raises(ValueError, match="expires_at"):
        state.claim("kind", "key", "me", expires_at=math.nan)
    with pytest.raises(ValueError, match="expires_at"):
        state.add("kind", "key", {"n": 1}, expires_at=math.nan)


# Delete


def test_delete_says_whether_there_was_a_record(state: StateStore) -> None:
    state.save("kind", "key", b"value")
    state.save("kind", "other", b"value")
    assert state.delete("kind", "key") is True
    assert state.delete("kind", "key") is False
    assert state.entries("kind") == {"other": b"value"}


def test_delete_with_an_expected_value_spares_a_newer_one(state: StateStore) -> None:
    state.save("kind", "key", b"new")
    assert state.delete("kind", "key", expected=b"old") is False
    assert state.delete("kind", "key", expected=b"") is False
    assert state.load("kind", "key") == b"new"
    assert state.delete("kind", "key", expected=b"new") is True
    assert state.load("kind", "key") is None


def test_delete_removes_counters_but_no_lease(state: StateStore, clock: Clock) -> None:
    state.add("kind", "key", {"n": 1})
    state.claim("kind", "key", "me", expires_at=clock.time + 10)
    assert state.delete("kind", "key") is True
    assert state.counters("kind") == {}
    assert state.claim("kind", "key", "you", expires_at=clock.time + 10) is False


def test_record_lease_and_counters_of_one_name_do_not_meet(state: StateStore, clock: Clock) -> None:
    state.save("kind", "key", b"value", expires_at=clock.time + 5)
    assert state.claim("kind", "key", "me", expires_at=clock.time + 10) is True
    assert state.add("kind", "key", {"n": 1}) == {"n": 1}
    assert state.entries("kind") == {"key": b"value"}
    assert state.counters("kind") == {"key": {"n": 1}}
    clock.time += 5
    assert state.counters("kind") == {"key": {"n": 1}}
    assert state.claim("kind", "key", "you", expires_at=clock.time + 10) is False


# Leases


def test_a_lease_has_one_owner(state: StateStore, clock: Clock) -> None:
    assert state.claim("kind", "key", "me", expires_at=clock.time + 10) is True
    assert state.claim("kind", "key", "you", expires_at=clock.time + 10) is False
    assert state.claim("kind", "other", "you", expires_at=clock.time + 10) is True


def test_a_lease_can_be_taken_when_it_has_expired(state: StateStore, clock: Clock) -> None:
    state.claim("kind", "key", "me", expires_at=clock.time + 10)
    clock.time += 10
    assert state.claim("kind", "key", "you", expires_at=clock.time + 10) is True
    assert state.claim("kind", "key", "me", expires_at=clock.time + 10) is False


def test_the_owner_extends_its_lease(state: StateStore, clock: Clock) -> None:
    state.claim("kind", "key", "me", expires_at=clock.time + 10)
    assert state.claim("kind", "key", "me", expires_at=clock.time + 30) is True
    clock.time += 20
    assert state.claim("kind", "key", "you", expires_at=clock.time + 10) is False


def test_only_the_owner_releases_a_lease(state: StateStore, clock: Clock) -> None:
    state.release("kind", "key", "me")
    state.claim("kind", "key", "me", expires_at=clock.time + 10)
    state.release("kind", "key", "you")
    assert state.claim("kind", "key", "you", expires_at=clock.time + 10) is False
    state.release("kind", "key", "me")
    assert state.claim("kind", "key", "you", expires_at=clock.time + 10) is True


# Counters


def test_counters_start_at_zero_and_add_up(state: StateStore) -> None:
    assert state.add("kind", "key", {"requests": 1, "tokens": 100}) == {"requests": 1, "tokens": 100}
    assert state.add("kind", "key", {"tokens": -30, "errors": 0}) == {
        "errors": 0,
        "requests": 1,
        "tokens": 70,
    }
    assert state.add("kind", "other", {"tokens": 5}) == {"tokens": 5}
    assert state.counters("kind") == {
        "key": {"errors": 0, "requests": 1, "tokens": 70},
        "other": {"tokens": 5},
    }
    assert state.counters("none") == {}


def test_adding_nothing_reads_the_counters(state: StateStore) -> None:
    assert state.add("kind", "key", {}) == {}
    assert state.counters("kind") == {}
    state.add("kind", "key", {"n": 1})
    assert state.add("kind", "key", {}) == {"n": 1}


def test_the_expiry_of_counters_is_that_of_the_first_add(state: StateStore, clock: Clock) -> None:
    state.add("kind", "key", {"a": 1}, expires_at=clock.time + 10)
    clock.time += 5
    state.add("kind", "key", {"a": 1, "b": 1}, expires_at=clock.time + 100)
    assert state.counters("kind") == {"key": {"a": 2, "b": 1}}
    clock.time += 5
    assert state.counters("kind") == {}


def test_an_expired_counter_starts_again(state: StateStore, clock: Clock) -> None:
    state.add("kind", "key", {"a": 1, "b": 1}, expires_at=clock.time + 10)
    clock.time += 10
    assert state.add("kind", "key", {"a": 5}, expires_at=clock.time + 10) == {"a": 5}
    clock.time += 9
    assert state.counters("kind") == {"key": {"a": 5}}


def test_counters_without_expiry_stay(state: StateStore, clock: Clock) -> None:
    state.add("kind", "key", {"a": 1})
    clock.time += 1e9
    state.add("kind", "key", {"a": 1}, expires_at=clock.time + 1)
    clock.time += 1e9
    assert state.counters("kind") == {"key": {"a": 2}}


def test_counters_hold_64_bits_and_refuse_more(state: StateStore) -> None:
    assert state.add("kind", "key", {"most": 2**63 - 1, "least": -(2**63)}) == {
        "least": -(2**63),
        "most": 2**63 - 1,
    }
    for amounts in ({"n": 1, "most": 1}, {"n": 1, "least": -1}, {"n": 2**63}, {"n": -(2**63) - 1}):
        with pytest.raises(OverflowError):
            state.add("kind", "key", amounts)
    assert state.counters("kind") == {"key": {"least": -(2**63), "most": 2**63 - 1}}


# Threads and processes


def test_a_second_store_on_the_same_ground_sees_everything(
    state: StateStore, state_adapter: StateAdapter, clock: Clock
) -> None:
    state.save("kind", "key", b"value")
    state.add("kind", "key", {"n": 1})
    other = state_adapter.open(clock)
    assert other.load("kind", "key") == b"value"
    assert other.add("kind", "key", {"n": 1}) == {"n": 2}
    assert state.counters("kind") == {"key": {"n": 2}}
    state_adapter.close(other)


def test_twenty_threads_lose_no_addition(state: StateStore) -> None:
    barrier = Barrier(20)

    def add(_: int) -> None:
        barrier.wait()
        for _ in range(25):
            state.add("kind", "key", {"n": 1, "m": -2})

    with ThreadPoolExecutor(20) as threads:
        list(threads.map(add, range(20)))
    assert state.counters("kind") == {"key": {"m": -1000, "n": 500}}


def test_twenty_threads_have_one_winner_for_each_lease(state: StateStore, clock: Clock) -> None:
    barrier = Barrier(20)

    def claim(thread: int) -> list[bool]:
        barrier.wait()
        return [state.claim("kind", f"{key}", f"{thread}", expires_at=clock.time + 10) for key in range(20)]

    with ThreadPoolExecutor(20) as threads:
        wins = list(threads.map(claim, range(20)))
    assert [sum(column) for column in zip(*wins, strict=True)] == [1] * 20


def test_threads_deleting_an_expected_value_have_one_winner(state: StateStore) -> None:
    state.save("kind", "key", b"stale")
    with ThreadPoolExecutor(20) as threads:
        deleted = list(threads.map(lambda _: state.delete("kind", "key", expected=b"stale"), range(20)))
    assert sum(deleted) == 1


@pytest.fixture
def processes() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(8, mp_context=multiprocessing.get_context("spawn")) as executor:
        yield executor


def _add_and_claim(adapter: StateAdapter, process: int) -> list[bool]:
    store = adapter.open(Clock())
    wins: list[bool] = []
    for turn in range(50):
        store.add("kind", "key", {"n": 1, "m": -2})
        wins.append(store.claim("kind", f"{turn}", f"{process}", expires_at=2_000_000.0))
    adapter.close(store)
    return wins


def test_eight_processes_lose_no_addition_and_have_one_winner_for_each_lease(
    state: StateStore, state_adapter: StateAdapter, processes: ProcessPoolExecutor
) -> None:
    # No call before: the processes also race to create the store.
    wins = list(processes.map(_add_and_claim, [state_adapter] * 8, range(8)))
    assert state.counters("kind") == {"key": {"m": -800, "n": 400}}
    assert [sum(column) for column in zip(*wins, strict=True)] == [1] * 50


WRITER = """
import pickle, sys
from tests.contract.stores import Clock
store = pickle.loads(bytes.fromhex(sys.argv[1])).open(Clock())
while True:
    counters = store.add("kind", "key", {"a": 1, "b": 1})
    store.save("kind", "blob", b"x" * 100_000)
    print(counters["a"], flush=True)
"""


def test_a_killed_writer_leaves_a_good_store(state: StateStore, state_adapter: StateAdapter) -> None:
    for _ in range(4):
        argv = [sys.executable, "-c", WRITER, pickle.dumps(state_adapter).hex()]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as writer:
            assert writer.stdout is not None
            lines = [int(next(writer.stdout)) for _ in range(20)]
            writer.send_signal(signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
        acknowledged = lines[-1]
        counters = state.counters("kind")["key"]
        assert counters["a"] == counters["b"]
        assert counters["a"] >= acknowledged
        assert state.load("kind", "blob") == b"x" * 100_000
        assert state.add("kind", "key", {"a": 1})["a"] == counters["a"] + 1
        state.add("kind", "key", {"a": -1})
