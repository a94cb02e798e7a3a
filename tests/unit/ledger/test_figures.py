"""Counting, adding, writing and reading back: one sum."""

import pytest

from core.exchange import CLIENT_LEFT
from core.ledger.figures import Figures
from core.ledger.spread import BOUNDS, Spread
from core.ledger.summary import Times, summarise
from tests.unit.ledger.requests import done, failed


def counted(*requests: object) -> Figures:
    figures = Figures()
    for request in requests:
        figures.take(request)  # type: ignore[arg-type]
    return figures


REQUESTS = (
    done(streams=True),
    done(credits=None, repairs=("top_k",)),
    failed(),
    failed("upstream", 502),
    done(error=CLIENT_LEFT, streams=True),
)


def test_every_request_is_counted_with_what_it_used() -> None:
    figures = counted(*REQUESTS)
    assert (5, 2, 1) == (figures.requests, figures.streams, figures.repaired)
    assert (300, 180, 15, 60, 21) == (
        figures.input_tokens, figures.cache_read_tokens, figures.cache_write_tokens, figures.output_tokens,
        figures.reasoning_tokens,
    )  # fmt: skip
    assert (2, 0.5) == (figures.priced, figures.credits)
    assert {"rate_limit": 1, "upstream": 1, CLIENT_LEFT: 1} == figures.errors
    assert {2: 3, 4: 1, 5: 1} == figures.statuses
    assert (3, 2) == (figures.first_token.count, figures.duration.count)


def test_what_is_written_is_read_back() -> None:
    figures = counted(*REQUESTS)
    figures.statuses.clear()  # these are for /metrics alone
    assert figures == Figures().read(figures.amounts())


def test_sum_of_parts_is_the_whole() -> None:
    whole, parts = counted(*REQUESTS), Figures()
    for request in REQUESTS:
        parts.add(counted(request))
    assert whole == parts


def test_counters_of_another_release_are_passed_over() -> None:
    strange = {"requests": 2, "colours": 9, "first_token.77777": 4, "requests.odd": 8, "duration.": 0}
    assert Figures(requests=2) == Figures().read(strange)


def test_nothing_writes_nothing() -> None:
    assert {} == Figures().amounts()


def test_a_requests_counters_are_few() -> None:
    """Each is a part of an expression that DynamoDB limits, and of a record that it bills by the kilobyte."""
    amounts = counted(done(streams=True, repairs=("x",))).amounts()
    assert len(amounts) == 14
    assert sum(len(name) + 5 for name in amounts) < 300


@pytest.mark.parametrize(
    ("seconds", "part", "expected"),
    [
        ([0.05], 0.5, 0.05),
        ([0.3] * 10, 0.5, 0.375),
        ([0.3] * 19 + [30.0], 0.5, 0.25 + 0.25 * 10 / 19),
        ([0.3] * 19 + [30.0], 0.99, 25.0 + 15.0 * 0.8),
        ([4000.0], 0.95, BOUNDS[-1]),
        ([], 0.5, None),
    ],
)
def test_quantile_lies_in_its_bucket(seconds: list[float], part: float, expected: float | None) -> None:
    spread = Spread()
    for each in seconds:
        spread.take(each)
    assert spread.quantile(part) == (None if expected is None else pytest.approx(expected))


def test_summary_says_credits_and_seconds() -> None:
    summary = summarise(counted(*REQUESTS))
    assert (5, 3, 0.5, 2, 0.6) == (
        summary.requests, summary.failed, summary.credits, summary.priced_requests, summary.cache_hit_rate
    )  # fmt: skip
    assert Times(mean=2.0, p50=2.0, p95=2.45) == summary.duration
    assert Times(None, None, None) == summarise(Figures()).duration
