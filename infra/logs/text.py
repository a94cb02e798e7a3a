"""A record as a line for people: aligned, in colour where that is wanted. No line holds a secret."""

import logging
import re
import time
from typing import Final

from core.redaction import redact
from infra.cli.console import plain
from infra.logs.formats import trace
from infra.logs.records import read, spelled

# Where the members of an event begin.
_EVENT_WIDTH: Final = 14
_LEVELS: Final = {"debug": "2", "warning": "33", "error": "31", "critical": "31"}
_LEVEL: Final = re.compile(r"(?<=^\d\d:\d\d:\d\d )(\w+)")
_KEY: Final = re.compile(r"(?<= )[a-z_]+=")
_BAD: Final = re.compile(r"\b(?:status=[45]\d\d|error=\S+)")


class TextFormatter(logging.Formatter):
    """`12:00:00 warning stream.failed  kind=upstream`; upstream's words cannot steer the terminal."""

    def __init__(self, *, coloured: bool = False) -> None:
        super().__init__()
        self._coloured = coloured

    def format(self, record: logging.LogRecord) -> str:
        """Render one record."""
        at = time.strftime("%H:%M:%S", time.localtime(record.created))
        return self.line(at, record.levelname.lower(), *read(record)) + _indented(trace(record))

    def line(self, at: str, level: str, event: str, members: dict[str, object]) -> str:
        """Render what a record says. at: the time as it is to be shown."""
        pairs = " ".join(f"{name}={spelled(value)}" for name, value in members.items())
        said = f"{event:<{_EVENT_WIDTH}} {pairs}" if event else str(members.get("message", ""))
        text = plain(redact(f"{at} {level:<7} {said}")).rstrip()
        return _colour(text, level) if self._coloured else text


def _indented(text: str) -> str:
    return "".join(f"\n    {line}" for line in plain(redact(text)).splitlines()) if text else ""


def _colour(text: str, level: str) -> str:
    text = _BAD.sub(lambda match: f"\x1b[31m{match[0]}\x1b[0m", text)
    text = _KEY.sub(lambda match: f"\x1b[2m{match[0]}\x1b[0m", text)
    code = _LEVELS.get(level)
    return _LEVEL.sub(lambda match: f"\x1b[{code}m{match[0]}\x1b[0m", text, count=1) if code else text
