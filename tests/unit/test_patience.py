"""How long clients may take, by a clock of the test's own."""

import pytest

from infra.local.patience import QUANTUM, Patience, Phase, Watch

LIMITS = Patience(head=20, body=60, send=120, keep_alive=90)
LIMIT_OF: dict[Phase, float] = {"head": 20, "body": 60, "sending": 120, "idle": 90, "lingering": 10}
KB = 1024


def looks(*seen: tuple[Phase, int, int, float]) -> list[bool]:
    """Return what each look at (phase, served, moved, now) says."""
    watch = Watch(0)
    return [watch.is_overdue(*each, LIMITS) for each in seen]


@pytest.mark.parametrize("phase", LIMIT_OF)
def test_every_phase_has_its_limit(phase: Phase) -> None:
    limit = LIMIT_OF[phase]
    assert [False, False, True] == looks(
        (phase, 0, 0, 0.0 if phase == "idle" else 1.0),
        (phase, 0, 0, limit - 0.1),
        (phase, 0, 0, limit + 1.0),
    )


def test_a_request_that_is_served_may_take_as_long_as_it_takes() -> None:
    assert [False, False] == looks(("serving", 0, 0, 1), ("serving", 0, 0, 1_000_000))


def test_bytes_do_not_prolong_a_head() -> None:
    """Slow loris sends one now and then."""
    assert [False, False, True] == looks(("head", 0, 10, 1), ("head", 0, 20, 20), ("head", 0, 30, 21))


@pytest.mark.parametrize("phase", QUANTUM)
def test_bodies_and_answers_may_take_long_as_long_as_they_get_on(phase: Phase) -> None:
    """Thirty megabytes over a slow line: 64 KB or 4 KB within each limit."""
    quantum, limit = QUANTUM[phase], LIMIT_OF[phase]
    steps = [(phase, 0, number * quantum, number * (limit - 1)) for number in range(480)]
    assert not any(looks(*steps))


@pytest.mark.parametrize("phase", QUANTUM)
def test_a_trickle_is_not_getting_on(phase: Phase) -> None:
    quantum, limit = QUANTUM[phase], LIMIT_OF[phase]
    assert [False, False, True] == looks(
        (phase, 0, 5 * quantum, 1), (phase, 0, 6 * quantum - 1, limit), (phase, 0, 6 * quantum - 1, limit + 1)
    )


@pytest.mark.parametrize("phase", LIMIT_OF)
def test_the_next_request_has_time_of_its_own(phase: Phase) -> None:
    limit = LIMIT_OF[phase]
    assert [False, False, False] == looks(
        (phase, 0, 0, 0.5), (phase, 1, 0, limit), (phase, 1, 0, 2 * limit - 1)
    )
    assert [False, False, False] == looks(
        (phase, 0, 0, 0.5), ("serving", 0, 0, limit), (phase, 0, 0, limit + 1)
    )
