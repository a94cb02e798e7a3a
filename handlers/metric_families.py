"""What `/metrics` tells: counters of this process, the gates' state, and the quota as Copilot's replies last said it."""

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from core.copilot.headers import VERSION
from core.ledger.figures import Figures
from core.ledger.ledger import Total
from core.ledger.spread import BOUNDS, Spread
from handlers.services import Services

PREFIX: Final = "copilot_gateway_"
# By these three and no others: names of keys that the operator made, ids of Copilot's catalogue.
LABELS: Final = ("surface", "model", "key")
# Parts of the tokens that add up to all of them.
TOKENS: Final[dict[str, Callable[[Figures], int]]] = {
    "input": lambda sums: max(sums.input_tokens - sums.cache_read_tokens - sums.cache_write_tokens, 0),
    "cache_read": lambda sums: sums.cache_read_tokens,
    "cache_write": lambda sums: sums.cache_write_tokens,
    "output": lambda sums: sums.output_tokens,
}
# Counters that need no more than a sum: name, meaning, value.
PLAIN: Final[tuple[tuple[str, str, Callable[[Figures], float]], ...]] = (
    ("streams", "Requests that asked for a stream.", lambda sums: sums.streams),
    (
        "repaired_requests",
        "Requests that were changed so that Copilot takes them.",
        lambda sums: sums.repaired,
    ),
    ("reasoning_tokens", "Output tokens that were spent on thinking.", lambda sums: sums.reasoning_tokens),
    ("credits", "AI credits spent, as far as prices are known.", lambda sums: sums.credits),
    ("priced_requests", "Requests whose price is known.", lambda sums: sums.priced),
)
# Counters with a label of their own: name, meaning, label, values.
LABELLED: Final[tuple[tuple[str, str, str, Callable[[Figures], dict[str, int]]], ...]] = (
    (
        "requests",
        "Requests for a model, by the class of their status.",
        "status",
        lambda sums: {f"{digit}xx": count for digit, count in sums.statuses.items()},
    ),
    (
        "errors",
        "Requests that failed, by kind; also streams that broke, and clients that left.",
        "kind",
        lambda sums: sums.errors,
    ),
    (
        "upstream_errors",
        "Of these, the ones that failed after they were let in.",
        "kind",
        lambda sums: sums.upstream_errors,
    ),
    (
        "tokens",
        "Tokens, by what they were billed as.",
        "kind",
        lambda sums: {kind: count(sums) for kind, count in TOKENS.items()},
    ),
)
SPREADS: Final[tuple[tuple[str, str, Callable[[Figures], Spread]], ...]] = (
    ("first_token_seconds", "Time until a stream's first token.", lambda sums: sums.first_token),
    ("duration_seconds", "Time until the last byte of answers that went well.", lambda sums: sums.duration),
)


class GatewayCollector:
    """A collector of prometheus-client; asks nothing of the network."""

    def __init__(self, given: Services) -> None:
        self._given = given

    def collect(self) -> Iterator[Metric]:
        """Yield all families."""
        totals = self._given.ledger.totals()
        yield InfoMetricFamily(f"{PREFIX}build", "The gateway's release.", {"version": VERSION})
        yield GaugeMetricFamily(
            f"{PREFIX}requests_in_progress", "Requests for a model under way.", len(self._given.under_way)
        )
        yield from map(_labelled(totals), LABELLED)
        yield from map(_plain(totals), PLAIN)
        yield from map(_spread(totals), SPREADS)
        yield self._circuits()
        yield from self._quota()

    def _circuits(self) -> Metric:
        family = GaugeMetricFamily(
            f"{PREFIX}breaker_open_seconds",
            "For how long a model that refused is not asked; * is all of them.",
            labels=["model"],
        )
        breaker = self._given.breaker
        for model, seconds in (breaker.open_models() if breaker is not None else {}).items():
            family.add_metric([model], seconds)
        return family

    def _quota(self) -> Iterator[Metric]:
        left = GaugeMetricFamily(
            f"{PREFIX}quota_remaining_ratio", "What is left of a quota, 0 to 1.", labels=["quota"]
        )
        whole = GaugeMetricFamily(
            f"{PREFIX}quota_entitlement", "A quota's size, in credits or requests.", labels=["quota"]
        )
        for name, allowance in sorted(self._given.copilot.quotas.items()):
            if allowance.percent_remaining is not None and not allowance.unlimited:
                left.add_metric([name], allowance.percent_remaining / 100)
            if allowance.entitlement is not None:
                whole.add_metric([name], allowance.entitlement)
        yield left
        yield whole


def _labelled(totals: Sequence[Total]) -> Callable[..., Metric]:
    def family(row: tuple[str, str, str, Callable[[Figures], dict[str, int]]]) -> Metric:
        name, meaning, label, values = row
        made = CounterMetricFamily(PREFIX + name, meaning, labels=[*LABELS, label])
        for total in totals:
            for value, count in values(total.figures).items():
                made.add_metric([*_labels(total), value], count)
        return made

    return family


def _plain(totals: Sequence[Total]) -> Callable[..., Metric]:
    def family(row: tuple[str, str, Callable[[Figures], float]]) -> Metric:
        name, meaning, value = row
        made = CounterMetricFamily(PREFIX + name, meaning, labels=LABELS)
        for total in totals:
            made.add_metric(_labels(total), value(total.figures))
        return made

    return family


def _spread(totals: Sequence[Total]) -> Callable[..., Metric]:
    def family(row: tuple[str, str, Callable[[Figures], Spread]]) -> Metric:
        name, meaning, value = row
        made = HistogramMetricFamily(PREFIX + name, meaning, labels=LABELS)
        for total in totals:
            spread = value(total.figures)
            sums = [float(count) for count in accumulate(spread.buckets)]
            bounds = [*(str(bound) for bound in BOUNDS), "+Inf"]
            made.add_metric(_labels(total), list(zip(bounds, sums, strict=True)), spread.microseconds / 1e6)
        return made

    return family


def _labels(total: Total) -> list[str]:
    return [total.surface, total.model, total.key]
