"""One SQLite file: opened when first used, shared by threads and processes, errors with a remedy."""

import os
import sqlite3
import time
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from core.ports import StoreError
from infra.local import private

_IDLE_LIMIT: Final = 8  # connections kept open for the next call
_RETRY_AFTER: Final = 0.01  # seconds, where SQLite itself does not wait for a lock
_COMPANIONS: Final = ("-wal", "-shm")

_PRAGMAS: Final = (
    # In WAL mode NORMAL loses at most the last commits in a power cut, and nothing when a process is killed.
    "PRAGMA synchronous = NORMAL",
    # A deleted response or token is overwritten, not only forgotten.
    "PRAGMA secure_delete = ON",
    "PRAGMA journal_size_limit = 4194304",
)

_DAMAGED: Final = (
    "is damaged. Move it away together with its -wal and -shm files and start again; a new one is made"
)
_LOCKED: Final = "stays locked by another process. End that process and try again"
_FORBIDDEN: Final = "cannot be written. Check the permissions of the file and its directory"
_BROKEN: Final = "cannot be read or written. Check the disk and its free space"
_REMEDIES: Final[dict[int, str]] = {
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_PROTOCOL: _LOCKED,
    sqlite3.SQLITE_READONLY: _FORBIDDEN,
    sqlite3.SQLITE_CANTOPEN: _FORBIDDEN,
    sqlite3.SQLITE_PERM: _FORBIDDEN,
    sqlite3.SQLITE_FULL: "cannot grow: the disk is full. Free some space and try again",
}


class Database:
    """Connections to one file of mode 0600, whose tables `migrations` make.

    migrations: scripts that lead from each schema version (`PRAGMA user_version`) to the next; only appended to.
    patience: seconds to wait for another process that holds the file.

    Invariants: a connection serves one call at a time, and only the process that opened it. Idle ones wait in
    a deque, whose `append` and `pop` are atomic, so that no lock of ours can be held across a fork. A
    connection that saw an error is closed. Opening one costs as much as 20 to 60 statements, hence the deque.
    """

    def __init__(self, path: Path, migrations: tuple[str, ...], *, patience: float) -> None:
        self._path = path
        self._migrations = migrations
        self._patience = patience
        self._idle: dict[int, deque[_Connection]] = {}  # by process id: a child leaves its parent's alone

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Close the idle connections; the next call opens a new one."""
        idle = self._idle.get(os.getpid(), deque())
        with suppress(IndexError):
            while True:
                idle.pop().close()

    @contextmanager
    def connection(self) -> Generator[sqlite3.Connection]:
        """Lend a connection for one statement. Raises StoreError."""
        try:
            connection = self._borrow()
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            self._give_back(connection)
        except sqlite3.Error as error:
            raise self._store_error(error) from error
        except UnicodeDecodeError as error:  # SQLite quotes the damaged text in its own words
            raise self._store_error(damage("unreadable text")) from error
        except OSError as error:
            raise private.unusable(self._path, error) from error

    @contextmanager
    def transaction(self) -> Generator[sqlite3.Connection]:
        """Lend a connection that holds the write lock; commit at the end, or undo on any exception. Raises StoreError."""
        with self.connection() as connection:
            # IMMEDIATE: a lock taken at the first write would fail at once where this one waits.
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    def _borrow(self) -> "_Connection":
        idle = self._idle.get(os.getpid(), deque())
        with suppress(IndexError):
            while True:
                connection = idle.pop()
                if connection.inode == _inode(self._path):
                    return connection
                connection.close()  # the file was removed or replaced under us
        return self._open()

    def _give_back(self, connection: "_Connection") -> None:
        idle = self._idle.setdefault(os.getpid(), deque())
        if len(idle) < _IDLE_LIMIT:
            idle.append(connection)
        else:
            connection.close()

    def _open(self) -> "_Connection":
        self._make_private()
        connection = sqlite3.connect(
            self._path,
            timeout=self._patience,
            isolation_level=None,
            check_same_thread=False,
            factory=_Connection,
        )
        try:
            connection.inode = _inode(self._path)
            self._enter_wal(connection)
            for pragma in _PRAGMAS:
                connection.execute(pragma)
            self._migrate(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _make_private(self) -> None:
        """Create the file before SQLite would, which leaves its mode to the umask; -wal and -shm inherit it."""
        private.ensure_directory(self._path.parent)
        if not os.path.lexists(self._path):
            private.create_empty(self._path)
        for path in (self._path, *(self._path.with_name(self._path.name + end) for end in _COMPANIONS)):
            with suppress(FileNotFoundError):
                private.make_private(path)

    def _enter_wal(self, connection: sqlite3.Connection) -> None:
        # SQLite does not wait for the lock that the change of mode needs, so two first users could collide.
        deadline = time.monotonic() + self._patience
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if _primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(_RETRY_AFTER)
            else:
                return

    def _migrate(self, connection: sqlite3.Connection) -> None:
        version = _version(connection)
        if version > len(self._migrations):
            raise StoreError(
                f"{self._path} was written by a newer release. Update this one, or move the file away."
            )
        if version == len(self._migrations):
            return
        connection.execute("BEGIN IMMEDIATE")
        for script in self._migrations[_version(connection) :]:
            for statement in script.split(";"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(self._migrations)}")
        connection.execute("COMMIT")

    def _store_error(self, error: sqlite3.Error) -> StoreError:
        remedy = _REMEDIES.get(_primary_code(error), _BROKEN)
        return StoreError(f"{self._path} {remedy}. (SQLite: {error})")


def damage(what: str) -> sqlite3.DatabaseError:
    """Build the error for a file that SQLite reads without complaint, although nobody can have put this into it."""
    error = sqlite3.DatabaseError(what)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


class _Connection(sqlite3.Connection):
    inode: tuple[int, int] | None = None


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _primary_code(error: sqlite3.Error) -> int:
    """Return the low byte of SQLite's extended code; 0 for an error of the `sqlite3` module itself."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
