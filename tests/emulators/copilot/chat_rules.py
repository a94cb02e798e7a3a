"""What /chat/completions refuses in a body."""

import re
from collections.abc import Callable
from typing import Final

from tests.emulators.copilot.context import Call
from tests.emulators.copilot.models import is_claude, supports, wants_completion_limit
from tests.emulators.copilot.shapes import Obj, items, members, objects, string
from tests.emulators.copilot.vault import sealed_as
from tests.emulators.copilot.wire import Reply, capi_error

TOOL_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
ROLES: Final = frozenset({"system", "developer", "user", "assistant", "tool"})
MAX_TOOLS: Final = 128


def invalid(message: str) -> Reply:
    """Refuse a body."""
    return capi_error(400, message, "invalid_request_body")


def _messages(call: Call) -> Reply | None:
    messages = items(call.body.get("messages"))
    if not messages:
        return invalid("messages: at least one message is required")
    for number, message in enumerate(messages):
        role = members(message).get("role")
        if role not in ROLES:
            return invalid(f"messages[{number}].role: unknown role {role!r}")
        if role == "developer" and call.model.get("vendor") != "OpenAI":
            return invalid(f"messages[{number}].role: 'developer' is not supported by this model")
    return None


def _token_limit(call: Call) -> Reply | None:
    newer = wants_completion_limit(call.model_id)
    wrong, right = (
        ("max_tokens", "max_completion_tokens") if newer else ("max_completion_tokens", "max_tokens")
    )
    if call.body.get(wrong) is None:
        return None
    return invalid(
        f"Unsupported parameter: '{wrong}' is not supported with this model. Use '{right}' instead."
    )


def _sampling(call: Call) -> Reply | None:
    temperature = call.body.get("temperature")
    if call.model_id.startswith("gpt-5-mini") and temperature not in (None, 1):
        message = "Unsupported value: 'temperature' does not support this value with this model. Only 1 is supported."
        return capi_error(400, message, "unsupported_value")
    return None


def effort(call: Call, asked: object) -> Reply | None:
    """Refuse a reasoning effort that the model does not declare."""
    declared = items(supports(call.model, "reasoning_effort"))
    if asked is None or asked in declared:
        return None
    listed = ", ".join(map(str, declared)) or "none at all"
    message = f"reasoning effort {asked!r} is not supported by {call.model_id}; supported: {listed}"
    return capi_error(400, message, "invalid_reasoning_effort")


def _effort(call: Call) -> Reply | None:
    return effort(call, call.body.get("reasoning_effort"))


def _tools(call: Call) -> Reply | None:
    tools = call.body.get("tools")
    if tools is None:
        return None
    if not items(tools):
        return invalid("tools: array must not be empty")
    if len(items(tools)) > MAX_TOOLS:
        return invalid(f"tools: at most {MAX_TOOLS} tools are allowed")
    for number, tool in enumerate(objects(tools)):
        name = string(members(tool.get("function")).get("name"))
        if tool.get("type") != "function" or not TOOL_NAME.fullmatch(name):
            return invalid(f"tools[{number}].function.name: does not match ^[a-zA-Z0-9_-]+$")
    return None


def _prediction(call: Call) -> Reply | None:
    prediction = call.body.get("prediction")
    if prediction is not None and not members(prediction).get("content"):
        return invalid("prediction.content: must not be empty")
    return None


def _tool_pairs(call: Call) -> Reply | None:
    open_ids: set[str] = set()
    for number, message in enumerate(objects(call.body.get("messages"))):
        if message.get("role") == "tool":
            if string(message.get("tool_call_id")) not in open_ids:
                return invalid(f"messages[{number}]: 'tool' must follow a message with matching 'tool_calls'")
        elif calls := objects(message.get("tool_calls")):
            open_ids = {string(tool.get("id")) for tool in calls}
    return None


def _claude_text(call: Call) -> Reply | None:
    messages = objects(call.body.get("messages"))
    if not is_claude(call.model) or not messages or messages[-1].get("role") != "assistant":
        return None
    text = string(messages[-1].get("content"))
    if text != text.rstrip():
        return invalid("messages: final assistant content cannot end with trailing whitespace")
    return None


def _opaque(call: Call) -> Reply | None:
    for number, message in enumerate(objects(call.body.get("messages"))):
        opaque = message.get("reasoning_opaque")
        if opaque is not None and not sealed_as(string(opaque), "opaque"):
            return invalid(f"messages[{number}].reasoning_opaque: could not be verified")
        if opaque is None and message.get("tool_calls") and call.on("chat_requires_opaque"):
            return invalid(
                f"messages[{number}]: tool call is missing its reasoning_opaque (thought signature)"
            )
    return None


def _kimi_ids(call: Call) -> Reply | None:
    if not call.model_id.startswith("kimi"):
        return None
    for message in objects(call.body.get("messages")):
        for tool in objects(message.get("tool_calls")):
            if not re.fullmatch(r"functions\.[\w-]+:\d+", string(tool.get("id"))):
                return invalid("tool call ids must look like functions.name:0")
    return None


RULES: Final[tuple[Callable[[Call], Reply | None], ...]] = (
    _messages, _token_limit, _sampling, _effort, _tools, _prediction, _tool_pairs, _claude_text, _opaque, _kimi_ids,
)  # fmt: skip


def image_urls(body: Obj) -> list[str]:
    """Return every image address in a chat body."""
    return [
        string(members(part.get("image_url")).get("url"))
        for message in objects(body.get("messages"))
        for part in objects(message.get("content"))
        if part.get("type") == "image_url"
    ]
