"""How many machine instructions the hot path takes, against a recorded budget: no clock, so no mood of the machine.

python -m benchmarks.guard [--record]

valgrind counts. Each case runs in a child of one prepared process; what is compared is its share of a loop of plain Python
that is counted beside it, so that another build of the interpreter moves both.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import inside

BUDGET = Path(__file__).with_name("budget.json")
TOLERANCE = 0.10
REPEATED = 20  # times that a request is answered, for one count
SUMMARY = re.compile(r"^(?:summary|totals): (\d+)", re.MULTILINE)
EMPTY, LOOP = "nothing", "loop"


def loop() -> None:
    """What an interpreter does all day: calls, dictionaries, slices of bytes."""
    words: dict[bytes, int] = {}
    text = b"a loop of plain python that is counted beside the cases " * 20
    for turn in range(400):
        for word in text.split(b" "):
            words[word] = words.get(word, 0) + len(word[turn % 3 :])


def case_names() -> list[str]:
    """The cases that are counted; each lane's stream, and the two kinds of request."""
    return [name for name in inside.cases(None) if "responses" not in name or name.startswith("stream,")]  # type: ignore[arg-type]


def count_here(answers: Path, names: list[str]) -> None:
    """Under valgrind: run each case in a child, which leaves its count behind as it ends; print the children's ids."""
    found = inside.opened(inside.loaded(answers), warm=1)
    runs: dict[str, Callable[[], object]] = {
        EMPTY: lambda: None,
        LOOP: loop,
        **{name: found[name] for name in names},
    }
    loop()
    for name, run in runs.items():
        times = REPEATED if "request" in name else 1
        child = os.fork()
        if child == 0:
            for _ in range(times):
                run()
            os._exit(0)
        os.waitpid(child, 0)
        print(f"{child} {times} {name}", flush=True)


def measure() -> dict[str, float]:
    """Return each case's instructions as a share of the loop's."""
    with tempfile.TemporaryDirectory() as folder:
        home, names = Path(folder), case_names()
        inside.stored(inside.record(), home / "answers")
        command = [
            "valgrind", "--tool=callgrind", "--quiet", f"--callgrind-out-file={home}/count.%p", sys.executable,
            "-m", "benchmarks.guard", "--count", str(home / "answers"),
        ]  # fmt: skip
        # The order of sets and dictionaries, and with it the count, follows from the seed.
        environ = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
        ran = subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True, check=True)
        counts: dict[str, tuple[int, int]] = {}
        for line in ran.stdout.splitlines():
            child, times, name = line.split(" ", 2)
            found = SUMMARY.search((home / f"count.{child}").read_text())
            assert found is not None, name
            counts[name] = int(found[1]), int(times)
    nothing = counts[EMPTY][0]
    whole = counts[LOOP][0] - nothing
    return {name: round((counts[name][0] - nothing) / counts[name][1] / whole, 4) for name in names}


def judge(budget: dict[str, float], found: dict[str, float]) -> list[str]:
    """Return what is over its budget, or so far below it that the budget should be drawn in."""
    remarks = []
    for name, share in found.items():
        if name not in budget:
            remarks.append(f"{name}: no budget")
        elif share > budget[name] * (1 + TOLERANCE):
            remarks.append(f"{name}: {share / budget[name] - 1:+.0%} instructions")
    return remarks + [f"{name}: not counted any more" for name in budget.keys() - found.keys()]


def show(budget: dict[str, float], found: dict[str, float]) -> None:
    for name, share in found.items():
        before = budget.get(name)
        print(f"{name:42} {share:9.4f}  {'' if before is None else f'{share / before - 1:+.1%}'}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="make guard", description=__doc__.partition("\n")[0])
    parser.add_argument("--record", action="store_true", help="make what is counted now the budget")
    parser.add_argument("--count", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.count:
        count_here(options.count, case_names())
        return 0
    if shutil.which("valgrind") is None:
        print("valgrind is needed (Debian: apt-get install valgrind); it runs on Linux.", file=sys.stderr)
        return 2
    budgets: dict[str, dict[str, float]] = json.loads(BUDGET.read_text()) if BUDGET.exists() else {}
    version = "{}.{}".format(*sys.version_info)
    found = measure()
    show(budgets.get(version, {}), found)
    if options.record:
        BUDGET.write_text(json.dumps({**budgets, version: found}, indent=1, sort_keys=True) + "\n")
        return 0
    if version not in budgets:
        print(
            f"There is no budget for Python {version}: `make guard ARGS=--record` makes one.", file=sys.stderr
        )
        return 0
    remarks = judge(budgets[version], found)
    for remark in remarks:
        print(f"over budget: {remark}", file=sys.stderr)
    if remarks:
        print(
            "Find what costs more, or say in the commit why it may: `make guard ARGS=--record`.",
            file=sys.stderr,
        )
    return 1 if remarks else 0


if __name__ == "__main__":
    sys.exit(main())
