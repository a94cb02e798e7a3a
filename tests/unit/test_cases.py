"""Every acceptance case is proved by a test that names it in its docstring; `pytest -s` shows which."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]
CASES = range(1, 67)
NAMED = re.compile(r"AC-(\d\d)(?:\s*(?:…|to|–)\s*AC-(\d\d))?")


def docstrings() -> Iterator[tuple[str, str]]:
    """Yield each test's place and docstring."""
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield f"{path.relative_to(TESTS)}::{node.name}", ast.get_docstring(node) or ""


def proofs() -> dict[int, list[str]]:
    """Return the tests that prove each case."""
    found: dict[int, list[str]] = {case: [] for case in CASES}
    for place, text in docstrings():
        for first, last in NAMED.findall(text):
            for case in range(int(first), int(last or first) + 1):
                found[case].append(place)
    return found


def test_every_acceptance_case_is_proved() -> None:
    found = proofs()
    for case, places in found.items():
        print(f"AC-{case:02} {len(places):3} tests: {', '.join(places[:3])}")  # noqa: T201 - shown with -s
    assert [] == [case for case, places in found.items() if not places]


def test_no_test_names_a_case_that_does_not_exist() -> None:
    assert set(CASES) == set(proofs())
