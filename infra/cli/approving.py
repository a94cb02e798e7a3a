"""The person at the terminal, who approves each request of `start --manual`."""

import os
import select
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import click

from infra.cli.console import plain

GLANCE: Final = 0.2  # seconds between two looks at whether the question is still open
YES: Final = frozenset({"y", "yes"})


def ask_in_terminal(what: str, is_open: Callable[[], bool]) -> bool | None:
    """Ask whether a request may pass; no answer means no. None: the question was answered elsewhere."""
    _forget_typed()
    click.echo(f"Let {plain(what)} pass? [y/N]: ", err=True, nl=False)
    try:
        while not _typed():
            if not is_open():
                click.echo("(answered elsewhere)", err=True)
                return None
    except BaseException:
        click.echo("(withdrawn)", err=True)
        raise
    return os.read(sys.stdin.fileno(), 1024).decode("utf-8", "replace").strip().lower() in YES


def _typed() -> bool:
    """Say whether a line, or the end of the input, is there to be read; where that cannot be told, reading waits."""
    if sys.platform == "win32":
        return True
    return bool(select.select([sys.stdin], [], [], GLANCE)[0])


def _forget_typed() -> None:
    """Forget what was typed before the question: it was meant for another one."""
    if sys.platform != "win32":
        import termios  # noqa: PLC0415 - Unix alone has it

        with suppress(termios.error):
            termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
