"""What several commands share: their common options, and the settings that follow from them."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import click
import msgspec

from core.redaction import redact
from core.settings import Settings
from infra.settings import load_settings

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass
class Run:
    """What the command says about itself to whoever shows its failure."""

    verbose: bool = False


def verbose_option(command: Command) -> Command:
    """Add `--verbose`; its value goes to `Run`, too."""

    def remember(context: click.Context, _parameter: click.Parameter, value: bool | None) -> bool | None:  # noqa: FBT001
        context.ensure_object(Run).verbose = bool(value)
        return value

    return click.option(
        "--verbose", "-v", is_flag=True, default=None, callback=remember,
        help="Log more, and show tracebacks.",
    )(command)  # fmt: skip


def json_option(command: Command) -> Command:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def show_token_option(command: Command) -> Command:
    """Add `--show-token`."""
    return click.option(
        "--show-token",
        is_flag=True,
        default=None,
        help="Show GitHub's and Copilot's tokens (keep them to yourself).",
    )(command)


def settings(flags: Mapping[str, object]) -> Settings:
    """Return the settings in force under these flags. Raises SettingsError."""
    return load_settings(flags, os.environ)


def print_json(value: object) -> None:
    """Print indented JSON to stdout, without the secrets in it."""
    click.echo(redact(msgspec.json.format(msgspec.json.encode(value), indent=2).decode()))
