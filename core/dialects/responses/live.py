"""One output item while upstream tells it: deltas, what only its last event says, and the blocks that come of it."""

from collections.abc import Callable
from typing import Final

from msgspec import Raw

from core.canonical import (
    Block,
    BlockCitation,
    BlockDelta,
    BlockOpaque,
    BlockStart,
    BlockStop,
    Compaction,
    Native,
    Opaque,
    Refusal,
    StreamEvent,
    Text,
    Thinking,
    ToolUse,
)
from core.dialects.responses.items import EMPTY_ARGUMENTS, PART_BREAK, is_object, own_opaque, search_blocks
from core.dialects.responses.parts import TEXT_TYPES, decode_annotation
from core.dialects.responses.schema import OutputItem, PartPeek, WireEvent, decode_item, decode_part, is_set
from core.errors import UpstreamProtocolError
from core.names import full_name

Part = tuple[str, int]  # what kind of text, and its place in the item

TEXT: Final = "text"
REFUSAL: Final = "refusal"
SUMMARY: Final = "summary"
RAW_REASONING: Final = "raw"
CALLS: Final = frozenset({"function_call", "custom_tool_call"})

# The kind of item that an event belongs to, by the start of its type; used where `output_item.added` was missing.
KIND_OF_EVENT: Final[tuple[tuple[str, str], ...]] = (
    ("response.output_text", "message"),
    ("response.content_part", "message"),
    ("response.refusal", "message"),
    ("response.reasoning", "reasoning"),
    ("response.function_call_arguments", "function_call"),
    ("response.custom_tool_call_input", "custom_tool_call"),
)
ITEM_DONE: Final = "response.output_item.done"


class Live:
    """One item.

    Invariants: at most one block is open (`_part` is its place, or None); `sent` counts the characters told of that
    place; `_told` holds the places that are closed, which nothing reopens. `index` is the canonical index of the
    open block, or of the next one. A call's block opens when its name is known. `done` is the last state.
    """

    def __init__(self, scope: str) -> None:
        self.held: list[WireEvent] = []
        self.index = 0
        self.sent = 0
        self.done = False
        self.refused = False
        self.call_id = ""
        self._scope = scope
        self._kind = ""
        self._id = ""
        self._begun = False
        self._item = OutputItem()
        self._part: Part | None = None
        self._told: set[Part] = set()
        self._cited = 0
        self._pieces: list[str] = []
        self._out: list[StreamEvent] = []

    def begin(self, item: OutputItem) -> None:
        """Learn what `output_item.added` says; the id told here is the one that holds."""
        if self._begun:
            return
        self._begun = True
        self._item = item
        self._kind = self._kind or item.type  # what was told already cannot become something else
        self._id = item.id or ""
        if self._kind in CALLS:
            self.call_id = item.call_id or self._id

    def takes(self, event: WireEvent) -> bool:
        """Tell whether a text delta simply grows the open block."""
        return self._part == (TEXT, event.content_index)

    def tell(self, event: WireEvent) -> list[StreamEvent]:
        """Return what the event means. Raises `UpstreamProtocolError`, msgspec's errors."""
        kind = KIND[event.type]
        self._kind = self._kind or kind
        if not kind or kind == self._kind:  # an event of another kind of item is nonsense
            TELL[event.type](self, event)
        out, self._out = self._out, []
        return out

    def check(self) -> None:
        """Raise `UpstreamProtocolError` for a complete call whose arguments are no JSON object."""
        if self._kind == "function_call" and not is_object("".join(self._pieces) or EMPTY_ARGUMENTS):
            raise UpstreamProtocolError(f"the arguments of {self._item.name} are not a JSON object")

    # --- text ----------------------------------------------------------------------------------------------------

    def text_delta(self, event: WireEvent) -> None:
        """Grow a text part."""
        self._grow((TEXT, event.content_index), event.delta)

    def text_done(self, event: WireEvent) -> None:
        """Tell what was not streamed of a text part (litellm#25321: some of it may come only here)."""
        self._complete((TEXT, event.content_index), event.text)

    def refusal_delta(self, event: WireEvent) -> None:
        """Grow a refusal."""
        self._grow((REFUSAL, event.content_index), event.delta)

    def refusal_done(self, event: WireEvent) -> None:
        """Tell what was not streamed of a refusal."""
        self._complete((REFUSAL, event.content_index), event.refusal)

    def part_done(self, event: WireEvent) -> None:
        """End a part of a message."""
        if is_set(event.part):
            self._message_part(event.part, event.content_index)
            self._close()

    def cite(self, event: WireEvent) -> None:
        """Tell a citation of the open text."""
        if is_set(event.annotation) and self._part == (TEXT, event.content_index):
            self._cited += 1
            self._out.append(BlockCitation(self.index, decode_annotation(event.annotation)))

    def _message_part(self, raw: Raw, content_index: int) -> None:
        part = decode_part(raw)
        if part.type == "refusal":
            self._complete((REFUSAL, content_index), part.refusal)
        elif part.type in TEXT_TYPES:
            self._complete((TEXT, content_index), part.text)
            if self._part == (TEXT, content_index):
                for annotation in (part.annotations or [])[self._cited :]:
                    self._cited += 1
                    self._out.append(BlockCitation(self.index, decode_annotation(annotation)))

    # --- reasoning -----------------------------------------------------------------------------------------------

    def summary_delta(self, event: WireEvent) -> None:
        """Grow a part of a reasoning summary."""
        self._think((SUMMARY, event.summary_index), event.delta)

    def summary_done(self, event: WireEvent) -> None:
        """Tell what was not streamed of a part of a summary."""
        text = event.text
        if text is None and is_set(event.part):
            text = decode_part(event.part).text
        self._complete((SUMMARY, event.summary_index), text)

    def reasoning_delta(self, event: WireEvent) -> None:
        """Grow the reasoning itself."""
        self._think((RAW_REASONING, event.content_index), event.delta)

    def reasoning_done(self, event: WireEvent) -> None:
        """Tell what was not streamed of the reasoning itself."""
        self._complete((RAW_REASONING, event.content_index), event.text)

    def _think(self, part: Part, delta: str | None) -> None:
        """Grow the thinking block; its parts are one text with a blank line between."""
        if not delta or part in self._told:
            return
        if self._part is None:
            self._open(Thinking(""), part)
        elif self._part != part:
            self._told.add(self._part)
            if self.sent:
                self._out.append(BlockDelta(self.index, PART_BREAK))
            self._part, self.sent = part, 0
        self._delta(delta)

    # --- calls ---------------------------------------------------------------------------------------------------

    def arguments_delta(self, event: WireEvent) -> None:
        """Grow a call's arguments."""
        if event.delta and self._kind in CALLS:
            self._pieces.append(event.delta)
            if self._open_call():
                self._out.append(BlockDelta(self.index, event.delta))

    def arguments_done(self, event: WireEvent) -> None:
        """Tell what was not streamed of a call's arguments."""
        self._complete_call(event.arguments if event.arguments is not None else event.input)

    def _open_call(self) -> bool:
        """Open the call's block when its name is known; tell whether it was open before."""
        if self._part is not None:
            return True
        item = self._item
        if item.name and self.call_id:
            name = full_name(item.name, item.namespace)
            custom = self._kind == "custom_tool_call"
            self._open(ToolUse(self.call_id, name, "", custom=custom, namespace=item.namespace), ("call", 0))
            if self._pieces:
                self._out.append(BlockDelta(self.index, "".join(self._pieces)))
        return False

    def _complete_call(self, full: str | None) -> None:
        told = "".join(self._pieces)
        if full and len(full) > len(told) and full.startswith(told) and self._kind in CALLS:
            self._pieces = [told, full[len(told) :]] if told else [full]
            if self._open_call():
                self._out.append(BlockDelta(self.index, self._pieces[-1]))

    # --- the item's end ------------------------------------------------------------------------------------------

    def end(self, event: WireEvent) -> None:
        """End the item: tell from its whole what was not streamed, and close its block."""
        item = decode_item(event.item) if is_set(event.item) else OutputItem()
        self._kind = self._kind or item.type
        first = item if not self._begun else self._item
        self.begin(item)
        finish = FINISH.get(self._kind)
        if finish is not None:
            finish(self, item, first, event.item)
        elif is_set(event.item):
            self._whole(Native("responses", self._kind, bytes(event.item)))
        self._close()
        self.done = True

    def end_message(self, item: OutputItem, _first: OutputItem, _raw: object) -> None:
        """End a message."""
        for index, part in enumerate(item.content or ()):
            self._message_part(part, index)

    def end_reasoning(self, item: OutputItem, _first: OutputItem, _raw: object) -> None:
        """End reasoning; its ciphertext is final only now and goes with the id that was told first."""
        streamed = self._part[0] if self._part is not None else None
        parts: list[PartPeek] = [PartPeek(text=decode_part(raw).text) for raw in item.content or ()]
        told_as: str = SUMMARY
        if streamed == RAW_REASONING or (
            streamed is None and not any(part.text for part in item.summary or ())
        ):
            told_as = RAW_REASONING
        for index, part in enumerate(parts if told_as == RAW_REASONING else item.summary or ()):
            self._complete((told_as, index), part.text)
        opaque = own_opaque(item.encrypted_content, self._id, self._scope)
        if opaque is not None:
            if self._part is None:
                self._open(Thinking(""), (SUMMARY, 0))
            self._out.append(BlockOpaque(self.index, opaque))

    def end_call(self, item: OutputItem, first: OutputItem, _raw: object) -> None:
        """End a call. Arguments that stood only in its first event count when no delta and no last event had any."""
        self._item.name = self._item.name or item.name
        self._item.namespace = self._item.namespace or item.namespace
        self.call_id = self.call_id or item.call_id or item.id or ""
        opening = first.arguments or first.input or ""
        self._complete_call(item.arguments or item.input or ("" if self._pieces else opening))
        if not self._item.name or not self.call_id:
            raise UpstreamProtocolError("upstream called a tool without saying its name")
        self._open_call()
        if not self._pieces and self._kind == "function_call":
            self._out.append(BlockDelta(self.index, EMPTY_ARGUMENTS))

    def end_search(self, item: OutputItem, _first: OutputItem, raw: object) -> None:
        """End a hosted search: its call and its answer, both whole."""
        if isinstance(raw, Raw):
            item.id = self._id or item.id
            for block in search_blocks(raw, item):
                self._whole(block)

    def end_compaction(self, item: OutputItem, _first: OutputItem, _raw: object) -> None:
        """End a compaction."""
        if item.encrypted_content:
            self._whole(Compaction(Opaque("responses", item.encrypted_content, self._id, self._scope)))

    # --- blocks --------------------------------------------------------------------------------------------------

    def _grow(self, part: Part, delta: str | None) -> None:
        if not delta or part in self._told:
            return
        if self._part != part:
            self._close()
            self._open(self._empty(part), part)
        self._delta(delta)

    def _complete(self, part: Part, full: str | None) -> None:
        """Tell what `full` has beyond what was told of this part."""
        rest = (full or "")[self.sent :] if self._part == part else full
        if part[0] in {SUMMARY, RAW_REASONING}:
            self._think(part, rest)
        else:
            self._grow(part, rest)

    def _empty(self, part: Part) -> Block:
        if part[0] == REFUSAL:
            self.refused = True
            return Refusal("")
        return Text("", phase=self._item.phase)

    def _open(self, block: Block, part: Part) -> None:
        self._part, self.sent, self._cited = part, 0, 0
        self._out.append(BlockStart(self.index, block))

    def _delta(self, text: str) -> None:
        self.sent += len(text)
        self._out.append(BlockDelta(self.index, text))

    def _close(self) -> None:
        if self._part is not None:
            self._told.add(self._part)
            self._part = None
            self._out.append(BlockStop(self.index))
            self.index += 1

    def _whole(self, block: Block) -> None:
        self._close()
        self._out += [BlockStart(self.index, block), BlockStop(self.index)]
        self.index += 1


def _kind_of(event_type: str) -> str:
    for start, kind in KIND_OF_EVENT:
        if event_type.startswith(start):
            return kind
    return ""


TELL: Final[dict[str, Callable[[Live, WireEvent], None]]] = {
    "response.output_text.delta": Live.text_delta,
    "response.output_text.done": Live.text_done,
    "response.output_text.annotation.added": Live.cite,
    "response.refusal.delta": Live.refusal_delta,
    "response.refusal.done": Live.refusal_done,
    "response.content_part.done": Live.part_done,
    "response.reasoning_summary_text.delta": Live.summary_delta,
    "response.reasoning_summary_text.done": Live.summary_done,
    "response.reasoning_summary_part.done": Live.summary_done,
    "response.reasoning_text.delta": Live.reasoning_delta,
    "response.reasoning_text.done": Live.reasoning_done,
    "response.function_call_arguments.delta": Live.arguments_delta,
    "response.function_call_arguments.done": Live.arguments_done,
    "response.custom_tool_call_input.delta": Live.arguments_delta,
    "response.custom_tool_call_input.done": Live.arguments_done,
    ITEM_DONE: Live.end,
}
KIND: Final[dict[str, str]] = {event_type: _kind_of(event_type) for event_type in TELL}

FINISH: Final[dict[str, Callable[[Live, OutputItem, OutputItem, object], None]]] = {
    "message": Live.end_message,
    "reasoning": Live.end_reasoning,
    "function_call": Live.end_call,
    "custom_tool_call": Live.end_call,
    "web_search_call": Live.end_search,
    "compaction": Live.end_compaction,
    "": lambda _live, _item, _first, _raw: None,
}
