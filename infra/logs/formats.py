"""A record as a line of JSON, for programs. No line holds a secret."""

import logging
import time
import traceback
from typing import Final

import msgspec

from core.redaction import redact
from infra.logs.records import read

_KEPT: Final = (str, int, float, type(None))


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


def _encodable(value: object) -> object:
    """Return what JSON can say; a lone surrogate would be refused, and a log line is never lost."""
    if isinstance(value, str) or not isinstance(value, _KEPT):
        return str(value).encode("utf-8", "replace").decode()
    return value
