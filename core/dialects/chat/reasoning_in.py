"""How hard to think, in OpenAI's word and in those of other gateways."""

from msgspec import Struct

from core.canonical import Reasoning
from core.dialects.chat.reading import Count


class _Thinking(Struct):
    type: str = ""
    budget_tokens: Count | None = None


class _Reasoning(Struct):
    effort: str | None = None
    max_tokens: Count | None = None
    summary: str | None = None


class ReasoningWords(Struct, kw_only=True):
    """The members of a body that say it."""

    reasoning_effort: str | None = None
    thinking_budget: Count | None = None
    thinking: _Thinking | None = None
    reasoning: _Reasoning | None = None


def reasoning_of(found: ReasoningWords) -> Reasoning | None:
    """Join what is said in OpenAI's word (`reasoning_effort`) and in those of other gateways."""
    said = found.reasoning or _Reasoning()
    thinking = found.thinking or _Thinking()
    effort = found.reasoning_effort or said.effort
    budget = found.thinking_budget if found.thinking_budget is not None else said.max_tokens
    budget = thinking.budget_tokens if budget is None else budget
    if thinking.type == "disabled" or effort == "none":
        return Reasoning("off")
    if thinking.type == "adaptive":
        return Reasoning("adaptive", effort=effort, summary=said.summary)
    if budget is not None:
        return Reasoning("budget", budget, effort, said.summary)
    return None if effort is None and said.summary is None else Reasoning(None, None, effort, said.summary)
