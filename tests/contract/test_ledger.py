"""The ledger over every store: what is counted is read, once, by whichever process."""

import threading
from pathlib import Path

import pytest

from core.access.caller import Caller
from core.exchange import Exchange
from core.ledger.ledger import Ledger
from core.ports import StateStore, StoreError
from infra.local.state import SqliteStateStore
from tests.contract.stores import Clock, StateAdapter
from tests.unit.ledger.requests import done, failed

NEW_YEAR = 1_767_225_600.0  # 2026-01-01T00:00Z
DAY = 86_400.0


@pytest.fixture
def clock() -> Clock:
    return Clock(NEW_YEAR - 30)


def ledger_of(state: StateStore, clock: Clock, every: float = 0.0) -> Ledger:
    return Ledger(state, clock, clock, every=every)


def told(rows: list) -> list[tuple[str, str, str, int]]:  # type: ignore[type-arg]
    return [(row.slot, row.key, row.model, row.figures.requests) for row in rows]


def test_requests_are_told_apart_by_day_key_and_model(state: StateStore, clock: Clock) -> None:
    ledger = ledger_of(state, clock)
    ledger.note(done())
    ledger.note(done())
    ledger.note(done(key="", model="claude/odd"))
    clock.time += 60
    ledger.note(done())
    ledger.note(failed(model=""))
    expected = [
        ("2025-12-31", "", "claude/odd", 1),
        ("2025-12-31", "laptop", "gpt-4.1", 2),
        ("2026-01-01", "laptop", "", 1),
        ("2026-01-01", "laptop", "gpt-4.1", 1),
    ]
    assert expected == told(ledger.days(NEW_YEAR - DAY))
    assert expected[2:] == told(ledger.days(NEW_YEAR))
    assert expected[:2] == told(ledger.days(NEW_YEAR - DAY, NEW_YEAR - 1))
    assert [("2025-12-31T23", "", "claude/odd", 1), ("2025-12-31T23", "laptop", "gpt-4.1", 2)] == told(
        ledger.hours(NEW_YEAR - 10, NEW_YEAR - 1)
    )
    assert 4 == len(ledger.hours(NEW_YEAR - 10))


def test_another_process_reads_the_same_figures(state: StateStore, clock: Clock) -> None:
    one, other = ledger_of(state, clock), ledger_of(state, clock)
    for ledger in (one, other, one):
        ledger.note(done(streams=True, repairs=("x",)))
        ledger.note(failed())
        ledger.tend()
    rows = one.days(NEW_YEAR - DAY)
    assert rows == other.days(NEW_YEAR - DAY)
    (row,) = rows
    assert (6, 3, 3, {"rate_limit": 3}, 300, 0.75) == (
        row.figures.requests, row.figures.streams, row.figures.repaired, row.figures.errors,
        row.figures.input_tokens, row.figures.credits,
    )  # fmt: skip
    assert (3, pytest.approx(0.3)) == (row.figures.first_token.count, row.figures.first_token.mean)


def test_request_that_asks_for_no_model_is_not_counted(state: StateStore, clock: Clock) -> None:
    ledger = ledger_of(state, clock)
    ledger.note(
        Exchange(id="req_1", began_at=clock.time, route="GET /usage", caller=Caller("laptop"), status=200)
    )
    assert ([], [], []) == (ledger.days(0), ledger.hours(clock.time), ledger.totals())


def test_hours_end_after_days_do_not(state: StateStore, clock: Clock) -> None:
    ledger = ledger_of(state, clock)
    ledger.note(done())
    ledger.flush()
    clock.time += 9 * DAY
    assert ([], 1) == (ledger.hours(NEW_YEAR - DAY), len(ledger.days(NEW_YEAR - DAY)))
    clock.time += 400 * DAY
    assert [] == ledger.days(NEW_YEAR - DAY)


def test_writes_are_gathered(state: StateStore, clock: Clock) -> None:
    ledger, reader = ledger_of(state, clock, every=1.0), ledger_of(state, clock)
    for _ in range(50):
        ledger.note(done())
        ledger.tend()
    assert [] == reader.days(NEW_YEAR - DAY)
    clock.time += 1
    ledger.tend()
    assert [("2025-12-31", "laptop", "gpt-4.1", 50)] == told(reader.days(NEW_YEAR - DAY))


def test_clock_that_jumps_back_writes_to_the_day_it_says(state: StateStore, clock: Clock) -> None:
    ledger = Ledger(state, clock, lambda: 5.0, every=0.0)
    for jump in (0, -3 * DAY, 6 * DAY):
        clock.time += jump
        ledger.note(done())
        ledger.tend()
    assert ["2025-12-28", "2025-12-31", "2026-01-03"] == [
        row.slot for row in ledger.days(NEW_YEAR - 30 * DAY)
    ]


def test_reading_a_year_of_nothing_is_nothing(state: StateStore, clock: Clock) -> None:
    assert [] == ledger_of(state, clock).days(clock.time - 400 * DAY)


def test_totals_are_this_process_since_its_start(state: StateStore, clock: Clock) -> None:
    one, other = ledger_of(state, clock), ledger_of(state, clock)
    one.note(done())
    one.flush()
    one.note(done(surface="messages"))
    one.note(failed())
    assert [] == other.totals()
    assert [
        ("chat", "laptop", "gpt-4.1", {2: 1, 4: 1}),
        ("messages", "laptop", "gpt-4.1", {2: 1}),
    ] == [(total.surface, total.key, total.model, total.figures.statuses) for total in one.totals()]


def test_recent_errors_are_the_last_of_all_processes(state: StateStore, clock: Clock) -> None:
    one, other = ledger_of(state, clock), ledger_of(state, clock)
    for number in range(60):
        clock.time += 5
        (one, other)[number % 2].note(failed(id=f"req_{number}", upstream_id="AB:1", message="Slow down."))
        (one, other)[number % 2].tend()
    errors = one.recent_errors()
    assert [f"req_{number}" for number in range(59, 9, -1)] == [error.id for error in errors]
    assert errors == other.recent_errors()
    latest = errors[0]
    assert (clock.time, "laptop", "chat", "gpt-4.1", "rate_limit", 429, "Slow down.", "AB:1") == (
        latest.at, latest.key, latest.surface, latest.model, latest.kind, latest.status, latest.message,
        latest.upstream_id,
    )  # fmt: skip


def test_error_storm_is_no_storm_of_writes(state: StateStore, clock: Clock) -> None:
    ledger = ledger_of(state, clock)
    for number in range(500):
        ledger.note(failed(id=f"req_{number}"))
        ledger.tend()
    assert 20 == len(ledger.recent_errors())
    assert {"rate_limit": 500} == ledger.days(NEW_YEAR - DAY)[0].figures.errors
    clock.time += 9
    ledger.note(failed(id="late"))
    assert "late" == ledger.recent_errors()[0].id


def test_message_is_short_and_without_secrets(state: StateStore, clock: Clock) -> None:
    ledger = ledger_of(state, clock)
    poem = "the words of somebody's own prompt, which are nobody else's"
    secret = "gho_" + "a" * 36
    ledger.note(failed(message=f"Token {secret} is bad near '{poem}' " + "and so on " * 100))
    (error,) = ledger.recent_errors()
    assert (True, False, False) == (len(error.message) <= 300, secret in error.message, poem in error.message)
    assert error.message.startswith("Token *** is bad near '...' and so on")


def test_clients_that_leave_are_counted_but_no_errors_of_ours(state: StateStore, clock: Clock) -> None:
    ledger = ledger_of(state, clock)
    ledger.note(done(error="client_left"))
    assert [] == ledger.recent_errors()
    assert {"client_left": 1} == ledger.days(NEW_YEAR - DAY)[0].figures.errors


def test_no_request_is_lost_among_threads(state_adapter: StateAdapter, clock: Clock) -> None:
    state = state_adapter.open(clock)
    ledgers = [ledger_of(state, clock) for _ in range(2)]

    def work(ledger: Ledger) -> None:
        for _ in range(25):
            ledger.note(done())
            ledger.tend()

    threads = [threading.Thread(target=work, args=(ledger,)) for ledger in ledgers * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for ledger in ledgers:
        ledger.flush()
    assert [("2025-12-31", "laptop", "gpt-4.1", 200)] == told(ledgers[0].days(NEW_YEAR - DAY))
    state_adapter.close(state)


class Failing(SqliteStateStore):
    """A store whose writes fail as long as it is told."""

    fails = False
    tries = 0

    def add(self, *arguments: object, **named: object) -> dict[str, int]:
        self.tries += 1
        if self.fails:
            raise StoreError("The disk is full. Free some space.")
        return super().add(*arguments, **named)  # type: ignore[arg-type]


@pytest.fixture
def failing(tmp_path: Path, clock: Clock) -> Failing:
    return Failing(tmp_path / "failing.sqlite3", clock)


def test_figures_wait_for_a_store_that_fails(
    failing: Failing, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = ledger_of(failing, clock)
    ledger.note(done())
    ledger.flush()
    failing.fails = True
    for _ in range(10):
        ledger.note(done())
        ledger.note(failed())
        ledger.tend()
    assert 1 == sum("ledger.not_written" in line for line in caplog.messages)
    assert 21 == ledger.days(NEW_YEAR - DAY)[0].figures.requests, "what waits is told, too"
    failing.fails = False
    ledger.tend()
    for reader in (ledger, ledger_of(failing, clock)):
        assert [("2025-12-31", "laptop", "gpt-4.1", 21)] == told(reader.days(NEW_YEAR - DAY))
        assert [("2025-12-31T23", "laptop", "gpt-4.1", 21)] == told(reader.hours(NEW_YEAR - DAY))
    assert 10 == len(ledger.recent_errors())


def test_one_try_a_write_while_the_store_fails(failing: Failing, clock: Clock) -> None:
    ledger = ledger_of(failing, clock)
    failing.fails = True
    for number in range(8):
        ledger.note(done(model=f"model-{number}"))
    ledger.tend()
    assert 1 == failing.tries


def test_what_waits_is_bounded(failing: Failing, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.ledger.ledger.MOST_WAITING", 10)
    ledger = ledger_of(failing, clock)
    failing.fails = True
    for number in range(100):
        ledger.note(done(model=f"model-{number}"))
        ledger.tend()
    assert 10 == len(ledger._waiting)
