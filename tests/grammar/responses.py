"""Judges the bytes of a Responses stream as the strictest clients do; knows nothing of the encoder that made them.

Rules (OpenAI's API reference, the openai SDKs, Codex): every event has a name and the same type; numbers run from 0
without gaps; `response.created` first, one terminal event last; an item is added before anything is said of it, keeps
its id, and is done before the end; what deltas said is what `done` repeats; the final output is what the items were.
"""

import json
from dataclasses import dataclass, field
from typing import Any

TERMINAL = {"response.completed", "response.incomplete", "response.failed"}
STATUS = {
    "response.created": "in_progress",
    "response.queued": "queued",
    "response.in_progress": "in_progress",
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
}
RESPONSE_MEMBERS = {
    "id", "object", "created_at", "status", "background", "error", "incomplete_details", "instructions",
    "max_output_tokens", "model", "output", "parallel_tool_calls", "previous_response_id", "reasoning", "store",
    "temperature", "text", "tool_choice", "tools", "top_p", "truncation", "usage", "metadata",
}  # fmt: skip
ITEM_MEMBERS = {
    "message": {"id", "type", "status", "role", "content"},
    "reasoning": {"id", "type", "summary"},
    "function_call": {"id", "type", "status", "call_id", "name", "arguments"},
    "custom_tool_call": {"id", "type", "call_id", "name", "input"},
    "web_search_call": {"id", "type", "status", "action"},
    "compaction": {"id", "type", "encrypted_content"},
}
# Event -> the members that it must have beside type, number, item_id and output_index.
OF_ITEMS: dict[str, set[str]] = {
    "response.content_part.added": {"content_index", "part"},
    "response.content_part.done": {"content_index", "part"},
    "response.output_text.delta": {"content_index", "delta", "logprobs"},
    "response.output_text.done": {"content_index", "text", "logprobs"},
    "response.output_text.annotation.added": {"content_index", "annotation_index", "annotation"},
    "response.refusal.delta": {"content_index", "delta"},
    "response.refusal.done": {"content_index", "refusal"},
    "response.reasoning_summary_part.added": {"summary_index", "part"},
    "response.reasoning_summary_part.done": {"summary_index", "part"},
    "response.reasoning_summary_text.delta": {"summary_index", "delta"},
    "response.reasoning_summary_text.done": {"summary_index", "text"},
    "response.function_call_arguments.delta": {"delta"},
    "response.function_call_arguments.done": {"arguments"},
    "response.custom_tool_call_input.delta": {"delta"},
    "response.custom_tool_call_input.done": {"input"},
    "response.web_search_call.in_progress": set(),
    "response.web_search_call.searching": set(),
    "response.web_search_call.completed": set(),
}


@dataclass
class Part:
    """A content part while it is open."""

    kind: str
    text: str = ""
    annotations: list[Any] = field(default_factory=list)
    said_done: bool = False
    done: bool = False


@dataclass
class Item:
    """An output item while it is open."""

    members: dict[str, Any]
    parts: list[Part] = field(default_factory=list)
    text: str = ""
    said_done: bool = False
    done: bool = False


@dataclass
class Folded:
    """What the stream said: the final response object, and what was read out of its items."""

    response: dict[str, Any]
    text: str
    reasoning: str
    calls: list[dict[str, Any]]
    refusal: str

    @property
    def status(self) -> str:
        """How the answer ended."""
        return str(self.response["status"])


def events_of(stream: bytes) -> list[dict[str, Any]]:
    """Cut a stream into its events' objects; each must have a name and one line of data."""
    assert stream.endswith(b"\n\n") or not stream, "the stream ends inside an event"
    events = []
    for block in stream.decode().replace("\r\n", "\n").split("\n\n"):
        if not block.strip("\n") or block.startswith(":"):
            continue
        name, data = block.strip("\n").split("\n")
        assert name.startswith("event: "), name
        assert data.startswith("data: "), data
        event = json.loads(data.removeprefix("data: "))
        assert event["type"] == name.removeprefix("event: ")
        events.append(event)
    return events


def check_responses_stream(stream: bytes, *, numbered: bool = True) -> Folded:
    """Return what the stream says; AssertionError where it is not legal."""
    events = events_of(stream)
    if numbered:
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events, "the stream is empty"
    assert events[0]["type"] == "response.created"
    assert [event["type"] for event in events if event["type"] in TERMINAL] == [events[-1]["type"]]
    items: dict[int, Item] = {}
    for event in events:
        kind = event["type"]
        if kind in STATUS:
            _lifecycle(event, events[0]["response"]["id"])
        elif kind == "response.output_item.added":
            _added(event, items)
        elif kind == "response.output_item.done":
            _item_done(event, items)
        else:
            assert kind in OF_ITEMS, f"unknown event {kind}"
            _inside(event, items)
    return _end(events[-1], items)


def _lifecycle(event: dict[str, Any], response_id: str) -> None:
    response = event["response"]
    assert set(response) >= RESPONSE_MEMBERS, RESPONSE_MEMBERS - set(response)
    assert response["object"] == "response"
    assert response["status"] == STATUS[event["type"]]
    assert response["id"] == response_id
    assert response["id"].startswith("resp_")
    assert isinstance(response["output"], list)


def _added(event: dict[str, Any], items: dict[int, Item]) -> None:
    index, members = event["output_index"], event["item"]
    assert index == len(items), f"item {index} where {len(items)} was due"
    assert all(item.done for item in items.values()), "an item is added while another is open"
    assert members["id"], "an item without an id"
    assert members["id"] not in {item.members["id"] for item in items.values()}, "an id is used twice"
    assert set(members) >= ITEM_MEMBERS.get(members["type"], set()), members
    items[index] = Item(members)


def _open_item(event: dict[str, Any], items: dict[int, Item]) -> Item:
    item = items.get(event["output_index"])
    assert item is not None, f"{event['type']} before its item"
    assert not item.done, f"{event['type']} after its item was done"
    return item


def _inside(event: dict[str, Any], items: dict[int, Item]) -> None:
    kind = event["type"]
    item = _open_item(event, items)
    assert event["item_id"] == item.members["id"], "the item's id changed"
    assert set(event) >= OF_ITEMS[kind], OF_ITEMS[kind] - set(event)
    if "content_index" in event:
        _content(event, item)
    elif "summary_index" in event:
        _summary(event, item)
    elif kind.endswith(".delta"):
        assert not item.said_done
        item.text += event["delta"]
    elif kind.endswith(("arguments.done", "input.done")):
        assert item.text == event.get("arguments", event.get("input"))
        item.said_done = True


def _content(event: dict[str, Any], item: Item) -> None:
    kind, index = event["type"], event["content_index"]
    assert item.members["type"] == "message"
    if kind == "response.content_part.added":
        assert index == len(item.parts), "content parts count from 0"
        assert all(part.done for part in item.parts)
        item.parts.append(Part(event["part"]["type"]))
        return
    part = item.parts[index]
    assert not part.done
    if kind.endswith(".delta"):
        assert kind == f"response.{part.kind}.delta"
        assert not part.said_done
        part.text += event["delta"]
    elif kind.endswith("annotation.added"):
        assert event["annotation_index"] == len(part.annotations)
        part.annotations.append(event["annotation"])
    elif kind == "response.content_part.done":
        assert part.said_done
        part.done = True
        said = event["part"]
        assert part.text == said.get("text", said.get("refusal"))
        assert part.annotations == said.get("annotations", [])
    else:
        assert part.text == event.get("text", event.get("refusal"))
        part.said_done = True


def _summary(event: dict[str, Any], item: Item) -> None:
    kind, index = event["type"], event["summary_index"]
    assert item.members["type"] == "reasoning"
    if kind.endswith("part.added"):
        assert index == len(item.parts), "summary parts count from 0"
        item.parts.append(Part("summary_text"))
        return
    part = item.parts[index]
    assert not part.done
    if kind.endswith(".delta"):
        part.text += event["delta"]
    elif kind.endswith("part.done"):
        assert event["part"] == {"type": "summary_text", "text": part.text}
        part.done = True
    else:
        assert event["text"] == part.text


def _item_done(event: dict[str, Any], items: dict[int, Item]) -> None:
    item, members = _open_item(event, items), event["item"]
    assert members["id"] == item.members["id"], "the item's id changed"
    assert members["type"] == item.members["type"]
    assert set(members) >= ITEM_MEMBERS.get(members["type"], set()), members
    item.done = True
    if members["type"] == "message":
        assert [part.get("text", part.get("refusal")) for part in members["content"]] == [
            p.text for p in item.parts
        ]
        assert all(part.done for part in item.parts)
    elif members["type"] == "reasoning":
        assert [part["text"] for part in members["summary"]] == [part.text for part in item.parts]
    elif members["type"] in {"function_call", "custom_tool_call"}:
        assert item.said_done
        assert item.text == members.get("arguments", members.get("input"))
        assert (members["call_id"], members["name"]) == (item.members["call_id"], item.members["name"])
    item.members = members


def _end(event: dict[str, Any], items: dict[int, Item]) -> Folded:
    response = event["response"]
    if response["status"] == "failed":
        assert set(response["error"]) >= {"code", "message"}
    else:
        assert all(item.done for item in items.values()), "an item is not done at the end"
        assert response["error"] is None
        assert response["output"] == [items[index].members for index in range(len(items))]
        _usage(response["usage"])
    assert (response["incomplete_details"] is not None) is (response["status"] == "incomplete")
    return folded(response)


def _usage(usage: dict[str, Any]) -> None:
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert {"cached_tokens"} <= set(usage["input_tokens_details"])
    assert {"reasoning_tokens"} <= set(usage["output_tokens_details"])


def folded(response: dict[str, Any]) -> Folded:
    """Read a response object, streamed or complete; the arguments of every finished call must be an object."""
    parts = [part for item in response["output"] if item["type"] == "message" for part in item["content"]]
    calls = [item for item in response["output"] if item["type"] in {"function_call", "custom_tool_call"}]
    for call in calls:
        if call["type"] == "function_call" and response["status"] == "completed":
            assert isinstance(json.loads(call["arguments"]), dict)
    summaries = [item["summary"] for item in response["output"] if item["type"] == "reasoning"]
    return Folded(
        response=response,
        text="".join(part.get("text", "") for part in parts),
        reasoning="".join(part["text"] for summary in summaries for part in summary),
        calls=calls,
        refusal="".join(part.get("refusal", "") for part in parts),
    )
