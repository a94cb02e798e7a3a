"""The shell at hand, and how it sets variables for one command."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, Literal

Shell = Literal["posix", "fish", "powershell", "cmd", "nushell"]

# Programs by the syntax they speak. `sh` comes last: `make` starts one between the person's shell and us.
PROGRAMS: Final[Mapping[str, Shell]] = {
    "bash": "posix", "zsh": "posix", "ksh": "posix", "dash": "posix", "ash": "posix",
    "fish": "fish", "pwsh": "powershell", "powershell": "powershell", "cmd": "cmd", "nu": "nushell",
}  # fmt: skip
MOST_ANCESTORS: Final = 8
POWERSHELL_FOLDERS: Final = 3
# What can stand in a command of any shell without quotes' help: urls, model ids, switches.
SAFE: Final = re.compile(r"[A-Za-z0-9._:/@+,\[\]-]*")


class Reference(str):
    """The name of a variable whose value the shell fills in, so that a secret is not shown."""

    __slots__ = ()


def detect(environ: Mapping[str, str], ancestors: Iterable[str], platform: str = sys.platform) -> Shell:
    """Return the nearest shell among the ancestors' program names, else the login shell, else the platform's own."""
    login = environ.get("SHELL", "")
    for program in (*ancestors, login):
        name = re.split(r"[/\\]", program.lower())[-1].removesuffix(".exe").lstrip("-")
        if shell := PROGRAMS.get(name):
            return shell
    if platform == "win32":
        # The system sets two folders; PowerShell puts the person's own before them.
        folders = next((environ[name] for name in environ if name.upper() == "PSMODULEPATH"), "").split(";")
        return "powershell" if len(folders) >= POWERSHELL_FOLDERS else "cmd"
    return "posix"


def ancestors() -> Iterator[str]:
    """Yield the program names of the parent processes, nearest first, as far as the system tells."""
    pid = os.getppid()
    look = _from_proc if Path("/proc/self/stat").exists() else _from_ps
    for _ in range(MOST_ANCESTORS):
        if pid <= 1 or (found := look(pid)) is None:
            return
        pid, name = found
        yield name


def command(shell: Shell, variables: Mapping[str, str], program: str) -> str:
    """Return one line that runs the program with the variables set.

    Raises ValueError for a value that a shell might read as more than text.
    """
    for value in variables.values():
        if SAFE.fullmatch(value) is None:
            raise ValueError(f"{value!r} cannot stand in a shell command")
    return _RENDER[shell](variables, program)


def _posix(variables: Mapping[str, str], program: str) -> str:
    sets = (f"{name}={_quoted(value)}" for name, value in variables.items())
    return f"export {' '.join(sets)} && {program}"


def _quoted(value: str) -> str:
    return f'"${value}"' if isinstance(value, Reference) else shlex.quote(value)


def _fish(variables: Mapping[str, str], program: str) -> str:
    sets = (f"set -gx {name} {_quoted(value)}" for name, value in variables.items())
    return "; ".join((*sets, program))


def _powershell(variables: Mapping[str, str], program: str) -> str:
    sets = (
        f"$env:{name} = " + (f"$env:{value}" if isinstance(value, Reference) else f"'{value}'")
        for name, value in variables.items()
    )
    return "; ".join((*sets, program))


def _cmd(variables: Mapping[str, str], program: str) -> str:
    sets = (
        f'set "{name}={f"%{value}%" if isinstance(value, Reference) else value}"'
        for name, value in variables.items()
    )
    return " && ".join((*sets, program))


def _nushell(variables: Mapping[str, str], program: str) -> str:
    sets = (
        f"$env.{name} = " + (f"$env.{value}" if isinstance(value, Reference) else f"'{value}'")
        for name, value in variables.items()
    )
    return "; ".join((*sets, program))


_RENDER: Final[Mapping[Shell, Callable[[Mapping[str, str], str], str]]] = {
    "posix": _posix,
    "fish": _fish,
    "powershell": _powershell,
    "cmd": _cmd,
    "nushell": _nushell,
}


def _from_proc(pid: int) -> tuple[int, str] | None:
    """Return (parent's id, program name); the name stands in brackets and may itself hold brackets and spaces."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    name, _, rest = text.partition("(")[2].rpartition(")")
    return int(rest.split()[1]), name


def _from_ps(pid: int) -> tuple[int, str] | None:
    try:
        told = subprocess.run(  # noqa: S603 - a fixed command and a number
            ["ps", "-o", "ppid=,comm=", "-p", str(pid)],  # noqa: S607 - wherever the system keeps it
            capture_output=True, text=True, timeout=2, check=True,
        )  # fmt: skip
        parent, name = told.stdout.strip().split(maxsplit=1)
        return int(parent), name
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
