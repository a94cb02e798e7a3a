"""What the gateway logs while it serves, on stderr: readable lines, or JSON for a collector."""

import logging
import time
from typing import Final

import msgspec

from core.settings import Settings
from infra.cli.console import plain

OURS: Final = ("gateway", "core", "handlers", "infra")


class TextFormatter(logging.Formatter):
    """`12:00:00 warning stream.failed kind=upstream`; upstream's words cannot steer the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Render one record."""
        at = time.strftime("%H:%M:%S", time.localtime(record.created))
        return plain(f"{at} {record.levelname.lower()} {record.getMessage()}{_traceback(self, record)}")


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Render one record."""
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if trace := _traceback(self, record):
            line["traceback"] = trace.strip()
        return msgspec.json.encode(_encodable(line)).decode()


def configure(settings: Settings, *, serving: bool = False) -> None:
    """Send the log to stderr in the chosen form; `verbose` adds what is only good for finding faults.

    A command that does not serve says itself how it went, so its log holds nothing but errors unless `verbose`.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING if serving else logging.ERROR)
    for name in OURS:
        level = logging.DEBUG if settings.verbose else (logging.INFO if serving else logging.ERROR)
        logging.getLogger(name).setLevel(level)


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    return "\n" + formatter.formatException(record.exc_info) if record.exc_info else ""


def _encodable(line: dict[str, str]) -> dict[str, str]:
    # A lone surrogate would be refused by the encoder; a log line is never lost.
    return {name: text.encode("utf-8", "replace").decode() for name, text in line.items()}
