"""Keys that the operator makes and revokes: named, shown once, kept as hashes, possibly with an end."""

import hashlib
import re
import secrets
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from core.access.caller import UNLIMITED, Caller, Limits
from core.access.keys import STATIC_KEY_NAME, KeyRing
from core.access.sessions import Sessions
from core.ports import StateStore, StoreError, read_stored

KIND: Final = "api-key"
USES: Final = "api-key-use"
EDITS: Final = "api-key-edit"
PREFIX: Final = "cgw_"
# Seconds for which a key that was found is not looked up again; so long a revoked one may live.
CACHE_LIFE: Final = 30.0
CACHE_SIZE: Final = 256
NOTE_EVERY: Final = 60.0  # seconds between two notes of when a key was last used
EDIT: Final = 10.0  # seconds, longer than a change of the keys takes
KEPT_AFTER_END: Final = 30 * 24 * 3600.0  # an expired key is listed still: its owner sees why it fails

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BYTES: Final = 32
_LENGTH: Final = 43  # 62 ** 43 is the first power of 62 beyond 2 ** 256
_FORM: Final = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{_LENGTH}}}")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class KeyNameError(Exception):
    """A key cannot have this name, or not now; the message says why."""


class ManagedKey(Struct, frozen=True, kw_only=True):
    """What is known of a key: not the key. Times are unix seconds."""

    name: str
    created_at: float
    expires_at: float | None = None
    limits: Limits = UNLIMITED

    def lives(self, now: float) -> bool:
        """Say whether the key is still good."""
        return self.expires_at is None or now < self.expires_at


class ManagedKeys:
    """A `KeyRing` in the state store, shared by every process; records are addressed by the key's SHA-256.

    The store is asked about a key every half minute at most, and never about a text that cannot be one; it is told of its
    use once a minute. All methods raise StoreError.

    notes_use: False where the store may only be read.
    """

    def __init__(
        self,
        state: StateStore,
        now: Callable[[], float],
        *,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
        notes_use: bool = True,
    ) -> None:
        self._state = state
        self._notes_use = notes_use
        self._now = now
        self._entropy = entropy
        self._found: dict[str, tuple[ManagedKey, float]] = {}
        self._noted: dict[str, float] = {}

    def create(self, name: str, expires_at: float | None = None, limits: Limits = UNLIMITED) -> str:
        """Make a key and return it: this is the only moment at which it is known. Raises KeyNameError."""
        _check_name(name)
        with self._edit():
            if self._named(name):
                raise KeyNameError(
                    f"There is a key named {name} already; revoke it first or choose another name."
                )
            return self._make(name, expires_at, limits)

    def list(self) -> list[ManagedKey]:
        """Return what is known of all keys, the oldest first; expired ones are among them for a while."""
        records = self._state.entries(KIND).values()
        keys = [key for record in records if (key := read_stored(record, ManagedKey)) is not None]
        return sorted(keys, key=lambda key: (key.created_at, key.name))

    def last_used(self) -> dict[str, float]:
        """Return when each key was last used (unix seconds, to the minute), by name."""
        found = {name: read_stored(record, float) for name, record in self._state.entries(USES).items()}
        return {name: moment for name, moment in found.items() if moment is not None}

    def limit(self, name: str, change: Callable[[Limits], Limits]) -> Limits | None:
        """Give the key of this name other limits, and return them; None when there is no such key. Raises KeyNameError.

        A process that runs keeps the old ones for as long as it does not look the key up again.
        """
        with self._edit():
            named = self._named(name)
            limits = None
            for number, key in named.items():
                limits = change(key.limits)
                self._save(number, replace(key, limits=limits))
            if limits not in {None, UNLIMITED}:
                Sessions(self._state, self._now).close_all(name)
        return limits

    def rotate(self, name: str, grace: float = 0.0) -> str | None:
        """Make a new key under the name of an old one, and return it; None when there is no such key. Raises KeyNameError.

        grace: seconds for which the old one is still good.
        """
        with self._edit():
            named = self._named(name)
            if not named:
                return None
            last, ends = max(named.values(), key=lambda key: key.created_at), self._now() + grace
            if not last.lives(self._now()):
                raise KeyNameError(f"The key {name} has expired. Revoke it and make a new one.")
            clear = self._make(name, last.expires_at, last.limits)
            for number, key in named.items():
                if grace > 0 and (key.expires_at is None or key.expires_at > ends):
                    self._save(number, replace(key, expires_at=ends))
                elif grace <= 0:
                    self._state.delete(KIND, number)
            Sessions(self._state, self._now).close_all(name)
        self._found.clear()
        return clear

    def revoke(self, name: str) -> bool:
        """Remove the key of this name, end its browser sessions, and return whether there was one. Raises KeyNameError."""
        with self._edit():
            doomed = self._named(name)
            for number in doomed:
                self._state.delete(KIND, number)
            self._state.delete(USES, name)
            Sessions(self._state, self._now).close_all(name)
        self._found.clear()
        return bool(doomed)

    def authenticate(self, presented: str) -> Caller | None:
        """Return whose key this is, or None when it is not valid.

        What is looked up is a hash, so the time it takes says nothing about the keys that there are.
        """
        if _FORM.fullmatch(presented) is None:
            return None
        number, now = _id(presented), self._now()
        known, looked_up = self._found.get(number, (None, 0.0))
        # A clock that was set back must not keep a revoked key.
        if known is None or not 0 <= now - looked_up < CACHE_LIFE:
            known = self._look_up(number, now)
        if known is None or not known.lives(now):
            return None
        self._note(known.name, now)
        return Caller(known.name, known.limits, known.expires_at)

    def _look_up(self, number: str, now: float) -> ManagedKey | None:
        key = read_stored(self._state.load(KIND, number), ManagedKey)
        if key is None:
            self._found.pop(number, None)
            return None
        if len(self._found) >= CACHE_SIZE:
            self._found.clear()
        self._found[number] = (key, now)
        return key

    def _note(self, name: str, now: float) -> None:
        """Keep that the key is used, once a minute; a store that fails is no reason to refuse it."""
        if not self._notes_use or abs(now - self._noted.get(name, 0.0)) < NOTE_EVERY:
            return
        self._noted[name] = now
        with suppress(StoreError):
            self._state.save(USES, name, msgspec.json.encode(now))

    def _named(self, name: str) -> dict[str, ManagedKey]:
        """Return the records of this name: one, or more while a rotated key is still good."""
        found = {
            number: read_stored(record, ManagedKey) for number, record in self._state.entries(KIND).items()
        }
        return {number: key for number, key in found.items() if key is not None and key.name == name}

    def _make(self, name: str, expires_at: float | None, limits: Limits) -> str:
        clear = PREFIX + _base62(self._entropy(_BYTES))
        self._save(
            _id(clear), ManagedKey(name=name, created_at=self._now(), expires_at=expires_at, limits=limits)
        )
        return clear

    def _save(self, number: str, key: ManagedKey) -> None:
        purge_at = None if key.expires_at is None else key.expires_at + KEPT_AFTER_END
        self._state.save(KIND, number, msgspec.json.encode(key), expires_at=purge_at)
        self._found.clear()

    @contextmanager
    def _edit(self) -> Generator[None]:
        """Let one process at a time change the keys, so that none is made twice and none comes back. Raises KeyNameError."""
        owner = secrets.token_hex(8)
        if not self._state.claim(EDITS, "all", owner, expires_at=self._now() + EDIT):
            raise KeyNameError("Another command changes the keys at this moment. Try again in some seconds.")
        try:
            yield
        finally:
            self._state.release(EDITS, "all", owner)


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


def _id(clear: str) -> str:
    return hashlib.sha256(clear.encode()).hexdigest()


def _base62(entropy: bytes) -> str:
    number = int.from_bytes(entropy)
    digits: list[str] = []
    for _ in range(_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(digits)
