"""Repairs inside the messages of a body that passes through; a message that is fine stays byte for byte."""

from typing import Final

import msgspec
from msgspec import Raw, Struct

from core.canonical import Thinking
from core.dialects.chat.orphans import CALLS, settle
from core.dialects.chat.reading import first_byte, read
from core.dialects.chat.relay_names import rename_calls
from core.dialects.chat.repairs import Draft
from core.dialects.chat.schema import NOTHING, NULL, encode
from core.dialects.chat.thinking import SEALED, unseal_thinking
from core.errors import UnsupportedFeatureError
from core.opaque import comes_home

DEVELOPER: Final = b'"developer"'
# What a JSON string with blanks at its end looks like.
_BLANK_ENDS: Final = (b' "', b'\\n"', b'\\t"', b'\\r"')


class _Message(Struct):
    role: str
    content: Raw = NULL
    reasoning_opaque: str | None = None
    tool_calls: Raw = NULL


_messages = msgspec.json.Decoder(list[Raw])
_message = msgspec.json.Decoder(_Message)
_members = msgspec.json.Decoder(dict[str, Raw])
_string = msgspec.json.Decoder(str)


def repair_messages(draft: Draft) -> None:
    """Repair the assistant's turns and what answers them.

    Raises `UnsupportedFeatureError` for a prefill that the model refuses.
    """
    raw = draft.members["messages"]
    body = bytes(raw)
    renames = DEVELOPER in body and not _knows_developer(draft)
    if b'"assistant"' not in body and CALLS not in body and not renames:
        return
    messages = read(_messages, raw, "$.messages")
    changed = renames and _rename_developer(messages, draft)
    for index, message in enumerate(messages):
        if b'"assistant"' in bytes(message):
            repaired = _repaired(message, f"$.messages[{index}]", draft)
            if repaired is not None:
                messages[index], changed = repaired, True
    settled = settle(messages, draft.notes) if CALLS in body else None
    if settled is not None:
        messages, changed = settled, True
    renamed = rename_calls(messages, draft.notes) if CALLS in body else None
    if renamed is not None:
        messages, changed = renamed, True
    _check_prefill(messages, draft)
    if changed:
        draft.put("messages", Raw(encode(messages)))


def _knows_developer(draft: Draft) -> bool:
    """Tell whether the model knows OpenAI's newer name of the system role: other vendors' models do not."""
    vendor = draft.target.model.vendor
    return not vendor or "OpenAI" in vendor


def _rename_developer(messages: list[Raw], draft: Draft) -> bool:
    """Say `system` where a message says `developer`; return whether one did."""
    found = False
    for index, message in enumerate(messages):
        path = f"$.messages[{index}]"
        if DEVELOPER in bytes(message) and read(_message, message, path).role == "developer":
            members = read(_members, message, path)
            members["role"] = Raw(b'"system"')
            messages[index] = Raw(encode(members))
            draft.notes.repair("developer_role")
            found = True
    return found


def _check_prefill(messages: list[Raw], draft: Draft) -> None:
    if messages and not draft.target.model.prefill:
        last = read(_message, messages[-1], f"$.messages[{len(messages) - 1}]")
        if last.role == "assistant" and last.tool_calls in NOTHING:
            raise UnsupportedFeatureError(
                f"{draft.target.model.id} does not continue an assistant message: end with a user message",
                param="messages",
            )


def _repaired(raw: Raw, path: str, draft: Draft) -> Raw | None:
    """Return the message repaired, None when it is fine."""
    message = read(_message, raw, path)
    if message.role != "assistant":
        return None
    trimmed = _trimmed(message.content, path, draft)
    sealed = message.reasoning_opaque is not None and SEALED in bytes(raw)
    if trimmed is None and not sealed:
        return None
    members = read(_members, raw, path)
    if trimmed is not None:
        members["content"] = trimmed
    if sealed:
        _unseal(members, message.reasoning_opaque or "", draft)
    return Raw(encode(members))


def _trimmed(content: Raw, path: str, draft: Draft) -> Raw | None:
    """Cut blanks off the end: Claude refuses an assistant's text that ends with them."""
    if not draft.notes.claude or first_byte(content) != b'"' or not bytes(content).endswith(_BLANK_ENDS):
        return None
    draft.notes.repair("trailing_whitespace")
    text = read(_string, content, f"{path}.content").rstrip()
    return Raw(encode(text)) if text else NULL


def _unseal(members: dict[str, Raw], opaque: str, draft: Draft) -> None:
    """Give sealed thinking back to its issuer; another's is taken out, with its text."""
    home = [block for block in unseal_thinking("", opaque) if _is_home(block, draft)]
    value = next((block.opaque.value for block in reversed(home) if block.opaque is not None), None)
    if value is not None:
        draft.notes.repair("sealed_thinking")
        members["reasoning_opaque"] = Raw(encode(value))
        return
    draft.notes.lose("thinking")
    for name in ("reasoning_opaque", "reasoning_text", "reasoning_content"):
        members.pop(name, None)


def _is_home(block: Thinking, draft: Draft) -> bool:
    return block.opaque is not None and comes_home(block.opaque, "chat", draft.target.scope)
