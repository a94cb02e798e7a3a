"""The measures: each asks upstream itself and through the gateway in turn, and checks all that it received."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.lanes import STAMP, Lane
from benchmarks.load import Heard, Lines, Target, in_turn, together
from benchmarks.processes import Fake, Gateway
from tests.e2e.asking import UPSTREAM_PATH

# Paced streams: how many, events each, milliseconds between two.
PACED = ((1, 200, 5), (10, 50, 10), (50, 50, 20), (200, 20, 50))
FLOODS = (1, 10, 50, 200)
CLIENTS = (1, 16, 64)
WORDS = 10  # of a short answer
SETTLED = 5  # words of each stream, after which all streams have begun


@dataclass
class Size:
    """How much is asked; a quick run proves that everything works, and its figures mean nothing."""

    turns: int = 150
    events: int = 10_000
    seconds: float = 1.5
    rounds: int = 3
    paced_share: float = 1.0


@dataclass
class Bench:
    """The two processes and what is asked of them."""

    fake: Fake
    gateway: Gateway
    size: Size
    say: Callable[[str], None]
    direct: dict[str, Target] = field(default_factory=dict[str, Target])
    hop: Target | None = None  # asked in the gateway's place

    def upstream(self, lane: Lane) -> Target:
        """The way around the gateway; its headers hang on the path."""
        name = lane.upstream
        if name not in self.direct:
            self.direct[name] = self.fake.target(UPSTREAM_PATH[name])
        return self.direct[name]

    def ways(self, lane: Lane) -> tuple[tuple[Target, Lane], tuple[Target, Lane]]:
        """Upstream itself, then the gateway."""
        direct = self.upstream(lane), lane.direct
        return direct, (self.gateway.target, lane) if self.hop is None else (self.hop, lane.direct)


Figures = dict[str, float]


def part(values: Sequence[float], share: float) -> float:
    """The value that this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def latency(bench: Bench, lane: Lane) -> Figures:
    """First word, end of a streamed answer and a complete answer: milliseconds direct and added."""
    first: list[list[float]] = [[], []]
    whole: list[list[float]] = [[], []]
    plain: list[list[float]] = [[], []]

    async def run() -> None:
        ways = bench.ways(lane)
        lines = [Lines(target) for target, _ in ways]
        for stream in (True, False):
            for turn in range(bench.size.turns + 5):
                for way, (target, asked) in enumerate(ways):
                    heard = await lines[way].ask(asked.request(target, WORDS, stream=stream))
                    asked.check(target, heard, WORDS, stream=stream)
                    if turn < 5:
                        continue  # connections, caches
                    if stream:
                        first[way].append(heard.seconds_to(b"word0") * 1000)
                        whole[way].append(heard.seconds * 1000)
                    else:
                        plain[way].append(heard.seconds * 1000)
        for each in lines:
            each.close()

    asyncio.run(run())
    figures: Figures = {}
    for name, (direct, through) in {"first": first, "whole": whole, "plain": plain}.items():
        figures[f"{name} direct"] = statistics.median(direct)
        figures[f"{name} added"] = statistics.median(through) - statistics.median(direct)
        figures[f"{name} added p95"] = part(through, 0.95) - part(direct, 0.95)
    return figures


def delays(heard: Heard) -> list[float]:
    """Milliseconds from the writing of each stamped word to its arrival; a final summary says them again."""
    seen: set[bytes] = set()
    found = []
    arrivals = iter(heard.arrivals)
    end, at = next(arrivals)
    for match in STAMP.finditer(heard.wire):
        while end < match.end():
            end, at = next(arrivals)
        if match[0] not in seen:
            seen.add(match[0])
            found.append((at - int(match[0])) / 1e6)
    return found


def paced(bench: Bench, lane: Lane, streams: int, events: int, gap_ms: float) -> Figures:
    """Delay of each event while so many streams come at a walking pace; and the first of them."""
    late: list[list[float]] = [[], []]
    later: list[list[float]] = [[], []]
    first: list[list[float]] = [[], []]
    bench.fake.pace(gap_ms)
    try:
        for _ in range(bench.size.rounds):
            for way, (target, asked) in enumerate(bench.ways(lane)):
                request = asked.request(target, events, stream=True)
                for heard in asyncio.run(together(target, request, streams)):
                    asked.check(target, heard, events, stream=True, stamped=True)
                    late[way] += (delayed := delays(heard))
                    later[way] += delayed[SETTLED:] or delayed
                    stamp = STAMP.search(heard.wire)
                    assert stamp is not None
                    first[way].append((heard.time_of(stamp.end()) - heard.sent_at) / 1e6)
    finally:
        bench.fake.flood()
    direct, through = late
    return {
        "direct": statistics.median(direct),
        "added": statistics.median(through) - statistics.median(direct),
        "added p95": part(through, 0.95) - part(direct, 0.95),
        "added p99": part(through, 0.99) - part(direct, 0.99),
        "later p95": part(later[1], 0.95) - part(later[0], 0.95),
        "first p95 direct": part(first[0], 0.95),
        "first p95 ratio": part(first[1], 0.95) / part(first[0], 0.95),
    }


def flood(bench: Bench, lane: Lane, streams: int) -> Figures:
    """Events a second as fast as they go, and what they cost."""
    each = max(bench.size.events // streams, 10)
    rates: list[list[float]] = [[], []]
    ratios, cpu = [], []
    for _ in range(bench.size.rounds):
        for way, (target, asked) in enumerate(bench.ways(lane)):
            request = asked.request(target, each, stream=True)
            used = bench.gateway.cpu_seconds()
            answers = asyncio.run(together(target, request, streams))
            if way:
                cpu.append((bench.gateway.cpu_seconds() - used) / (each * streams) * 1e5)
            took = max(heard.done_at for heard in answers) - min(heard.sent_at for heard in answers)
            rates[way].append(each * streams / took * 1e9)
            for heard in answers:
                asked.check(target, heard, each, stream=True)
        ratios.append(rates[1][-1] / rates[0][-1])
    return {
        "direct": statistics.median(rates[0]),
        "events/s": statistics.median(rates[1]),
        "ratio": statistics.median(ratios),
        "ratio least": min(ratios),
        "ratio most": max(ratios),
        "CPU s per 100k": statistics.median(cpu),
    }


def plain(bench: Bench, lane: Lane, clients: int) -> Figures:
    """Complete answers a second, and what they cost."""
    rates: list[list[float]] = [[], []]
    ratios, cpu = [], []
    for _ in range(bench.size.rounds):
        for way, (target, asked) in enumerate(bench.ways(lane)):
            request = asked.request(target, WORDS, stream=False)
            used = bench.gateway.cpu_seconds()
            answers, took = asyncio.run(in_turn(target, request, clients, bench.size.seconds))
            if way:
                cpu.append((bench.gateway.cpu_seconds() - used) / len(answers) * 1000)
            rates[way].append(len(answers) / took)
            for heard in answers:
                asked.check(target, heard, WORDS, stream=False)
        ratios.append(rates[1][-1] / rates[0][-1])
    return {
        "direct": statistics.median(rates[0]),
        "req/s": statistics.median(rates[1]),
        "ratio": statistics.median(ratios),
        "ratio least": min(ratios),
        "ratio most": max(ratios),
        "CPU s per 1000": statistics.median(cpu),
    }
