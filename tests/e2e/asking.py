"""The same question in each surface's words, and each surface's answer in the same words."""

import json
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.emulators.calling import PNG, WEATHER
from tests.grammar.chat import check_chat_stream
from tests.grammar.messages import check_messages_stream
from tests.grammar.responses import check_responses_stream, folded

Surface = Literal["chat", "messages", "responses"]
SURFACES: tuple[Surface, ...] = ("chat", "messages", "responses")
PATH: dict[str, str] = {
    "chat": "/v1/chat/completions",
    "messages": "/v1/messages",
    "responses": "/v1/responses",
}
UPSTREAM_PATH: dict[str, str] = {
    "chat": "/chat/completions",
    "messages": "/v1/messages",
    "responses": "/responses",
}
TOOL = "get_weather"


def ask(
    surface: str, model: str, prompt: str, *, stream: bool = False, tools: bool = False, think: bool = False,
    image: bool = False, limit: int = 4096,
) -> dict[str, Any]:  # fmt: skip
    """Return a request body."""
    return {"model": model, "stream": stream} | _ASK[surface](prompt, tools, think, image, limit)


def _ask_chat(prompt: str, tools: bool, think: bool, image: bool, limit: int) -> dict[str, Any]:  # noqa: FBT001
    content: Any = prompt
    if image:
        url = {"url": f"data:image/png;base64,{PNG}"}
        content = [{"type": "text", "text": prompt}, {"type": "image_url", "image_url": url}]
    function = {"name": TOOL, "description": "Tell the weather", "parameters": WEATHER}
    return {
        "messages": [{"role": "user", "content": content}],
        "max_completion_tokens": limit,
        "stream_options": {"include_usage": True},
        **({"tools": [{"type": "function", "function": function}]} if tools else {}),
        **({"reasoning_effort": "low"} if think else {}),
    }


def _ask_messages(prompt: str, tools: bool, think: bool, image: bool, limit: int) -> dict[str, Any]:  # noqa: FBT001
    content: list[Any] = [{"type": "text", "text": prompt}]
    if image:
        source = {"type": "base64", "media_type": "image/png", "data": PNG}
        content.append({"type": "image", "source": source})
    return {
        "messages": [{"role": "user", "content": content}],
        "max_tokens": limit,
        **({"tools": [{"name": TOOL, "input_schema": WEATHER}]} if tools else {}),
        **({"thinking": {"type": "enabled", "budget_tokens": 1024}} if think else {}),
    }


def _ask_responses(prompt: str, tools: bool, think: bool, image: bool, limit: int) -> dict[str, Any]:  # noqa: FBT001
    content: list[Any] = [{"type": "input_text", "text": prompt}]
    if image:
        content.append({"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"})
    return {
        "input": [{"role": "user", "content": content}],
        "max_output_tokens": limit,
        **({"tools": [{"type": "function", "name": TOOL, "parameters": WEATHER}]} if tools else {}),
        **({"reasoning": {"effort": "low", "summary": "auto"}} if think else {}),
    }


_ASK: dict[str, Any] = {"chat": _ask_chat, "messages": _ask_messages, "responses": _ask_responses}


@dataclass
class Told:
    """What a client understood; arguments that were cut off are text. `stop` is how it ended: stop, tools, length, filter or error."""

    text: str
    thinking: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list[tuple[str, Any]])
    stop: str = "stop"
    model: str = ""
    counted: bool = False


def read_stream(surface: str, wire: bytes) -> Told:
    """Judge a stream by the surface's grammar and return what it says."""
    return _READ_STREAM[surface](wire)


def read_reply(surface: str, body: bytes) -> Told:
    """Return what a complete reply says."""
    return _READ_REPLY[surface](json.loads(body))


def _arguments(text: str) -> Any:
    """Return a call's arguments; those that were cut off stay the text that they are."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _chat_stream(wire: bytes) -> Told:
    reply = check_chat_stream(wire)
    return Told(
        reply.text, reply.thinking, [(call.name, _arguments(call.arguments)) for call in reply.calls],
        "error" if reply.error else _STOP[str(reply.finish_reason)], reply.model, bool(reply.usage),
    )  # fmt: skip


def _chat_reply(body: dict[str, Any]) -> Told:
    [choice] = body["choices"]
    message = choice["message"]
    called = [call["function"] for call in message.get("tool_calls") or []]
    calls = [(function["name"], _arguments(function["arguments"])) for function in called]
    thinking = message.get("reasoning_text") or message.get("reasoning_content") or ""
    return Told(
        message["content"] or "",
        thinking,
        calls,
        _STOP[choice["finish_reason"]],
        body["model"],
        bool(body["usage"]),
    )


def _messages(content: list[Any], stop: str | None, model: str, usage: dict[str, Any]) -> Told:
    return Told(
        "".join(block["text"] for block in content if block["type"] == "text"),
        "".join(block["thinking"] for block in content if block["type"] == "thinking"),
        [(block["name"], block.get("partial", block["input"])) for block in content if block["type"] == "tool_use"],
        _STOP[str(stop)], model, usage.get("output_tokens", 0) > 0,
    )  # fmt: skip


def _messages_stream(wire: bytes) -> Told:
    reply = check_messages_stream(wire)
    stop = "error" if reply.error else reply.stop_reason
    return _messages(reply.content, stop, reply.message.get("model", ""), reply.usage)


def _messages_reply(body: dict[str, Any]) -> Told:
    return _messages(body["content"], body["stop_reason"], body["model"], body["usage"])


def _responses_stream(wire: bytes) -> Told:
    # A relay forwards upstream's line ends; every SSE reader takes either.
    return _responses_reply(check_responses_stream(wire.replace(b"\r\n", b"\n")).response)


def _responses_reply(body: dict[str, Any]) -> Told:
    reply = folded(body)
    calls = [(call["name"], _arguments(call["arguments"])) for call in reply.calls]
    stop = "tools" if calls and reply.status == "completed" else _STOP[reply.status]
    return Told(reply.text, reply.reasoning, calls, stop, body["model"], bool(body["usage"]))


_STOP: dict[str, str] = {
    "stop": "stop", "tool_calls": "tools", "length": "length", "content_filter": "filter", "error": "error",
    "end_turn": "stop", "tool_use": "tools", "max_tokens": "length", "refusal": "filter", "stop_sequence": "stop",
    "completed": "stop", "incomplete": "length", "failed": "error",
}  # fmt: skip
_READ_STREAM: dict[str, Any] = {
    "chat": _chat_stream, "messages": _messages_stream, "responses": _responses_stream,
}  # fmt: skip
_READ_REPLY: dict[str, Any] = {
    "chat": _chat_reply, "messages": _messages_reply, "responses": _responses_reply,
}  # fmt: skip


def error_of(surface: str, body: bytes) -> dict[str, Any]:
    """Return the error object of an envelope; AssertionError when the envelope is not the surface's."""
    shown = json.loads(body)
    assert isinstance(shown, dict)
    error = shown["error"]
    assert isinstance(error["message"], str)
    assert error["message"]
    assert isinstance(error["type"], str)
    if surface == "messages":
        assert shown["type"] == "error"
        assert set(error) >= {"type", "message"}
    else:
        assert set(shown) == {"error"}
        assert set(error) >= {"type", "message", "param", "code"}
    return error
