"""Bar charts as plain geometry: what the template draws as SVG, and lists as a table behind it."""

import math
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from core.ledger.figures import Figures
from core.ledger.ledger import Row
from core.ledger.summary import totals_by
from handlers.pages.spans import Slot

MOST: Final = 5  # series with a colour of their own; the rest is one
OTHERS: Final = "all others"
WIDTH: Final = 1000.0
HEIGHT: Final = 100.0
_FULL: Final = 0.72  # of a slot's width, the bar
_LABELS: Final = 7  # on the time axis, at most; so that each range is a multiple of their distance
_STEPS: Final = (1, 2, 4, 6, 8, 10)


class Series(Struct, frozen=True):
    """One colour of the chart. rank: which one; the last is for all others."""

    name: str
    rank: int
    sum: float


class Bar(Struct, frozen=True):
    """A part of a slot's bar, in the drawing's units."""

    rank: int
    y: float
    height: float


class Column(Struct, frozen=True):
    """One slot: where it is, what it says, and its bar from the bottom up. values: by series, in their order."""

    x: float
    title: str
    sum: float
    bars: list[Bar]
    values: list[float]


class Chart(Struct, frozen=True):
    """A drawing of `WIDTH` x `HEIGHT`. ticks: what the vertical axis says, from the top down."""

    id: str
    series: list[Series]
    columns: list[Column]
    ticks: list[float]
    labels: list[str]
    slot: float
    bar: float
    sum: float


def draw(
    name: str,
    slots: Sequence[Slot],
    kind: Callable[[Row], str],
    amount: Callable[[Figures], float],
    names: Sequence[str],
    *,
    least: float = 0.0,
) -> Chart:
    """Return the chart of an amount over time.

    kind: names the series that a ledger row belongs to. names: all of them, in the order of their colours, so that
    several charts agree. least: the vertical axis goes at least as far.
    """
    sums = {each: amount(figures) for each, figures in totals_by(_all(slots), kind).items()}
    series = _series(sums, names)
    place_of = {each.name: place for place, each in enumerate(series)}
    width = WIDTH / len(slots)
    values = [_values(slot, kind, amount, place_of, len(series)) for slot in slots]
    top = max(_nice(max((sum(each) for each in values), default=0.0)), least)
    columns = [
        Column(width * place, slot.title, sum(each), _stack(each, series, top), each)
        for place, (slot, each) in enumerate(zip(slots, values, strict=True))
    ]
    ticks = [top, top / 2, 0.0]
    return Chart(name, series, columns, ticks, _labels(slots), width, width * _FULL, sum(sums.values()))


def _all(slots: Sequence[Slot]) -> list[Row]:
    return [row for slot in slots for row in slot.rows]


def _series(sums: dict[str, float], names: Sequence[str]) -> list[Series]:
    many = len(names) if len(names) <= MOST + 1 else MOST
    series = [Series(name, rank, each) for rank, name in enumerate(names[:many]) if (each := sums.get(name))]
    rest = sum(sums.get(name, 0.0) for name in names[many:])
    return [*series, Series(OTHERS, MOST, rest)] if rest else series


def _values(
    slot: Slot,
    kind: Callable[[Row], str],
    amount: Callable[[Figures], float],
    place_of: dict[str, int],
    many: int,
) -> list[float]:
    found = [0.0] * many
    for name, figures in totals_by(slot.rows, kind).items():
        if value := amount(figures):
            found[place_of.get(name, many - 1)] += value
    return found


def _stack(values: Sequence[float], series: Sequence[Series], top: float) -> list[Bar]:
    bars: list[Bar] = []
    y = HEIGHT
    for each, value in zip(series, values, strict=True):
        height = HEIGHT * value / top
        if height > 0:
            y -= height
            bars.append(Bar(each.rank, round(y, 3), round(height, 3)))
    return bars


def _nice(largest: float) -> float:
    """Return where the vertical axis ends: a round number that has a round half."""
    if largest <= 0:
        return 1.0
    size = 10.0 ** math.floor(math.log10(largest))
    return next((step * size for step in _STEPS if step * size >= largest), 10 * size)


def _labels(slots: Sequence[Slot]) -> list[str]:
    """Return the labels that there is room for, at equal distances."""
    return [slot.label for slot in slots[:: math.ceil(len(slots) / _LABELS)]]
