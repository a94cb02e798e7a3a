"""Anthropic Messages: read a request, render a whole reply."""

from typing import Any, Final

from tests.emulators.copilot.chat import STOP_REASON, upstream_name
from tests.emulators.copilot.context import Call, Spoken
from tests.emulators.copilot.conversation import (
    Conversation,
    Picture,
    Tool,
    ToolResult,
    Turn,
    picture_from_base64,
)
from tests.emulators.copilot.modes import backend
from tests.emulators.copilot.shapes import Obj, encode, integer, items, members, objects, string
from tests.emulators.copilot.usage import copilot_usage
from tests.emulators.copilot.vault import seal_redacted, sign_thinking
from tests.emulators.copilot.wire import Reply, json_reply

CHOICES: Final = {"any": "required", "none": "none", "auto": "auto"}


def read(call: Call) -> Conversation:
    """Read a request into a conversation."""
    body = call.body
    asked = Conversation(call.model_id, tools=[_tool(tool) for tool in objects(body.get("tools"))])
    choice = members(body.get("tool_choice"))
    asked.tool_choice = string(choice.get("name")) or CHOICES.get(string(choice.get("type")), "auto")
    asked.parallel = choice.get("disable_parallel_tool_use") is not True
    asked.max_tokens = integer(body.get("max_tokens")) or None
    asked.stop = [string(stop) for stop in items(body.get("stop_sequences"))]
    thinking = members(body.get("thinking"))
    asked.thinking = thinking.get("type") in {"enabled", "adaptive"}
    # Models that only think adaptively leave the text out unless a summary is asked for.
    asked.show_thinking = thinking.get("type") == "enabled" or thinking.get("display") in {
        "summarized",
        "updates",
    }
    wanted = members(members(body.get("output_config")).get("format"))
    asked.schema = members(wanted.get("schema")) if wanted.get("type") == "json_schema" else None
    _read_prompt(asked, body)
    return asked


def _tool(tool: Obj) -> Tool:
    kind = string(tool.get("type"))
    schema = members(tool.get("input_schema"))
    if kind.startswith("bash_"):
        schema = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
    return Tool(string(tool.get("name")), string(tool.get("description")), schema)


def _read_prompt(asked: Conversation, body: Obj) -> None:
    for tool in objects(body.get("tools")):
        _segment(asked, {**tool, "cache_control": None}, tool)
    system = body.get("system")
    for block in [{"text": system}] if isinstance(system, str) else objects(system):
        _segment(asked, string(block.get("text")), block)
    for message in objects(body.get("messages")):
        content = message.get("content")
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else objects(content)
        _read_message(asked, string(message.get("role")), blocks)


def _segment(asked: Conversation, told: object, block: Obj, pictures: int = 0) -> None:
    text = told if isinstance(told, str) else encode(told).decode()
    control = members(block.get("cache_control"))
    asked.add_segment(text, pictures, mark=bool(control), hour=control.get("ttl") == "1h")


def _read_message(asked: Conversation, role: str, blocks: list[Obj]) -> None:
    turn = Turn(role)
    texts: list[str] = []
    for block in blocks:
        text, pictures = _read_block(block)
        _segment(asked, f"{role}:{text}", block, len(pictures))
        turn.pictures += pictures
        match block.get("type"):
            case "text":
                texts.append(text)
            case "tool_use":
                turn.calls += 1
            case "tool_result":
                is_error = block.get("is_error") is True
                turn.results.append(ToolResult(string(block.get("tool_use_id")), text, is_error))
            case _:
                pass
    turn.text = "\n".join(texts)
    if role != "system":
        asked.turns.append(turn)


def _read_block(block: Obj) -> tuple[str, list[Picture]]:
    match block.get("type"):
        case "text":
            return string(block.get("text")), []
        case "thinking":
            return string(block.get("thinking")), []
        case "image" | "document":
            source = members(block.get("source"))
            return "", [picture_from_base64(string(source.get("media_type")), string(source.get("data")))]
        case "tool_use":
            return encode([block.get("name"), block.get("input")]).decode(), []
        case "tool_result":
            return _read_result(block.get("content"))
        case "search_result":
            return " ".join(string(part.get("text")) for part in objects(block.get("content"))), []
        case _:
            return encode(block).decode(), []


def _read_result(content: object) -> tuple[str, list[Picture]]:
    if isinstance(content, str):
        return content, []
    parts = [_read_block(part) for part in objects(content)]
    pictures = [picture for _, found in parts for picture in found]
    texts = [text for text, _ in parts if text]
    texts += [f"[{p.media_type} of {p.size} bytes{', ' + p.pixels if p.pixels else ''}]" for p in pictures]
    return "\n".join(texts), pictures


def reply_id(call: Call, spoken: Spoken) -> str:
    """Return the reply's id, which betrays the backend."""
    return f"msg_{backend(call.modes)}fake{spoken.number:06d}"


def blocks(call: Call, spoken: Spoken) -> list[Obj]:
    """Render the content blocks of a whole reply."""
    answer, rendered = spoken.answer, list[Any]()
    if answer.thinking and call.on("msg_redacted"):
        rendered.append({"type": "redacted_thinking", "data": seal_redacted(answer.thinking)})
    elif answer.thinking:
        shown = answer.thinking if spoken.asked.show_thinking else ""
        rendered.append(
            {"type": "thinking", "thinking": shown, "signature": sign_thinking(shown, spoken.number)}
        )
    if call.on("msg_leaked_call") and answer.calls:
        leaked = "".join(
            f'<invoke name="{tool.name}">{encode(tool.arguments).decode()}</invoke>' for tool in answer.calls
        )
        return [*rendered, {"type": "text", "text": answer.text + leaked}]
    if answer.text or not answer.calls:
        rendered.append({"type": "text", "text": answer.text})
    for position, tool in enumerate(answer.calls):
        tool_id = f"toolu_{backend(call.modes)}fake{spoken.number:06d}n{position}"
        rendered.append({"type": "tool_use", "id": tool_id, "name": tool.name, "input": tool.arguments})
    return rendered


def stop_reason(call: Call, spoken: Spoken) -> str:
    """Return the stop reason."""
    if call.on("msg_leaked_call") and spoken.answer.stop == "tool":
        return "end_turn"
    return STOP_REASON.get(spoken.answer.stop, spoken.answer.stop)


def usage_of(spoken: Spoken) -> Obj:
    """Render usage in Anthropic's terms: `input_tokens` leaves the cached ones out."""
    usage = spoken.usage
    return {
        "input_tokens": usage.prompt - usage.cache_read - usage.cache_write,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write - usage.cache_write_hour,
            "ephemeral_1h_input_tokens": usage.cache_write_hour,
        },
        "output_tokens": usage.output,
    }


def reply(call: Call, spoken: Spoken) -> Reply:
    """Render a whole reply."""
    body: Obj = {
        "id": reply_id(call, spoken), "type": "message", "role": "assistant", "model": upstream_name(call.model_id),
        "content": blocks(call, spoken), "stop_details": None, "stop_reason": stop_reason(call, spoken),
        "stop_sequence": spoken.answer.stop_sequence, "usage": usage_of(spoken),
    }  # fmt: skip
    if call.on("msg_copilot_usage"):
        body["copilot_usage"] = copilot_usage(spoken.usage)
    return json_reply(200, body)
