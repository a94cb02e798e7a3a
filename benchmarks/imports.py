"""Which modules are loaded when the gateway listens, after its first request, and by the Lambda entry.

python -m benchmarks.imports --record writes the lists that tests/e2e/test_imports.py compares.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from tests.e2e.asking import PATH, ask
from tests.e2e.cli_driver import ROOT, environment, store_login
from tests.e2e.hosting import Wire
from tests.emulators.copilot import FakeCopilot

LISTS = ROOT / "tests" / "e2e" / "imports"
OWN = frozenset({"core", "handlers", "infra"})
# Part of the standard library, and of no use to a server: whoever pulls them in pays in start, memory and cold start.
UNWANTED = frozenset(
    {"asyncio", "multiprocessing", "pydoc", "unittest", "xml", "xmlrpc", "tkinter", "turtle", "sqlite3.dump"}
)
START = "import sys; from infra.cli.app import run; run(['start', '--port', '0']); print(*sys.modules)"
LAMBDA = (
    "import infra.aws.entry, infra.aws.runtime, infra.aws.app, infra.aws.services, sys; print(*sys.modules)"
)


def kept(modules: Iterable[str]) -> list[str]:
    """The gateway's own modules, others' packages, and what is unwanted. The rest differs from Python to Python."""
    found = set()
    for module in modules:
        top = module.partition(".")[0]
        if top in OWN or module in UNWANTED:
            found.add(module)
        elif top not in sys.stdlib_module_names and not top.startswith("_"):
            found.add(top)
    return sorted(found)


def by_lambda() -> list[str]:
    """Return what the Lambda entry loads."""
    ran = subprocess.run([sys.executable, "-c", LAMBDA], cwd=ROOT, capture_output=True, text=True, check=True)
    return kept(ran.stdout.split())


def by_start(fake: FakeCopilot, home: Path, *, requests: bool) -> list[str]:
    """Return what `start` has loaded, when it listens or when it has answered one request and one stream."""
    environ = environment(home, fake)
    store_login(environ)
    with subprocess.Popen(
        [sys.executable, "-c", START], cwd=ROOT, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    ) as child:  # fmt: skip
        assert child.stderr is not None
        url = _url(child.stderr)
        if requests:
            for stream in (False, True):
                asked = ask("messages", "gpt-4.1", "Say hello.", stream=stream)
                assert Wire(url).post(PATH["messages"], asked).status == 200
        child.send_signal(signal.SIGINT)
        said, _ = child.communicate(timeout=60)
    return kept(said.split())


def _url(lines: IO[str]) -> str:
    for line in lines:
        if line.startswith("Listening on "):
            return line.split()[2]
    raise AssertionError("the gateway did not start")


def recorded(name: str) -> list[str]:
    return (LISTS / f"{name}.txt").read_text().split()


def main() -> None:
    LISTS.mkdir(exist_ok=True)
    with FakeCopilot() as fake, tempfile.TemporaryDirectory() as home:
        for name in ("start", "request"):
            (Path(home) / name).mkdir()
            found = by_start(fake, Path(home) / name, requests=name == "request")
            (LISTS / f"{name}.txt").write_text("\n".join(found) + "\n")
    (LISTS / "lambda.txt").write_text("\n".join(by_lambda()) + "\n")


if __name__ == "__main__":
    main()
