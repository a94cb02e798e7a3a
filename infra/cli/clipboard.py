"""Copy text with whatever the system has for it."""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from typing import Final, NamedTuple

PATIENCE: Final = 3.0  # seconds


class _Tool(NamedTuple):
    argv: tuple[str, ...]
    variable: str  # set where the tool has a display to talk to; empty: always
    platforms: tuple[str, ...]


TOOLS: Final = (
    _Tool(("pbcopy",), "", ("darwin",)),
    _Tool(("wl-copy",), "WAYLAND_DISPLAY", ("linux", "freebsd")),
    _Tool(("xclip", "-selection", "clipboard"), "DISPLAY", ("linux", "freebsd")),
    _Tool(("clip.exe",), "", ("win32", "linux", "cygwin")),  # on linux: the Windows host of WSL
)


def copy(text: str, environ: Mapping[str, str], platform: str = sys.platform) -> bool:
    """Put the text on the clipboard and return whether that worked; False where there is no clipboard."""
    usable = (
        tool
        for tool in TOOLS
        if platform.startswith(tool.platforms) and (not tool.variable or environ.get(tool.variable))
    )
    return any(_run(tool, text, environ) for tool in usable)


def _run(tool: _Tool, text: str, environ: Mapping[str, str]) -> bool:
    program = shutil.which(tool.argv[0], path=environ.get("PATH"))
    if program is None:
        return False
    try:
        # No pipes for what it prints: the tool stays behind to serve the text, and would keep them open.
        subprocess.run(  # noqa: S603 - a program from the table above
            (program, *tool.argv[1:]),
            input=text.encode(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            timeout=PATIENCE, check=True, env=dict(environ),
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return False
    return True
