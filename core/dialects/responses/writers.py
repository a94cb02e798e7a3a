"""Output items on their way to a client: one writer holds one open item."""

from typing import Any, Final, Protocol

import msgspec
from msgspec import Raw

from core.canonical import (
    Block,
    Citation,
    Native,
    Opaque,
    Refusal,
    ServerToolResult,
    ServerToolUse,
    Text,
    Thinking,
    ToolUse,
)
from core.custom_tools import unwrap_input
from core.dialects.responses.items import EMPTY_ARGUMENTS, is_object, seal_thinking
from core.dialects.responses.parts import encode_annotation
from core.dialects.responses.schema import decode_members
from core.dialects.responses.tools import local_name
from core.dialects.responses.wire import DeltaPrefix, Wire, delta_prefix, raw

COMPLETED: Final = "completed"
INCOMPLETE: Final = "incomplete"


class Writer(Protocol):
    """One open item. `prefix` is set while deltas of the open block can be written at once; `pieces` collects them.

    Order: `start` (`delta` …) `stop` for each of its blocks, then `finish`, after which `item` is the whole item.
    """

    prefix: DeltaPrefix | None
    pieces: list[str]
    item: Raw

    def takes(self, block: Block) -> bool:
        """Tell whether the next block belongs to this item."""
        ...

    def start(self, block: Block) -> bytes:
        """Open a block."""
        ...

    def delta(self, text: str) -> bytes:
        """Grow the block where `prefix` is not set."""
        ...

    def cite(self, citation: Citation) -> bytes:
        """Add a citation to the block."""
        ...

    def opaque(self, opaque: Opaque) -> None:
        """Learn the block's opaque value."""
        ...

    def stop(self) -> bytes:
        """Close the block."""
        ...

    def finish(self, *, whole: bool) -> bytes:
        """Close the item; `whole` is False when the answer was cut here."""
        ...


class _Item:
    """What the writers share."""

    def __init__(self, wire: Wire, index: int, item_id: str) -> None:
        self.prefix: DeltaPrefix | None = None
        self.pieces: list[str] = []
        self.item = Raw(b"{}")
        self._wire = wire
        self._at: dict[str, Any] = {"item_id": item_id, "output_index": index}
        self._id = item_id
        self._index = index

    def takes(self, block: Block) -> bool:  # noqa: ARG002 - most items are one block
        return False

    def delta(self, text: str) -> bytes:
        self.pieces.append(text)
        return b""

    def cite(self, citation: Citation) -> bytes:  # noqa: ARG002 - only text is cited
        return b""

    def opaque(self, opaque: Opaque) -> None:
        pass

    def stop(self) -> bytes:
        return b""

    def _added(self, members: dict[str, Any]) -> bytes:
        return self._wire.event("response.output_item.added", {"output_index": self._index, "item": members})

    def _done(self, members: dict[str, Any]) -> bytes:
        self.item = raw(members)
        return self._wire.event("response.output_item.done", {"output_index": self._index, "item": self.item})


class MessageWriter(_Item):
    """A message: text and refusals that stand together, each a content part."""

    def __init__(self, wire: Wire, index: int, item_id: str, phase: str | None) -> None:
        super().__init__(wire, index, item_id)
        self._phase = phase
        self._parts: list[Raw] = []
        self._annotations: list[Any] = []
        self._is_refusal = False

    def begin(self) -> bytes:
        """Announce the item."""
        return self._added(self._members("in_progress", []))

    def takes(self, block: Block) -> bool:
        """Tell whether the next block belongs to this item."""
        return isinstance(block, Refusal) or (isinstance(block, Text) and block.phase == self._phase)

    def start(self, block: Block) -> bytes:
        """Open a block."""
        self._is_refusal = isinstance(block, Refusal)
        self._annotations, self.pieces = [], []
        self._at["content_index"] = len(self._parts)
        kind = "refusal" if self._is_refusal else "output_text"
        members: dict[str, Any] = self._at if self._is_refusal else {**self._at, "logprobs": []}
        self.prefix = delta_prefix(f"response.{kind}.delta", members)
        out = self._wire.event("response.content_part.added", {**self._at, "part": self._part("")})
        if isinstance(block, (Text, Refusal)) and block.text:
            out += self._grow(block.text)
        if isinstance(block, Text):
            out += b"".join([self.cite(citation) for citation in block.citations])
        return out

    def cite(self, citation: Citation) -> bytes:
        """Add a citation."""
        annotation = encode_annotation(citation, sum(map(len, self.pieces)))
        if annotation is None or self._is_refusal:
            return b""
        at = {**self._at, "annotation_index": len(self._annotations), "annotation": annotation}
        self._annotations.append(annotation)
        return self._wire.event("response.output_text.annotation.added", at)

    def stop(self) -> bytes:
        """Close the block."""
        text = "".join(self.pieces)
        part = raw(self._part(text))
        self._parts.append(part)
        self.prefix = None
        if self._is_refusal:
            done = self._wire.event("response.refusal.done", {**self._at, "refusal": text})
        else:
            done = self._wire.event("response.output_text.done", {**self._at, "text": text, "logprobs": []})
        return done + self._wire.event("response.content_part.done", {**self._at, "part": part})

    def finish(self, *, whole: bool) -> bytes:
        """Close the item."""
        return self._done(self._members(COMPLETED if whole else INCOMPLETE, self._parts))

    def _grow(self, text: str) -> bytes:
        self.pieces.append(text)
        return b"" if self.prefix is None else self._wire.delta(self.prefix, text)

    def _part(self, text: str) -> dict[str, Any]:
        if self._is_refusal:
            return {"type": "refusal", "refusal": text}
        return {"type": "output_text", "text": text, "annotations": self._annotations, "logprobs": []}

    def _members(self, status: str, content: list[Raw]) -> dict[str, Any]:
        members = {
            "id": self._id,
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": content,
        }
        return members if self._phase is None else {**members, "phase": self._phase}


class ReasoningWriter(_Item):
    """Reasoning: one summary part, opened by its first word, and the ciphertext in its last event."""

    def __init__(self, wire: Wire, index: int, item_id: str) -> None:
        super().__init__(wire, index, item_id)
        self._thinking = Thinking("")

    def start(self, block: Block) -> bytes:
        """Open a block."""
        out = self._added(self._members([], None))
        if isinstance(block, Thinking):
            self._thinking = block
            out += self.delta(block.text) if block.text else b""
        return out

    def delta(self, text: str) -> bytes:
        """Grow the block."""
        if not text:
            return b""
        at = {**self._at, "summary_index": 0}
        self.prefix = delta_prefix("response.reasoning_summary_text.delta", at)
        part = {"type": "summary_text", "text": ""}
        out = self._wire.event("response.reasoning_summary_part.added", {**at, "part": part})
        self.pieces.append(text)
        return out + self._wire.delta(self.prefix, text)

    def opaque(self, opaque: Opaque) -> None:
        """Learn the opaque value."""
        self._thinking = msgspec.structs.replace(self._thinking, opaque=opaque)

    def finish(self, *, whole: bool) -> bytes:  # noqa: ARG002 - reasoning has no status
        """Close the item."""
        text, out = "".join(self.pieces), b""
        summary: list[Any] = []
        if text:
            at = {**self._at, "summary_index": 0}
            part = {"type": "summary_text", "text": text}
            summary = [part]
            out = self._wire.event("response.reasoning_summary_text.done", {**at, "text": text})
            out += self._wire.event("response.reasoning_summary_part.done", {**at, "part": part})
        self.prefix = None
        return out + self._done(self._members(summary, seal_thinking(self._thinking)))

    def _members(self, summary: list[Any], encrypted: str | None) -> dict[str, Any]:
        return {"id": self._id, "type": "reasoning", "summary": summary, "encrypted_content": encrypted}


class CallWriter(_Item):
    """A call of a client's tool. `wrapped`: free text that upstream could only say as JSON, so it waits for its end."""

    def __init__(self, wire: Wire, index: int, item_id: str, *, custom: bool, wrapped: bool) -> None:
        super().__init__(wire, index, item_id)
        self._custom = custom
        self._wrapped = wrapped
        self._call: dict[str, Any] = {}
        self._event = "custom_tool_call_input" if custom else "function_call_arguments"
        self._member = "input" if custom else "arguments"

    def start(self, block: Block) -> bytes:
        """Open a block."""
        if not isinstance(block, ToolUse):
            return b""
        self._call = {"call_id": block.call_id, "name": local_name(block.name, block.namespace)}
        if block.namespace is not None:
            self._call["namespace"] = block.namespace
        out = self._added(self._members("in_progress", ""))
        prefix = delta_prefix(f"response.{self._event}.delta", self._at)
        if block.arguments:
            self.pieces.append(block.arguments)
            out += b"" if self._wrapped else self._wire.delta(prefix, block.arguments)
        self.prefix = None if self._wrapped else prefix
        return out

    def finish(self, *, whole: bool) -> bytes:
        """Close the item."""
        text, out = "".join(self.pieces), b""
        prefix = delta_prefix(f"response.{self._event}.delta", self._at)
        if self._wrapped:
            text = unwrap_input(text)
            out = self._wire.delta(prefix, text) if text else b""
        elif not text and not self._custom and whole:
            text = EMPTY_ARGUMENTS
            out = self._wire.delta(prefix, text)
        status = COMPLETED if whole or self._custom or is_object(text) else INCOMPLETE
        out += self._wire.event(f"response.{self._event}.done", {**self._at, self._member: text})
        return out + self._done(self._members(status, text))

    def _members(self, status: str, text: str) -> dict[str, Any]:
        kind = "custom_tool_call" if self._custom else "function_call"
        return {"id": self._id, "type": kind, "status": status, **self._call, self._member: text}


class ToolSearchWriter(_Item):
    """A call of the client's own search for tools: an object where other calls have text, so it has no deltas."""

    def __init__(self, wire: Wire, index: int, item_id: str) -> None:
        super().__init__(wire, index, item_id)
        self._call_id = ""

    def start(self, block: Block) -> bytes:
        """Open a block."""
        if isinstance(block, ToolUse):
            self._call_id, self.pieces = block.call_id, [block.arguments]
        return self._added(self._members("in_progress", {}))

    def finish(self, *, whole: bool) -> bytes:
        """Close the item; arguments that were cut stay the text that they are."""
        text = "".join(self.pieces) or (EMPTY_ARGUMENTS if whole else "")
        if is_object(text):
            return self._done(self._members(COMPLETED, Raw(text.encode())))
        return self._done(self._members(INCOMPLETE, text))

    def _members(self, status: str, arguments: object) -> dict[str, Any]:
        return {
            "id": self._id, "type": "tool_search_call", "status": status, "call_id": self._call_id,
            "execution": "client", "arguments": arguments,
        }  # fmt: skip


class SearchWriter(_Item):
    """A web search: its call opens the item, its answer ends it."""

    def __init__(self, wire: Wire, index: int, item_id: str) -> None:
        super().__init__(wire, index, item_id)
        self._native: Native | None = None
        self._sources: list[dict[str, str]] = []
        self._failed = False
        self._begun = False

    def takes(self, block: Block) -> bool:
        """Tell whether the next block belongs to this item."""
        return isinstance(block, ServerToolResult)

    def start(self, block: Block) -> bytes:
        """Open a block."""
        if isinstance(block, ServerToolResult):
            self._answer(block)
            if self._begun:
                return b""
        if isinstance(block, ServerToolUse):
            self._native = block.native
            self.pieces = [block.arguments]
        self._begun = True
        kind = "response.web_search_call"
        return (
            self._added(self._members("in_progress", {"type": "search", "query": ""}))
            + self._wire.event(f"{kind}.in_progress", self._at)
            + self._wire.event(f"{kind}.searching", self._at)
        )

    def finish(self, *, whole: bool) -> bytes:  # noqa: ARG002 - a search that was begun is over
        """Close the item."""
        status = "failed" if self._failed else COMPLETED
        out = self._wire.event("response.web_search_call.completed", self._at)
        return out + self._done(self._members(status, self._action()))

    def _answer(self, result: ServerToolResult) -> None:
        self._failed = result.error_code is not None
        for source in result.sources:
            titled = {"title": source.title} if source.title else {}
            self._sources.append({"type": "url", "url": source.url, **titled})

    def _action(self) -> Any:
        if self._native is not None and self._native.dialect == "responses":
            action = decode_members(self._native.raw).get("action")
            if action is not None:
                return action
        arguments = "".join(self.pieces)
        query = decode_members(arguments).get("query", "") if is_object(arguments) else ""
        return {"type": "search", "query": query, "sources": self._sources}

    def _members(self, status: str, action: Any) -> dict[str, Any]:
        return {"id": self._id, "type": "web_search_call", "status": status, "action": action}


class WholeWriter(_Item):
    """An item that has no events of its own but the first and the last."""

    def __init__(self, wire: Wire, index: int, item_id: str, members: dict[str, Any]) -> None:
        super().__init__(wire, index, item_id)
        self._members = {**members, "id": item_id}

    def start(self, block: Block) -> bytes:  # noqa: ARG002 - the members say it all
        """Open a block."""
        return self._added(self._members)

    def finish(self, *, whole: bool) -> bytes:  # noqa: ARG002 - it cannot be cut
        """Close the item."""
        return self._done(self._members)
