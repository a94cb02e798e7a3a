"""The ranges that the dashboard offers: each a row of slots, filled from the ledger's hours or days."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final, Literal

from msgspec import Struct

from core.ledger.ledger import Ledger, Row
from core.ledger.slots import DAY

_LATEST: Final = 250_000_000_000.0  # in the year 9892; the months after it still have names


class Slot(Struct, frozen=True):
    """One bar of a chart. label: short, for the axis. title: in full. rows: of the ledger."""

    label: str
    title: str
    rows: list[Row]


class Span(Struct, frozen=True):
    """One range. name: in the address. unit: which of the ledger's records it is read from. begin: of the slot so many back.

    label, full: what a slot is called, by its first moment and the next slot's.
    """

    name: str
    title: str
    slots: int
    unit: Literal["hours", "days"]
    begin: Callable[[datetime, int], datetime]
    label: str
    full: str


def _hour(now: datetime, back: int) -> datetime:
    return now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=back)


def _quarter_day(now: datetime, back: int) -> datetime:
    return _hour(now, 0).replace(hour=now.hour // 6 * 6) - timedelta(hours=6 * back)


def _day(now: datetime, back: int) -> datetime:
    return _hour(now, 0).replace(hour=0) - timedelta(days=back)


def _month(now: datetime, back: int) -> datetime:
    months = now.year * 12 + now.month - 1 - back
    return _day(now, 0).replace(year=max(months // 12, 1), month=months % 12 + 1, day=1)


SPANS: Final = (
    Span("24h", "24 hours", 24, "hours", _hour, "{0:%H}:00", "{0.day} {0:%b}, {0:%H}:00 to {1:%H}:00"),
    Span("7d", "7 days", 28, "hours", _quarter_day, "{0:%a} {0.day}", "{0:%a} {0.day} {0:%b}, {0:%H}:00 to {1:%H}:00"),
    Span("30d", "30 days", 30, "days", _day, "{0.day} {0:%b}", "{0:%A} {0.day} {0:%b}"),
    Span("12m", "12 months", 12, "days", _month, "{0:%b}", "{0:%B} {0.year}"),
)  # fmt: skip


def span_named(name: str) -> Span:
    """Return the range of this name; the first one for any other."""
    return next((span for span in SPANS if span.name == name), SPANS[0])


def slots_of(span: Span, ledger: Ledger, now: float) -> list[Slot]:
    """Return the range's slots up to now (unix seconds), the oldest first. Raises StoreError."""
    moment = datetime.fromtimestamp(min(max(now, 400 * DAY), _LATEST), UTC)
    begins = [span.begin(moment, back) for back in range(span.slots - 1, -2, -1)]
    read = ledger.hours if span.unit == "hours" else ledger.days
    slots = [
        Slot(span.label.format(begin, end), span.full.format(begin, end), [])
        for begin, end in pairwise(begins)
    ]
    starts = [begin.strftime("%Y-%m-%dT%H" if span.unit == "hours" else "%Y-%m-%d") for begin in begins]
    for row in read(begins[0].timestamp(), moment.timestamp()):
        place = sum(start <= row.slot for start in starts) - 1
        if 0 <= place < len(slots):
            slots[place].rows.append(row)
    return slots


def last_day(ledger: Ledger, now: float) -> list[Row]:
    """Return the rows of today. Raises StoreError."""
    return ledger.days(now, now)
