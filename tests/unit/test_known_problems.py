"""docs/known-problems.md has every row, and names tests that exist."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "known-problems.md").read_text()
ROWS = re.findall(r"^\| (\d+) \|(.*)\|([^|]*)\|$", PAGE, re.MULTILINE)


def names_of_tests() -> set[str]:
    files = [path for path in (ROOT / "tests").rglob("test_*.py") if "node_modules" not in path.parts]
    return {
        found.name
        for path in files
        for found in ast.walk(ast.parse(path.read_text()))
        if isinstance(found, ast.FunctionDef) and found.name.startswith("test_")
    }


def test_every_problem_has_its_row() -> None:
    assert [str(number) for number in range(1, 61)] == [number for number, _, _ in ROWS]


def test_every_row_is_proved_by_tests_that_exist() -> None:
    known = names_of_tests()
    for number, _, proof in ROWS:
        named = re.findall(r"`(test_\w+)`", proof)
        assert named, number
        assert [] == [name for name in named if name not in known], number
