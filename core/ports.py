"""The two ports: where the long-lived secret and the shared state live."""

from collections.abc import Mapping
from typing import Protocol, TypeVar

import msgspec

T = TypeVar("T")

GITHUB_TOKEN = "github-token"  # noqa: S105 - the name of a secret, not its value


class StoreError(Exception):
    """A store cannot be reached or is damaged; the message says what to do about it."""


class SecretStore(Protocol):
    """Long-lived secrets by name. Every method raises `StoreError` when the store is unreachable.

    Names consist of a-z, 0-9, '-' and '_', start with a letter or digit and have at most 64 characters, else ValueError.
    """

    def load(self, name: str) -> str | None:
        """Return the secret, or None when there is none."""
        ...

    def save(self, name: str, secret: str) -> None:
        """Create or replace the secret atomically, readable by its owner only.

        Raises ValueError when it is empty or ends with a line break.
        """
        ...

    def delete(self, name: str) -> None:
        """Remove the secret; do nothing when there is none."""
        ...


class StateStore(Protocol):
    """Small shared records, addressed by (kind, key), each with an optional expiry.

    `kind` groups records that are listed together; `key` names one of them. Both are non-empty text, else
    ValueError, and need no more than 1,000 bytes. A record has up to 300,000 bytes; what is larger, a store may
    refuse with `StoreError`. Records, leases and counters are apart: one name may stand for one of each.
    Expiry is in unix seconds by the clock given to the adapter; an expired record does not exist.
    Every method is safe to call from several threads and processes, and raises `StoreError` when the
    store is unreachable.
    """

    def load(self, kind: str, key: str) -> bytes | None:
        """Return the record, or None when it is missing or expired."""
        ...

    def save(self, kind: str, key: str, value: bytes, *, expires_at: float | None = None) -> None:
        """Create or replace the record."""
        ...

    def delete(self, kind: str, key: str, *, expected: bytes | None = None) -> bool:
        """Remove the record and the counters and return True if there were any.

        With `expected`, remove only the record, and only while it still holds that value.
        """
        ...

    def entries(self, kind: str) -> dict[str, bytes]:
        """Return every live record of this kind by key, sorted by key."""
        ...

    def claim(self, kind: str, key: str, owner: str, *, expires_at: float) -> bool:
        """Take the lease for `owner` unless another owner holds a live one; return whether it is ours."""
        ...

    def release(self, kind: str, key: str, owner: str) -> None:
        """Give the lease back; do nothing when `owner` does not hold it."""
        ...

    def add(
        self, kind: str, key: str, amounts: Mapping[str, int], *, expires_at: float | None = None
    ) -> dict[str, int]:
        """Add to named counters atomically and return all counters of the record.

        Counters are signed 64-bit integers that start at 0; a sum beyond that raises OverflowError and changes
        nothing. `expires_at` is set when the record is created.
        """
        ...

    def counters(self, kind: str) -> dict[str, dict[str, int]]:
        """Return every live counter record of this kind by key, sorted by key."""
        ...


def read_stored(record: bytes | None, shape: type[T]) -> T | None:
    """Return what a record in JSON says; None where there is none, or something else wrote it."""
    if record is None:
        return None
    try:
        return msgspec.json.decode(record, type=shape)
    except (msgspec.DecodeError, UnicodeError):
        return None
