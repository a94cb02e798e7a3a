"""What a key and all keys together may use, over every state store."""

import itertools
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest

from core.access.allowance import Allowances
from core.access.caller import Caller, Limits
from core.access.slots import LEASE, Slots
from core.canonical import Usage
from core.errors import GatewayError
from core.exchange import Exchange
from core.ports import StateStore, StoreError
from tests.contract.stores import Clock, StateAdapter

NUMBERS = itertools.count()
MIDNIGHT = 1_036_800.0  # a moment at which a day begins, and with it an hour and a minute
NOBODY = Limits()


@pytest.fixture(autouse=True)
def begin(clock: Clock) -> None:
    clock.time = MIDNIGHT


def asking(limits: Limits = NOBODY, name: str = "agent") -> Exchange:
    return Exchange(id=f"req_{next(NUMBERS)}", began_at=0.0, caller=Caller(name, limits), surface="chat")


def gate(state: StateStore, clock: Clock, overall: Limits = NOBODY) -> Allowances:
    return Allowances(state, overall, now=clock)


def refusal(allowances: Allowances, asked: Exchange) -> GatewayError | None:
    """Let a request be whole; return why it was refused, if it was."""
    try:
        leave = allowances.enter(asked)
    except GatewayError as error:
        return error
    if leave is not None:
        leave(asked)
    return None


def passed(allowances: Allowances, limits: Limits, times: int) -> int:
    return sum(refusal(allowances, asking(limits)) is None for _ in range(times))


def test_so_many_requests_pass_in_a_minute_and_the_next_is_told_when(state: StateStore, clock: Clock) -> None:
    allowances, limits = gate(state, clock), Limits(per_minute=3)
    clock.time += 59.2
    assert 3 == passed(allowances, limits, 10)
    error = refusal(allowances, asking(limits))
    assert error is not None
    assert (429, "rate_limit", "key_requests_per_minute", 1) == (
        error.status, error.kind, error.code, error.retry_after,
    )  # fmt: skip
    assert error.message.startswith("The key agent may use 3 requests a minute, and they are used up.")
    clock.time += 0.8
    assert 3 == passed(allowances, limits, 10)


def test_requests_refused_in_a_minute_do_not_use_up_the_day(state: StateStore, clock: Clock) -> None:
    limits = Limits(per_minute=2, per_day=5)
    for expected in (2, 2, 1, 0):
        # Each time another process, which has not seen that the minute is full.
        assert expected == sum(passed(gate(state, clock), limits, 1) for _ in range(8))
        clock.time += 60


def test_a_day_is_counted_over_its_hours_and_ends_at_midnight(state: StateStore, clock: Clock) -> None:
    allowances, limits = gate(state, clock), Limits(per_day=30)
    for _ in range(23):
        assert 1 == passed(allowances, limits, 1)
        clock.time += 3600
    assert 7 == passed(allowances, limits, 10)
    error = refusal(allowances, asking(limits))
    assert error is not None
    assert ("key_requests_per_day", 3600) == (error.code, error.retry_after)
    clock.time += 3600
    assert 10 == passed(allowances, limits, 10)


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (Limits(tokens_per_day=1000), "key_tokens_per_day"),
        (Limits(credits_per_day=0.5), "key_credits_per_day"),
    ],
)
def test_a_budget_is_counted_after_the_answer_and_refuses_when_it_is_reached(
    state: StateStore, clock: Clock, limits: Limits, code: str
) -> None:
    allowances = gate(state, clock)
    for _ in range(2):
        asked = asking(limits)
        leave = allowances.enter(asked)
        assert leave is not None
        asked.usage, asked.credits = Usage(input_tokens=400, output_tokens=100), 0.25
        leave(asked)
        clock.time += 3000
    for same in (allowances, gate(state, clock)):
        error = refusal(same, asking(limits))
        assert error is not None
        assert (code, 24 * 3600 - 6000) == (error.code, error.retry_after)
    clock.time = MIDNIGHT + 24 * 3600
    assert refusal(allowances, asking(limits)) is None


@pytest.mark.parametrize("told", [(-1e300, 0.5), (math.inf,)])
def test_credits_that_cannot_be_are_bounded(state: StateStore, clock: Clock, told: tuple[float, ...]) -> None:
    """Upstream's prices may be anything."""
    allowances, limits = gate(state, clock), Limits(credits_per_day=0.5)
    for spent in told:
        asked = asking(limits)
        leave = allowances.enter(asked)
        assert leave is not None
        asked.credits = spent
        leave(asked)
    error = refusal(allowances, asking(limits))
    assert error is not None
    assert "key_credits_per_day" == error.code


def test_keys_are_counted_apart(state: StateStore, clock: Clock) -> None:
    allowances, limits = gate(state, clock), Limits(per_minute=1)
    assert [None, None] == [refusal(allowances, asking(limits, name)) for name in ("one", "two")]
    assert refusal(allowances, asking(limits, "one")) is not None


def test_all_keys_together_have_a_ceiling_that_names_its_setting(state: StateStore, clock: Clock) -> None:
    allowances = gate(state, clock, Limits(per_minute=2, per_day=3))
    callers = [asking(name=name) for name in ("", "static", "laptop")]
    told = [refusal(allowances, asked) for asked in callers]
    assert [None, None] == told[:2]
    assert told[2] is not None
    assert "gateway_requests_per_minute" == told[2].code
    assert "The setting requests_per_minute lets this gateway use 2 requests a minute" in told[2].message
    clock.time += 60
    assert refusal(allowances, asking()) is None
    last = refusal(allowances, asking())
    assert last is not None
    assert "gateway_requests_per_day" == last.code


def test_credits_of_all_keys_together(state: StateStore, clock: Clock) -> None:
    allowances = gate(state, clock, Limits(credits_per_day=1.0))
    asked = asking()
    leave = allowances.enter(asked)
    assert leave is not None
    asked.credits = 1.0
    leave(asked)
    error = refusal(allowances, asking(name="other"))
    assert error is not None
    assert "gateway_credits_per_day" == error.code


def test_a_clock_that_is_set_back_counts_in_the_minute_that_it_shows(state: StateStore, clock: Clock) -> None:
    allowances, limits = gate(state, clock), Limits(per_minute=2)
    clock.time += 7200
    assert 2 == passed(allowances, limits, 5)
    clock.time -= 3600
    assert 2 == passed(allowances, limits, 5)
    clock.time += 3600
    assert 0 == passed(allowances, limits, 5)


# Requests under way


def test_so_many_requests_are_under_way_at_once(state: StateStore, clock: Clock) -> None:
    allowances, limits = gate(state, clock), Limits(at_once=2)
    first, second, third = (asking(limits) for _ in range(3))
    leave = allowances.enter(first)
    assert leave is not None
    gate(state, clock).enter(second)
    error = refusal(gate(state, clock), third)
    assert error is not None
    assert (429, "key_at_once") == (error.status, error.code)
    leave(first)
    assert refusal(gate(state, clock), third) is None


def test_a_refused_request_gives_its_slot_back(state: StateStore, clock: Clock) -> None:
    allowances, limits = gate(state, clock), Limits(at_once=1, per_minute=1)
    assert 1 == passed(allowances, limits, 5)
    clock.time += 60
    assert 1 == passed(gate(state, clock), limits, 5)


def test_the_slot_of_a_process_that_died_is_free_after_its_lease(state: StateStore, clock: Clock) -> None:
    limits = Limits(at_once=1)
    gate(state, clock).enter(asking(limits))
    clock.time += LEASE - 1
    assert refusal(gate(state, clock), asking(limits)) is not None
    clock.time += 2
    assert refusal(gate(state, clock), asking(limits)) is None


def test_a_long_request_keeps_its_slot_while_its_process_lives(state: StateStore, clock: Clock) -> None:
    allowances, limits = gate(state, clock), Limits(at_once=2)
    long = asking(limits)
    leave = allowances.enter(long)
    for _ in range(4):
        clock.time += LEASE - 1
        assert refusal(allowances, asking(limits)) is None
    elsewhere = gate(state, clock)
    elsewhere.enter(asking(limits))
    assert refusal(gate(state, clock), asking(limits)) is not None
    assert leave is not None
    leave(long)
    assert refusal(gate(state, clock), asking(limits)) is None


class Crossing:
    """A state store at which something else happens just before the next lease is claimed."""

    def __init__(self, state: StateStore) -> None:
        self._state = state
        self.before: Callable[[], None] | None = None

    def claim(self, kind: str, key: str, owner: str, *, expires_at: float) -> bool:
        before, self.before = self.before, None
        if before is not None:
            before()
        return self._state.claim(kind, key, owner, expires_at=expires_at)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._state, name)


def test_a_slot_that_is_given_back_while_it_is_renewed_is_free(state: StateStore, clock: Clock) -> None:
    store = Crossing(state)
    slots = Slots(cast("StateStore", store), now=clock)
    assert slots.take("agent", 1, "long")
    clock.time += LEASE - 1
    store.before = lambda: slots.give_back("agent", "long")
    slots.take("agent", 0, "next")
    assert Slots(state, now=clock).take("agent", 1, "from elsewhere")


# Crowds of threads


def test_forty_threads_get_what_there_is_and_not_one_more(
    state: StateStore, state_adapter: StateAdapter, clock: Clock
) -> None:
    stores = [state_adapter.open(clock) for _ in range(4)]
    gates = [gate(store, clock, Limits(per_day=30)) for store in stores]
    limits = Limits(per_minute=25)

    def ask(number: int) -> bool:
        return refusal(gates[number % 4], asking(limits)) is None

    with ThreadPoolExecutor(40) as threads:
        assert 25 == sum(threads.map(ask, range(80)))
    assert 5 == sum(refusal(gates[0], asking(name="other")) is None for _ in range(9))
    for store in stores:
        state_adapter.close(store)


# What the store costs, and what happens without it


class Watched:
    """Counts the calls of another store, and fails when it is told to."""

    def __init__(self, store: StateStore) -> None:
        self._store, self.calls, self.is_away = store, list[str](), False

    def __getattr__(self, name: str) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            self.calls.append(name)
            if self.is_away:
                raise StoreError("away")
            return getattr(self._store, name)(*arguments, **named)

        return call


@pytest.fixture
def watched(state: StateStore) -> Watched:
    return Watched(state)


def test_what_is_not_limited_asks_no_store(watched: Watched, clock: Clock) -> None:
    allowances = gate(watched, clock)
    for _ in range(9):
        assert refusal(allowances, asking(Limits(surfaces=("chat",)))) is None
    assert [] == watched.calls


def test_a_ceiling_costs_one_call_a_request_and_one_more_an_hour(watched: Watched, clock: Clock) -> None:
    allowances = gate(watched, clock, Limits(per_minute=300, per_day=10_000))
    assert 9 == passed(allowances, NOBODY, 9)
    assert {"add": 9, "counters": 1} == {name: watched.calls.count(name) for name in set(watched.calls)}


def test_what_is_known_to_be_used_up_is_refused_without_the_store(watched: Watched, clock: Clock) -> None:
    allowances = gate(watched, clock, Limits(per_minute=2))
    passed(allowances, NOBODY, 3)
    watched.calls.clear()
    assert 0 == passed(allowances, NOBODY, 9)
    assert [] == watched.calls


def test_without_a_store_ceilings_stand_aside_and_keys_with_limits_wait(
    watched: Watched, clock: Clock
) -> None:
    allowances = gate(watched, clock, Limits(per_minute=1, per_day=1))
    watched.is_away = True
    assert 5 == passed(allowances, NOBODY, 5)
    for limits in (Limits(per_minute=5), Limits(at_once=5), Limits(tokens_per_day=5)):
        with pytest.raises(StoreError):
            allowances.enter(asking(limits))
    watched.is_away = False
    assert refusal(allowances, asking(Limits(at_once=1))) is None
    assert refusal(allowances, asking(Limits(at_once=1))) is not None  # the ceiling, which is back
