"""A person approves every request."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from core.access.approval import MOST, Approvals, Pending
from core.access.caller import Caller
from core.errors import GatewayError
from core.exchange import Exchange
from tests.unit.copilot.doubles import Clock

PATIENCE = 60


def asking(number: int = 1) -> Exchange:
    return Exchange(
        id=f"req_{number}",
        began_at=1_000_000.0 + number,
        caller=Caller("laptop"),
        surface="messages",
        requested="claude-opus-5",
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(MOST + 1) as pool:
        yield pool


def appeared(approvals: Approvals, count: int) -> list[Pending]:
    """Wait until so many requests wait."""
    with approvals._changed:
        while len(approvals._waiting) < count:
            approvals._changed.wait(0.01)
    return approvals.pending()


def outcome(future: Future[None]) -> GatewayError | None:
    error = future.exception(PATIENCE)
    assert error is None or isinstance(error, GatewayError)
    return error


def test_the_terminal_lets_pass_what_a_person_approves(clock: Clock) -> None:
    asked: list[str] = []
    approvals = Approvals(60, now=clock)
    approvals.attend(lambda what, _: not asked.append(what))
    approvals.enter(asking())
    assert ["messages claude-opus-5"] == asked


def test_what_a_person_refuses_is_forbidden(clock: Clock) -> None:
    approvals = Approvals(60, now=clock)
    approvals.attend(lambda *_: False)
    with pytest.raises(GatewayError) as caught:
        approvals.enter(asking())
    assert ("permission", 403, "not_approved") == (caught.value.kind, caught.value.status, caught.value.code)
    assert [] == approvals.pending()


def test_requests_wait_visibly_and_are_answered_in_any_order(
    clock: Clock, threads: ThreadPoolExecutor
) -> None:
    approvals = Approvals(60, now=clock)
    first = threads.submit(approvals.enter, asking(1))
    assert [
        Pending(id="req_1", began_at=1_000_001.0, key="laptop", surface="messages", model="claude-opus-5")
    ] == appeared(approvals, 1)
    second = threads.submit(approvals.enter, asking(2))
    assert ["req_1", "req_2"] == [waiting.id for waiting in appeared(approvals, 2)]
    assert approvals.answer("req_2", approved=True)
    assert not approvals.answer("req_2", approved=False)
    assert outcome(second) is None
    assert approvals.answer("req_1", approved=False)
    refused = outcome(first)
    assert refused is not None
    assert "permission" == refused.kind
    assert not approvals.answer("req_1", approved=True)


def test_nobody_who_answers_refuses_after_a_while(clock: Clock, threads: ThreadPoolExecutor) -> None:
    approvals = Approvals(60, now=clock)
    waiting = threads.submit(approvals.enter, asking())
    appeared(approvals, 1)
    clock.wait(61)
    refused = outcome(waiting)
    assert refused is not None
    assert ("permission", True) == (refused.kind, "within 60 seconds" in refused.message)
    assert [] == approvals.pending()


class LeftError(Exception):
    """As a server's word that the client has left."""


def test_a_client_that_left_waits_no_more(clock: Clock, threads: ThreadPoolExecutor) -> None:
    approvals, asked, gone = Approvals(60, now=clock), asking(), threading.Event()

    def wanted() -> None:
        if gone.is_set():
            raise LeftError

    asked.wanted = wanted
    waiting = threads.submit(approvals.enter, asked)
    appeared(approvals, 1)
    gone.set()
    assert isinstance(waiting.exception(PATIENCE), LeftError)
    assert [] == approvals.pending()


class Terminal:
    """A person who sees one question at a time, and answers when the test says so."""

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)
        self.typed = threading.Semaphore(0)
        self.answers: list[bool] = []
        self.together = 0
        self.taken_back = 0

    def __call__(self, _what: str, is_open: Callable[[], bool]) -> bool | None:
        self.together += 1
        assert 1 == self.together
        self.asked.release()
        try:
            while not self.typed.acquire(timeout=0.01):
                if not is_open():
                    self.taken_back += 1
                    return None
            return self.answers.pop(0)
        finally:
            self.together -= 1

    def answer(self, approved: bool) -> None:  # noqa: FBT001
        assert self.asked.acquire(timeout=PATIENCE)
        self.answers.append(approved)
        self.typed.release()


def test_the_terminal_asks_one_question_at_a_time_the_oldest_first(
    clock: Clock, threads: ThreadPoolExecutor
) -> None:
    terminal = Terminal()
    approvals = Approvals(60, now=clock)
    approvals.attend(terminal)
    waiting: list[Future[None]] = []
    for number in range(3):
        waiting.append(threads.submit(approvals.enter, asking(number)))
        appeared(approvals, number + 1)
    for approved in (True, False, True):
        terminal.answer(approved)
    assert [True, False, True] == [outcome(future) is None for future in waiting]


def test_an_answer_on_the_dashboard_takes_the_question_in_the_terminal_back(
    clock: Clock, threads: ThreadPoolExecutor
) -> None:
    terminal = Terminal()
    approvals = Approvals(60, now=clock)
    approvals.attend(terminal)
    first = threads.submit(approvals.enter, asking(1))
    assert terminal.asked.acquire(timeout=PATIENCE)
    second = threads.submit(approvals.enter, asking(2))
    appeared(approvals, 2)
    assert approvals.answer("req_1", approved=True)
    assert outcome(first) is None
    terminal.answer(approved=False)
    assert outcome(second) is not None
    assert 1 == terminal.taken_back


def test_not_more_wait_than_the_server_can_bear(clock: Clock, threads: ThreadPoolExecutor) -> None:
    approvals = Approvals(60, now=clock)
    waiting = [threads.submit(approvals.enter, asking(number)) for number in range(MOST)]
    appeared(approvals, MOST)
    with pytest.raises(GatewayError) as caught:
        approvals.enter(asking(MOST))
    assert 429 == caught.value.status
    assert MOST == sum(approvals.answer(f"req_{number}", approved=True) for number in range(MOST))
    assert [None] * MOST == [outcome(future) for future in waiting]
