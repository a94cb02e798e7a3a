"""What is loaded, and no more: every module costs memory, and time at each start and cold start.

A change that means it records the new lists: `.venv/bin/python -m benchmarks.imports --record`.
"""

import sys
from pathlib import Path

import pytest

from benchmarks import imports
from tests.emulators.copilot import FakeCopilot

HOW = "if that is meant, run: .venv/bin/python -m benchmarks.imports --record"


def compare(name: str, found: list[str]) -> None:
    known = imports.recorded(name)
    new, gone = sorted(set(found) - set(known)), sorted(set(known) - set(found))
    assert ([], []) == (new, gone), f"newly loaded: {new}; no longer: {gone}; {HOW}"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without asking it")
@pytest.mark.parametrize("name", ["start", "request"])
def test_command_loads_what_is_recorded(fake: FakeCopilot, tmp_path: Path, name: str) -> None:
    compare(name, imports.by_start(fake, tmp_path, requests=name == "request"))


@pytest.mark.skipif(sys.platform != "linux", reason="awslambdaric is for Linux")
def test_lambda_entry_loads_what_is_recorded() -> None:
    compare("lambda", imports.by_lambda())
