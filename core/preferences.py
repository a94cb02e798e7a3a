"""Which models a client gets: wishes by family in a table, answered from what the live catalogue offers."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from core.model import Model

# Best first. Only a suggestion: any model of the catalogue can be chosen.
CLAUDE_FIRST: Final = ("claude-sonnet", "claude-opus", "claude", "gpt-5", "gpt", "gemini")
GPT_FIRST: Final = ("gpt", "claude-sonnet", "claude", "gemini")
MAIN: Final[Mapping[str, Sequence[str]]] = {"claude": CLAUDE_FIRST, "gpt": GPT_FIRST}
SMALL: Final[Mapping[str, Sequence[str]]] = {
    "claude": ("haiku", "mini", "flash", "nano"),
    "gpt": ("mini", "nano", "haiku", "flash"),
}
# Of one kind, these come last.
LESSER: Final = re.compile(r"mini|nano|flash|haiku|lite")


def suggest(models: Sequence[Model], wanted: Sequence[str], otherwise: Sequence[str] = ()) -> str:
    """Return the newest model of the first kind that there is, a released one before a preview."""
    for part in wanted:
        if found := [model for model in models if part in model.id]:
            return max(found, key=_rank).id
    return suggest(models, otherwise) if otherwise else models[0].id


def suggest_main(models: Sequence[Model], prefers: str) -> str:
    """Return the model for the main work."""
    return suggest([model for model in models if model.tools is not False] or models, MAIN[prefers])


def suggest_small(models: Sequence[Model], prefers: str, configured: str = "") -> str:
    """Return the model for titles and other side tasks. configured: the setting `small_model`."""
    if any(model.id == configured for model in models):
        return configured
    return suggest(models, SMALL[prefers], otherwise=MAIN[prefers])


def usable(models: Sequence[Model]) -> list[Model]:
    """Return the models that can chat and whose terms are accepted."""
    return [model for model in models if model.kind == "chat" and model.policy == "enabled"]


def _rank(model: Model) -> tuple[bool, bool, tuple[int, ...], int]:
    # Of one version, the one without further words: gpt-5.4 rather than gpt-5.4-codex-max.
    return not model.preview, LESSER.search(model.id) is None, _version(model.id), -len(model.id)


def _version(model_id: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"[0-9]{1,9}", model_id))
