"""What /responses refuses: fields, tools, items, and reasoning that is not this account's own."""

import re
from collections.abc import Callable
from typing import Final

from tests.emulators.copilot.chat_rules import effort, invalid
from tests.emulators.copilot.context import Call
from tests.emulators.copilot.shapes import Obj, items, members, objects, string
from tests.emulators.copilot.vault import judge_reasoning
from tests.emulators.copilot.web_search import SEARCH, refusal
from tests.emulators.copilot.wire import Reply, capi_error

KNOWN_KEYS: Final = frozenset(
    {
        "model", "input", "instructions", "stream", "store", "tools", "tool_choice", "parallel_tool_calls",
        "max_output_tokens", "temperature", "top_p", "top_logprobs", "truncation", "text", "reasoning", "include",
        "prompt_cache_key", "prompt_cache_options", "context_management", "previous_response_id", "metadata", "user",
        "stream_options", "safety_identifier", "background", "max_tool_calls",
    }
)  # fmt: skip
NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
HOSTED: Final = frozenset({"tool_search", "namespace", "image_generation", "code_interpreter"})
ITEMS: Final = frozenset(
    {
        "message", "reasoning", "function_call", "function_call_output", "custom_tool_call",
        "custom_tool_call_output", "web_search_call", "compaction", "tool_search_call", "tool_search_output",
        "additional_tools", "agent_message", "item_reference",
    }
)  # fmt: skip
PART: Final = {
    "user": "input_text",
    "system": "input_text",
    "developer": "input_text",
    "assistant": "output_text",
}
PREFIX: Final = {"reasoning": "rs", "message": "msg", "function_call": "fc"}
ID_CHARS: Final = re.compile(r"[A-Za-z0-9_-]+")


def _fields(call: Call) -> Reply | None:
    known = KNOWN_KEYS if call.model_id.startswith("grok") else KNOWN_KEYS | {"client_metadata"}
    if extra := sorted(call.body.keys() - known):
        return invalid(f"Unknown parameter: '{extra[0]}'.")
    if call.body.get("previous_response_id") is not None:
        wanted = call.body["previous_response_id"]
        return capi_error(
            400, f"Previous response with id '{wanted}' not found.", "previous_response_not_found"
        )
    if call.body.get("input") in (None, "", []):
        return invalid("Missing required parameter: 'input'.")
    return None


def _sampling(call: Call) -> Reply | None:
    if "/chat/completions" in items(call.model.get("supported_endpoints")):
        return None
    for name in ("temperature", "top_p"):
        if call.body.get(name) is not None:
            return invalid(f"Unsupported parameter: '{name}' is not supported with this model.")
    return None


def _output_limit(call: Call) -> Reply | None:
    asked = call.body.get("max_output_tokens")
    if isinstance(asked, int) and asked < 16:
        return invalid(
            f"Invalid 'max_output_tokens': integer below minimum value. Expected >= 16, got {asked}."
        )
    return None


def _effort(call: Call) -> Reply | None:
    return effort(call, members(call.body.get("reasoning")).get("effort"))


def _tools(call: Call) -> Reply | None:
    for number, tool in enumerate(objects(call.body.get("tools"))):
        kind, name = tool.get("type"), string(tool.get("name"))
        if kind in HOSTED or SEARCH.fullmatch(string(kind)):
            continue
        if kind not in {"function", "custom"}:
            return invalid(f"Invalid value: '{kind}' at tools[{number}].type.")
        if not NAME.fullmatch(name):
            return invalid(
                f"Invalid 'tools[{number}].name': string does not match pattern '^[a-zA-Z0-9_-]+$'."
            )
    return None


def _items(call: Call) -> Reply | None:
    for number, item in enumerate(objects(call.body.get("input"))):
        kind = string(item.get("type")) or "message"
        if kind not in ITEMS:
            return invalid(f"Invalid value: '{kind}' at input[{number}].type.")
        if refusal := _identity(number, kind, item) or _message_parts(number, kind, item):
            return refusal
    return None


def _identity(number: int, kind: str, item: Obj) -> Reply | None:
    for name in ("call_id", "id"):
        value = item.get(name)
        if value is not None and len(string(value)) > 64:
            return invalid(
                f"Invalid 'input[{number}].{name}': string too long. Expected a string with maximum length 64."
            )
        if value is not None and not ID_CHARS.fullmatch(string(value)):
            return invalid(
                f"Invalid 'input[{number}].{name}': only letters, numbers, underscores and dashes."
            )
    prefix, own = PREFIX.get(kind), item.get("id")
    if prefix and own is not None and not string(own).startswith(prefix):
        return invalid(f"Invalid 'input[{number}].id': '{own}'. Expected an ID that begins with '{prefix}'.")
    return None


def _message_parts(number: int, kind: str, item: Obj) -> Reply | None:
    if kind != "message":
        return None
    role = string(item.get("role"))
    if role not in PART:
        return invalid(f"Invalid value: '{role}' at input[{number}].role.")
    for place, part in enumerate(objects(item.get("content"))):
        given = string(part.get("type"))
        if given in {"input_text", "output_text", "text"} and given != PART[role]:
            return invalid(
                f"Invalid value: '{given}' at input[{number}].content[{place}].type. Supported: '{PART[role]}'."
            )
    return None


def _pairs(call: Call) -> Reply | None:
    called: set[str] = set()
    answered: set[str] = set()
    for item in objects(call.body.get("input")):
        call_id = string(item.get("call_id"))
        match item.get("type"):
            case "function_call" | "custom_tool_call":
                called.add(call_id)
            case "function_call_output" | "custom_tool_call_output":
                if call_id not in called:
                    return invalid(f"No tool call found for function call output with call_id {call_id}.")
                answered.add(call_id)
            case _:
                pass
    if open_calls := sorted(called - answered):
        return invalid(f"No tool output found for function call {open_calls[0]}.")
    return None


def _reasoning(call: Call) -> Reply | None:
    for number, item in enumerate(objects(call.body.get("input"))):
        if item.get("type") in {"reasoning", "compaction"} and (refusal := _replayed(call, number, item)):
            return refusal
        if item.get("type") == "item_reference":
            return _not_stored(string(item.get("id")))
    return None


def _not_stored(item_id: str) -> Reply:
    message = f"Item with id '{item_id}' not found. Items are not persisted when `store` is set to false."
    return capi_error(
        400, f"{message} Try again with `store` set to true, or remove this item from your input.", ""
    )


def _replayed(call: Call, number: int, item: Obj) -> Reply | None:
    item_id, encrypted = item.get("id"), item.get("encrypted_content")
    if not encrypted:
        return _not_stored(string(item_id))
    if call.modes.get("resp_encrypted_check") is False:
        return None
    match judge_reasoning(call.account.github_token, item_id and string(item_id), string(encrypted)):
        case "foreign":
            return capi_error(401, "input item ID does not belong to this connection", "")
        case "mismatch":
            return invalid(f"Encrypted content item_id mismatch at input[{number}].")
        case "unverified":
            return invalid(f"The encrypted content for item {item_id} could not be verified.")
        case _:
            return None


RULES: Final[tuple[Callable[[Call], Reply | None], ...]] = (
    _fields, _sampling, _output_limit, _effort, _tools, refusal, _items, _pairs, _reasoning,
)  # fmt: skip


def image_urls(body: Obj) -> list[str]:
    """Return every image address, also those inside tool outputs."""
    parts = [
        part
        for item in objects(body.get("input"))
        for part in [*objects(item.get("content")), *objects(item.get("output"))]
    ]
    return [string(part.get("image_url")) for part in parts if part.get("type") == "input_image"]
