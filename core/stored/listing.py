"""`GET /v1/responses/{id}/input_items`: the items of a stored conversation, page by page."""

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, Struct

from core.dialects.responses.schema import JSON_ERRORS, Absent, decode_members, encode, is_set
from core.errors import InvalidRequestError

MOST: Final = 100
USUAL: Final = 20
# What the id of an item begins with that its client sent without one; these have a status, too.
PREFIX: Final[dict[str, str]] = {
    "message": "msg_",
    "function_call": "fc_",
    "function_call_output": "fco_",
    "custom_tool_call": "ctc_",
    "custom_tool_call_output": "ctco_",
}
TEXT_PART: Final[dict[str, bytes]] = {
    "assistant": b'[{"type":"output_text","annotations":[],"logprobs":[],"text":%b}]',
}
INPUT_PART: Final = b'[{"type":"input_text","text":%b}]'


class Page(Struct, frozen=True):
    """Which part of the list is asked for: `limit` items after the item `after`, newest first by default."""

    limit: int = USUAL
    order: str = "desc"
    after: str = ""


class _Facts(Struct):
    id: str | None = None
    type: str | None = None
    role: str | None = None
    content: Raw | Absent = UNSET


_decode_facts = msgspec.json.Decoder(_Facts).decode


def read_page(query: dict[str, str]) -> Page:
    """Read a query string's members. Raises `InvalidRequestError`."""
    limit, order = query.get("limit", str(USUAL)), query.get("order", "desc")
    if not (limit.isascii() and limit.isdecimal() and 1 <= int(limit[:9]) <= MOST):
        raise InvalidRequestError(f"limit must be a number from 1 to {MOST}", param="limit")
    if order not in {"asc", "desc"}:
        raise InvalidRequestError("order must be asc or desc", param="order")
    return Page(int(limit), order, query.get("after", ""))


def encode_page(items: Sequence[Raw], page: Page) -> bytes:
    """Render a page of items. Raises `InvalidRequestError` when `after` names none of them."""
    listed = _identified(items)
    if page.order == "desc":
        listed.reverse()
    ids = [item_id for item_id, _ in listed]
    if page.after and page.after not in ids:
        raise InvalidRequestError(f"after: there is no item '{page.after[:100]}'", param="after")
    begin = ids.index(page.after) + 1 if page.after else 0
    shown = listed[begin : begin + page.limit]
    return encode(
        {
            "object": "list",
            "data": [item for _, item in shown],
            "first_id": shown[0][0] if shown else None,
            "last_id": shown[-1][0] if shown else None,
            "has_more": begin + len(shown) < len(listed),
        }
    )


def _identified(items: Sequence[Raw]) -> list[tuple[str, Raw]]:
    """Return the items with ids that differ, so that paging comes to an end."""
    listed: dict[str, Raw] = {}
    for index, item in enumerate(items):
        try:
            facts, members = _decode_facts(item), decode_members(item)
        except JSON_ERRORS:
            continue
        kind = facts.type or "message"
        item_id = facts.id or ""
        if not item_id or item_id in listed:
            item_id = _made_id(PREFIX.get(kind, "item_"), index, item)
        listed[item_id] = _complete(item, {**members}, facts, kind, item_id)
    return list(listed.items())


def _made_id(prefix: str, index: int, item: Raw) -> str:
    """Return an id that is the same in every later response of the conversation."""
    return prefix + hashlib.sha256(b"%d:%b" % (index, bytes(item))).hexdigest()[:32]


def _complete(item: Raw, members: dict[str, Any], facts: _Facts, kind: str, item_id: str) -> Raw:
    """Return an item with the members that strict clients want."""
    missing: dict[str, Any] = {}
    if facts.id != item_id:
        missing["id"] = item_id
    if facts.type is None:
        missing["type"] = kind
    if kind in PREFIX and not is_set(members.get("status")):
        missing["status"] = "completed"
    if kind == "message" and is_set(facts.content) and bytes(facts.content)[:1] == b'"':
        part = TEXT_PART.get(facts.role or "", INPUT_PART)
        missing["content"] = Raw(part % bytes(facts.content))
    return Raw(encode({**members, **missing})) if missing else item
