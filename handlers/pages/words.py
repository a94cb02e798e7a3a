"""Figures and moments as people read them; the filters of the templates. Times are UTC."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

NOTHING: Final = "\N{EN DASH}"
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_LONGEST: Final = 60  # characters of what upstream calls a moment


def count(amount: float | None) -> str:
    """Return `1,234`."""
    return NOTHING if amount is None else f"{amount:,.0f}"


def brief(amount: float | None) -> str:
    """Return `1.2 M` for what would be too long."""
    if amount is None:
        return NOTHING
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(amount) >= size:
            scaled = amount / (1e3 if unit == "k" else size)
            return f"{scaled:.3g} {unit}" if abs(scaled) < 1000 else f"{scaled:,.0f} {unit}"  # noqa: PLR2004 - three digits
    return f"{amount:,.0f}"


def credits_(amount: float | None) -> str:
    """Return as many digits as say something: `1,204`, `12.34`, `0.0031`."""
    if amount is None:
        return NOTHING
    if amount == 0:
        return "0"
    if abs(amount) >= 1000:  # noqa: PLR2004
        return f"{amount:,.0f}"
    return f"{amount:.2f}" if abs(amount) >= 0.1 else f"{amount:.2g}"  # noqa: PLR2004


def tick(amount: float) -> str:
    """Return what an axis says: no more digits than its round number has."""
    return brief(amount) if amount >= 1000 else f"{amount:g}"  # noqa: PLR2004


def percent(part: float | None) -> str:
    """Return `37 %` for 0.37."""
    if part is None:
        return NOTHING
    shown = part * 100
    return f"{shown:.1f} %" if 0 < abs(shown) < 10 else f"{shown:.0f} %"  # noqa: PLR2004 - where a tenth matters


def seconds(amount: float | None) -> str:
    """Return `340 ms`, `1.2 s` or `3 min`."""
    if amount is None:
        return NOTHING
    if amount < 1:
        return f"{amount * 1000:.0f} ms"
    return f"{amount:.1f} s" if amount < _MINUTE else f"{amount / _MINUTE:.1f} min"


def moment(at: float | None) -> str:
    """Return `23 Nov 2026, 14:05`, of unix seconds."""
    when = _when(at)
    return NOTHING if when is None else f"{when.day} {when:%b %Y, %H:%M}"


def iso(at: float | None) -> str:
    """Return the moment for machines."""
    when = _when(at)
    return "" if when is None else f"{when:%Y-%m-%dT%H:%M:%SZ}"


def lasting(amount: float) -> str:
    """Return `2 days`, `3 hours`, `5 minutes` or `40 seconds`; the largest unit that is full, rounded up below an hour."""
    for size, unit in ((_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute"), (1, "second")):
        if amount >= size:
            number = round(amount / size) if size >= _HOUR else math.ceil(amount / size)
            return f"{number} {unit}{'' if number == 1 else 's'}"
    return "a moment"


def said_moment(text: str) -> str:
    """Return a moment that upstream named; as it stands, if it is none."""
    try:
        read = datetime.fromisoformat(text[:_LONGEST])
        when = read.astimezone(UTC) if read.tzinfo else read
    except (OverflowError, ValueError):
        return text[:_LONGEST]
    day = f"{when.day} {when:%b %Y}"
    return day if (when.hour, when.minute) == (0, 0) else f"{day}, {when:%H:%M} UTC"


def _when(at: float | None) -> datetime | None:
    if at is None:
        return None
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=at)
    except (OverflowError, ValueError):
        return None


FILTERS: Final[dict[str, Callable[..., str]]] = {
    "brief": brief,
    "count": count,
    "credits": credits_,
    "iso": iso,
    "lasting": lasting,
    "moment": moment,
    "percent": percent,
    "said_moment": said_moment,
    "seconds": seconds,
    "tick": tick,
}
