"""What a model accepts of thinking and sampling: the rules that hold between these members."""

from typing import Any, Final

from msgspec import Struct

from core.canonical import Reasoning
from core.dialects.messages.turns import Turn
from core.effort import budget_of, effort_of, nearest
from core.model import Model

LEAST_BUDGET: Final = 1024
LEAST_TOP_P: Final = 0.95  # the lowest that goes together with thinking
HOTTEST: Final = 1.0
INTERLEAVED: Final = "interleaved-thinking-2025-05-14"


class Plan(Struct, frozen=True):
    """What to send: the `thinking` member and the effort, and what could not be said."""

    thinking: dict[str, Any] | None = None
    effort: str | None = None
    losses: tuple[str, ...] = ()

    @property
    def thinks(self) -> bool:
        """Whether the model will think."""
        return self.thinking is not None and self.thinking["type"] != "disabled"


def plan(reasoning: Reasoning | None, model: Model, max_tokens: int, *, may_think: bool) -> Plan:
    """Say a reasoning wish in the words of this model. `may_think` False: the rest of the request forbids it."""
    if reasoning is None:
        return Plan()
    effort, losses = declared_effort(effort_of(reasoning), model)
    if effort_of(reasoning) == "none":
        known = model.adaptive_thinking or model.thinking_budget is not None
        return Plan({"type": "disabled"} if known else None)
    if not may_think:
        return Plan(None, effort, ("reasoning", *losses))
    if model.adaptive_thinking:
        return Plan({"type": "adaptive", "display": "summarized"}, effort, losses)
    wanted = budget_of(reasoning, max_tokens)
    budget = fitting_budget(wanted, model, max_tokens) if wanted is not None else None
    if budget is not None and model.thinking_budget is not None:
        lost = () if reasoning.effort is None or effort is not None else losses
        thinking: dict[str, Any] = {"type": "enabled", "budget_tokens": budget}
        return Plan(thinking, effort if reasoning.effort is not None else None, lost if model.efforts else ())
    return Plan(None, effort, losses if effort is None else ())


def declared_effort(effort: str | None, model: Model) -> tuple[str | None, tuple[str, ...]]:
    """Return the declared level nearest to `effort`; another one, or none, is a loss."""
    if effort is None or effort == "none":
        return None, ()
    if not model.efforts:
        return None, ("effort",)
    chosen = nearest(effort, model.efforts)
    return chosen, () if chosen == effort else ("effort",)


def fitting_budget(budget: int, model: Model, max_tokens: int) -> int | None:
    """Return the budget inside the model's range and below the output limit, or None when there is no room."""
    least, most = model.thinking_budget or (LEAST_BUDGET, budget)
    least = max(least, LEAST_BUDGET)
    fitting = min(max(budget, least), max(most, least), max_tokens - 1)
    return fitting if fitting >= least else None


def starts_without_thinking(turns: list[Turn]) -> bool:
    """Tell whether the open tool round lacks the thinking that upstream wants to see first.

    With a budget, the last assistant turn must begin with thinking as long as its tool results are being answered.
    """
    rounds = [turn for turn in turns if turn.role != "system"]
    if len(rounds) < 2 or not any(piece.type == "tool_result" for piece in rounds[-1].pieces):  # noqa: PLR2004
        return False
    first = rounds[-2].pieces[0].type if rounds[-2].pieces else ""
    return rounds[-2].role == "assistant" and first not in {"thinking", "redacted_thinking"}


class Sampling(Struct):
    """The three sampling members, as asked for."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None


def accepted(asked: Sampling, model: Model, *, thinks: bool) -> tuple[Sampling, tuple[str, ...]]:
    """Return the sampling members that may be sent, and the names of those that may not (or only changed)."""
    temperature, top_p, top_k = asked.temperature, asked.top_p, asked.top_k
    if not model.sampling:
        temperature = top_p = top_k = None
    if temperature is not None and temperature > HOTTEST:
        temperature = HOTTEST
    if thinks:
        temperature = temperature if temperature == HOTTEST else None
        top_p = top_p if top_p is not None and top_p >= LEAST_TOP_P else None
        top_k = None
    if temperature is not None and top_p is not None:
        top_p = None
    kept = Sampling(temperature, top_p, top_k)
    names = Sampling.__struct_fields__
    return kept, tuple(name for name in names if getattr(kept, name) != getattr(asked, name))
