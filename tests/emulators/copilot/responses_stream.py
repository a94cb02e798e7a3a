"""Responses as a stream; ids rotate from event to event when the mode says so."""

import re
from collections.abc import Iterator
from typing import Any, Final

from tests.emulators.copilot.context import Call, Spoken
from tests.emulators.copilot.responses import final_status, frame, output_items, rotated
from tests.emulators.copilot.shapes import Obj
from tests.emulators.copilot.usage import copilot_usage
from tests.emulators.copilot.web_search import citation_events, search_events
from tests.emulators.copilot.wire import named_event

DONE: Final = b"data: [DONE]\n\n"
WORDS: Final = re.compile(r"\S+\s*|^\s+")
PRELIMINARY: Final = "cHJlbGltaW5hcnk="  # what `output_item.added` carries: never to be sent back


class ResponsesStream:
    """Renders one answer as events, numbered in sequence."""

    def __init__(self, call: Call, spoken: Spoken) -> None:
        self._call, self._spoken, self._sequence = call, spoken, 0
        self._rotates = call.on("resp_rotate_ids")

    def pieces(self) -> list[bytes]:
        """Return the stream, one event each."""
        return [*self._events(), *([DONE] if self._call.on("resp_trailing_done") else [])]

    def _event(self, kind: str, **fields: Any) -> bytes:
        self._sequence += 1
        return named_event(kind, {"type": kind, "sequence_number": self._sequence - 1, **fields})

    def _events(self) -> Iterator[bytes]:
        call, spoken = self._call, self._spoken
        yield self._event("response.created", response=frame(call, spoken, "in_progress", []))
        yield self._event("response.in_progress", response=frame(call, spoken, "in_progress", []))
        if call.on("resp_failed_after_created"):
            failed = {
                **frame(call, spoken, "failed", []),
                "error": {"code": "server_error", "message": "The model failed."},
            }
            yield self._event("response.failed", response=failed)
            return
        yield from self._keepalive()
        output = output_items(call, spoken)
        for index, item in enumerate(output):
            yield from self._item(index, item)
            yield from self._keepalive()
        if call.on("resp_error_event"):
            yield self._event("error", code="server_error", message="The model backend failed.", param=None)
            return
        yield self._last(output)

    def _keepalive(self) -> Iterator[bytes]:
        if self._call.on("resp_keepalive"):
            yield self._event("keepalive")

    def _last(self, output: list[Obj]) -> bytes:
        spoken, call = self._spoken, self._call
        status = final_status(spoken)
        if call.on("resp_content_filter"):
            status, spoken.answer.stop = "incomplete", "refusal"
        shown = [self._at(item, "last") for item in output]
        done = frame(call, spoken, status, shown)
        return self._event(f"response.{status}", response=done, copilot_usage=copilot_usage(spoken.usage))

    def _at(self, item: Obj, stage: str) -> Obj:
        return rotated(item, stage) if self._rotates else item

    def _id(self, item: Obj, stage: str) -> str:
        return str(self._at(item, stage)["id"])

    def _item(self, index: int, item: Obj) -> Iterator[bytes]:
        empty: Obj = {
            "content": [],
            "arguments": "",
            "input": "",
            "summary": [],
            "encrypted_content": PRELIMINARY,
        }
        started = {**item, **{name: value for name, value in empty.items() if name in item}}
        if "status" in started:
            started["status"] = "in_progress"
        yield self._event("response.output_item.added", output_index=index, item=started)
        match item["type"]:
            case "message":
                yield from self._text(index, item)
            case "reasoning":
                yield from self._summary(index, item)
            case "web_search_call":
                yield from search_events(
                    self._event, {"output_index": index, "item_id": self._id(item, "delta")}
                )
            case _:
                yield from self._arguments(index, item)
        yield self._event("response.output_item.done", output_index=index, item=self._at(item, "done"))

    def _text(self, index: int, item: Obj) -> Iterator[bytes]:
        part, text = item["content"][0], item["content"][0]["text"]
        place: Obj = {"output_index": index, "content_index": 0}
        yield self._event(
            "response.content_part.added", item_id=self._id(item, "part"), **place,
            part={**part, "text": "", "annotations": []},
        )  # fmt: skip
        delta_id = self._id(item, "delta")
        for word in WORDS.findall(text):
            yield self._event(
                "response.output_text.delta", item_id=delta_id, **place, delta=word, logprobs=[]
            )
        yield from citation_events(self._event, {"item_id": delta_id, **place}, part["annotations"])
        yield self._event(
            "response.output_text.done", item_id=self._id(item, "text"), **place, text=text, logprobs=[]
        )
        yield self._event(
            "response.content_part.done", item_id=self._id(item, "partdone"), **place, part=part
        )

    def _summary(self, index: int, item: Obj) -> Iterator[bytes]:
        if self._call.on("resp_summary_only_in_done"):
            return
        for number, part in enumerate(item["summary"]):
            place: Obj = {"item_id": self._id(item, "sum"), "output_index": index, "summary_index": number}
            yield self._event("response.reasoning_summary_part.added", **place, part={**part, "text": ""})
            for word in WORDS.findall(part["text"]):
                yield self._event("response.reasoning_summary_text.delta", **place, delta=word)
            yield self._event("response.reasoning_summary_text.done", **place, text=part["text"])
            yield self._event("response.reasoning_summary_part.done", **place, part=part)

    def _arguments(self, index: int, item: Obj) -> Iterator[bytes]:
        custom = item["type"] == "custom_tool_call"
        kind, member = (
            ("custom_tool_call_input", "input") if custom else ("function_call_arguments", "arguments")
        )
        text, place = item[member], {"item_id": self._id(item, "delta"), "output_index": index}
        size = max(1, -(-len(text) // 3))
        for at in range(0, len(text), size):
            yield self._event(f"response.{kind}.delta", **place, delta=text[at : at + size])
        named = {} if custom else {"name": item["name"]}
        yield self._event(f"response.{kind}.done", **place, **named, **{member: text})
