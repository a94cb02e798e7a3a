"""What /v1/messages refuses in the messages themselves: roles, blocks, pairs of calls and results."""

import re
from collections.abc import Callable
from typing import Final

from tests.emulators.copilot.context import Call
from tests.emulators.copilot.conversation import picture_from_base64
from tests.emulators.copilot.models import VISION, refuses_prefill
from tests.emulators.copilot.shapes import Obj, is_array, items, members, objects, string
from tests.emulators.copilot.vault import sealed_as, signature_matches
from tests.emulators.copilot.wire import Reply, bare_error, capi_error

BLOCK_ID: Final = re.compile(r"[a-zA-Z0-9_-]+")
BLOCKS: Final = frozenset(
    {
        "text", "image", "document", "tool_use", "tool_result", "thinking", "redacted_thinking", "search_result",
        "server_tool_use", "tool_search_tool_result", "compaction",
    }
)  # fmt: skip
LATE_SYSTEM: Final = frozenset({"claude-opus-4.8", "claude-sonnet-5"})


def _roles(call: Call) -> Reply | None:
    messages = items(call.body.get("messages"))
    if not messages:
        return bare_error("messages: at least one message is required")
    for number, message in enumerate(messages):
        role = members(message).get("role")
        if role == "system" and call.model_id in LATE_SYSTEM and number > 0:
            continue
        if role not in {"user", "assistant"}:
            hint = (
                "The Messages API accepts a top-level `system` parameter"
                if role == "system"
                else "Allowed: user, assistant"
            )
            return bare_error(f'messages: Unexpected role "{role}". {hint}.')
        if not isinstance(members(message).get("content"), str | list):
            return bare_error(f"messages.{number}.content: Input should be a valid string or array")
    return None


def _last_turn(call: Call) -> Reply | None:
    last = objects(call.body.get("messages"))[-1]
    if last.get("role") != "assistant":
        return None
    if refuses_prefill(call.model_id):
        return bare_error(
            "This model does not support assistant message prefill. The conversation must end with a user message."
        )
    content = last.get("content")
    texts = (
        [content]
        if isinstance(content, str)
        else [string(block.get("text")) for block in objects(content)][-1:]
    )
    if any(text != text.rstrip() for text in texts):
        return bare_error("messages: final assistant content cannot end with trailing whitespace")
    return None


def _system(call: Call) -> Reply | None:
    for number, block in enumerate(objects(call.body.get("system"))):
        if block.get("type") != "text" or not string(block.get("text")).strip():
            return bare_error(f"system.{number}: text content blocks must be non-empty")
    return None


def _blocks(call: Call) -> Reply | None:
    for number, message in enumerate(objects(call.body.get("messages"))):
        content = message.get("content")
        if content in ("", []) and message is not objects(call.body.get("messages"))[-1]:
            return bare_error(f"messages.{number}: all messages must have non-empty content")
        for place, block in enumerate(objects(content)):
            if refusal := _block(f"messages.{number}.content.{place}", block):
                return refusal
    return None


def _block(path: str, block: Obj) -> Reply | None:
    kind = string(block.get("type"))
    match kind:
        case "text":
            empty = not string(block.get("text")).strip()
            return (
                bare_error("messages: text content blocks must contain non-whitespace text")
                if empty
                else None
            )
        case "image" | "document":
            return _source(path, kind, members(block.get("source")))
        case "thinking":
            genuine = signature_matches(string(block.get("signature")), string(block.get("thinking")))
            return None if genuine else bare_error(f"{path}: Invalid `signature` in `thinking` block")
        case "redacted_thinking":
            genuine = sealed_as(string(block.get("data")), "redacted")
            return None if genuine else bare_error(f"{path}: Invalid `data` in `redacted_thinking` block")
        case "tool_use":
            return _tool_use(path, block)
        case "tool_result":
            return _result_parts(path, block)
        case _:
            tags = f"{path}: Input tag '{kind}' found using 'type' does not match any of the expected tags"
            return None if kind in BLOCKS else bare_error(tags)


def _tool_use(path: str, block: Obj) -> Reply | None:
    if not BLOCK_ID.fullmatch(string(block.get("id"))):
        return bare_error(f"{path}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
    if not isinstance(block.get("input"), dict):
        return bare_error(f"{path}.tool_use.input: Input should be a valid dictionary")
    return None


def _result_parts(path: str, block: Obj) -> Reply | None:
    for place, part in enumerate(objects(block.get("content"))):
        if part.get("type") == "tool_reference":
            continue
        if refusal := _block(f"{path}.tool_result.content.{place}", part):
            return refusal
    return None


def _source(path: str, kind: str, source: Obj) -> Reply | None:
    form, media = source.get("type"), string(source.get("media_type"))
    if form == "url":
        return capi_error(400, "external image URLs are not supported", "")
    if form != "base64":
        return bare_error(f"{path}.{kind}.source: source type must be base64 or url, got {form}")
    if kind == "document" and media != "application/pdf":
        return bare_error(f"{path}.document.source.base64: media_type must be application/pdf")
    if kind == "image" and media not in VISION["supported_media_types"]:
        return bare_error(f"{path}.image.source.base64.media_type: Input should be a supported image type")
    if picture_from_base64(media, string(source.get("data"))).size <= 0:
        return bare_error(f"{path}.{kind}.source.base64.data: invalid base64 data")
    return None


def _pairs(call: Call) -> Reply | None:
    """Check that results answer the calls of the turn before, all of them and nothing else."""
    open_ids: list[str] = []
    for number, message in enumerate(_merged(objects(call.body.get("messages")))):
        blocks = objects(message["content"])
        given = [string(b.get("tool_use_id")) for b in blocks if b.get("type") == "tool_result"]
        if strangers := [i for i in given if i not in open_ids]:
            return bare_error(
                f"messages.{number}.content.0: unexpected `tool_use_id` found in `tool_result` blocks: {strangers[0]}. "
                "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
            )
        if missing := [i for i in open_ids if i not in given]:
            return bare_error(
                f"messages.{number}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                f"{', '.join(missing)}."
            )
        open_ids = [string(b.get("id")) for b in blocks if b.get("type") == "tool_use"]
    return None


def _merged(messages: list[Obj]) -> list[Obj]:
    """Join neighbours of one role, as the backend does; system turns do not part them."""
    merged: list[Obj] = []
    for message in messages:
        if message.get("role") == "system":
            continue
        content = message.get("content")
        blocks = objects(content) if is_array(content) else [{"type": "text", "text": content}]
        if merged and merged[-1]["role"] == message.get("role"):
            merged[-1]["content"] += blocks
        else:
            merged.append({"role": message.get("role"), "content": list(blocks)})
    return merged


RULES: Final[tuple[Callable[[Call], Reply | None], ...]] = (_roles, _system, _blocks, _pairs, _last_turn)


def image_sources(body: Obj) -> list[Obj]:
    """Return every image's source, also those nested in tool results."""
    blocks = [block for message in objects(body.get("messages")) for block in objects(message.get("content"))]
    nested = [part for block in blocks for part in objects(block.get("content"))]
    return [members(block.get("source")) for block in [*blocks, *nested] if block.get("type") == "image"]
