"""Responses and their input in the state store: compressed, in parts, with an end."""

import hashlib
import zlib
from collections.abc import Callable, Iterator
from itertools import count
from typing import Final

import msgspec
from msgspec import Raw, Struct

from core.dialects.responses.schema import JSON_ERRORS
from core.ports import StateStore

KIND: Final = "stored_response"
ITEM: Final = "stored_item"  # the response that brought an item, by the item's id
PART: Final = 300_000  # bytes a record; DynamoDB takes 400 KB with everything
HEADER: Final = 4  # bytes before the first part: how many parts there are, big-endian
LEVEL: Final = 1  # JSON shrinks about as well as with the default, in a fifth of the time


class Stored(Struct, frozen=True):
    """A response as its client read it, and all the items that the model was given, instructions excepted."""

    response: Raw
    input: list[Raw]

    def conversation(self) -> list[Raw]:
        """Return the items that the next turn continues. Raises msgspec's errors for a response without them."""
        return [*self.input, *_decode_output(self.response).output]


class _Output(Struct):
    output: list[Raw]


class _Item(Struct):
    id: str | None = None


class _Items(Struct):
    output: list[_Item] = []


_decode_stored = msgspec.json.Decoder(Stored).decode
_decode_output = msgspec.json.Decoder(_Output).decode
_decode_items = msgspec.json.Decoder(_Items).decode
_encode = msgspec.json.Encoder().encode


class Archive:
    """The stored responses of one owner (the name of a key); those of others do not exist for it.

    now: the wall clock in unix seconds. ttl: seconds that a response is kept. Every method may raise `StoreError`.
    """

    def __init__(self, state: StateStore, owner: str, *, now: Callable[[], float], ttl: float) -> None:
        self._state = state
        self._owner = owner
        self._now = now
        self._ttl = ttl

    def save(self, response_id: str, stored: Stored) -> None:
        """Create or replace a response. The first part comes last: it makes the others visible."""
        packed = zlib.compress(_encode(stored), LEVEL)
        parts = -(-(len(packed) + HEADER) // PART)
        whole = parts.to_bytes(HEADER, "big") + packed
        expires_at = self._now() + self._ttl
        for item_id in _item_ids(stored.response):
            self._state.save(ITEM, self._address(item_id), response_id.encode(), expires_at=expires_at)
        for number, key in reversed(list(zip(range(parts), self._keys(response_id), strict=False))):
            part = whole[number * PART : (number + 1) * PART]
            self._state.save(KIND, key, part, expires_at=expires_at)

    def load(self, response_id: str) -> Stored | None:
        """Return a response, or None when it is missing, expired, or not whole."""
        keys = self._keys(response_id)
        first = self._state.load(KIND, next(keys))
        if first is None:
            return None
        parts = [first[HEADER:]]
        for _, key in zip(range(1, _parts_of(first)), keys, strict=False):
            part = self._state.load(KIND, key)
            if part is None:
                return None
            parts.append(part)
        try:
            return _decode_stored(zlib.decompress(b"".join(parts)))
        except (zlib.error, *JSON_ERRORS):  # parts of two versions
            return None

    def load_with(self, item_id: str) -> Stored | None:
        """Return the response that brought an item."""
        response_id = self._state.load(ITEM, self._address(item_id))
        return None if response_id is None else self.load(response_id.decode())

    def delete(self, response_id: str) -> bool:
        """Remove a response; return whether it was there."""
        keys = self._keys(response_id)
        head = next(keys)
        first = self._state.load(KIND, head)
        if first is None or not self._state.delete(KIND, head):
            return False
        for _, key in zip(range(1, _parts_of(first)), keys, strict=False):
            self._state.delete(KIND, key)
        return True

    def _keys(self, response_id: str) -> Iterator[str]:
        """Yield the keys of the parts."""
        address = self._address(response_id)
        return (f"{address}.{number}" for number in count())

    def _address(self, any_id: str) -> str:
        """Return an id as a key: hashed, for a client may ask for one of any length and letters."""
        return hashlib.sha256(f"{self._owner}\0{any_id}".encode("utf-8", "surrogatepass")).hexdigest()


def _parts_of(first: bytes) -> int:
    return int.from_bytes(first[:HEADER], "big")


def _item_ids(response: Raw) -> list[str]:
    try:
        return [item.id for item in _decode_items(response).output if item.id]
    except JSON_ERRORS:
        return []
