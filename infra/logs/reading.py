"""The log file read again: what it holds, and what comes, across rotations."""

import contextlib
import os
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import msgspec
from msgspec import Struct

from infra.logs.file import numbered
from infra.logs.requests import EVENT

Line = dict[str, Any]
_ALARMING: Final = frozenset({"warning", "error", "critical"})
_REFUSED: Final = 400


class Choice(Struct, frozen=True, kw_only=True):
    """Which lines are asked for. since: unix seconds. key, model: of requests only, with `*` for any text."""

    since: float = 0.0
    key: str = ""
    model: str = ""
    errors: bool = False

    def takes(self, line: Line) -> bool:
        """Say whether this line is one of them."""
        if self.since and moment(line) < self.since:
            return False
        if self.errors and not _is_error(line):
            return False
        if not (self.key or self.model):
            return True
        models = (line.get("model"), line.get("requested"))
        return (
            line.get("event") == EVENT
            and (not self.key or fnmatchcase(str(line.get("key", "")), self.key))
            and (not self.model or any(fnmatchcase(str(model), self.model) for model in models if model))
        )


class LogReader:
    """Reads one log file and its older parts, each line once; `close` it.

    `_current` is the file that grows, None while there is none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rest = b""
        self._current: BinaryIO | None = None

    def past(self) -> Iterator[Line]:
        """Yield what was logged until now, the oldest first."""
        self._open()
        for part in self._older_than(self._identity()):
            yield from _lines(part.read_bytes())
        yield from self.new()

    def new(self) -> Iterator[Line]:
        """Yield what has been logged since the last time."""
        if self._current is None:
            self._open()
        yield from self._more()
        before = self._identity()
        if self._current is not None and _identity(self._path) not in {before, None}:
            yield from self._more()  # written before it was put aside
            self.close()
            for part in self._newer_than(before):
                yield from _lines(part.read_bytes())
            self._open()
            yield from self._more()

    def close(self) -> None:
        """Close the file."""
        if self._current is not None:
            self._current.close()
            self._current = None
        self._rest = b""

    def _open(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._current = self._path.open("rb")

    def _more(self) -> Iterator[Line]:
        if self._current is not None:
            if os.fstat(self._current.fileno()).st_size < self._current.tell():  # somebody has emptied it
                self._current.seek(0)
                self._rest = b""
            whole, end, self._rest = (self._rest + self._current.read()).rpartition(b"\n")
            yield from _lines(whole + end)

    def _identity(self) -> tuple[int, int] | None:
        if self._current is None:
            return None
        held = os.fstat(self._current.fileno())
        return held.st_dev, held.st_ino

    def _parts(self) -> list[Path]:
        """Return the older parts, the newest first."""
        parts: list[Path] = []
        while (part := numbered(self._path, len(parts) + 1)).is_file():
            parts.append(part)
        return parts

    def _older_than(self, current: tuple[int, int] | None) -> list[Path]:
        return [part for part in reversed(self._parts()) if _identity(part) != current]

    def _newer_than(self, read: tuple[int, int] | None) -> list[Path]:
        newer: list[Path] = []
        for part in self._parts():
            if _identity(part) == read:
                return newer[::-1]
            newer.append(part)
        return []  # the one that was read is gone: nobody knows which of these are new


def last(lines: Iterable[Line], choice: Choice, most: int | None) -> list[Line]:
    """Return the last of the chosen lines. most: how many; None: all."""
    return list(deque((line for line in lines if choice.takes(line)), maxlen=most))


def moment(line: Line) -> float:
    """Return when a line was logged, in unix seconds; 0 where it does not say."""
    try:
        return datetime.fromisoformat(str(line.get("time", ""))).timestamp()
    except ValueError:
        return 0.0


def parse(text: bytes | str) -> Line | None:
    """Return a line of the log; None for what the gateway has not written."""
    try:
        line: object = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return cast("Line", line) if isinstance(line, dict) else None


def _lines(text: bytes) -> Iterator[Line]:
    return (line for each in text.splitlines() if (line := parse(each)) is not None)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _is_error(line: Line) -> bool:
    status = line.get("status")
    failed = isinstance(status, int) and status >= _REFUSED
    return failed or bool(line.get("error")) or line.get("level") in _ALARMING
