"""Microseconds of CPU that each lane takes for an event, and a whole request for its code, without any network."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from benchmarks import inside

ROUNDS, REQUESTS = 7, 150


def cpu_us(run: Callable[[], object], rounds: int) -> list[float]:
    """Microseconds of each round, sorted."""
    times = []
    for _ in range(rounds):
        began = time.process_time_ns()
        run()
        times.append((time.process_time_ns() - began) / 1000)
    return sorted(times)


def measure(share: float = 1.0) -> dict[str, dict[str, float]]:
    """Return for each case the median and the least, of an event or of a request."""
    figures = {}
    for name, run in inside.opened(inside.record()).items():
        is_stream = name.startswith("stream,")
        times = cpu_us(run, max(2, int((ROUNDS if is_stream else REQUESTS) * share)))
        each = inside.EVENTS if is_stream else 1
        figures[name] = {"us": statistics.median(times) / each, "us least": times[0] / each}
    return figures
