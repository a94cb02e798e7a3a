"""A log file of a bounded size that only its owner may read; several processes may write to one."""

import contextlib
import logging
import os
import stat
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Final

from infra.local.private import FILE_MODE

if sys.platform != "win32":
    import fcntl

_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT
# Where the platform has them: no symbolic link is followed, and no pipe waited for.
_CAREFUL: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class LogFile(logging.Handler):
    """Writes each record as one line in one write, so that lines of several processes never mix.

    At `most` bytes PATH becomes PATH.1, that PATH.2, and so on up to `kept`. A line that cannot be written is lost, and
    said once on stderr: a full disk is no reason to fail a request. Raises OSError when it cannot be opened.
    """

    def __init__(self, path: Path, *, most: int, kept: int) -> None:
        super().__init__()
        self._path = path
        self._most = most
        self._kept = kept
        self._descriptor = _open(path)
        self._failing = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record. Never raises."""
        try:
            line = self.format(record).encode("utf-8", "replace") + b"\n"
            self._make_room(len(line))
            while line:
                line = line[os.write(self._descriptor, line) :]
            self._failing = False
        except Exception:  # noqa: BLE001 - whatever it is, a request must not fail for its log line
            self._complain()

    def close(self) -> None:
        """Close the file."""
        with self.lock or contextlib.nullcontext():
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1
        super().close()

    def _make_room(self, size: int) -> None:
        if self._descriptor < 0 or not self._is_current():  # another process has begun a new file
            self._reopen()
        if os.fstat(self._descriptor).st_size + size <= self._most:
            return
        with _alone(self._descriptor):
            if self._is_current():
                self._rotate()
        self._reopen()

    def _is_current(self) -> bool:
        try:
            found = self._path.lstat()
        except FileNotFoundError:
            return False
        held = os.fstat(self._descriptor)
        return (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino)

    def _rotate(self) -> None:
        if sys.platform == "win32":  # an open file cannot be renamed there
            os.close(self._descriptor)
            self._descriptor = -1
        for number in range(self._kept - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                numbered(self._path, number).replace(numbered(self._path, number + 1))
        self._path.replace(numbered(self._path, 1))

    def _reopen(self) -> None:
        old, self._descriptor = self._descriptor, -1
        if old >= 0:
            os.close(old)
        self._descriptor = _open(self._path)

    def _complain(self) -> None:
        if self._failing:
            return
        self._failing = True
        error = sys.exc_info()[1]
        with contextlib.suppress(Exception):
            reason = error.strerror if isinstance(error, OSError) else type(error).__name__
            sys.stderr.write(f"warning: lines of the log file {self._path} are lost: {reason}\n")


@contextlib.contextmanager
def _alone(descriptor: int) -> Generator[None]:
    """Keep other processes from putting the same file aside."""
    if sys.platform == "win32":
        yield
        return
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def numbered(path: Path, number: int) -> Path:
    """Return where an older part of the log lies: 1 is the last one."""
    return path.with_name(f"{path.name}.{number}")


def _open(path: Path) -> int:
    """Open for appending, mode 0600. Raises OSError, for a symbolic link and what is no plain file too."""
    descriptor = os.open(path, _FLAGS | _CAREFUL, FILE_MODE)
    try:
        _check(descriptor)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _check(descriptor: int) -> None:
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        raise OSError(0, "it is not a plain file")
    if sys.platform != "win32" and mode & _OTHERS:
        os.fchmod(descriptor, FILE_MODE)
