"""Claude Code against this gateway: which models it uses, and the command that starts it."""

import os
import re
from collections.abc import Sequence
from typing import Final

import click
from msgspec import Struct

from core.model import Model
from core.settings import Settings
from infra.cli import clipboard, exits, shells
from infra.cli.console import can_ask, people, plain, say

# What to offer first, best first. Only a suggestion: any model of the catalogue can be chosen.
MAIN: Final = ("claude-sonnet", "claude-opus", "claude", "gpt-5", "gpt", "gemini")
SMALL: Final = ("haiku", "mini", "flash", "nano")
KEY_VARIABLE: Final = "COPILOT_GATEWAY_API_KEY"
NO_KEY: Final = "no-key-needed"


class Choice(Struct, frozen=True):
    """The ids of the main and the small model."""

    main: str
    small: str


def choose(models: Sequence[Model], settings: Settings) -> Choice:
    """Ask which models to use, or choose them where nobody can be asked. Raises CommandError when there is none."""
    usable = [
        model for model in models
        if model.kind == "chat" and model.policy == "enabled" and shells.SAFE.fullmatch(model.id)
    ]  # fmt: skip
    if not usable:
        raise exits.CommandError("Your subscription offers no model that Claude Code could use now.")
    main, small = suggest(usable, MAIN), settings.small_model or suggest(usable, SMALL, otherwise=MAIN)
    if not can_ask():
        return Choice(main, small)
    _list(usable)
    return Choice(_ask("Model", usable, main), _ask("Small, fast model for side tasks", usable, small))


def suggest(models: Sequence[Model], wanted: Sequence[str], otherwise: Sequence[str] = ()) -> str:
    """Return the newest model of the first kind that there is, a released one before a preview."""
    for part in wanted:
        if found := [model for model in models if part in model.id]:
            return max(found, key=lambda model: (not model.preview, _version(model.id))).id
    return suggest(models, otherwise) if otherwise else models[0].id


def variables(base_url: str, choice: Choice, *, keyed: bool) -> dict[str, str]:
    """Return what Claude Code reads from its environment. The gateway's key, where one is asked, is named, not shown."""
    return {
        "ANTHROPIC_BASE_URL": base_url,
        "ANTHROPIC_AUTH_TOKEN": shells.Reference(KEY_VARIABLE) if keyed else NO_KEY,
        "ANTHROPIC_MODEL": choice.main,
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": choice.small,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }


def announce(base_url: str, choice: Choice, *, keyed: bool) -> None:
    """Print the command for the shell at hand, and copy it where that is possible."""
    shell = shells.detect(os.environ, shells.ancestors())
    line = shells.command(shell, variables(base_url, choice, keyed=keyed), "claude")
    say("Start Claude Code in another terminal with:", "bold")
    people().print(line, markup=False, soft_wrap=True)
    if keyed:
        say(f"It reads the gateway's key from {KEY_VARIABLE}, which has to be set there.")
    if can_ask() and clipboard.copy(line, os.environ):
        say("The command is on the clipboard.")


def _list(models: Sequence[Model]) -> None:
    for number, model in enumerate(models, 1):
        say(f"{number:3}  {model.id}")


def _ask(question: str, models: Sequence[Model], suggestion: str) -> str:
    """Ask until the answer is a number of the list or an id in it."""
    by_answer = {model.id: model.id for model in models} | {
        str(n): model.id for n, model in enumerate(models, 1)
    }
    while True:
        answer = click.prompt(
            f"{question} (number or id)", default=plain(suggestion), err=True, type=str
        ).strip()
        if answer in by_answer or answer == suggestion:
            return by_answer.get(answer, suggestion)
        say(f"There is no model {answer}.")


def _version(model_id: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"[0-9]{1,9}", model_id))
