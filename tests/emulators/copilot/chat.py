"""Chat Completions: read a request, render a whole reply."""

from typing import Any, Final

from tests.emulators.copilot.context import Call, Spoken
from tests.emulators.copilot.conversation import (
    Call as ToolCall,
)
from tests.emulators.copilot.conversation import (
    Conversation,
    Picture,
    Tool,
    ToolResult,
    Turn,
    picture_from_url,
)
from tests.emulators.copilot.models import supports
from tests.emulators.copilot.shapes import Obj, encode, integer, is_object, items, members, objects, string
from tests.emulators.copilot.usage import copilot_usage
from tests.emulators.copilot.vault import seal_opaque, sign_thinking
from tests.emulators.copilot.wire import Reply, json_reply

FINISH: Final = {"stop": "stop", "stop_sequence": "stop", "length": "length", "tool": "tool_calls",
                 "refusal": "content_filter"}  # fmt: skip
STOP_REASON: Final = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool": "tool_use",
}
SNAPSHOT: Final = {
    "gpt-4.1": "gpt-4.1-2025-04-14",
    "gpt-4o": "gpt-4o-2024-11-20",
    "gpt-5-mini": "gpt-5-mini-2025-08-07",
}


def read(call: Call) -> Conversation:
    """Read a request into a conversation."""
    body = call.body
    asked = Conversation(call.model_id, tools=[_tool(tool) for tool in objects(body.get("tools"))])
    asked.tool_choice = _choice(body.get("tool_choice"))
    asked.parallel = body.get("parallel_tool_calls") is not False
    asked.max_tokens = integer(body.get("max_completion_tokens") or body.get("max_tokens")) or None
    stop = body.get("stop")
    asked.stop = [stop] if isinstance(stop, str) else [string(s) for s in items(stop)]
    asked.thinking = _thinks(call)
    wanted = members(body.get("response_format"))
    if wanted.get("type") == "json_schema":
        asked.schema = members(members(wanted.get("json_schema")).get("schema"))
    asked.any_json = wanted.get("type") == "json_object"
    if asked.tools:
        asked.add_segment(encode(body["tools"]).decode())
    for message in objects(body.get("messages")):
        _read_message(asked, message)
    return asked


def _thinks(call: Call) -> bool:
    if call.on("reasoning_text+opaque") or call.on("late_thinking"):
        return True
    effort = string(call.body.get("reasoning_effort"))
    asked = bool(call.body.get("thinking_budget")) or effort not in {"", "none", "minimal"}
    # GPT models think on this path too, but do not show it.
    return (
        asked
        and call.model.get("vendor") != "OpenAI"
        and supports(call.model, "reasoning_effort") is not None
    )


def _tool(tool: Obj) -> Tool:
    function = members(tool.get("function"))
    return Tool(
        string(function.get("name")), string(function.get("description")), members(function.get("parameters"))
    )


def _choice(choice: object) -> str:
    if is_object(choice):
        return string(members(members(choice).get("function")).get("name")) or "auto"
    return string(choice) or "auto"


def _read_message(asked: Conversation, message: Obj) -> None:
    text, pictures = read_content(message.get("content"))
    role = string(message.get("role"))
    calls = objects(message.get("tool_calls"))
    told = text + (encode(calls).decode() if calls else "") + string(message.get("reasoning_text"))
    asked.add_segment(f"{role}:{told}", len(pictures))
    match role:
        case "system" | "developer":
            return
        case "tool":
            result = ToolResult(string(message.get("tool_call_id")), text)
            asked.turns.append(Turn("tool", "", pictures, [result]))
        case _:
            asked.turns.append(Turn(role, text, pictures, calls=len(calls)))


def read_content(content: object) -> tuple[str, list[Picture]]:
    """Return a message's text and pictures."""
    if isinstance(content, str):
        return content, []
    texts: list[str] = []
    pictures: list[Picture] = []
    for part in objects(content):
        if part.get("type") == "image_url":
            picture = picture_from_url(string(members(part.get("image_url")).get("url")))
            pictures += [picture] if picture else []
        else:
            texts.append(string(part.get("text")))
    return "\n".join(texts), pictures


def tool_call_id(call: Call, spoken: Spoken, position: int, tool: ToolCall) -> str:
    """Return a tool call's id in the manner of the model's vendor."""
    if call.model_id.startswith("kimi"):
        return f"functions.{tool.name}:{position}"
    prefix = "toolu_" if call.model_id.startswith("claude") else "call_"
    return f"{prefix}fake{spoken.number:06d}n{position}"


def arguments_text(tool: ToolCall) -> str:
    """Return a call's arguments as text; none at all come as "", as some models send them."""
    if isinstance(tool.arguments, str):
        return tool.arguments
    return encode(tool.arguments).decode() if tool.arguments else ""


def tool_calls(call: Call, spoken: Spoken) -> list[Obj]:
    """Render the tool calls of a whole reply."""
    return [
        {
            "id": tool_call_id(call, spoken, position, tool),
            "type": "function",
            "function": {"name": tool.name, "arguments": arguments_text(tool) or "{}"},
        }
        for position, tool in enumerate(spoken.answer.calls)
    ]


def finish_reason(call: Call, spoken: Spoken) -> str:
    """Return the finish reason, wrong where the mode says so."""
    reason = FINISH.get(spoken.answer.stop, spoken.answer.stop)
    return "stop" if reason == "tool_calls" and call.on("chat_finish_stop_on_tool") else reason


def usage_of(spoken: Spoken) -> Obj:
    """Render usage in chat's terms."""
    usage = spoken.usage
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.output,
        "total_tokens": usage.prompt + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }


def reply_id(call: Call, spoken: Spoken) -> str:
    """Return the reply's id."""
    return f"{'msg_' if call.model_id.startswith('claude') else 'chatcmpl-'}fake{spoken.number:06d}"


def upstream_name(model_id: str) -> str:
    """Return the model's name as the backend reports it."""
    return model_id.replace(".", "-") if model_id.startswith("claude") else SNAPSHOT.get(model_id, model_id)


def reasoning(spoken: Spoken) -> Obj:
    """Render reasoning, or nothing."""
    if not spoken.answer.thinking:
        return {}
    opaque = seal_opaque(spoken.answer.thinking, spoken.number)
    return {"reasoning_text": spoken.answer.thinking, "reasoning_opaque": opaque}


def reply(call: Call, spoken: Spoken) -> Reply:
    """Render a whole reply."""
    if call.on("chat_anthropic_body"):
        return json_reply(200, _anthropic_body(call, spoken))
    body: Obj = {
        "id": reply_id(call, spoken),
        "model": upstream_name(call.model_id),
        "choices": _choices(call, spoken),
    }
    if not call.model_id.startswith("claude"):
        body |= {"object": "chat.completion", "created": call.now()}
    body |= {"usage": usage_of(spoken), "copilot_usage": copilot_usage(spoken.usage)}
    if call.on("chat_no_finish"):
        for choice in body["choices"]:
            del choice["finish_reason"]
    return json_reply(200, body)


def _choices(call: Call, spoken: Spoken) -> list[Obj]:
    content = spoken.answer.text or None
    calls, thought, reason = tool_calls(call, spoken), reasoning(spoken), finish_reason(call, spoken)
    messages: list[Obj] = []
    if call.on("chat_split_choices") and calls:
        messages += [{"role": "assistant", "content": content, **thought}] if content or thought else []
        messages += [{"role": "assistant", "tool_calls": [tool]} for tool in calls]
    else:
        messages.append(
            {"role": "assistant", "content": content, **thought, **({"tool_calls": calls} if calls else {})}
        )
    return [{"index": 0, "finish_reason": reason, "message": message} for message in messages]


def _anthropic_body(call: Call, spoken: Spoken) -> Obj:
    answer, blocks = spoken.answer, list[Any]()
    if answer.thinking:
        signature = sign_thinking(answer.thinking, spoken.number)
        blocks.append({"type": "thinking", "thinking": answer.thinking, "signature": signature})
    if answer.text:
        blocks.append({"type": "text", "text": answer.text})
    for position, tool in enumerate(answer.calls):
        tool_id = tool_call_id(call, spoken, position, tool)
        blocks.append({"type": "tool_use", "id": tool_id, "name": tool.name, "input": tool.arguments})
    return {
        "id": f"msg_fake{spoken.number:06d}", "type": "message", "role": "assistant",
        "model": upstream_name(call.model_id), "content": blocks,
        "stop_reason": STOP_REASON.get(answer.stop, "end_turn"), "stop_sequence": answer.stop_sequence,
        "usage": {
            "input_tokens": spoken.usage.prompt - spoken.usage.cache_read,
            "cache_read_input_tokens": spoken.usage.cache_read, "output_tokens": spoken.usage.output,
        },
    }  # fmt: skip
