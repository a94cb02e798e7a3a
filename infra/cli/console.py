"""What people read goes to stderr, what programs read to stdout; colours only where they are wanted, and no secrets."""

import os
import sys
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO

import click

from core.redaction import redact

if TYPE_CHECKING:  # rich takes a tenth of a second to import; `--version` needs none of it
    from rich.console import Console

Style = Literal["", "bold", "dim", "green", "bold green", "yellow", "bold red"]
# As click takes them.
LOOKS: Final[Mapping[Style, Mapping[str, Any]]] = {
    "": {},
    "bold": {"bold": True},
    "dim": {"dim": True},
    "green": {"fg": "green"},
    "bold green": {"fg": "green", "bold": True},
    "yellow": {"fg": "yellow"},
    "bold red": {"fg": "red", "bold": True},
}


@cache
def people() -> "Console":
    """Return the console for messages (stderr)."""
    return _console(sys.stderr)


@cache
def result() -> "Console":
    """Return the console for what was asked for (stdout)."""
    return _console(sys.stdout)


def _console(stream: TextIO) -> "Console":
    from rich.console import Console  # noqa: PLC0415

    # NO_COLOR alone would leave bold and dim letters in, which other lines then have not.
    return Console(
        stderr=stream is sys.stderr, highlight=False, color_system="auto" if is_coloured(stream) else None
    )


def say(text: str, style: Style = "") -> None:
    """Show one message as one line, however long, without the secrets in it."""
    show_secret(redact(text), style)


def show_secret(text: str, style: Style = "") -> None:
    """Show one message as it is: for who asked to see a token."""
    # Not with rich, whose import is a twentieth of a start.
    wanted = None if is_coloured(sys.stderr) else False
    click.secho(plain(text), err=True, color=wanted, **LOOKS[style])


def is_coloured(stream: TextIO) -> bool:
    """Say whether colours are wanted there: on a terminal, unless NO_COLOR says no."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def warn(text: str) -> None:
    """Show a warning."""
    say(f"warning: {text}", "yellow")


def fail(text: str) -> None:
    """Show why the command ends, as one line."""
    say(f"error: {' '.join(text.split())}", "bold red")


def is_terminal() -> bool:
    """Say whether a person sees the messages."""
    return sys.stderr.isatty()


def can_ask() -> bool:
    """Say whether a person can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def plain(text: str) -> str:
    """Return the text without what could steer a terminal: part of it comes from upstream."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
