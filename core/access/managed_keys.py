"""Keys that the operator makes and revokes: named, shown once, kept as hashes, possibly with an end."""

import hashlib
import re
import secrets
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct

from core.access.caller import Caller
from core.access.keys import STATIC_KEY_NAME, KeyRing
from core.ports import StateStore

KIND: Final = "api-key"
PREFIX: Final = "cgw_"
CACHE_LIFE: Final = (
    30.0  # seconds for which a key that was found is not looked up again; so long a revoked one may live
)
CACHE_SIZE: Final = 256
KEPT_AFTER_END: Final = (
    30 * 24 * 3600.0
)  # an expired key is still listed, so that its owner sees why it fails

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BYTES: Final = 32
_LENGTH: Final = 43  # 62 ** 43 is the first power of 62 beyond 2 ** 256
_FORM: Final = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{_LENGTH}}}")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class KeyNameError(Exception):
    """A key cannot have this name; the message says why."""


class ManagedKey(Struct, frozen=True, kw_only=True):
    """What is known of a key: not the key. Times are unix seconds."""

    name: str
    created_at: float
    expires_at: float | None = None

    def lives(self, now: float) -> bool:
        """Say whether the key is still good."""
        return self.expires_at is None or now < self.expires_at


class ManagedKeys:
    """A `KeyRing` in the state store, shared by every process; records are addressed by the key's SHA-256.

    The store is asked about a key every half minute at most, and never about a text that cannot be one. All methods
    raise StoreError.
    """

    def __init__(
        self,
        state: StateStore,
        now: Callable[[], float],
        *,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._state = state
        self._now = now
        self._entropy = entropy
        self._found: dict[str, tuple[ManagedKey, float]] = {}

    def create(self, name: str, expires_at: float | None = None) -> str:
        """Make a key and return it: this is the only moment at which it is known. Raises KeyNameError."""
        _check_name(name)
        if any(key.name == name for key in self.list()):
            raise KeyNameError(
                f"There is a key named {name} already; revoke it first or choose another name."
            )
        clear = PREFIX + _base62(self._entropy(_BYTES))
        key = ManagedKey(name=name, created_at=self._now(), expires_at=expires_at)
        purge_at = None if expires_at is None else expires_at + KEPT_AFTER_END
        self._state.save(KIND, _id(clear), msgspec.json.encode(key), expires_at=purge_at)
        return clear

    def list(self) -> list[ManagedKey]:
        """Return what is known of all keys, the oldest first; expired ones are among them for a while."""
        records = self._state.entries(KIND).values()
        keys = [key for record in records if (key := _read(record)) is not None]
        return sorted(keys, key=lambda key: (key.created_at, key.name))

    def revoke(self, name: str) -> bool:
        """Remove the key of this name and return whether there was one."""
        self._found.clear()
        doomed = [
            number
            for number, record in self._state.entries(KIND).items()
            if (key := _read(record)) is not None and key.name == name
        ]
        for number in doomed:
            self._state.delete(KIND, number)
        return bool(doomed)

    def authenticate(self, presented: str) -> Caller | None:
        """Return whose key this is, or None when it is not valid.

        What is looked up is a hash, so the time it takes says nothing about the keys that there are.
        """
        if _FORM.fullmatch(presented) is None:
            return None
        number, now = _id(presented), self._now()
        known, until = self._found.get(number, (None, 0.0))
        if known is None or now >= until:
            known = self._look_up(number, now)
        return Caller(known.name) if known is not None and known.lives(now) else None

    def _look_up(self, number: str, now: float) -> ManagedKey | None:
        record = self._state.load(KIND, number)
        key = None if record is None else _read(record)
        if key is None:
            self._found.pop(number, None)
            return None
        if len(self._found) >= CACHE_SIZE:
            self._found.clear()
        self._found[number] = (key, now + CACHE_LIFE)
        return key


class AnyOf:
    """A `KeyRing` of several: the first that knows the key counts."""

    def __init__(self, *rings: KeyRing) -> None:
        self._rings = rings

    def authenticate(self, presented: str) -> Caller | None:
        """Return whose key this is, or None when no ring knows it."""
        callers = (ring.authenticate(presented) for ring in self._rings)
        return next((caller for caller in callers if caller is not None), None)


def _check_name(name: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise KeyNameError(
            "A key's name has 1 to 64 letters, digits, '.', '_' and '-', and begins with a letter or digit."
        )
    if name == STATIC_KEY_NAME:
        raise KeyNameError(f"The name {name} stands for the key from the settings; choose another one.")


def _read(record: bytes) -> ManagedKey | None:
    """Return the key, or None for a record that something else wrote."""
    try:
        return msgspec.json.decode(record, type=ManagedKey)
    except (msgspec.DecodeError, UnicodeError):
        return None


def _id(clear: str) -> str:
    return hashlib.sha256(clear.encode()).hexdigest()


def _base62(entropy: bytes) -> str:
    number = int.from_bytes(entropy)
    digits: list[str] = []
    for _ in range(_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(digits)
