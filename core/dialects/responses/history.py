"""Input items to canonical messages: what stands apart on this wire becomes turns."""

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Raw

from core.canonical import (
    Block,
    Compaction,
    Message,
    Native,
    Refusal,
    ResultContent,
    Role,
    ServerToolResult,
    ServerToolUse,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from core.dialects.responses.items import (
    EMPTY_ARGUMENTS,
    TOOL_SEARCH,
    reasoning_text,
    search_blocks,
    unseal_thinking,
)
from core.dialects.responses.parts import PartBlock, decode_content
from core.dialects.responses.reading import no_reference, read
from core.dialects.responses.schema import (
    CallOutputItem,
    CompactionItem,
    CustomCallItem,
    FunctionCallItem,
    ItemPeek,
    MessageItem,
    ReasoningItem,
    ToolSearchItem,
    ToolsItem,
    decode_any,
    decode_item,
    decode_raws,
    encode,
)
from core.dialects.responses.tools import decode_tools
from core.errors import InvalidRequestError
from core.names import full_name, short_name
from core.opaque import unseal

ROLES: Final[dict[str, Role]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}

_decode_peek = msgspec.json.Decoder(ItemPeek).decode
_decode_message = msgspec.json.Decoder(MessageItem).decode
_decode_reasoning = msgspec.json.Decoder(ReasoningItem).decode
_decode_call = msgspec.json.Decoder(FunctionCallItem).decode
_decode_custom = msgspec.json.Decoder(CustomCallItem).decode
_decode_output = msgspec.json.Decoder(CallOutputItem).decode
_decode_compaction = msgspec.json.Decoder(CompactionItem).decode
_decode_search_call = msgspec.json.Decoder(ToolSearchItem).decode
_decode_tools = msgspec.json.Decoder(ToolsItem).decode


def _decode_search(raw: bytes | Raw) -> tuple[ServerToolUse, ServerToolResult]:
    return search_blocks(raw, decode_item(raw))


class History:
    """Collects items into turns.

    Invariants: items of the assistant that stand together are one turn; so are tool outputs that stand together;
    a message of a user or of the system is a turn of its own. `tools` holds tools that were declared in between.

    searches: the model may search for tools as the client does it, so that earlier searches are calls like others.
    """

    def __init__(self, *, searches: bool) -> None:
        self._searches = searches
        self.turns: list[tuple[Role, list[Block]]] = []
        self.tools: list[Raw] = []

    def messages(self) -> tuple[Message, ...]:
        """Return the turns."""
        return tuple(Message(role, tuple(blocks)) for role, blocks in self.turns)

    def add(self, raw: Raw, path: str) -> None:
        """Take the next item. Raises `InvalidRequestError`."""
        peek = read(_decode_peek, raw, path)
        kind = peek.type or ("message" if peek.role is not None else "")
        decode = ITEMS.get(kind)
        if decode is not None:
            decode(self, raw, path)
            return
        if not kind:
            raise InvalidRequestError(f"an item needs a type (at {path}.type)", param=f"{path}.type")
        self._join("user" if kind.endswith("_output") else "assistant", Native("responses", kind, bytes(raw)))

    def message(self, raw: Raw, path: str) -> None:
        """Take a message."""
        item = read(_decode_message, raw, path)
        role = ROLES.get(item.role)
        if role is None:
            raise InvalidRequestError(f"unknown role {item.role!r} (at {path}.role)", param=f"{path}.role")
        blocks = decode_content(item.content, f"{path}.content", item.phase)
        if role == "assistant":
            self._join(role, *blocks)
            return
        if role == "user" and not any(_says_something(block) for block in blocks):
            raise InvalidRequestError(f"content is empty (at {path}.content)", param=f"{path}.content")
        self.turns.append((role, list(blocks)))

    def reasoning(self, raw: Raw, path: str) -> None:
        """Take a reasoning item; its ciphertext may be one that this gateway sealed."""
        item = read(_decode_reasoning, raw, path)
        text = reasoning_text(item.summary, item.content)
        thinking = Thinking(text)
        if item.encrypted_content:
            thinking = unseal_thinking(text, item.encrypted_content, item.id or "")
        if thinking != Thinking(""):
            self._join("assistant", thinking)

    def function_call(self, raw: Raw, path: str) -> None:
        """Take a call of a function."""
        item = read(_decode_call, raw, path)
        name = full_name(item.name, item.namespace)
        arguments = item.arguments or EMPTY_ARGUMENTS
        self._join("assistant", ToolUse(item.call_id, name, arguments, namespace=item.namespace))

    def custom_call(self, raw: Raw, path: str) -> None:
        """Take a call of a freeform tool."""
        item = read(_decode_custom, raw, path)
        name = full_name(item.name, item.namespace)
        self._join(
            "assistant", ToolUse(item.call_id, name, item.input, custom=True, namespace=item.namespace)
        )

    def function_output(self, raw: Raw, path: str) -> None:
        """Take a function's answer."""
        self._output(raw, path, custom=False)

    def custom_output(self, raw: Raw, path: str) -> None:
        """Take a freeform tool's answer."""
        self._output(raw, path, custom=True)

    def search(self, raw: Raw, path: str) -> None:
        """Take a web search that upstream did."""
        self._join("assistant", *read(_decode_search, raw, path))

    def compaction(self, raw: Raw, path: str) -> None:
        """Take upstream's summary of what was before."""
        item = read(_decode_compaction, raw, path)
        self._join("assistant", Compaction(unseal(item.encrypted_content, "responses", item.id or "")))

    def reference(self, _raw: Raw, path: str) -> None:
        """Refuse a reference: those to stored items were resolved before."""
        raise no_reference(path)

    def more_tools(self, raw: Raw, path: str) -> None:
        """Take tools that are declared inside the input."""
        self.tools.extend(read(_decode_tools, raw, path).tools)

    def tool_search(self, raw: Raw, path: str) -> None:
        """Take a search for tools; one that cannot be repeated says nothing, as what it found is declared."""
        item = read(_decode_search_call, raw, path)
        if self._searches and item.call_id:
            arguments = read(decode_any, item.arguments, f"{path}.arguments")
            text = encode(arguments if isinstance(arguments, dict) else {}).decode()
            self._join("assistant", ToolUse(item.call_id, TOOL_SEARCH, text))

    def found_tools(self, raw: Raw, path: str) -> None:
        """Take the tools that a search found."""
        item = read(_decode_tools, raw, path)
        self.tools.extend(item.tools)
        if self._searches and item.call_id:
            found, _ = decode_tools(item.tools, f"{path}.tools")
            lines = [f"The tool {short_name(tool.name)} is now available." for tool in found]
            self._join("user", ToolResult(item.call_id, (Text("\n".join(lines) or "No tool was found."),)))

    def _output(self, raw: Raw, path: str, *, custom: bool) -> None:
        item = read(_decode_output, raw, path)
        content = tuple(_result_block(block) for block in _output_parts(item.output, f"{path}.output"))
        if content == (Text(""),):
            content = ()
        self._join("user", ToolResult(item.call_id, content, custom=custom))

    def _join(self, role: Role, *blocks: Block) -> None:
        """Append to the last turn where it is of the same kind, else begin one."""
        if not blocks:
            return
        last = self.turns[-1] if self.turns else None
        if last is not None and last[0] == role and (role == "assistant" or _is_tool_turn(last[1])):
            last[1].extend(blocks)
            return
        self.turns.append((role, list(blocks)))


def _output_parts(raw: Raw, path: str) -> tuple[PartBlock, ...]:
    return () if bytes(raw) == b"null" else decode_content(raw, path)


def _result_block(block: PartBlock) -> ResultContent:
    return Text(block.text) if isinstance(block, Refusal) else block


def _is_tool_turn(blocks: list[Block]) -> bool:
    return all(isinstance(block, (ToolResult, Native)) for block in blocks)


def _says_something(block: Block) -> bool:
    return not isinstance(block, Text) or bool(block.text)


ITEMS: Final[dict[str, Callable[[History, Raw, str], None]]] = {
    "message": History.message,
    "reasoning": History.reasoning,
    "function_call": History.function_call,
    "function_call_output": History.function_output,
    "custom_tool_call": History.custom_call,
    "custom_tool_call_output": History.custom_output,
    "web_search_call": History.search,
    "compaction": History.compaction,
    "item_reference": History.reference,
    "additional_tools": History.more_tools,
    "tool_search_call": History.tool_search,
    "tool_search_output": History.found_tools,
}


def decode_input(raw: Raw, path: str, *, searches: bool) -> History:
    """Read `input`: one text, or items; `searches` as `History` has it."""
    history = History(searches=searches)
    text = bytes(raw)
    if text[:1] == b"[":
        for index, item in enumerate(read(decode_raws, raw, path)):
            history.add(item, f"{path}[{index}]")
        return history
    blocks = decode_content(raw, path)
    if not any(_says_something(block) for block in blocks):
        raise InvalidRequestError(f"input is empty (at {path})", param=path)
    history.turns.append(("user", list(blocks)))
    return history
