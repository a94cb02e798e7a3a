"""From the figures of a soak to a table and an exit code."""

from collections.abc import Callable
from statistics import quantiles
from typing import Final

from msgspec import Struct

from tests.soak.watch import Sample, growth

# What may be kept when all is over.
IDLE_UPSTREAM: Final = 64  # connections kept for the next request
IDLE_FILES: Final = 40  # SQLite's idle connections, each with its companions
THREADS: Final = 8  # beside a worker for each stream, hired when all others are busy
# Memory may rise until every thread has served the largest stream; then it is flat within this.
ALLOWED_GROWTH: Final = (16 * 2**20, 0.05)
WARM: Final = (
    0.5  # the share of the samples that is warming up: some 4,000 requests, which take a short soak that long
)
LAG: Final = 12.0  # seconds between a client's leaving and the end of its upstream; a second, where nobody else wants the machine


class Figures(Struct, frozen=True, kw_only=True):
    """What a soak has counted. samples: before, during, after."""

    seconds: float
    streams: int
    count: dict[str, int]
    complaints: list[str]
    logged: list[str]
    exit_code: int
    samples: tuple[Sample, list[Sample], Sample]
    lags: list[float]
    still_open: int
    first: list[float]


def findings(figures: Figures) -> list[str]:
    """Return everything that must not be."""
    before, during, after = figures.samples
    early, late = growth(during[int(len(during) * WARM) :])
    base, share = ALLOWED_GROWTH
    rules: tuple[tuple[bool, str], ...] = (
        (bool(figures.complaints), f"{len(figures.complaints)} replies were wrong"),
        (bool(figures.logged), f"the log shows {figures.logged[:3]}"),
        (figures.exit_code != 0, f"the gateway ended with {figures.exit_code}"),
        (not figures.count.get("requests"), "nothing was asked"),
        (late > early + max(base, early * share), f"memory grew from {_mb(early)} to {_mb(late)}"),
        (after.threads > before.threads + figures.streams + THREADS, f"threads grew from {before.threads} to {after.threads}"),
        (after.files > before.files + IDLE_FILES, f"open files grew from {before.files} to {after.files}"),
        (after.of("client", "established", "close_wait") > 0, f"connections of clients are left: {after.sockets}"),
        (after.of("upstream") > IDLE_UPSTREAM, f"connections to upstream are left: {after.sockets}"),
        (after.of("other", "established", "close_wait") > 0, f"other connections are left: {after.sockets}"),
        (figures.still_open > 0, f"{figures.still_open} upstream replies are still open"),
        (max(figures.lags, default=0) > LAG, f"an upstream went on for {max(figures.lags, default=0):.1f} s without a client"),
    )  # fmt: skip
    return [told for wrong, told in rules if wrong]


def verdict(figures: Figures, say: Callable[[str], None]) -> int:
    """Print the table and what is wrong; return the exit code."""
    for name, value in table(figures):
        say(f"{name:<34}{value}")
    found = findings(figures)
    for told in found:
        say(f"WRONG: {told}")
    say("soak: failed" if found else "soak: passed")
    return 1 if found else 0


def table(figures: Figures) -> list[tuple[str, str]]:
    """Return the figures as rows."""
    before, during, after = figures.samples
    early, late = growth(during[int(len(during) * WARM) :]) if during else (0, 0)
    totals = ("requests", "sound replies whole", "words", "failures told", "clients left")
    faults = {name: number for name, number in sorted(figures.count.items()) if name not in totals}
    return [
        *((name, str(figures.count.get(name, 0))) for name in totals),
        ("wrong", str(len(figures.complaints))),
        ("requests a second", f"{figures.count.get('requests', 0) / figures.seconds:.1f}"),
        ("faults drawn", " ".join(f"{name}={number}" for name, number in faults.items())),
        ("head of a sound reply", _spread(figures.first)),
        ("upstream closed after a leave", _spread(figures.lags)),
        ("memory early, late, after", f"{_mb(early)} {_mb(late)} {_mb(after.rss)}"),
        ("memory before, peak", f"{_mb(before.rss)} {_mb(max((sample.rss for sample in during), default=0))}"),
        ("threads before, after", f"{before.threads} {after.threads}"),
        ("files before, after", f"{before.files} {after.files}"),
        ("sockets after", " ".join(f"{key.replace(' ', '-')}={number}" for key, number in sorted(after.sockets.items()))),
    ]  # fmt: skip


def _spread(seconds: list[float]) -> str:
    if len(seconds) < 2:
        return "-"
    cuts = quantiles(seconds, n=100)
    return f"median {cuts[49] * 1000:.0f} ms, 99% {cuts[98] * 1000:.0f} ms, most {max(seconds) * 1000:.0f} ms ({len(seconds)})"


def _mb(size: float) -> str:
    return f"{size / 2**20:.1f} MB"
