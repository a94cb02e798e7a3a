"""Damaged and random input for everything that reads bytes from outside; see `hunting` for how to repeat a case."""

from pathlib import Path

import pytest

from tests.fuzz.hunting import ROOT, SECONDS, Target, hunt
from tests.fuzz.targets import ALL, GROUPS

SHARES = [(target, SECONDS / len(group)) for group in GROUPS.values() for target in group]
FOUND = sorted((ROOT / "tests" / "golden" / "found").glob("*/*"))


@pytest.mark.fuzz
@pytest.mark.timeout(int(SECONDS) + 300)
@pytest.mark.parametrize(("target", "seconds"), SHARES, ids=[target.name for target, _ in SHARES])
def test_the_laws_hold_for_as_long_as_there_is_time(target: Target, seconds: float) -> None:
    assert hunt(target, seconds) > 0


@pytest.mark.parametrize("target", ALL.values(), ids=ALL)
def test_the_laws_hold_for_the_first_cases(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """AC-66: a few cases in every run, always the same ones."""
    monkeypatch.setattr("tests.fuzz.hunting.SEED", "first")
    monkeypatch.delenv("FUZZ_CASE", raising=False)
    assert hunt(target, 60, most=40) == 40


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_once_broke_a_law_holds(path: Path) -> None:
    """AC-66."""
    ALL[path.parent.name].hold(path.read_bytes())
