"""A client's request from the wire to the canonical model."""

from typing import Final

import msgspec
from msgspec import Raw, UnsetType, structs

from core.canonical import (
    Block,
    Message,
    OutputFormat,
    Reasoning,
    Request,
    Role,
    Text,
    Thinking,
    ToolUse,
)
from core.dialects.messages.blocks_in import blocks_in
from core.dialects.messages.schema import FormatIn, MessageIn, RequestBody, read
from core.dialects.messages.tools_in import tool_choice_in, tool_in
from core.errors import InvalidRequestError, UnsupportedFeatureError

_body: Final = msgspec.json.Decoder(RequestBody).decode
_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_message: Final = msgspec.json.Decoder(MessageIn).decode

# Claude Code's first system block: it changes with every run and would spoil the prompt cache (AC-39).
BILLING_LINE: Final = "x-anthropic-billing-header:"

ROLES: Final[dict[str, Role]] = {"user": "user", "assistant": "assistant", "system": "system"}
THINKING_MODES: Final = {"enabled": "budget", "adaptive": "adaptive", "disabled": "off"}

# Members that mean work which only Anthropic's own service can do.
IMPOSSIBLE: Final = ("container", "mcp_servers")


def decode_request(body: bytes) -> Request:
    """Read a `/v1/messages` body. Raises `InvalidRequestError`, `UnsupportedFeatureError`."""
    wire = read(_body, body, "$")
    refuse_thread(wire.thread)
    extras = _extras(body)
    messages = [message_in(raw, f"$.messages[{at}]") for at, raw in enumerate(wire.messages)]
    if not messages:
        raise InvalidRequestError("messages: at least one message is required", param="$.messages")
    choice, parallel = tool_choice_in(wire.tool_choice)
    return Request(
        model=wire.model,
        messages=(*_system(wire.system), *messages),
        stream=bool(wire.stream),
        tools=tuple(tool_in(raw, f"$.tools[{at}]") for at, raw in enumerate(wire.tools or ())),
        tool_choice=choice,
        parallel_tools=parallel,
        max_output=_positive(wire.max_tokens, "$.max_tokens"),
        temperature=wire.temperature,
        top_p=wire.top_p,
        top_k=wire.top_k,
        stop=tuple(wire.stop_sequences or ()),
        reasoning=_reasoning(wire),
        format=_format(wire),
        user=wire.metadata.user_id if wire.metadata is not None else None,
        extras=extras,
    )


def refuse_thread(thread: Raw | UnsetType) -> None:
    """Refuse message threads the way that makes Anthropic's SDKs fall back to sending the whole history.

    The SDKs look for `error.details.error_code`; without it the user sees the error.
    """
    if isinstance(thread, UnsetType) or bytes(thread) == b"null":
        return
    error = InvalidRequestError("thread: message threads are not supported", param="$.thread")
    unsupported: list[str] = []
    details: dict[str, object] = {"error_code": "thread_unsupported_request", "unsupported": unsupported}
    error.details = details
    raise error


def message_in(raw: bytes, path: str) -> Message:
    """Read one turn. Raises `InvalidRequestError`, also for an empty user turn (AC-41)."""
    wire = read(_message, raw, path)
    role = ROLES.get(wire.role)
    if role is None:
        raise InvalidRequestError(
            f"Expected user, assistant or system (at {path}.role)", param=f"{path}.role"
        )
    blocks = blocks_in(wire.content, f"{path}.content")
    if role == "user" and not any(_says_something(block) for block in blocks):
        at = f"{path}.content"
        raise InvalidRequestError(f"user messages must have non-empty content (at {at})", param=at)
    return Message(role, tuple(_reattach(blocks)))


def without_billing_line(text: str) -> str:
    """Return a system text without Claude Code's pseudo header, whether it stands alone or as the first line."""
    if not text.startswith(BILLING_LINE):
        return text
    return text.partition("\n")[2].lstrip("\r\n")


def _says_something(block: Block) -> bool:
    return not (isinstance(block, Text) and not block.text)


def _reattach(blocks: list[Block]) -> list[Block]:
    """Hang thought signatures back on the calls they came with; the encoders send them as sealed thinking blocks."""
    calls = {block.call_id: at for at, block in enumerate(blocks) if isinstance(block, ToolUse)}
    kept: list[Block] = []
    signatures = {
        block.opaque.item_id: block.opaque
        for block in blocks
        if isinstance(block, Thinking) and block.redacted and block.opaque is not None
        if block.opaque.dialect == "chat" and block.opaque.item_id in calls
    }
    for block in blocks:
        if isinstance(block, ToolUse) and block.call_id in signatures:
            signature = structs.replace(signatures[block.call_id], item_id="")
            kept.append(structs.replace(block, opaque=signature))
        elif not (isinstance(block, Thinking) and block.opaque in signatures.values()):
            kept.append(block)
    return kept


def _system(system: str | list[Raw] | None) -> tuple[Message, ...]:
    blocks = blocks_in(system, "$.system") if system else []
    for position, block in enumerate(blocks):
        if not isinstance(block, Text):
            at = f"$.system[{position}].type"
            raise InvalidRequestError(f"The system prompt holds text only (at {at})", param=at)
    texts = [block for block in blocks if isinstance(block, Text)]
    kept = tuple(
        structs.replace(block, text=rest) if rest != block.text else block
        for block in texts
        if (rest := without_billing_line(block.text)) or not block.text
    )
    return (Message("system", kept),) if kept else ()


def _reasoning(wire: RequestBody) -> Reasoning | None:
    effort = wire.output_config.effort if wire.output_config is not None else None
    thinking = wire.thinking
    if thinking is None:
        return Reasoning(effort=effort) if effort is not None else None
    summary = None if thinking.display in {None, "omitted"} else "auto"
    match THINKING_MODES.get(thinking.type):
        case "budget":
            budget = _positive(thinking.budget_tokens, "$.thinking.budget_tokens")
            return Reasoning("budget", budget, effort, summary)
        case "adaptive":
            return Reasoning("adaptive", None, effort, summary)
        case "off":
            return Reasoning("off", None, effort)
        case _:
            at = "$.thinking.type"
            raise InvalidRequestError(f"Expected enabled, adaptive or disabled (at {at})", param=at)


def _format(wire: RequestBody) -> OutputFormat | None:
    asked = wire.output_config.format if wire.output_config is not None else None
    asked, path = (
        (asked, "$.output_config.format") if asked is not None else (wire.output_format, "$.output_format")
    )
    if asked is None or asked.type == "text":
        return None
    return _json_schema(asked, path)


def _json_schema(asked: FormatIn, path: str) -> OutputFormat:
    if asked.type != "json_schema":
        raise InvalidRequestError(f"Expected json_schema (at {path}.type)", param=f"{path}.type")
    read(_members, asked.schema, f"{path}.schema")
    return OutputFormat("json_schema", schema=bytes(asked.schema))


def _extras(body: bytes) -> dict[str, bytes]:
    known = RequestBody.__struct_fields__
    extras = {name: bytes(raw) for name, raw in read(_members, body, "$").items() if name not in known}
    extras = {name: raw for name, raw in extras.items() if raw != b"null"}
    for name in IMPOSSIBLE:
        if extras.get(name, b"[]") != b"[]":
            raise UnsupportedFeatureError(f"{name} is not available on Copilot", param=f"$.{name}")
    return extras


def _positive(value: int | None, path: str) -> int | None:
    if value is not None and value < 1:
        raise InvalidRequestError(f"Expected a number above 0 (at {path})", param=path)
    return value
