"""What the gateway adds: measured against upstream itself, in turns, in one run, and every byte checked.

python -m benchmarks.bench [--quick] [--only GROUP ...] [--json FILE] [--page]

Upstream is the fake Copilot, asked by plain HTTP; it and the load driver share one core, the gateway has another. A quick
run proves that everything works; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import codecs, measures, page
from benchmarks.lanes import LANES, MAIN, WrongError
from benchmarks.load import together
from benchmarks.measures import CLIENTS, FLOODS, PACED, Bench, Size
from benchmarks.processes import CORES, Gateway, Hop, running

QUICK = Size(turns=5, events=500, seconds=0.2, rounds=1)
FOUND = Path(__file__).with_name("results.json")
Figures = dict[str, float]
Results = dict[str, dict[str, Figures]]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def latency(bench: Bench) -> dict[str, Figures]:
    return {lane.name: measures.latency(bench, lane) for lane in LANES}


def paced(bench: Bench) -> dict[str, Figures]:
    found = {}
    for lane in MAIN:
        for streams, events, gap in PACED:
            count = events if bench.size.rounds > 1 else 5
            found[f"{lane.name}, {streams}"] = measures.paced(bench, lane, streams, count, gap)
            say(f"    {lane.name}, {streams} streams")
    return found


def floods(bench: Bench) -> dict[str, Figures]:
    found = {}
    for lane in MAIN:
        for streams in FLOODS:
            found[f"{lane.name}, {streams}"] = measures.flood(bench, lane, streams)
            say(f"    {lane.name}, {streams} streams")
    return found


def plain(bench: Bench) -> dict[str, Figures]:
    return {
        f"{lane.name}, {clients}": measures.plain(bench, lane, clients)
        for lane in MAIN
        for clients in CLIENTS
    }


def hop(bench: Bench) -> dict[str, Figures]:
    """What a process costs that only forwards bytes: nothing in the gateway's place can add less."""
    lane = MAIN[0]
    process = Hop(bench.upstream(lane))
    try:
        bare = replace(bench, hop=process.target)
        found = {"short answers": measures.latency(bare, lane)}
        for streams, events, gap in PACED:
            count = events if bench.size.rounds > 1 else 5
            found[f"paced, {streams}"] = measures.paced(bare, lane, streams, count, gap)
    finally:
        process.stop()
    return found


GROUPS: dict[str, tuple[str, Callable[[Bench], dict[str, Figures]]]] = {
    "latency": ("First word and whole answer, each lane", latency),
    "paced": ("Delay of events at a walking pace", paced),
    "hop": ("A bare hop in the gateway's place", hop),
    "flood": ("Events as fast as they go", floods),
    "plain": ("Complete answers a second", plain),
}


def starts(bench: Bench, rounds: int) -> dict[str, Figures]:
    """Seconds from the command to its first answer, and memory then: with no state at first, then with a stored token."""
    took: dict[str, list[float]] = {"first": [], "again": []}
    idle = []
    lane = MAIN[0]
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as home:
            for each in took.values():
                gateway = Gateway(bench.fake, Path(home) / "data")
                try:
                    request = lane.request(gateway.target, 3, stream=False)
                    [heard] = asyncio.run(together(gateway.target, request, 1))
                    each.append(time.monotonic() - gateway.began)
                    lane.check(gateway.target, heard, 3, stream=False)
                    idle.append(gateway.memory_mb())
                finally:
                    gateway.stop()
    return {
        "start": {f"{name} s": statistics.median(each) for name, each in took.items()},
        "memory": {"idle MB": statistics.median(idle)},
    }


def versions() -> dict[str, str]:
    names = ("flask", "msgspec", "waitress", "werkzeug", "uvloop")
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}, {len(CORES) or os.cpu_count()} cores",
        **{name: importlib.metadata.version(name) for name in names},
    }


def run(chosen: list[str], size: Size) -> dict[str, Any]:
    results: Results = {}
    with running() as (fake, gateway):
        bench = Bench(fake, gateway, size, say)
        idle = gateway.memory_mb()
        for name in chosen:
            if name in GROUPS:
                title, measure = GROUPS[name]
                say(f"  {title} ...")
                results[name] = measure(bench)
        if "start" in chosen:
            say("  Start and memory ...")
            peak = gateway.memory_mb("VmHWM")
            results["start"] = starts(bench, 5 if size.rounds > 1 else 1)
            results["start"]["memory"] |= {
                "before MB": idle,
                "peak MB": peak,
                "after MB": gateway.memory_mb(),
            }
    if "codecs" in chosen:
        say("  Each lane's code alone ...")
        results["codecs"] = codecs.measure(1.0 if size.rounds > 1 else 0.1)
    return {
        "at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "versions": versions(),
        "results": results,
    }


def main(arguments: list[str] | None = None) -> int:
    names = [*GROUPS, "start", "codecs"]
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="under a minute: see that everything works")
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="measure only this")
    parser.add_argument(
        "--json", type=Path, help="write the figures there  [benchmarks/results.json with --page]"
    )
    parser.add_argument(
        "--page", action="store_true", help="write the table into docs/performance.md and README.md"
    )
    options = parser.parse_args(arguments)
    began = time.monotonic()
    try:
        import uvloop  # noqa: PLC0415 - not on Windows
    except ImportError:
        say("Without uvloop the driver is the limit; the ratios mean little.")
    else:
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    try:
        found = run(options.only, QUICK if options.quick else Size())
    except WrongError as error:
        say(f"WRONG: {error}")
        return 1
    print(page.table(found))
    print(page.details(found))
    target = options.json or (FOUND if options.page else None)
    if target is not None:
        target.write_text(json.dumps(found, indent=1) + "\n")
    if options.page:
        page.write(found)
    say(f"Every byte was right. {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
