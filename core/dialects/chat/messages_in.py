"""A client's messages, role by role."""

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Raw, Struct, structs

from core.canonical import (
    Block,
    CacheBreakpoint,
    Document,
    Image,
    Message,
    Native,
    Refusal,
    ResultContent,
    Role,
    Text,
    ToolResult,
    ToolUse,
)
from core.dialects.chat.parts_in import CacheControl, breakpoint_of, decode_content
from core.dialects.chat.reading import first_byte, read
from core.dialects.chat.schema import NULL
from core.dialects.chat.thinking import unseal_thinking
from core.errors import InvalidRequestError, UnsupportedFeatureError


class _Function(Struct):
    name: str
    arguments: Raw = Raw(b'""')


class _Custom(Struct):
    name: str
    input: str = ""


class _Call(Struct):
    id: str
    function: _Function | None = None
    custom: _Custom | None = None
    cache_control: CacheControl | None = None


class WireMessage(Struct):
    """A message of any role; what a role does not know is not looked at."""

    role: str
    content: Raw = NULL
    name: str | None = None
    tool_call_id: str | None = None
    tool_calls: list[_Call] | None = None
    function_call: _Function | None = None
    refusal: str | None = None
    reasoning_text: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_opaque: str | None = None
    audio: Raw = NULL
    copilot_cache_control: CacheControl | None = None
    cache_control: CacheControl | None = None


class _Turns:
    """The messages read so far. Tool results that follow each other are one user turn."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.results: list[Block] = []
        self.functions: dict[str, str] = {}  # legacy: function name -> id made up for its last call

    def add(self, message: Message) -> None:
        self.end_results()
        self.messages.append(message)

    def end_results(self) -> None:
        if self.results:
            self.messages.append(Message("user", tuple(self.results)))
            self.results = []


_message = msgspec.json.Decoder(WireMessage)
_string = msgspec.json.Decoder(str)


def decode_messages(found: list[Raw]) -> tuple[Message, ...]:
    """Read all messages in order. Raises `InvalidRequestError`."""
    turns = _Turns()
    for index, raw in enumerate(found):
        path = f"$.messages[{index}]"
        message = read(_message, raw, path)
        decode = _ROLES.get(message.role)
        if decode is None:
            raise InvalidRequestError(f"unknown role {message.role!r} (at {path}.role)", param=f"{path}.role")
        decode(turns, message, path)
    turns.end_results()
    return tuple(turns.messages)


def _system(turns: _Turns, message: WireMessage, path: str) -> None:
    content = decode_content(message.content, f"{path}.content")
    _only(content, (Text,), path)
    turns.add(_turn("system", content, message))


def _user(turns: _Turns, message: WireMessage, path: str) -> None:
    content = decode_content(message.content, f"{path}.content")
    if not content:
        raise InvalidRequestError(
            f"a user message needs content (at {path}.content)", param=f"{path}.content"
        )
    _only(content, (Text, Image, Document, Native), path)
    turns.add(_turn("user", content, message))


def _assistant(turns: _Turns, message: WireMessage, path: str) -> None:
    if message.audio != NULL:
        raise UnsupportedFeatureError("audio is not offered by Copilot's models", param=f"{path}.audio")
    thought = message.reasoning_text or message.reasoning_content or message.reasoning or ""
    content = decode_content(message.content, f"{path}.content")
    _only(content, (Text, Refusal), path)
    blocks: list[Block] = [
        *unseal_thinking(thought, message.reasoning_opaque or ""),
        *(block for block in content if not isinstance(block, Text) or block.text),
    ]
    if message.refusal:
        blocks.append(Refusal(message.refusal))
    for index, call in enumerate(message.tool_calls or ()):
        blocks.append(_call(call, f"{path}.tool_calls[{index}]"))
    if message.function_call is not None:
        call_id = turns.functions[message.function_call.name] = f"call_function_{len(turns.messages)}"
        arguments = _arguments(message.function_call.arguments, f"{path}.function_call.arguments")
        blocks.append(ToolUse(call_id, message.function_call.name, arguments))
    turns.add(_turn("assistant", tuple(blocks), message))


def _tool(turns: _Turns, message: WireMessage, path: str) -> None:
    if not message.tool_call_id:
        at = f"{path}.tool_call_id"
        raise InvalidRequestError(f"a tool message needs tool_call_id (at {at})", param=at)
    _result(turns, message, path, message.tool_call_id)


def _function(turns: _Turns, message: WireMessage, path: str) -> None:
    """Answer the last call of that name; `function` messages have no ids."""
    name = message.name or ""
    _result(turns, message, path, turns.functions.get(name, f"call_function_{name}"))


def _result(turns: _Turns, message: WireMessage, path: str, call_id: str) -> None:
    content = tuple(
        block for block in decode_content(message.content, f"{path}.content") if block != Text("")
    )
    kept = tuple(block for block in content if isinstance(block, ResultContent))
    _only(content, (Text, Image, Document, Native), path)
    turns.results.append(ToolResult(call_id, kept, cache=_mark(message)))


def _turn(role: Role, content: tuple[Block, ...], message: WireMessage) -> Message:
    mark = _mark(message)
    last = content[-1] if content else None
    if mark is not None and isinstance(last, Text | Image | Document | ToolUse):
        content = (*content[:-1], structs.replace(last, cache=mark))
    return Message(role, content, message.name)


def _mark(message: WireMessage) -> CacheBreakpoint | None:
    return breakpoint_of(message.copilot_cache_control or message.cache_control)


def _call(call: _Call, path: str) -> ToolUse:
    cache = breakpoint_of(call.cache_control)
    if call.custom is not None:
        return ToolUse(call.id, call.custom.name, call.custom.input, custom=True, cache=cache)
    if call.function is None:
        raise InvalidRequestError(
            f"a tool call needs a function (at {path}.function)", param=f"{path}.function"
        )
    arguments = _arguments(call.function.arguments, f"{path}.function.arguments")
    return ToolUse(call.id, call.function.name, arguments, cache=cache)


def _arguments(raw: Raw, path: str) -> str:
    """Read a call's arguments; some clients send the object itself instead of its text."""
    first = first_byte(raw)
    if first == b"{":
        return bytes(raw).decode("utf-8", "replace")
    return "{}" if first == b"n" else read(_string, raw, path).strip() or "{}"


def _only(content: tuple[Block, ...], kinds: tuple[type[Block], ...], path: str) -> None:
    for index, block in enumerate(content):
        if not isinstance(block, kinds):
            at = f"{path}.content[{index}].type"
            raise InvalidRequestError(f"this role cannot have such a part (at {at})", param=at)


_ROLES: Final[dict[str, Callable[[_Turns, WireMessage, str], None]]] = {
    "system": _system,
    "developer": _system,
    "user": _user,
    "assistant": _assistant,
    "tool": _tool,
    "function": _function,
}
