"""Where the log goes: stderr, and a file while the gateway serves."""

import logging
import sys
import threading
from pathlib import Path
from typing import Final, TextIO

from core.settings import Settings
from infra.cli.console import is_coloured
from infra.local.private import ensure_directory
from infra.logs.formats import JsonFormatter
from infra.logs.records import OURS
from infra.logs.text import TextFormatter
from infra.settings import SettingsError

# In the data directory, unless the setting `log_file` says otherwise.
FILE_NAME: Final = "gateway.log"
OFF: Final = "off"

log = logging.getLogger("gateway")


def configure(settings: Settings, *, serving: bool = False) -> None:
    """Send the log to stderr in the chosen form; `verbose` adds what is only good for finding faults.

    serving: into the log file, too. A command that does not serve says itself how it went, so its log holds nothing but
    errors unless `verbose`. Raises SettingsError when the log file cannot be written.
    """
    handlers: list[logging.Handler] = [_terminal(settings, sys.stderr)]
    if serving and (path := log_path(settings)) is not None:
        handlers.append(_file(settings, path))
    root = logging.getLogger()
    root.handlers[:] = handlers
    root.setLevel(logging.WARNING if serving else logging.ERROR)
    for name in OURS:
        level = logging.DEBUG if settings.verbose else (logging.INFO if serving else logging.ERROR)
        logging.getLogger(name).setLevel(level)
    # What logging itself says of a line that it cannot write quotes it, secrets and all.
    logging.raiseExceptions = False
    if serving:
        threading.excepthook = _log_crash


def log_path(settings: Settings) -> Path | None:
    """Return the log file's absolute path; None when there is to be none."""
    if settings.log_file == OFF:
        return None
    if not settings.log_file:
        return Path(settings.data_dir) / FILE_NAME
    return Path(settings.log_file).expanduser().absolute()


def _terminal(settings: Settings, stream: TextIO) -> logging.Handler:
    handler = logging.StreamHandler(stream)
    as_json = settings.log_format == "json"
    handler.setFormatter(JsonFormatter() if as_json else TextFormatter(coloured=is_coloured(stream)))
    return handler


def _file(settings: Settings, path: Path) -> logging.Handler:
    from infra.logs.file import LogFile  # noqa: PLC0415 - only who serves writes one

    if not settings.log_file:
        ensure_directory(path.parent)
    try:
        handler = LogFile(path, most=settings.log_file_bytes, kept=settings.log_file_count)
    except OSError as error:
        raise SettingsError(
            f"The log file {path} cannot be written: {error.strerror or error}. "
            "Choose another one with --log-file PATH, or none with --log-file off."
        ) from error
    handler.setFormatter(JsonFormatter())
    return handler


def _log_crash(crash: threading.ExceptHookArgs) -> None:
    if crash.exc_value is not None:
        log.error("thread.crashed", exc_info=crash.exc_value)
