"""Browser sessions of whoever has shown a key: an opaque id in a cookie, its hash in the state store, a short life."""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from typing import Final

from core.ports import StateStore

KIND: Final = "browser-session"
LIFE: Final = 1800.0  # seconds; long enough for two logins to GitHub, not for a forgotten browser
_LONGEST_ID: Final = 100


class Sessions:
    """Sessions by id, each opened with the key of a name. All methods raise StoreError.

    static_key: the one from the settings; all sessions end when it is replaced.
    """

    def __init__(self, state: StateStore, now: Callable[[], float], static_key: str = "") -> None:
        self._state = state
        self._now = now
        self._static_key = static_key

    def open(self, key_name: str, key_ends: float | None = None) -> str:
        """Begin a session and return its id, which only the browser keeps. key_ends: unix seconds, if the key has an end."""
        session, ends = secrets.token_urlsafe(32), self._now() + LIFE
        ends = ends if key_ends is None else min(ends, key_ends)
        self._state.save(KIND, self._number(session), key_name.encode(), expires_at=ends)
        return session

    def key_name(self, session: str) -> str | None:
        """Return the name of the key that opened the session, or None when the session is over or never was."""
        if not 0 < len(session) <= _LONGEST_ID:
            return None
        record = self._state.load(KIND, self._number(session))
        return None if record is None else record.decode("utf-8", "replace")

    def close(self, session: str) -> None:
        """End the session."""
        self._state.delete(KIND, self._number(session))

    def close_all(self, key_name: str) -> None:
        """End every session of a key: of one that is revoked, or may not sign in any more."""
        for number, record in self._state.entries(KIND).items():
            if record == key_name.encode():
                self._state.delete(KIND, number)

    def _number(self, session: str) -> str:
        """Return what the store knows the session by."""
        return hashlib.sha256(b"session\0" + _bytes(session) + b"\0" + _bytes(self._static_key)).hexdigest()


def form_token(session: str) -> str:
    """Return what the forms of this session carry, so that no other site's form can pass for one."""
    return hashlib.sha256(b"form\0" + _bytes(session)).hexdigest()


def is_form_token(session: str, shown: str) -> bool:
    """Say whether a form belongs to the session."""
    return hmac.compare_digest(form_token(session).encode(), _bytes(shown))


def _bytes(text: str) -> bytes:
    # A header and a form may hold anything, a lone surrogate too.
    return text.encode("utf-8", "surrogatepass")
