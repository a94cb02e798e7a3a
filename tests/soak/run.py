"""One soak: starts both processes, keeps the streams going, looks at the gateway meanwhile, and tells."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from tests.e2e.cli_driver import ROOT, Started
from tests.soak.client import Heard, call, fetch
from tests.soak.judge import complaint
from tests.soak.plans import SOUND, Plan, draw
from tests.soak.verdict import IDLE_UPSTREAM, Figures, verdict
from tests.soak.watch import Sample, look

EVERY: Final = 5.0  # seconds between lines of progress
LOOK: Final = 1.0
SETTLING: Final = 60.0  # the longest that everything may take to come to rest
SHOWN: Final = 20
TOKEN: Final = "gho_" + "5" * 36
# Patience long enough that a busy machine does not end what is only slow.
SETTINGS: Final = {"IDLE_TIMEOUT": "25", "FIRST_BYTE_TIMEOUT": "25", "HEARTBEAT": "1", "COMMIT_AFTER": "0.5", "LOG_FORMAT": "json", "REQUESTS_PER_MINUTE": "0", "REQUESTS_PER_DAY": "0"}  # fmt: skip


class Run:
    """A soak of so many seconds and streams; everything drawn follows from the seed."""

    def __init__(self, seconds: float, streams: int, seed: int) -> None:
        self._seconds, self._streams, self._seed = seconds, streams, seed
        self._next = 0
        self._complaints: list[str] = []
        self._count: Counter[str] = Counter()
        self._left: dict[int, float] = {}
        self._first: list[float] = []
        self._samples: list[Sample] = []
        self._gateway: Started
        self._ports: tuple[int, int]

    async def run(self) -> int:
        """Run it and print the figures; return the exit code."""
        say(f"soak: {self._streams} streams for {self._seconds:g} s, SOAK_SEED={self._seed}")
        with ExitStack() as stack, tempfile.TemporaryDirectory() as directory:
            upstream = _upstream(stack)
            self._gateway = Started(_environ(upstream, Path(directory)))
            stack.callback(self._gateway.process.kill)
            self._ports = (_port(self._gateway.url()), _port(upstream))
            before = self._look()
            began = time.monotonic()
            await self._load(began + self._seconds)
            report = await self._settled()
            after = self._look()
            code = self._gateway.stop()
        logged = [line for line in self._gateway.said if "Traceback" in line or "crashed" in line]
        figures = Figures(
            seconds=time.monotonic() - began,
            streams=self._streams,
            count=dict(self._count),
            complaints=self._complaints,
            logged=logged,
            exit_code=code,
            samples=(before, self._samples, after),
            lags=_lags(self._left, report),
            still_open=len(report["open"]),
            first=self._first,
        )
        return verdict(figures, say)

    def _look(self) -> Sample:
        client, upstream = self._ports
        return look(self._gateway.process.pid, client=client, upstream=upstream)

    async def _load(self, until: float) -> None:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self._streams):
                tasks.create_task(self._client(until))
            tasks.create_task(self._watch(until))

    async def _client(self, until: float) -> None:
        while time.monotonic() < until and self._gateway.process.poll() is None:
            plan = draw(self._seed, self._next)
            self._next += 1
            try:
                heard = await call(plan, self._ports[0])
            except OSError as error:
                self._complain(plan, f"no connection: {error}")
                await asyncio.sleep(1)
                continue
            self._take(plan, heard)

    def _take(self, plan: Plan, heard: Heard) -> None:
        self._count["requests"] += 1
        self._count[plan.fault] += 1
        if heard.left_at is not None:
            self._count["clients left"] += 1
            self._left[plan.number] = heard.left_at
        elif (wrong := complaint(plan, heard)) is not None:
            self._complain(plan, wrong)
        elif plan.fault in SOUND:
            self._count["sound replies whole"] += 1
            self._count["words"] += plan.words
        else:
            self._count["failures told"] += 1
        if plan.streams and plan.fault in {"plain", "burst", "split"} and heard.first:
            self._first.append(heard.first)

    def _complain(self, plan: Plan, wrong: str) -> None:
        self._complaints.append(f"{plan}: {wrong}")
        if len(self._complaints) <= SHOWN:
            say(f"  WRONG {self._complaints[-1]}")

    async def _watch(self, until: float) -> None:
        told = time.monotonic()
        while time.monotonic() < until and self._gateway.process.poll() is None:
            await asyncio.sleep(LOOK)
            self._samples.append(sample := self._look())
            if time.monotonic() - told >= EVERY:
                told = time.monotonic()
                say(
                    f"  {max(until - told, 0):4.0f} s left  {self._count['requests']:6} requests"
                    f"  {len(self._complaints)} wrong  {sample.rss / 2**20:6.1f} MB  {sample.threads} threads"
                    f"  {sample.files} files  {sample.of('client')} clients  {sample.of('upstream')} upstream"
                )

    async def _settled(self) -> Any:
        """Wait until upstream has no open reply, and the gateway no client and idle connections only; return upstream's report."""
        end = time.monotonic() + SETTLING
        while True:
            report = json.loads(await fetch(self._ports[1], "/soak/report"))
            sample = self._look()
            is_busy = report["open"] or sample.of("client", "established", "close_wait")
            if time.monotonic() > end or not (is_busy or sample.of("upstream") > IDLE_UPSTREAM):
                return report
            await asyncio.sleep(0.2)


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _lags(left: dict[int, float], report: Any) -> list[float]:
    """Return the seconds between a client's leaving and the end of its upstream; nothing where upstream had ended before."""
    ended = {int(number): (how, at) for number, (how, at) in report["ended"].items()}
    return [
        ended[number][1] - at for number, at in left.items() if number in ended and ended[number][0] == "left"
    ]


def _upstream(stack: ExitStack) -> str:
    process = stack.enter_context(
        subprocess.Popen(
            [sys.executable, "-m", "tests.soak.upstream"], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
    )
    stack.callback(process.kill)
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _environ(upstream: str, directory: Path) -> dict[str, str]:
    named = {
        "GITHUB_URL": upstream, "GITHUB_API_URL": upstream, "COPILOT_URL": upstream, "GITHUB_TOKEN": TOKEN,
        "DATA_DIR": str(directory / "data"), **SETTINGS,
    }  # fmt: skip
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COPILOT_GATEWAY_")}
    # glibc keeps up to a quarter of a megabyte of freed blocks for each of 256 threads, and counts them as used: over
    # thousands of requests that looks like a leak, and would hide one.
    tuned = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}
    return kept | tuned | {f"COPILOT_GATEWAY_{name}": value for name, value in named.items()}


def _port(url: str) -> int:
    return urlsplit(url).port or 80
