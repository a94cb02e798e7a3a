"""Claude Code against this gateway: which models it uses, and the command that starts it."""

import os
from collections.abc import Sequence

import click
from msgspec import Struct

from core.model import Model
from core.preferences import suggest_main, suggest_small, usable
from core.settings import Settings
from infra.cli import clipboard, exits, shells
from infra.cli.console import can_ask, people, plain, say
from infra.clients import claude_code
from infra.clients.plan import KEY_VARIABLE, NO_KEY


class Choice(Struct, frozen=True):
    """The ids of the main and the small model."""

    main: str
    small: str


def choose(models: Sequence[Model], settings: Settings) -> Choice:
    """Ask which models to use, or choose them where nobody can be asked. Raises CommandError when there is none."""
    able = [model for model in usable(models) if shells.SAFE.fullmatch(model.id)]
    if not able:
        raise exits.CommandError("Your subscription offers no model that Claude Code could use now.")
    main = suggest_main(able, "claude")
    small = settings.small_model or suggest_small(able, "claude")
    if not can_ask():
        return Choice(main, small)
    _list(able)
    return Choice(_ask("Model", able, main), _ask("Small, fast model for side tasks", able, small))


def variables(base_url: str, choice: Choice, *, keyed: bool) -> dict[str, str]:
    """Return what Claude Code reads from its environment. The gateway's key, where one is asked, is named, not shown."""
    key = shells.Reference(KEY_VARIABLE) if keyed else NO_KEY
    return {**claude_code.variables(base_url, choice.main, choice.small), "ANTHROPIC_AUTH_TOKEN": key}


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
