"""Output items to blocks, whole: reasoning, searches, and what else history and replies share."""

from typing import Final

import msgspec
from msgspec import Raw, structs

from core.canonical import Citation, Native, Opaque, ServerToolResult, ServerToolUse, Thinking
from core.dialects.responses.schema import (
    OutputItem,
    PartPeek,
    SearchAction,
    decode_members,
    decode_search,
    encode,
    is_set,
)
from core.opaque import seal, unseal

EMPTY_ARGUMENTS: Final = "{}"
PART_BREAK: Final = "\n\n"  # between the parts of a reasoning summary
TOOL_SEARCH: Final = "tool_search"  # the type of a search for tools, and its name where it must be a function
WEB_SEARCH: Final = "web_search"  # OpenAI's hosted search; its dated names begin with this

# `Opaque` has no room for Anthropic's redacted_thinking; its unused item id carries the mark while sealed.
REDACTED: Final = "redacted_thinking"

_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode


def reasoning_text(summary: list[PartPeek] | None, content: list[PartPeek] | None) -> str:
    """Return what a reasoning item shows: its summary, else the reasoning itself."""
    parts = [part.text for part in summary or () if part.text] or [
        part.text for part in content or () if part.text
    ]
    return PART_BREAK.join(parts)


def seal_thinking(thinking: Thinking) -> str | None:
    """Return the `encrypted_content` that a client shall keep for a thinking block."""
    if thinking.opaque is None:
        return None
    opaque = structs.replace(thinking.opaque, item_id=REDACTED) if thinking.redacted else thinking.opaque
    return seal(opaque, "responses")


def unseal_thinking(text: str, encrypted: str, item_id: str) -> Thinking:
    """Undo `seal_thinking`; a ciphertext that we did not seal belongs to this dialect and to its item."""
    opaque = unseal(encrypted, "responses", item_id)
    if opaque.item_id == REDACTED:
        return Thinking(text, structs.replace(opaque, item_id=""), redacted=True)
    return Thinking(text, opaque)


def search_blocks(raw: bytes | Raw, item: OutputItem) -> tuple[ServerToolUse, ServerToolResult]:
    """Return a `web_search_call` as a call and its answer. Raises msgspec's errors for a broken action."""
    action = decode_search(item.action) if is_set(item.action) else SearchAction()
    call_id = item.id or ""
    native = Native("responses", "web_search_call", bytes(raw))
    use = ServerToolUse(call_id, WEB_SEARCH, search_arguments(item, action), native)
    sources = tuple(Citation(url=source.url, title=source.title or "") for source in action.sources or ())
    error = "unavailable" if item.status == "failed" else None
    return use, ServerToolResult(call_id, WEB_SEARCH, sources, error)


def search_arguments(item: OutputItem, action: SearchAction) -> str:
    """Return the call's input as the other dialects know it: the query, else the whole action."""
    query = action.query or " ".join(action.queries or ())
    if query:
        return encode({"query": query}).decode()
    members = decode_members(item.action) if is_set(item.action) else {}
    return encode({name: value for name, value in members.items() if name != "sources"}).decode()


def is_object(arguments: str) -> bool:
    """Tell whether a function's arguments are a whole JSON object."""
    try:
        _decode_object(arguments)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def own_opaque(encrypted: str | None, item_id: str, scope: str) -> Opaque | None:
    """Return upstream's ciphertext with the id and the account that it belongs to."""
    return Opaque("responses", encrypted, item_id, scope) if encrypted else None
