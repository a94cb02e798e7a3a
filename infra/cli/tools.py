"""The programs that a deployment needs: whether they are there, and running them in sight of the person."""

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from infra.cli.console import say
from infra.cli.exits import CommandError

# What osls 4 runs on: ^20.19, ^22.13, >= 24.
NODE_RELEASES: Final = {20: 19, 22: 13}
NODE_FROM: Final = 24
NODE_REMEDY: Final = "Install Node.js 22 or 24 from https://nodejs.org (its npm and npx come with it)."
VERSION_PATIENCE: Final = 30.0  # seconds


def check_node(path: str | None) -> str:
    """Return Node's version. Raises CommandError when it is missing or too old."""
    node = shutil.which("node", path=path)
    if node is None:
        raise CommandError(f"There is no `node` on the path. {NODE_REMEDY}")
    try:
        done = subprocess.run(  # noqa: S603 - found on the path by its own name
            [node, "--version"], capture_output=True, text=True, timeout=VERSION_PATIENCE, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise CommandError(f"`node --version` does not run: {error}. {NODE_REMEDY}") from error
    told = done.stdout.strip()
    match = re.fullmatch(r"v([0-9]+)\.([0-9]+)\..*", told)
    if match is None or not _is_new_enough(int(match[1]), int(match[2])):
        raise CommandError(f"Node.js {told or 'of an unknown version'} is too old for osls. {NODE_REMEDY}")
    for tool in ("npm", "npx"):
        find_tool(tool, path)
    return told


def find_tool(name: str, path: str | None) -> str:
    """Return the program's path. Raises CommandError."""
    found = shutil.which(name, path=path)
    if found is None:
        raise CommandError(f"There is no `{name}` on the path. {NODE_REMEDY}")
    return found


def run_tool(arguments: Sequence[str], directory: Path, environ: Mapping[str, str]) -> None:
    """Run a program and let it speak for itself, on stderr. Raises CommandError when it fails."""
    program = Path(arguments[0]).name
    say("$ " + " ".join([program, *arguments[1:]]), "dim")
    try:
        done = subprocess.run(  # noqa: S603 - our own words, and options that were checked
            list(arguments),
            cwd=directory,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            check=False,
        )
    except OSError as error:
        raise CommandError(f"{program} does not run: {error}") from error
    if done.returncode:
        what = next((word for word in arguments[1:] if not word.startswith("-")), "")
        raise CommandError(f"{program} {what} failed (exit code {done.returncode}); it says above why.")


def _is_new_enough(major: int, minor: int) -> bool:
    return major >= NODE_FROM or minor >= NODE_RELEASES.get(major, sys.maxsize)
