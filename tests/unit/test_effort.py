"""Effort levels and thinking budgets are two words for one wish."""

import pytest

from core.canonical import Reasoning
from core.effort import BUDGET, budget_of, effort_of, nearest


@pytest.mark.parametrize(
    ("reasoning", "effort", "budget"),
    [
        (None, None, None),
        (Reasoning(), None, None),
        (Reasoning("off", effort="high"), "none", None),
        (Reasoning(effort="none"), "none", None),
        (Reasoning("adaptive"), None, 8192),
        (Reasoning("budget", 2048), "low", 2048),
        (Reasoning("budget", 8192), "medium", 8192),
        (Reasoning("budget", 31_999), "high", 31_999),
        (Reasoning("budget", 31_999, "low"), "low", 31_999),
        (Reasoning(effort="xhigh"), "xhigh", 24_576),
        (Reasoning(effort="brand-new"), "brand-new", 8192),
    ],
)
def test_both_words_are_found(reasoning: Reasoning | None, effort: str | None, budget: int | None) -> None:
    assert (effort_of(reasoning), budget_of(reasoning)) == (effort, budget)


@pytest.mark.parametrize("effort", ["low", "medium", "high"])
def test_a_budget_made_of_an_effort_means_that_effort(effort: str) -> None:
    assert effort_of(Reasoning("budget", BUDGET[effort])) == effort


@pytest.mark.parametrize(
    ("asked", "declared", "chosen"),
    [
        ("high", ("low", "high"), "high"),
        ("medium", ("low", "high"), "low"),
        ("max", ("low", "medium"), "medium"),
        ("minimal", ("medium", "high"), "medium"),
        ("brand-new", ("low", "medium", "high"), "medium"),
        ("low", ("odd", "odder", "oddest"), "odder"),
    ],
)
def test_the_nearest_declared_level_is_chosen(asked: str, declared: tuple[str, ...], chosen: str) -> None:
    assert nearest(asked, declared) == chosen
