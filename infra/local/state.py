"""Shared state in one SQLite file, for all threads and processes of one machine."""

import math
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from infra.local.database import Database, damage
from infra.store_rules import check_names, counter_sum, expiry

STATE_FILE: Final = "state.sqlite3"  # its name in the data directory

_PURGE_EVERY: Final = 60.0  # seconds between removals of what has expired

# An upsert needs SQLite 3.24. RETURNING and STRICT would need releases that some systems' Python 3.11 lacks.
_MIGRATIONS: Final = (
    """
    CREATE TABLE record (
        kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, expires_at REAL NOT NULL,
        PRIMARY KEY (kind, key)
    );
    CREATE TABLE lease (
        kind TEXT NOT NULL, key TEXT NOT NULL, owner TEXT NOT NULL, expires_at REAL NOT NULL,
        PRIMARY KEY (kind, key)
    ) WITHOUT ROWID;
    CREATE TABLE counter (
        kind TEXT NOT NULL, key TEXT NOT NULL, name TEXT NOT NULL, amount INTEGER NOT NULL, expires_at REAL NOT NULL,
        PRIMARY KEY (kind, key, name)
    ) WITHOUT ROWID;
    CREATE INDEX record_expires_at ON record (expires_at);
    CREATE INDEX lease_expires_at ON lease (expires_at);
    CREATE INDEX counter_expires_at ON counter (expires_at)
    """,
)

_PURGE: Final = (
    "DELETE FROM record WHERE expires_at <= ?",
    "DELETE FROM lease WHERE expires_at <= ?",
    "DELETE FROM counter WHERE expires_at <= ?",
)


class SqliteStateStore:
    """A `StateStore` in one file of mode 0600, made at the first use.

    now: the wall clock in unix seconds. patience: seconds to wait for another process that holds the file.

    Records, leases and counters are apart: the same (kind, key) may name one of each. `delete` without
    `expected` removes the record and the counters. What has expired is invisible at once, and removed by
    a later write.
    """

    def __init__(self, path: Path, now: Callable[[], float], *, patience: float = 10.0) -> None:
        self._database = Database(path, _MIGRATIONS, patience=patience)
        self._now = now
        self._purge_at = -math.inf

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        self._database.close()

    def load(self, kind: str, key: str) -> bytes | None:
        """Return the record, or None when it is missing or expired."""
        check_names(kind, key)
        with self._database.connection() as connection:
            row = connection.execute(
                "SELECT value FROM record WHERE kind = ? AND key = ? AND expires_at > ?",
                (kind, key, self._now()),
            ).fetchone()
            _check_columns([] if row is None else [row], bytes)
        return None if row is None else row[0]

    def save(self, kind: str, key: str, value: bytes, *, expires_at: float | None = None) -> None:
        """Create or replace the record."""
        check_names(kind, key)
        ends = expiry(expires_at)
        with self._database.transaction() as connection:
            self._purge(connection)
            connection.execute(
                "INSERT INTO record (kind, key, value, expires_at) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at",
                (kind, key, value, ends),
            )

    def delete(self, kind: str, key: str, *, expected: bytes | None = None) -> bool:
        """Remove the record and the counters; with `expected`, only the record while it still holds that value."""
        check_names(kind, key)
        where = (kind, key, self._now())
        with self._database.transaction() as connection:
            if expected is not None:
                return _changes(
                    connection,
                    "DELETE FROM record WHERE kind = ? AND key = ? AND expires_at > ? AND value = ?",
                    (*where, expected),
                )
            record = _changes(
                connection, "DELETE FROM record WHERE kind = ? AND key = ? AND expires_at > ?", where
            )
            counters = _changes(
                connection, "DELETE FROM counter WHERE kind = ? AND key = ? AND expires_at > ?", where
            )
            return record or counters

    def entries(self, kind: str) -> dict[str, bytes]:
        """Return every live record of this kind by key, sorted by key."""
        check_names(kind)
        with self._database.connection() as connection:
            rows = connection.execute(
                "SELECT key, value FROM record WHERE kind = ? AND expires_at > ? ORDER BY key",
                (kind, self._now()),
            ).fetchall()
            _check_columns(rows, str, bytes)
        return dict(rows)

    def claim(self, kind: str, key: str, owner: str, *, expires_at: float) -> bool:
        """Take the lease for `owner` unless another owner holds a live one; return whether it is ours."""
        check_names(kind, key, owner)
        ends = expiry(expires_at)
        with self._database.transaction() as connection:
            self._purge(connection)
            return _changes(
                connection,
                "INSERT INTO lease (kind, key, owner, expires_at) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (kind, key) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at"
                " WHERE owner = excluded.owner OR expires_at <= ?",
                (kind, key, owner, ends, self._now()),
            )

    def release(self, kind: str, key: str, owner: str) -> None:
        """Give the lease back; do nothing when `owner` does not hold it."""
        check_names(kind, key, owner)
        with self._database.transaction() as connection:
            connection.execute(
                "DELETE FROM lease WHERE kind = ? AND key = ? AND owner = ?", (kind, key, owner)
            )

    def add(
        self, kind: str, key: str, amounts: Mapping[str, int], *, expires_at: float | None = None
    ) -> dict[str, int]:
        """Add to named counters atomically and return all counters of the record, sorted by name.

        Raises OverflowError, and changes nothing, when a counter would leave 64 bits.
        """
        check_names(kind, key, *amounts)
        ends = expiry(expires_at)
        with self._database.transaction() as connection:
            self._purge(connection)
            before, kept_expiry = self._counters_of(connection, kind, key)
            after = {
                **before,
                **{name: counter_sum(before.get(name, 0), amount) for name, amount in amounts.items()},
            }
            connection.executemany(
                "INSERT INTO counter (kind, key, name, amount, expires_at) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (kind, key, name) DO UPDATE SET amount = excluded.amount",
                [
                    (kind, key, name, after[name], ends if kept_expiry is None else kept_expiry)
                    for name in amounts
                ],
            )
        return dict(sorted(after.items()))

    def counters(self, kind: str) -> dict[str, dict[str, int]]:
        """Return every live counter record of this kind by key, sorted by key."""
        check_names(kind)
        with self._database.connection() as connection:
            rows = connection.execute(
                "SELECT key, name, amount FROM counter WHERE kind = ? AND expires_at > ? ORDER BY key, name",
                (kind, self._now()),
            ).fetchall()
            _check_columns(rows, str, str, int)
        records: dict[str, dict[str, int]] = {}
        for key, name, amount in rows:
            records.setdefault(key, {})[name] = amount
        return records

    def _counters_of(
        self, connection: sqlite3.Connection, kind: str, key: str
    ) -> tuple[dict[str, int], float | None]:
        """Return the live counters and their expiry; clear expired ones, which the new record replaces."""
        address = (kind, key, self._now())
        connection.execute("DELETE FROM counter WHERE kind = ? AND key = ? AND expires_at <= ?", address)
        rows = connection.execute(
            "SELECT name, amount, expires_at FROM counter WHERE kind = ? AND key = ?", (kind, key)
        ).fetchall()
        _check_columns(rows, str, int, float)
        return {name: amount for name, amount, _ in rows}, rows[0][2] if rows else None

    def _purge(self, connection: sqlite3.Connection) -> None:
        now = self._now()
        if now < self._purge_at:
            return
        for statement in _PURGE:
            connection.execute(statement, (now,))
        self._purge_at = now + _PURGE_EVERY


def _check_columns(rows: Iterable[tuple[object, ...]], *types: type) -> None:
    """Raise sqlite3.DatabaseError for values of other types: a damaged page may hold any, in any column."""
    if any(not isinstance(value, kind) for row in rows for value, kind in zip(row, types, strict=True)):
        raise damage("a value is not of its column's type")


def _changes(connection: sqlite3.Connection, statement: str, values: tuple[object, ...]) -> bool:
    return connection.execute(statement, values).rowcount > 0
