"""Item references: the id of an item that an earlier response brought, where the item itself would stand.

The AI SDK's `openai` provider refers to reasoning and text by default, and sends them only under `store: false`.
"""

from typing import Final

import msgspec
from msgspec import Raw, Struct

from core.dialects.responses.schema import JSON_ERRORS
from core.errors import InvalidRequestError
from core.stored.archive import Archive

REFERENCE: Final = "item_reference"
MARK: Final = REFERENCE.encode()  # cheap to seek; what only looks like one is sorted out by reading the items


class _Item(Struct):
    type: str | None = None
    id: str | None = None


_decode_item = msgspec.json.Decoder(_Item).decode


def resolve(items: list[Raw], archive: Archive) -> list[Raw]:
    """Return the items, with stored ones in the place of what refers to them.

    Raises `InvalidRequestError` for an id that is unknown.
    """
    known: dict[str, Raw] = {}
    resolved = list(items)
    # Backwards, for the newest response was given most of what the references before it name.
    for index in range(len(items) - 1, -1, -1):
        item = _read(items[index])
        if item.type != REFERENCE or not item.id:
            continue
        if item.id not in known:
            known.update(_conversation(archive, item.id))
        if item.id not in known:
            raise InvalidRequestError(f"Item with id '{item.id[:100]}' not found.", param=f"$.input[{index}]")
        resolved[index] = known[item.id]
    return resolved


def _conversation(archive: Archive, item_id: str) -> dict[str, Raw]:
    """Return the items, by id, of the conversation whose last response brought this one."""
    stored = archive.load_with(item_id)
    try:
        items = [] if stored is None else stored.conversation()
    except JSON_ERRORS:
        return {}
    return {known: raw for raw in items if (known := _read(raw).id)}


def _read(raw: Raw) -> _Item:
    """Return what an item is; nothing for what the lanes will refuse."""
    try:
        return _decode_item(raw)
    except JSON_ERRORS:
        return _Item()
