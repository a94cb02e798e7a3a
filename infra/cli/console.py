"""What people read goes to stderr, what programs read to stdout; colours only where they are wanted, and no secrets."""

import sys
from functools import cache
from typing import TYPE_CHECKING

from core.redaction import redact

if TYPE_CHECKING:  # rich takes a tenth of a second to import; `--version` needs none of it
    from rich.console import Console


@cache
def people() -> "Console":
    """Return the console for messages (stderr). rich honours NO_COLOR."""
    from rich.console import Console  # noqa: PLC0415

    return Console(stderr=True, highlight=False)


@cache
def result() -> "Console":
    """Return the console for what was asked for (stdout)."""
    from rich.console import Console  # noqa: PLC0415

    return Console(highlight=False)


def say(text: str, style: str = "") -> None:
    """Show one message as one line, however long, without the secrets in it."""
    show_secret(redact(text), style)


def show_secret(text: str, style: str = "") -> None:
    """Show one message as it is: for who asked to see a token."""
    people().print(plain(text), style=style or None, markup=False, soft_wrap=True)


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
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
