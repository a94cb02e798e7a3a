"""When upstream is not asked any more, for how long, and what closes a circuit again."""

import itertools
from collections.abc import Callable

import pytest

from core.access.breaker import Breaker
from core.access.circuit import FIRST, LONGEST, TRIAL
from core.errors import GatewayError
from core.exchange import CLIENT_LEFT, Exchange
from core.ports import StoreError
from tests.unit.copilot.doubles import Clock, MemoryState

MODEL = "claude-opus-5"
NUMBERS = itertools.count()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(clock: Clock) -> MemoryState:
    return MemoryState(clock)


@pytest.fixture
def breaker(state: MemoryState, clock: Clock) -> Breaker:
    return Breaker(state, 5, now=clock)


def asking(clock: Clock, model: str = MODEL) -> Exchange:
    return Exchange(id=f"req_{next(NUMBERS)}", began_at=clock(), surface="chat", requested=model, model=model)


def end(breaker: Breaker, asked: Exchange, error: str = "", **known: object) -> None:
    """Let a request that has entered be over."""
    asked.admitted, asked.error = True, error
    for name, value in known.items():
        setattr(asked, name, value)
    breaker._leave(asked)


def ask(breaker: Breaker, clock: Clock, error: str = "", *, model: str = MODEL, **known: object) -> None:
    """Make a whole request. Raises GatewayError when the gate refuses it."""
    asked = asking(clock, model)
    leave = breaker.enter(asked)
    assert leave == breaker._leave
    end(breaker, asked, error, **known)


def refused(breaker: Breaker, clock: Clock, times: int = 5, **known: object) -> None:
    for _ in range(times):
        ask(breaker, clock, "rate_limit", message="slow down", **known)


def answer_of(breaker: Breaker, clock: Clock, model: str = MODEL) -> GatewayError | None:
    try:
        ask(breaker, clock, model=model)
    except GatewayError as error:
        return error
    return None


def test_five_refusals_in_a_row_end_the_asking_for_as_long_as_upstream_said(
    breaker: Breaker, clock: Clock
) -> None:
    refused(breaker, clock, retry_after=40, code="user_model_rate_limited:pro")
    clock.wait(7.5)
    error = answer_of(breaker, clock)
    assert error is not None
    assert (429, "rate_limit", "user_model_rate_limited:pro", 33) == (
        error.status, error.kind, error.code, error.retry_after,
    )  # fmt: skip
    assert error.message.startswith("slow down (The gateway does not ask claude-opus-5 again for 33 s")
    assert {MODEL: 32.5} == breaker.open_models()
    assert answer_of(breaker, clock, "gpt-4.1") is None


def test_four_refusals_and_an_answer_are_no_row(breaker: Breaker, clock: Clock) -> None:
    for _ in range(3):
        refused(breaker, clock, 4)
        clock.wait(1)
        ask(breaker, clock)
        clock.wait(1)
    assert {} == breaker.open_models()


@pytest.mark.parametrize("error", ["invalid_request", "context_overflow", "content_filter"])
def test_a_complaint_about_the_content_shows_that_upstream_serves(
    breaker: Breaker, clock: Clock, error: str
) -> None:
    refused(breaker, clock, 4)
    ask(breaker, clock, error)
    refused(breaker, clock, 4)
    assert {} == breaker.open_models()


@pytest.mark.parametrize(
    "error", ["timeout", "upstream", "internal", "login_required", "permission", CLIENT_LEFT]
)
def test_what_shows_nothing_neither_counts_nor_interrupts(breaker: Breaker, clock: Clock, error: str) -> None:
    refused(breaker, clock, 4)
    ask(breaker, clock, error)
    assert {} == breaker.open_models()
    refused(breaker, clock, 1)
    assert [MODEL] == list(breaker.open_models())


def test_an_answer_that_broke_off_shows_that_upstream_serves(breaker: Breaker, clock: Clock) -> None:
    refused(breaker, clock, 4)
    ask(breaker, clock, "upstream", first_token=0.8)
    refused(breaker, clock, 4)
    assert {} == breaker.open_models()


def test_an_answer_that_was_under_way_before_the_refusals_proves_nothing(
    breaker: Breaker, clock: Clock
) -> None:
    early = asking(clock)
    breaker.enter(early)
    clock.wait(1)
    refused(breaker, clock)
    end(breaker, early)
    assert [MODEL] == list(breaker.open_models())
    assert answer_of(breaker, clock) is not None


def test_refusals_of_requests_that_were_not_let_in_are_our_own(breaker: Breaker, clock: Clock) -> None:
    for _ in range(9):
        asked = asking(clock)
        breaker.enter(asked)
        end(breaker, asked, "rate_limit", admitted=False)
    for _ in range(9):
        ask(breaker, clock, "overloaded", code="store_unavailable")
    assert {} == breaker.open_models()


def test_one_request_tries_when_the_time_is_over_and_its_answer_closes(
    breaker: Breaker, clock: Clock
) -> None:
    refused(breaker, clock, retry_after=20)
    clock.wait(20)
    trial = asking(clock)
    breaker.enter(trial)
    assert answer_of(breaker, clock) is not None
    end(breaker, trial)
    assert answer_of(breaker, clock) is None
    refused(breaker, clock, 4)
    assert {} == breaker.open_models()


def test_a_streamed_trial_closes_with_its_first_token(breaker: Breaker, clock: Clock) -> None:
    refused(breaker, clock, retry_after=20)
    clock.wait(20)
    trial = asking(clock)
    breaker.enter(trial)
    trial.first_token = 0.8
    assert answer_of(breaker, clock) is None


def test_a_refused_trial_opens_again_for_longer(breaker: Breaker, clock: Clock) -> None:
    refused(breaker, clock)
    pauses = []
    for _ in range(7):
        (left,) = breaker.open_models().values()
        pauses.append(left)
        clock.wait(left)
        refused(breaker, clock, 1)
    assert [FIRST, 20, 40, 80, 160, LONGEST, LONGEST] == pauses


@pytest.mark.parametrize("error", ["invalid_request", CLIENT_LEFT])
def test_a_trial_that_shows_no_refusal_does_not_keep_the_next_one_out(
    breaker: Breaker, clock: Clock, error: str
) -> None:
    refused(breaker, clock)
    clock.wait(FIRST)
    ask(breaker, clock, error)
    assert answer_of(breaker, clock) is None


def test_a_trial_that_never_ends_stands_in_nobodys_way_for_long(breaker: Breaker, clock: Clock) -> None:
    refused(breaker, clock)
    clock.wait(FIRST)
    breaker.enter(asking(clock))
    clock.wait(TRIAL - 1)
    assert answer_of(breaker, clock) is not None
    clock.wait(1)
    assert answer_of(breaker, clock) is None


def test_days_of_refusal_are_told_but_tried_after_five_minutes(breaker: Breaker, clock: Clock) -> None:
    refused(breaker, clock, retry_after=184_000)
    error = answer_of(breaker, clock)
    assert error is not None
    assert 184_000 == error.retry_after
    assert {MODEL: LONGEST} == breaker.open_models()


@pytest.mark.parametrize(
    ("error", "code", "message", "status"),
    [
        ("rate_limit", "user_global_rate_limited:pro", "", 429),
        ("rate_limit", "user_weekly_rate_limited", "", 429),
        ("quota_exceeded", "quota_exceeded", "You have no quota", 402),
        ("permission", "extension_blocked", "", 403),
        ("permission", "", "Please review our Terms of Service", 403),
    ],
)
def test_refusals_of_the_account_end_the_asking_for_every_model(  # noqa: PLR0917
    breaker: Breaker, clock: Clock, error: str, code: str, message: str, status: int
) -> None:
    for number in range(10):
        assert {} == breaker.open_models()
        ask(breaker, clock, error, model=f"model-{number}", code=code, message=message)
    told = answer_of(breaker, clock, "model-of-nobody")
    assert told is not None
    assert (error, status, ["*"]) == (told.kind, told.status, list(breaker.open_models()))


def test_a_session_s_quota_is_not_the_account_s(breaker: Breaker, clock: Clock) -> None:
    for number in range(10):
        ask(breaker, clock, "quota_exceeded", model=f"model-{number}", code="session_quota_exceeded:pro")
    assert {} == breaker.open_models()


def test_an_answer_of_any_model_shows_that_the_account_is_served(breaker: Breaker, clock: Clock) -> None:
    for _ in range(3):
        for _ in range(9):
            ask(breaker, clock, "quota_exceeded", model="claude-opus-5")
        ask(breaker, clock, model="gpt-4.1")
    assert {} == breaker.open_models()


def test_a_process_learns_of_an_opening_from_the_first_refusal_that_it_meets(
    breaker: Breaker, state: MemoryState, clock: Clock
) -> None:
    elsewhere = Breaker(state, 5, now=clock)
    refused(breaker, clock, retry_after=30)
    assert {MODEL: 30} == elsewhere.open_models()
    refused(elsewhere, clock, 1)
    assert answer_of(elsewhere, clock) is not None


def test_a_clock_that_was_set_back_lengthens_no_wait(
    breaker: Breaker, state: MemoryState, clock: Clock
) -> None:
    refused(breaker, clock, retry_after=20)
    clock.wait(-86_400)
    assert {} == breaker.open_models()
    other = Breaker(state, 5, now=clock)
    refused(other, clock, 1)
    assert answer_of(other, clock) is None
    assert [None, None] == [answer_of(breaker, clock) for _ in range(2)]
    for _ in range(2):  # side by side: it is closed
        breaker.enter(asking(clock))


def test_one_request_of_all_processes_tries(breaker: Breaker, state: MemoryState, clock: Clock) -> None:
    elsewhere = Breaker(state, 5, now=clock)
    refused(breaker, clock, retry_after=30)
    refused(elsewhere, clock, 1)
    clock.wait(30)
    trial = asking(clock)
    breaker.enter(trial)
    assert answer_of(elsewhere, clock) is not None
    end(breaker, trial, "rate_limit", retry_after=60)
    clock.wait(5)
    error = answer_of(elsewhere, clock)
    assert error is not None
    assert 55 == error.retry_after


def test_answers_cost_no_store(breaker: Breaker, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> bytes:
        raise AssertionError

    for name in ("load", "save", "claim", "release", "entries"):
        monkeypatch.setattr(MemoryState, name, fail)
    for _ in range(9):
        ask(breaker, clock)


class Away(MemoryState):
    """A store that cannot be reached."""

    def __getattribute__(self, name: str) -> Callable[..., object]:
        if name in {"load", "save", "claim", "release", "entries"}:
            raise StoreError("away")
        return super().__getattribute__(name)  # type: ignore[no-any-return]


def test_without_a_store_each_process_goes_by_what_it_sees(clock: Clock) -> None:
    breaker = Breaker(Away(clock), 5, now=clock)
    refused(breaker, clock)
    assert [MODEL] == list(breaker.open_models())
    clock.wait(FIRST)
    assert answer_of(breaker, clock) is None
