"""The group of commands, each imported when it is run, and how every failure is shown."""

import importlib
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, cast

import click
from click.shell_completion import CompletionItem

from core.copilot.headers import VERSION
from core.errors import GatewayError
from core.ports import StoreError
from infra.cli import exits
from infra.cli.console import fail, say
from infra.cli.options import Run
from infra.settings import SettingsError

PROGRAM: Final = "copilot-gateway"
COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "start": ("start", "Serve the gateway; log in first if needed."),
    "auth": ("auth", "Log in to GitHub without starting the server."),
    "check-usage": ("usage", "Show what is left of the subscription."),
    "keys": ("keys", "Make, list and revoke keys for clients."),
    "setup": ("setup", "Point Claude Code, Codex, editors and others at the gateway."),
    "models": ("models", "List the models that your subscription offers."),
    "deploy": ("deploy", "Deploy the gateway into your own AWS account."),
    "smoke": ("smoke", "Try a running gateway from outside."),
    "logs": ("logs", "Show what the gateway has logged, and follow it."),
    "doctor": ("doctor", "Find out what is wrong, and what to do about it."),
    "completion": ("completion", "Print what completes the command in your shell."),
    "debug": ("debug", "Show versions and paths for a bug report."),
}


# click 8.2 has a name of its own for it.
NO_COMMAND: Final = getattr(click.exceptions, "NoArgsIsHelpError", ())
EXAMPLES: Final = """\b
Examples:
  copilot-gateway start                    serve http://127.0.0.1:4141; log in first if needed
  copilot-gateway setup claude-code        show what makes Claude Code use it
  copilot-gateway keys create laptop       make a key for a client
  copilot-gateway doctor                   find out what is wrong
"""


class Commands(click.Group):
    """A group that knows its commands' names and imports a command only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of use."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command, or return None when there is none of that name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        return cast("click.Command", importlib.import_module(f"infra.cli.{COMMANDS[cmd_name][0]}").command)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer the commands' names without importing them; options as click does."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [
            CompletionItem(name, help=summary)
            for name, (_, summary) in COMMANDS.items()
            if name.startswith(incomplete)
        ]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"{EXAMPLES}\n{exits.EPILOG}",
)
@click.version_option(VERSION, prog_name=PROGRAM)
def cli() -> None:
    """Your own OpenAI- and Anthropic-compatible endpoint in front of a GitHub Copilot subscription.

    Unofficial: GitHub does not publish Copilot's API for third parties.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and end the process with its exit code."""
    _fill_streams()
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run the command and return its exit code. Every failure is one line; `--verbose` adds the traceback."""
    state = Run()
    try:
        code = cli.main(list(arguments), prog_name=PROGRAM, standalone_mode=False, obj=state)
        sys.stdout.flush()  # a reader that has left is noticed here, not while Python ends
    except click.ClickException as error:
        _show(error)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return exits.INTERRUPTED
    except BrokenPipeError:
        # The reader of stdout has left (`| head`): nothing more to say, also not when Python flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.FAILURE
    except Exception as error:  # noqa: BLE001 - the last place where a defect can still become one line
        if state.verbose:
            say("".join(traceback.format_exception(error)))
        message, exit_code = explain(error)
        fail(message)
        return exit_code
    return code if isinstance(code, int) else exits.OK


def _fill_streams() -> None:
    """Put the null device where the caller has closed a standard stream: Python has None there."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - open to the end
            setattr(sys, name, stream)


def _show(error: click.ClickException) -> None:
    """Say in one line what is wrong with the command line; a group without a command shows its help."""
    if not isinstance(error, click.UsageError) or isinstance(error, NO_COMMAND):
        error.show()
        return
    at = error.ctx.command_path if error.ctx is not None else PROGRAM
    fail(f"{error.format_message().rstrip('.')}. See: {at} --help")


def explain(error: Exception) -> tuple[str, int]:
    """Return what to say of an error, and the exit code."""
    match error:
        case exits.CommandError():
            return str(error), error.code
        case GatewayError():
            return error.message, exits.BY_KIND.get(error.kind, exits.FAILURE)
        case SettingsError():
            return str(error), exits.USAGE
        case OSError() if error.filename is not None and error.strerror:
            return f"{error.filename}: {error.strerror}", exits.FAILURE
        case StoreError() | OSError():
            return str(error), exits.FAILURE
        case _:
            return (
                f"{type(error).__name__}: {error} (a defect of the gateway; --verbose shows where)",
                exits.FAILURE,
            )
