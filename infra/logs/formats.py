"""A record as a line: aligned for people, one JSON object for programs. No line holds a secret."""

import logging
import re
import time
import traceback
from typing import Final

import msgspec

from core.redaction import redact
from infra.cli.console import plain
from infra.logs.records import read, spelled

# Where the members of an event begin.
_EVENT_WIDTH: Final = 14
_LEVELS: Final = {"debug": "2", "warning": "33", "error": "31", "critical": "31"}
_LEVEL: Final = re.compile(r"(?<=^\d\d:\d\d:\d\d )(\w+)")
_KEY: Final = re.compile(r"(?<= )[a-z_]+=")
_BAD: Final = re.compile(r"\b(?:status=[45]\d\d|error=\S+)")
_KEPT: Final = (str, int, float, type(None))


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


class JsonFormatter(logging.Formatter):
    """One JSON object a line; numbers stay numbers."""

    def format(self, record: logging.LogRecord) -> str:
        """Render one record."""
        event, members = read(record)
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, object] = {
            "time": f"{moment}.{int(record.created % 1 * 1000):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        if event:
            line["event"] = event
        line |= {name: _encodable(value) for name, value in members.items() if name not in line}
        if found := trace(record):
            line["traceback"] = _encodable(found)
        return redact(msgspec.json.encode(line).decode())


def trace(record: logging.LogRecord) -> str:
    """Return where a defect shows and what it is called.

    Not what it says: Python's errors quote what they stumbled over, and that may be a prompt.
    """
    if not record.exc_info or record.exc_info[0] is None:
        return ""
    kind, error, _ = record.exc_info
    frames = traceback.format_exception(error) if isinstance(error, OSError) else _without_words(error)
    return "".join(frames).strip() or kind.__name__


def _without_words(error: BaseException | None) -> list[str]:
    """Render an error and those that led to it."""
    lines: list[str] = []
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        lines = [*traceback.format_tb(error.__traceback__), f"{type(error).__qualname__}\n", *lines]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if error is not None:
            lines = ["which led to:\n", *lines]
    return lines


def _indented(text: str) -> str:
    return "".join(f"\n    {line}" for line in plain(redact(text)).splitlines())


def _encodable(value: object) -> object:
    """Return what JSON can say; a lone surrogate would be refused, and a log line is never lost."""
    if isinstance(value, str) or not isinstance(value, _KEPT):
        return str(value).encode("utf-8", "replace").decode()
    return value


def _colour(text: str, level: str) -> str:
    text = _BAD.sub(lambda match: f"\x1b[31m{match[0]}\x1b[0m", text)
    text = _KEY.sub(lambda match: f"\x1b[2m{match[0]}\x1b[0m", text)
    code = _LEVELS.get(level)
    return _LEVEL.sub(lambda match: f"\x1b[{code}m{match[0]}\x1b[0m", text, count=1) if code else text
