"""Hours and days as the store names them: UTC, sortable, a kind a month of days and a kind a day of hours."""

import time
from collections.abc import Iterator
from typing import Final

HOUR: Final = 3600
DAY: Final = 24 * HOUR
DAYS_LAST: Final = 400 * DAY  # for which a day's record is kept
HOURS_LAST: Final = 8 * DAY
_DAYS: Final = "ledger-days-"
_HOURS: Final = "ledger-hours-"
_LONGEST: Final = 200  # characters of a model's id in a key
_LATEST: Final = 253_402_300_799  # the end of the year 9999: what a clock says beyond it is no time


def hour_of(now: float) -> int:
    """Return the hour that a moment (unix seconds) is in, counted from 1970; a clock that is far off must not hurt."""
    return int(min(max(now, 0.0), _LATEST)) // HOUR


def hour_name(hour: int) -> str:
    """Return `2026-11-23T14`."""
    return time.strftime("%Y-%m-%dT%H", time.gmtime(hour * HOUR))


def day_kind(day: str) -> str:
    """Return the kind of record that a day (`2026-11-23`) is under."""
    return _DAYS + day[:7]


def hour_kind(hour: str) -> str:
    """Return the kind of record that an hour (`2026-11-23T14`) is under."""
    return _HOURS + hour[:10]


def record_key(slot: str, key: str, model: str) -> str:
    """Return a record's key. Names of API keys have no slash; the model's id comes last, whatever it holds."""
    return f"{slot}/{key}/{model[:_LONGEST]}"


def read_record_key(text: str) -> tuple[str, str, str] | None:
    """Return slot, API key and model; None for what `record_key` did not make."""
    parts = text.split("/", 2)
    return (parts[0], parts[1], parts[2]) if len(parts) == 3 else None  # noqa: PLR2004 - the three


def day_kinds(since: float, until: float) -> Iterator[str]:
    """Yield the kinds that hold the days from one moment to another."""
    first, last = hour_name(hour_of(since)), hour_name(hour_of(until))
    year, month = int(first[:4]), int(first[5:7])
    while (name := f"{year:04}-{month:02}") <= last[:7]:
        yield _DAYS + name
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)  # noqa: PLR2004 - December


def hour_kinds(since: float, until: float) -> Iterator[str]:
    """Yield the kinds that hold the hours from one moment to another."""
    for day in range(hour_of(since) // 24, hour_of(until) // 24 + 1):
        yield _HOURS + hour_name(day * 24)[:10]
