"""Real command-line clients against the gateway as `make demo` serves it."""

import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(__file__).parent / "node_modules" / ".bin"
LISTENING = re.compile(rb"Listening on (http://\S+)")


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The demo in its own process; yields its base URL."""
    log = tmp_path_factory.mktemp("demo") / "log"
    with log.open("wb") as out:
        demo = subprocess.Popen(
            [sys.executable, "-u", "-m", "tests.emulators.demo", "--port", "0"],
            cwd=ROOT,
            stderr=out,
            stdout=out,
        )
    try:
        yield base_url(demo, log)
    finally:
        demo.send_signal(signal.SIGTERM)
        demo.wait(20)


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
