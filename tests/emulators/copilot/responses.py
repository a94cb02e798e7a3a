"""Responses: read a request, compose the output items of a reply."""

from typing import Any, Final

from tests.emulators.copilot.context import Call, Spoken
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
from tests.emulators.copilot.vault import encrypt_reasoning
from tests.emulators.copilot.web_search import cited, search_item, searches
from tests.emulators.copilot.wire import Reply, json_reply

INCOMPLETE: Final = {"length": "max_output_tokens", "refusal": "content_filter"}


def read(call: Call) -> Conversation:
    """Read a request into a conversation."""
    body = call.body
    asked = Conversation(call.model_id, tools=_tools(objects(body.get("tools"))))
    asked.tool_choice = _choice(body.get("tool_choice"))
    asked.parallel = body.get("parallel_tool_calls") is not False
    asked.max_tokens = integer(body.get("max_output_tokens")) or None
    asked.thinking = _thinks(call)
    wanted = members(members(body.get("text")).get("format"))
    asked.schema = members(wanted.get("schema")) if wanted.get("type") == "json_schema" else None
    asked.any_json = wanted.get("type") == "json_object"
    if body.get("tools"):
        asked.add_segment(encode(body["tools"]).decode())
    asked.add_segment(string(body.get("instructions")))
    told = body.get("input")
    for item in [{"role": "user", "content": told}] if isinstance(told, str) else objects(told):
        _read_item(asked, item)
    return asked


def _thinks(call: Call) -> bool:
    effort = members(call.body.get("reasoning")).get("effort")
    asked = bool(members(call.body.get("reasoning"))) and effort not in {"none", "minimal"}
    return asked and supports(call.model, "reasoning_effort") is not None


def _tools(offered: list[Obj], namespace: str = "") -> list[Tool]:
    found: list[Tool] = []
    for tool in offered:
        name, description = string(tool.get("name")), string(tool.get("description"))
        match tool.get("type"):
            case "function":
                found.append(Tool(name, description, members(tool.get("parameters")), namespace=namespace))
            case "custom":
                found.append(Tool(name, description, {}, custom=True))
            case "namespace":
                found += _tools(objects(tool.get("tools")), name)
            case _:
                pass
    return found


def _choice(choice: object) -> str:
    return string(members(choice).get("name")) or "auto" if is_object(choice) else string(choice) or "auto"


def _read_item(asked: Conversation, item: Obj) -> None:
    kind = string(item.get("type")) or "message"
    match kind:
        case "message":
            _read_message(asked, item)
        case "function_call" | "custom_tool_call":
            asked.add_segment(encode([item.get("name"), item.get("arguments"), item.get("input")]).decode())
            _assistant(asked).calls += 1
        case "function_call_output" | "custom_tool_call_output":
            text, pictures = read_content(item.get("output"))
            asked.add_segment(text, len(pictures))
            asked.turns.append(Turn("tool", "", pictures, [ToolResult(string(item.get("call_id")), text)]))
        case "additional_tools":
            asked.tools += _tools(objects(item.get("tools")))
        case _:
            asked.add_segment(encode(item.get("summary")).decode())


def _assistant(asked: Conversation) -> Turn:
    if not asked.turns or asked.turns[-1].role != "assistant":
        asked.turns.append(Turn("assistant"))
    return asked.turns[-1]


def _read_message(asked: Conversation, item: Obj) -> None:
    text, pictures = read_content(item.get("content"))
    role = string(item.get("role"))
    asked.add_segment(f"{role}:{text}", len(pictures))
    if role == "assistant":
        _assistant(asked).text += text
    elif role == "user":
        asked.turns.append(Turn(role, text, pictures))


def read_content(content: object) -> tuple[str, list[Picture]]:
    """Return an item's text and pictures."""
    if isinstance(content, str):
        return content, []
    texts: list[str] = []
    pictures: list[Picture] = []
    for part in objects(content):
        url = string(part.get("image_url")) or string(part.get("file_data"))
        picture = picture_from_url(url) if url else None
        pictures += [picture] if picture else []
        texts += [string(part.get("text"))] if part.get("text") else []
    return "\n".join(texts), pictures


def item_id(kind: str, spoken: Spoken, index: int) -> str:
    """Return an output item's first id."""
    prefix = {"reasoning": "rs", "message": "msg", "function_call": "fc", "custom_tool_call": "ctc"}[kind]
    return f"{prefix}_fake{spoken.number:06d}{index:02d}"


def output_items(call: Call, spoken: Spoken) -> list[Obj]:
    """Return the finished output items with their first ids."""
    answer, output = spoken.answer, list[Obj]()
    if answer.thinking:
        output.append(_reasoning(call, spoken))
    found = searches(call, spoken)
    if found:
        output.append(search_item(call, spoken, len(output)))
    if answer.text or not answer.calls:
        index = len(output)
        part: Obj = {"type": "output_text", "text": answer.text, "annotations": [], "logprobs": []}
        part = cited(call, answer.text) if found else part
        message: Obj = {"type": "message", "id": item_id("message", spoken, index), "role": "assistant",
                        "status": "incomplete" if answer.stop in INCOMPLETE else "completed", "content": [part]}  # fmt: skip
        if call.on("resp_phase"):
            message["phase"] = "commentary" if answer.calls else "final_answer"
        output.append(message)
    for position, tool in enumerate(answer.calls):
        kind = "custom_tool_call" if tool.custom else "function_call"
        item: Obj = {"type": kind, "id": item_id(kind, spoken, len(output)), "status": "completed",
                     "call_id": f"call_fake{spoken.number:06d}n{position}", "name": tool.name}  # fmt: skip
        item |= {"namespace": tool.namespace} if tool.namespace else {}
        text = tool.arguments if isinstance(tool.arguments, str) else encode(tool.arguments).decode()
        output.append({**item, "input" if tool.custom else "arguments": text})
    return output


def _reasoning(call: Call, spoken: Spoken) -> Obj:
    rs_id = item_id("reasoning", spoken, 0)
    wants_summary = members(call.body.get("reasoning")).get("summary") not in (None, "none")
    summary = [{"type": "summary_text", "text": spoken.answer.thinking}] if wants_summary else []
    item: Obj = {"type": "reasoning", "id": rs_id, "summary": summary}
    if "reasoning.encrypted_content" in items(call.body.get("include")):
        item["encrypted_content"] = encrypt_reasoning(call.account.github_token, rs_id)
    return item


def rotated(item: Obj, stage: str) -> Obj:
    """Return the item under another id, as the live service does at every stage."""
    prefix, _, rest = str(item["id"]).partition("_")
    return {**item, "id": f"{prefix}_{stage}{rest}"}


def usage_of(spoken: Spoken) -> Obj:
    """Render usage in Responses' terms."""
    usage = spoken.usage
    return {
        "input_tokens": usage.prompt,
        "input_tokens_details": {"cached_tokens": usage.cache_read, "cache_write_tokens": 0},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.prompt + usage.output,
    }


def frame(call: Call, spoken: Spoken, status: str, output: list[Obj]) -> Obj:
    """Render the response object in one of its stages."""
    body, reason = call.body, INCOMPLETE.get(spoken.answer.stop)
    ended = status not in {"in_progress", "queued"}
    return {
        "id": f"resp_fake{spoken.number:06d}", "object": "response", "created_at": call.now(), "status": status,
        "background": False, "error": None,
        "incomplete_details": {"reason": reason} if status == "incomplete" else None,
        "instructions": body.get("instructions"), "max_output_tokens": body.get("max_output_tokens"),
        "model": call.model_id, "output": output, "parallel_tool_calls": spoken.asked.parallel,
        "previous_response_id": None, "reasoning": _echo(body.get("reasoning"), {"effort": None, "summary": None}),
        "store": False, "temperature": 1.0, "text": _echo(body.get("text"), {"format": {"type": "text"}}),
        "tool_choice": body.get("tool_choice") or "auto", "tools": items(body.get("tools")), "top_p": 1.0,
        "truncation": "disabled", "usage": usage_of(spoken) if ended else None, "user": None, "metadata": {},
    }  # fmt: skip


def _echo(given: object, default: Obj) -> Any:
    return {**default, **members(given)}


def final_status(spoken: Spoken) -> str:
    """Return `completed` or `incomplete`."""
    return "incomplete" if spoken.answer.stop in INCOMPLETE else "completed"


def reply(call: Call, spoken: Spoken) -> Reply:
    """Render a whole reply."""
    body = frame(call, spoken, final_status(spoken), output_items(call, spoken))
    if call.on("resp_failed_after_created"):
        body |= {
            "status": "failed",
            "output": [],
            "error": {"code": "server_error", "message": "The model failed."},
        }
    return json_reply(200, {**body, "copilot_usage": copilot_usage(spoken.usage)})
