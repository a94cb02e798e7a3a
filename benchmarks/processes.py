"""The processes of a run: the fake Copilot and the gateway, on a core each, and what they use."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.lanes import ONLY_MESSAGES
from benchmarks.load import Target
from core.copilot.headers import copilot_headers, github_headers
from core.outgoing import Outgoing
from core.settings import Settings

ROOT = Path(__file__).parents[1]
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
READY = re.compile(r"^Listening on (\S+)", re.MULTILINE)


# The cores there are; empty where they cannot be chosen.
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


@contextlib.contextmanager
def on_core(number: int) -> Iterator[None]:
    """Run on one core, as do the processes that are started meanwhile."""
    if len(CORES) < 2:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {CORES[number]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Process:
    """A process of its own; what it says is kept in a file."""

    def __init__(self, command: Sequence[str], environ: dict[str, str], core: int) -> None:
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by `stop`
        self.began = time.monotonic()
        with on_core(core):
            self._process = subprocess.Popen(
                [sys.executable, *command], cwd=ROOT, env=environ, stdin=subprocess.DEVNULL,
                stdout=self._said, stderr=self._said,
            )  # fmt: skip

    def said(self) -> str:
        self._said.seek(0)
        return self._said.read()

    def wait_for(self, pattern: re.Pattern[str]) -> str:
        """Return the pattern's group once the process has said it."""
        while (found := pattern.search(self.said())) is None:
            if self._process.poll() is not None:
                raise RuntimeError(f"a process ended: {self.said()}")
            time.sleep(0.002)
        return found[1]

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory_mb(self, name: str = "VmRSS") -> float:
        text = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(text.partition(f"{name}:")[2].split()[0]) / 1024

    def forget_peak(self) -> None:
        """Let VmHWM begin anew, where the kernel permits."""
        with contextlib.suppress(OSError):
            Path(f"/proc/{self._process.pid}/clear_refs").write_text("5")

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._said.close()


class Fake(Process):
    """The fake Copilot: what is asked of it twice is rendered once."""

    def __init__(self) -> None:
        super().__init__(
            ["-m", "tests.emulators.copilot", "--cached", "--log-size", "16"], dict(os.environ), -1
        )
        self.urls: dict[str, str] = json.loads(self.wait_for(re.compile(r"^(\{.*\})$", re.MULTILINE)))
        self._call("models", ONLY_MESSAGES)

    def pace(self, milliseconds: float) -> None:
        """Write the time of its sending into each word from now on, with a pause after it."""
        self._call("modes", {"modes": {"stamp": True, "pace_ms": milliseconds}, "replace": True})

    def flood(self) -> None:
        """Write as fast as it goes, an event a write."""
        self._call("modes", None, "DELETE")

    def target(self, path: str = "/chat/completions") -> Target:
        """Return how upstream is asked without the gateway."""
        settings = Settings()
        token = self._fetch(
            f"{self.urls['api_url']}/copilot_internal/v2/token",
            github_headers(settings, self.urls["github_token"]),
        )["token"]
        asked = Outgoing(path=path, body=b"{}", stream=True)
        headers = copilot_headers(settings, token, asked, initiator="user", request_id="bench")
        del headers["content-type"]
        at = urlsplit(self.urls["capi_url"])
        return Target(str(at.hostname), at.port or 80, headers, is_gateway=False)

    def _call(self, name: str, body: object, method: str = "POST") -> None:
        self._fetch(
            f"{self.urls['api_url']}/_fake/{name}", {}, method, json.dumps(body).encode() if body else None
        )

    def _fetch(
        self, url: str, headers: dict[str, str], method: str = "GET", body: bytes | None = None
    ) -> Any:
        request = urllib.request.Request(url, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as reply:
            return json.load(reply)


class Gateway(Process):
    """`copilot-gateway start`, as a user runs it."""

    def __init__(self, fake: Fake, home: Path) -> None:
        named = {
            "GITHUB_URL": fake.urls["github_url"],
            "GITHUB_API_URL": fake.urls["api_url"],
            "GITHUB_TOKEN": fake.urls["github_token"],
            "DATA_DIR": str(home),
        }
        # Some who develop let Python compile everything at each start; users do not.
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("COPILOT_GATEWAY_") and name != "PYTHONDONTWRITEBYTECODE"
        }
        environ = kept | {f"COPILOT_GATEWAY_{name}": value for name, value in named.items()}
        super().__init__(["-m", "infra.cli", "start", "--port", "0"], environ, 0)
        at = urlsplit(self.wait_for(READY))
        self.target = Target(str(at.hostname), at.port or 80)


class Hop(Process):
    """A process that only forwards bytes, in the gateway's place."""

    def __init__(self, upstream: Target) -> None:
        super().__init__(["-m", "benchmarks.hop", upstream.host, str(upstream.port)], dict(os.environ), 0)
        at = urlsplit(self.wait_for(READY))
        self.target = replace(upstream, host=str(at.hostname), port=at.port or 80)


@contextlib.contextmanager
def running() -> Iterator[tuple[Fake, Gateway]]:
    """Yield both; this process and the fake share the last core, the gateway has the first."""
    with contextlib.ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory())
        stack.enter_context(on_core(-1))
        fake = Fake()
        stack.callback(fake.stop)
        gateway = Gateway(fake, Path(home) / "data")
        stack.callback(gateway.stop)
        yield fake, gateway
