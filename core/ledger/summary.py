"""Figures as `/usage` and the command say them: named in full, in credits and seconds."""

from collections.abc import Callable, Iterable

from msgspec import Struct

from core.ledger.figures import Figures
from core.ledger.ledger import Row
from core.ledger.spread import Spread


class Times(Struct, frozen=True):
    """How long something took, in seconds; None of nothing. The two quantiles come from a histogram, so they are rough."""

    mean: float | None
    p50: float | None
    p95: float | None


class Summary(Struct, frozen=True, kw_only=True):
    """What requests came to.

    input_tokens: with `cache_read_tokens` and `cache_write_tokens`. credits: of the `priced_requests`; what the others cost
    nobody knows. cache_hit_rate: 0 to 1, the part of the input that was read from a cache. errors: by kind.
    """

    requests: int
    streams: int
    repaired: int
    failed: int
    errors: dict[str, int]
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cache_hit_rate: float | None
    credits: float
    priced_requests: int
    first_token: Times
    duration: Times


def summarise(figures: Figures) -> Summary:
    """Return the summary of these figures."""
    return Summary(
        requests=figures.requests,
        streams=figures.streams,
        repaired=figures.repaired,
        failed=figures.failures,
        errors=dict(sorted(figures.errors.items())),
        input_tokens=figures.input_tokens,
        cache_read_tokens=figures.cache_read_tokens,
        cache_write_tokens=figures.cache_write_tokens,
        output_tokens=figures.output_tokens,
        reasoning_tokens=figures.reasoning_tokens,
        cache_hit_rate=_rounded(figures.cache_hit_rate),
        credits=round(figures.credits, 6),
        priced_requests=figures.priced,
        first_token=times(figures.first_token),
        duration=times(figures.duration),
    )


def times(spread: Spread) -> Times:
    """Return the mean, the median and what nineteen of twenty stayed below."""
    return Times(_rounded(spread.mean), _rounded(spread.quantile(0.5)), _rounded(spread.quantile(0.95)))


def total(rows: Iterable[Row]) -> Figures:
    """Return the sum of rows."""
    figures = Figures()
    for row in rows:
        figures.add(row.figures)
    return figures


def totals_by(rows: Iterable[Row], name_of: Callable[[Row], str]) -> dict[str, Figures]:
    """Return the sums of rows by what `name_of` says of each (its key, model or slot), sorted by that."""
    sums: dict[str, Figures] = {}
    for row in rows:
        sums.setdefault(name_of(row), Figures()).add(row.figures)
    return dict(sorted(sums.items()))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
