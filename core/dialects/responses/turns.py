"""Canonical messages to input items: turns come apart, calls meet their answers."""

from typing import Any, Final

from msgspec import Raw

from core.canonical import (
    Block,
    Compaction,
    Document,
    Image,
    Message,
    Native,
    Opaque,
    Refusal,
    SearchResult,
    ServerToolResult,
    ServerToolUse,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from core.dialect import Target
from core.dialects.responses.parts import encode_input, encode_text
from core.dialects.responses.tools import local_name
from core.errors import UnsupportedFeatureError
from core.names import short_call_id, short_name
from core.opaque import comes_home

NO_RESULT: Final = "No result: the call was interrupted."
ERROR_MARK: Final = "[tool error] "
XAI: Final = "xai"


class Turns:
    """Writes items and notes what was lost or repaired on the way.

    Invariant: `_open` holds the ids of calls that have no answer yet, in order, with whether they are custom; they
    are answered before anything but answers and the assistant's own items is written. `_searches` holds the ids of
    hosted searches whose items hold their own answers.
    """

    def __init__(self, target: Target) -> None:
        self.items: list[Any] = []
        self.losses: list[str] = []
        self.repairs: list[str] = []
        self._target = target
        self._vendor = target.model.vendor.lower()
        self._open: dict[str, bool] = {}
        self._searches: set[str] = set()

    def close(self) -> None:
        """Answer the calls that nobody answered, so that upstream takes the history."""
        for call_id, custom in self._open.items():
            self._note(self.repairs, "orphan_tool_use")
            self._write_output(call_id, NO_RESULT, custom=custom)
        self._open.clear()

    def add(self, message: Message, index: int) -> None:
        """Write one turn. Raises `UnsupportedFeatureError`."""
        param = f"messages[{index}].content"
        if message.name is not None:
            self._note(self.losses, "name")
        if message.role == "assistant":
            self._assistant(message.content, param)
        elif message.role == "system":
            self.close()
            self._message(self._system_role(), message.content, param)
        else:
            self._user(message.content, param)

    # --- the assistant -----------------------------------------------------------------------------------------

    def _assistant(self, blocks: tuple[Block, ...], param: str) -> None:
        message: dict[str, Any] | None = None
        for block in blocks:
            if isinstance(block, (Text, Refusal)):
                message = self._say(message, block)
                continue
            message = None
            self._item(block, param)

    def _say(self, message: dict[str, Any] | None, block: Text | Refusal) -> dict[str, Any] | None:
        """Add a part to the open message item, or open one; text of another phase is a message of its own."""
        phase = block.phase if isinstance(block, Text) and self._vendor != XAI else None
        if isinstance(block, Text) and not block.text:
            return message
        part = encode_text(block) if isinstance(block, Text) else {"type": "refusal", "refusal": block.text}
        if message is not None and message.get("phase") == phase:
            message["content"].append(part)
            return message
        message = {"type": "message", "role": "assistant", "content": [part]}
        if phase is not None:
            message["phase"] = phase
        self.items.append(message)
        return message

    def _item(self, block: Block, param: str) -> None:
        match block:
            case Thinking():
                self._reasoning(block)
            case ToolUse():
                self._call(block)
            case ServerToolUse() | ServerToolResult():
                self._search(block)
            case Compaction():
                self._compaction(block, param)
            case Native() if block.dialect == "responses":
                self.items.append(Raw(block.raw))
            case Image() | Document() | SearchResult() | ToolResult() | Native() | Text() | Refusal():
                kind = block.type if isinstance(block, Native) else type(block).__name__
                raise UnsupportedFeatureError(
                    f"{kind} in an assistant turn cannot be sent to this model", param=param
                )

    def _reasoning(self, thinking: Thinking) -> None:
        """Send reasoning home with the id that it was issued with; upstream checks the pair (rs_ ids only)."""
        opaque = thinking.opaque
        if opaque is None or not comes_home(opaque, "responses", self._target.scope):
            self._note(self.losses, "thinking")
            return
        summary = [{"type": "summary_text", "text": thinking.text}] if thinking.text else []
        item = {"type": "reasoning", "summary": summary, "encrypted_content": opaque.value}
        self.items.append({**_item_id(opaque), **item})

    def _call(self, call: ToolUse) -> None:
        call_id = short_call_id(call.call_id)
        name = short_name(local_name(call.name, call.namespace))
        item: dict[str, Any] = {"type": "function_call", "call_id": call_id, "name": name}
        if call.custom:
            item.update(type="custom_tool_call", input=call.arguments)
        else:
            item["arguments"] = call.arguments
        if call.namespace is not None:
            item["namespace"] = call.namespace
        self.items.append(item)
        self._open[call_id] = call.custom

    def _search(self, block: ServerToolUse | ServerToolResult) -> None:
        """Send a search of our own as it was; one of another dialect as text with its sources."""
        if isinstance(block, ServerToolUse):
            if block.native is not None and block.native.dialect == "responses":
                self.items.append(Raw(block.native.raw))
                self._searches.add(block.call_id)
            else:
                self._say(None, Text(f"[{block.name} {block.arguments}]"))
            return
        lines = [f"- {source.title or source.url}: {source.url}" for source in block.sources]
        lines += filter(None, [block.text])
        if block.call_id not in self._searches and (lines or block.error_code):
            self._say(
                None, Text("\n".join([f"[{block.name} result] {block.error_code or ''}".rstrip(), *lines]))
            )

    def _compaction(self, block: Compaction, param: str) -> None:
        if not comes_home(block.opaque, "responses", self._target.scope):
            raise UnsupportedFeatureError(
                "a compacted history can only go back where it came from", param=param
            )
        item = {"type": "compaction", "encrypted_content": block.opaque.value}
        self.items.append({"id": block.opaque.item_id, **item} if block.opaque.item_id else item)

    # --- the user ----------------------------------------------------------------------------------------------

    def _user(self, blocks: tuple[Block, ...], param: str) -> None:
        """Write answers first, as they must follow their calls; then images of answers, then the rest in order."""
        after: list[Any] = []
        for block in blocks:
            if isinstance(block, ToolResult):
                after.extend(self._result(block, param))
            elif (
                isinstance(block, Native) and block.type.endswith("_output") and block.dialect == "responses"
            ):
                self.items.append(Raw(block.raw))
        said = tuple(block for block in blocks if not isinstance(block, ToolResult) and not _is_output(block))
        if after or said:
            self.close()
            self._message("user", said, param, after)

    def _result(self, result: ToolResult, param: str) -> list[Any]:
        """Write one answer as text; return the parts that must follow in a message because text cannot hold them."""
        parts = [part for block in result.content for part in encode_input(block, f"{param}.content")]
        text = "\n".join(part["text"] for part in parts if part["type"] == "input_text")
        rest = [part for part in parts if part["type"] != "input_text"]
        call_id = short_call_id(result.call_id)
        if result.is_error:
            text = ERROR_MARK + text
        if call_id not in self._open:
            self._note(self.repairs, "orphan_tool_result")
            return [{"type": "input_text", "text": f"[result of an unknown call] {text}"}, *rest]
        self._write_output(call_id, text, custom=self._open.pop(call_id))
        return [{"type": "input_text", "text": f"[content of call {call_id}]"}, *rest] if rest else []

    def _write_output(self, call_id: str, text: str, *, custom: bool) -> None:
        kind = "custom_tool_call_output" if custom else "function_call_output"
        self.items.append({"type": kind, "call_id": call_id, "output": text})

    def _message(
        self, role: str, blocks: tuple[Block, ...], param: str, first: list[Any] | None = None
    ) -> None:
        parts = list(first or ())
        for block in blocks:
            if isinstance(block, (Text, Image, Document, SearchResult, Native, Refusal)):
                self._check_vision(block, param)
                parts.extend(encode_input(block, param))
            else:
                kind = type(block).__name__
                raise UnsupportedFeatureError(
                    f"{kind} in a {role} turn cannot be sent to this model", param=param
                )
        parts = [part for part in parts if part.get("text", "-")]
        if parts:
            self.items.append({"type": "message", "role": role, "content": parts})

    def _check_vision(self, block: Block, param: str) -> None:
        if isinstance(block, Image) and self._target.model.vision is False:
            raise UnsupportedFeatureError(f"{self._target.model.id} cannot see images", param=param)

    def _system_role(self) -> str:
        """OpenAI's models know `developer`; those of other vendors only `system`."""
        return "developer" if not self._vendor or "openai" in self._vendor else "system"

    def _note(self, names: list[str], name: str) -> None:
        if name not in names:
            names.append(name)


def _item_id(opaque: Opaque) -> dict[str, str]:
    return {"id": opaque.item_id} if opaque.item_id.startswith("rs") else {}


def _is_output(block: Block) -> bool:
    return isinstance(block, Native) and block.dialect == "responses" and block.type.endswith("_output")
