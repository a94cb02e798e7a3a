"""One request every so many seconds."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.access.limits import KEY, KIND, RateLimit
from core.errors import GatewayError
from core.exchange import Exchange
from core.ports import StoreError
from infra.local.state import SqliteStateStore


class Clock:
    def __init__(self) -> None:
        self.time = 1_000_000.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[SqliteStateStore]:
    store = SqliteStateStore(tmp_path / "state.db", clock.now)
    yield store
    store.close()


ASKED = Exchange(id="req_1", began_at=0.0, surface="messages", requested="claude-opus-5")
OWNERS = itertools.count()


def limit(store: SqliteStateStore, clock: Clock, *, seconds: float = 10, wait: bool = False) -> RateLimit:
    return RateLimit(
        store,
        seconds,
        wait=wait,
        now=clock.now,
        sleep=clock.sleep,
        new_owner=lambda: f"request{next(OWNERS)}",
    )


def refusal(gate: RateLimit) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        gate.enter(ASKED)
    return caught.value


def test_second_request_within_the_interval_is_told_when_to_return(
    store: SqliteStateStore, clock: Clock
) -> None:
    gate = limit(store, clock)
    gate.enter(ASKED)
    clock.time += 3.5
    error = refusal(gate)
    assert (error.kind, error.status, error.retry_after) == ("rate_limit", 429, 7)


def test_a_record_that_something_else_wrote_says_nothing(store: SqliteStateStore, clock: Clock) -> None:
    gate = limit(store, clock)
    gate.enter(ASKED)
    store.save(KIND, KEY, b"no turn")
    assert refusal(gate).retry_after == 1


def test_request_after_the_interval_passes(store: SqliteStateStore, clock: Clock) -> None:
    gate = limit(store, clock)
    gate.enter(ASKED)
    clock.time += 10
    gate.enter(ASKED)
    assert clock.slept == []


def test_waiting_requests_pass_one_interval_apart(store: SqliteStateStore, clock: Clock) -> None:
    gate = limit(store, clock, wait=True)
    times: list[float] = []
    for _ in range(3):
        gate.enter(ASKED)
        times.append(clock.time - 1_000_000)
    assert times == [0, 10, 20]


def test_processes_that_share_a_store_share_the_limit(store: SqliteStateStore, clock: Clock) -> None:
    limit(store, clock).enter(ASKED)
    assert refusal(limit(store, clock)).retry_after == 10


def test_process_with_a_shorter_interval_waits_for_the_longer_turn(
    store: SqliteStateStore, clock: Clock
) -> None:
    limit(store, clock, seconds=60).enter(ASKED)
    assert refusal(limit(store, clock, seconds=1)).retry_after == 60


def test_refused_request_does_not_prolong_the_interval(store: SqliteStateStore, clock: Clock) -> None:
    gate = limit(store, clock)
    gate.enter(ASKED)
    clock.time += 9
    refusal(gate)
    clock.time += 1
    gate.enter(ASKED)


def test_clock_that_was_set_back_does_not_lock_everybody_out(store: SqliteStateStore, clock: Clock) -> None:
    gate = limit(store, clock, wait=True)
    gate.enter(ASKED)
    clock.time -= 3600
    gate.enter(ASKED)
    assert sum(clock.slept) < 10


def test_turn_whose_end_is_not_yet_written_is_waited_for(store: SqliteStateStore, clock: Clock) -> None:
    store.claim("rate-limit", "all", "another process", expires_at=clock.time + 10)
    limit(store, clock, wait=True).enter(ASKED)
    assert clock.time >= 1_000_010


class Away:
    """A store that cannot be reached."""

    def __getattr__(self, name: str) -> object:
        raise StoreError("away")


def test_without_a_store_each_process_keeps_the_interval_by_itself(clock: Clock) -> None:
    gate = limit(Away(), clock)  # type: ignore[arg-type]  # it has no methods at all
    gate.enter(ASKED)
    clock.time += 4
    assert refusal(gate).retry_after == 6
    clock.time += 6
    gate.enter(ASKED)
    clock.time -= 3600
    gate.enter(ASKED)


def test_a_client_that_left_waits_no_more_for_its_turn(store: SqliteStateStore, clock: Clock) -> None:
    gate = limit(store, clock, seconds=60, wait=True)
    gate.enter(ASKED)

    def wanted() -> None:
        if clock.time > 1_000_005:
            raise KeyError("left")

    asked = Exchange(id="req_2", began_at=0.0, surface="messages", wanted=wanted)
    with pytest.raises(KeyError):
        gate.enter(asked)
    assert sum(clock.slept) < 10
