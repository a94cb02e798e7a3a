"""How hard to think, in the two words that upstream models know: an effort level and a budget of tokens."""

from typing import Final

from core.canonical import Reasoning

# Weakest first. A level that is not here (a newer one) is left as it is where the model declares it.
LEVELS: Final[tuple[str, ...]] = ("none", "minimal", "low", "medium", "high", "xhigh", "max")

# Budget in tokens (up to and including) -> effort; above the last one it is "high".
EFFORT_UP_TO: Final[tuple[tuple[int, str], ...]] = ((2048, "low"), (8192, "medium"))

# The way back: each lies inside the range that EFFORT_UP_TO gives to the same level.
BUDGET: Final[dict[str, int]] = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16384,
    "xhigh": 24576,
    "max": 32000,
}

DEFAULT_BUDGET: Final = 8192  # for "think" without a word on how hard


def effort_of(reasoning: Reasoning | None) -> str | None:
    """Return the effort level that `reasoning` asks for, or None when it does not say.

    Thinking that is switched off is "none" (the level below all others). A budget is translated by EFFORT_UP_TO.
    An effort that is stated wins over a budget.
    """
    if reasoning is None:
        return None
    if reasoning.mode == "off":
        return "none"
    if reasoning.effort is not None:
        return reasoning.effort
    if reasoning.budget is None:
        return None
    for most, effort in EFFORT_UP_TO:
        if reasoning.budget <= most:
            return effort
    return "high"


def budget_of(reasoning: Reasoning | None, limit: int | None = None) -> int | None:
    """Return the thinking budget in tokens, or None when thinking is off or was not asked for.

    A budget that is stated wins over an effort. One that is not leaves a quarter of the output limit for the answer: what
    is thought counts. The caller clamps the budget to the model's range and to the output limit.
    """
    if reasoning is None or reasoning.mode == "off" or reasoning.effort == "none":
        return None
    if reasoning.budget is not None:
        return reasoning.budget
    if reasoning.effort is None and reasoning.mode is None:
        return None
    budget = BUDGET.get(reasoning.effort or "", DEFAULT_BUDGET)
    return budget if limit is None else min(budget, limit * 3 // 4)


def nearest(effort: str, declared: tuple[str, ...]) -> str:
    """Return `effort` when it is declared, else the declared level that is closest to it.

    Between two equally close ones the weaker wins (it costs less). An unknown effort, or no declared level that
    we know, gives the declared level in the middle. `declared` must not be empty.
    """
    if effort in declared:
        return effort
    known = [level for level in declared if level in LEVELS]
    if effort not in LEVELS or not known:
        return declared[len(declared) // 2]
    rank = LEVELS.index(effort)
    return min(known, key=lambda level: (abs(LEVELS.index(level) - rank), LEVELS.index(level)))
