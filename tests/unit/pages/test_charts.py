"""Slots and bars: every request of a range is in exactly one bar, and the bars are as high as the figures say."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from core.access.caller import Caller
from core.exchange import Exchange
from core.ledger.ledger import Ledger, Row
from handlers.pages.chart import HEIGHT, MOST, OTHERS, draw
from handlers.pages.spans import SPANS, Span, last_day, slots_of, span_named
from infra.local.state import SqliteStateStore

NOW = 1_795_445_100.0  # Monday, 23 November 2026, 14:45 UTC
HOUR = 3600.0
DAY = 24 * HOUR


class Books:
    """A ledger whose clock a test sets."""

    def __init__(self, folder: Path) -> None:
        self.now = NOW
        self.state = SqliteStateStore(folder / "state.sqlite3", lambda: self.now)
        self.ledger = Ledger(self.state, lambda: self.now, lambda: 0.0, every=1e9)

    def ask(self, back: float, model: str = "gpt", times: int = 1) -> None:
        self.now = NOW - back
        for _ in range(times):
            self.ledger.note(
                Exchange(id="req", began_at=0.0, surface="chat", model=model, caller=Caller("me"), status=200)
            )
        self.now = NOW

    def drawn(self, span: Span) -> list[float]:
        slots = slots_of(span, self.ledger, NOW)
        return [
            column.sum for column in draw("x", slots, model_of, lambda each: each.requests, ["gpt"]).columns
        ]


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    made = Books(tmp_path)
    with closing(made.state):
        yield made


def model_of(row: Row) -> str:
    return row.model


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("24h", ("15:00", "22 Nov, 15:00 to 16:00"), ("14:00", "23 Nov, 14:00 to 15:00")),
        ("7d", ("Mon 16", "Mon 16 Nov, 18:00 to 00:00"), ("Mon 23", "Mon 23 Nov, 12:00 to 18:00")),
        ("30d", ("25 Oct", "Sunday 25 Oct"), ("23 Nov", "Monday 23 Nov")),
        ("12m", ("Dec", "December 2025"), ("Nov", "November 2026")),
    ],
)
def test_a_range_ends_now(books: Books, name: str, first: tuple[str, str], last: tuple[str, str]) -> None:
    span = span_named(name)
    slots = slots_of(span, books.ledger, NOW)
    assert span.slots == len(slots)
    assert [first, last] == [(slot.label, slot.title) for slot in (slots[0], slots[-1])]


def test_an_unknown_range_is_the_first() -> None:
    assert SPANS[0] == span_named("<script>")


@pytest.mark.parametrize("name", ["24h", "7d", "30d", "12m"])
def test_each_request_of_the_range_is_in_one_bar(books: Books, name: str) -> None:
    span = span_named(name)
    reach = {"24h": DAY - HOUR, "7d": 7 * DAY - 4 * HOUR, "30d": 29 * DAY, "12m": 335 * DAY}[name]
    for times, back in enumerate((0.0, reach / 3, reach / 2, reach), start=1):
        books.ask(back, times=times)
    drawn = books.drawn(span)
    assert (10, 1) == (sum(drawn), drawn[-1] if name != "12m" else 1)
    assert 4 == drawn[0]


@pytest.mark.parametrize(
    ("name", "back"), [("24h", DAY), ("7d", 7 * DAY), ("30d", 30 * DAY), ("12m", 358 * DAY)]
)
def test_what_is_older_is_in_none(books: Books, name: str, back: float) -> None:
    books.ask(back)
    assert 0 == sum(books.drawn(span_named(name)))


@pytest.mark.parametrize("now", [-1e12, 0.0, 1e15])
def test_a_clock_that_is_far_off_hurts_nobody(books: Books, now: float) -> None:
    for span in SPANS:
        assert span.slots == len(slots_of(span, books.ledger, now))


def test_today_begins_at_midnight(books: Books) -> None:
    books.ask(0)
    books.ask(14 * HOUR)
    books.ask(15 * HOUR)
    assert 2 == sum(row.figures.requests for row in last_day(books.ledger, NOW))


def test_bars_are_stacked_from_the_ground_to_the_sum(books: Books) -> None:
    books.ask(0, "big", 6)
    books.ask(0, "small", 2)
    books.ask(HOUR, "small", 4)
    slots = slots_of(span_named("24h"), books.ledger, NOW)
    chart = draw("x", slots, model_of, lambda each: each.requests, ["big", "small"])
    assert [("big", 0, 6.0), ("small", 1, 6.0)] == [(s.name, s.rank, s.sum) for s in chart.series]
    assert ([8.0, 4.0, 0.0], 12) == (chart.ticks, chart.sum)
    assert [[(0, 25.0, 75.0), (1, 0.0, 25.0)], [(1, 50.0, 50.0)]] == [
        [(bar.rank, bar.y, bar.height) for bar in column.bars]
        for column in (chart.columns[-1], chart.columns[-2])
    ]
    assert [6.0, 2.0] == chart.columns[-1].values
    assert all(column.x + chart.slot <= 1000.001 for column in chart.columns)


def test_many_names_are_five_and_the_others_together(books: Books) -> None:
    for number in range(9):
        books.ask(0, f"model-{number}", 9 - number)
    names = [f"model-{number}" for number in range(9)]
    slots = slots_of(span_named("24h"), books.ledger, NOW)
    chart = draw("x", slots, model_of, lambda each: each.requests, names)
    assert [*names[:MOST], OTHERS] == [s.name for s in chart.series]
    assert [9, 8, 7, 6, 5, 10] == chart.columns[-1].values
    assert HEIGHT == pytest.approx(sum(bar.height for bar in chart.columns[-1].bars) * chart.ticks[0] / 45)


def test_a_name_has_one_colour_in_all_charts(books: Books) -> None:
    books.ask(0, "free", 2)
    books.ask(0, "paid")
    slots = slots_of(SPANS[0], books.ledger, NOW)
    slots[-1].rows[-1].figures.nano_credits = 10**9
    requests = draw("x", slots, model_of, lambda each: each.requests, ["free", "paid"])
    credits_ = draw("y", slots, model_of, lambda each: each.credits, ["free", "paid"])
    assert [("free", 0), ("paid", 1)] == [(each.name, each.rank) for each in requests.series]
    assert [("paid", 1)] == [(each.name, each.rank) for each in credits_.series]
    assert [1] == [bar.rank for bar in credits_.columns[-1].bars]


def test_nothing_is_drawn_of_nothing(books: Books) -> None:
    chart = draw("x", slots_of(SPANS[0], books.ledger, NOW), model_of, lambda each: each.credits, ["gpt"])
    assert ([], [1.0, 0.5, 0.0], 0) == (chart.series, chart.ticks, chart.sum)


@pytest.mark.parametrize(
    ("largest", "top"),
    [(1, 2), (2, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 20), (21, 40), (61, 80), (99, 100)],
)
def test_the_axis_ends_at_a_round_number_with_a_whole_half(books: Books, largest: int, top: float) -> None:
    books.ask(0, times=largest)
    slots = slots_of(SPANS[0], books.ledger, NOW)
    chart = draw("x", slots, model_of, lambda each: each.requests, ["gpt"], least=2)
    assert [top, top / 2, 0] == chart.ticks
