"""Real command-line clients against the gateway as `make demo` serves it, and the table of what came of it."""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
BIN = HERE / "node_modules" / ".bin"
PYPI = ROOT / ".make" / "clients"  # one virtual environment a client, made by the Makefile
GATEWAY = [sys.executable, "-m", "infra.cli"]
PATIENCE = 240  # seconds for one run of a client on a busy machine
LISTENING = re.compile(rb"Listening on (http://\S+)")
REQUEST = re.compile(r"request\.done .*?route='POST (?:/v1)?/(\S+)' model=(\S+) upstream=(\S+)")
SURFACES = {"chat/completions": "chat", "messages": "messages", "responses": "responses"}
# Nothing answers there: what a client wants from other hosts fails at once.
NOWHERE = "http://127.0.0.1:9"


@dataclass
class Cell:
    """One request as the gateway logs it."""

    surface: str
    model: str
    upstream: str


@dataclass
class Demo:
    """The running demo: where it is, and what it was asked."""

    url: str
    log: Path
    read: int = 0

    def cells(self, least: int = 0) -> list[Cell]:
        """Return the requests since the last call; wait for so many of them: they are logged after their answers."""
        until = time.monotonic() + PATIENCE
        while len(found := _requests(text := self._lines())) < least and time.monotonic() < until:
            time.sleep(0.1)
        self.read += len(text)
        return found

    def _lines(self) -> str:
        """Return the whole lines that are new."""
        return self.log.read_text(errors="replace")[self.read :].rpartition("\n")[0]


def _requests(text: str) -> list[Cell]:
    return [Cell(SURFACES[route], *rest) for route, *rest in REQUEST.findall(text) if route in SURFACES]


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo in its own process."""
    log = tmp_path_factory.mktemp("demo") / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "tests.emulators.demo", "--port", "0"],
            cwd=ROOT,
            stderr=out,
            stdout=out,
        )
    try:
        yield Demo(base_url(process, log), log)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@pytest.fixture
def gateway(demo: Demo) -> str:
    return demo.url


def base_url(demo: subprocess.Popen[bytes], log: Path) -> str:
    """Follow the demo's output until it says where it listens."""
    with subprocess.Popen(
        ["tail", f"--pid={demo.pid}", "-n", "+1", "-f", log], stdout=subprocess.PIPE
    ) as tail:
        assert tail.stdout is not None
        for line in tail.stdout:
            if found := LISTENING.search(line):
                tail.terminate()
                return found[1].decode()
    raise AssertionError(f"the demo ended: {log.read_text()}")


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """An empty folder with one file whose content no model can guess."""
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "note.txt").write_text(f"word-{secrets.token_hex(8)}\n")
    return folder


@pytest.fixture
def word(workplace: Path) -> str:
    return (workplace / "note.txt").read_text().strip()


@pytest.fixture
def environ(workplace: Path) -> dict[str, str]:
    """The environment of a person with these clients, a home of their own and no way out of the machine."""
    programs = [BIN, *(folder / "bin" for folder in sorted(PYPI.glob("*")))]
    return {
        "PATH": os.pathsep.join([*map(str, programs), os.environ["PATH"]]),
        "HOME": str(workplace.parent),
        "LANG": "C.UTF-8",
        "IS_SANDBOX": "1",  # Claude Code, as root
        "FACTORY_API_KEY": "none",  # droid wants one
        "HTTPS_PROXY": NOWHERE,
        "HTTP_PROXY": NOWHERE,
        "NO_PROXY": "127.0.0.1,localhost",
        "DO_NOT_TRACK": "1",
        "PYTHONPATH": str(ROOT),
    }


def set_up(environ: dict[str, str], name: str, url: str, model: str, *more: str) -> dict[str, Any]:
    """Run `copilot-gateway setup NAME --write` and return what it says."""
    done = subprocess.run(
        [*GATEWAY, "setup", name, "--url", url, "--model", model, "--small-model", "gpt-5-mini", "--write", "--json", *more],
        cwd=environ["HOME"], env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@dataclass
class Row:
    """One line of the table."""

    client: str
    version: str
    task: str
    cells: list[Cell] = field(default_factory=list[Cell])
    result: str = "FAILED"
    began: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    def passed(self, cells: list[Cell]) -> None:
        self.cells, self.result = cells, "ok"
        self.ended()

    def ended(self) -> None:
        self.seconds = time.monotonic() - self.began

    def columns(self) -> tuple[str, ...]:
        used = dict.fromkeys(f"{cell.surface}: {cell.model} -> {cell.upstream}" for cell in self.cells)
        return self.client, self.version, "; ".join(used), self.task, self.result, f"{self.seconds:.1f}"


HEAD = ("client", "version", "surface: model -> upstream", "task", "result", "seconds")
ROWS: list[Row] = []


@pytest.fixture
def table() -> Iterator[list[Row]]:
    """What the end of the run shows."""
    known = len(ROWS)
    yield ROWS
    for row in ROWS[known:]:
        if not row.seconds:
            row.ended()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table."""
    if not ROWS:
        return
    lines = [HEAD, *(row.columns() for row in ROWS)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    terminalreporter.section("clients")
    for line in lines:
        terminalreporter.write_line(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        )
    clients = {row.client for row in ROWS if row.result == "ok"}
    terminalreporter.write_line(f"{len(clients)} clients work: {', '.join(sorted(clients))}")
