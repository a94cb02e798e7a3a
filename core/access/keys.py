"""Check the key that a client presents."""

import hashlib
import hmac
from typing import Final, Protocol

from core.access.caller import Caller
from core.settings import Secret

STATIC_KEY_NAME: Final = "static"


class KeyRing(Protocol):
    """Whatever knows keys: the one from the settings, or the managed ones."""

    def authenticate(self, presented: str) -> Caller | None:
        """Return whose key this is, or None when it is not valid."""
        ...


class KeyCheck:
    """A `KeyRing` with the one key from the settings.

    Raises ValueError for an empty key: it would let everybody in.
    """

    def __init__(self, static_key: Secret) -> None:
        if not static_key:
            raise ValueError("the key is empty")
        self._digest = _digest(static_key)
        self._caller = Caller(STATIC_KEY_NAME)

    def authenticate(self, presented: str) -> Caller | None:
        """Compare in a time that depends neither on the key's text nor on its length."""
        return self._caller if hmac.compare_digest(_digest(presented), self._digest) else None


def _digest(key: str) -> bytes:
    # A header may hold anything, a lone surrogate too.
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
