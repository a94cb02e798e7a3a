"""docs/security.md names, for each of the 24 weaknesses, tests that there are, and every such test is named."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = re.findall(r"^\| (\d+) \| .* \|$", (ROOT / "docs" / "security.md").read_text(), re.MULTILINE)
NAMED = {
    match[1]: re.findall(r"`(test_\w+)`", match[0])
    for match in re.finditer(
        r"^\| (\d+) \| .* \|$", (ROOT / "docs" / "security.md").read_text(), re.MULTILINE
    )
}
THERE = set(
    re.findall(
        r"^def (test_\w+)",
        "".join(p.read_text() for p in sorted((ROOT / "tests/security").glob("test_*.py"))),
        re.MULTILINE,
    )
)


def test_every_weakness_has_its_row() -> None:
    assert [str(number) for number in range(1, 25)] == ROWS


@pytest.mark.parametrize("number", range(1, 25))
def test_the_tests_of_a_weakness_are_there(number: int) -> None:
    named = NAMED[str(number)]
    assert [] == [name for name in named if name not in THERE]
    assert any(name.startswith(f"test_weakness_{number:02}_") for name in named)


def test_no_attack_is_left_out() -> None:
    written = {name for name in THERE if name.startswith("test_weakness_")}
    assert set() == written - {name for names in NAMED.values() for name in names}
