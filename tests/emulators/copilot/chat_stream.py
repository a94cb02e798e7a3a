"""Chat Completions as a stream, with every oddity the real one is known for."""

from typing import Any, Final

from tests.emulators.copilot.chat import (
    arguments_text,
    finish_reason,
    reasoning,
    reply_id,
    tool_call_id,
    upstream_name,
    usage_of,
)
from tests.emulators.copilot.context import Call, Spoken
from tests.emulators.copilot.shapes import Obj, encode
from tests.emulators.copilot.usage import copilot_usage
from tests.emulators.copilot.wire import event, repeated

DONE: Final = b"data: [DONE]\n\n"
COMMENT: Final = b": keep-alive\n\n"
SAFE: Final = {"filtered": False, "severity": "safe"}
FILTERS: Final = {"hate": SAFE, "self_harm": SAFE, "sexual": SAFE, "violence": SAFE}
FILTER_CHUNK: Final = event(
    {
        "choices": [],
        "created": 0,
        "id": "",
        "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": FILTERS}],
    }
)
FAILED: Final[Obj] = {
    "error": {"code": "server_error", "message": "The model backend failed.", "metadata": {}}
}
REFERENCES: Final = event(
    {
        "id": "",
        "copilot_errors": [
            {"type": "reference", "code": "not_available", "message": "A reference was skipped.", "agent": ""}
        ],
    }
)


class ChatStream:
    """Renders one answer as chunks."""

    def __init__(self, call: Call, spoken: Spoken) -> None:
        self._call, self._spoken = call, spoken
        self._frame: Obj = {
            "id": reply_id(call, spoken), "created": call.now(), "model": upstream_name(call.model_id),
        }  # fmt: skip

    def pieces(self) -> list[bytes]:
        """Return the stream, one event each."""
        call, body = self._call, self._content()
        head = [FILTER_CHUNK] if call.model.get("vendor") == "OpenAI" else []
        head += [REFERENCES] if call.on("chat_copilot_errors") else []
        if call.on("chat_error_midstream"):
            return [*head, *body[: max(1, len(body) // 2)], event(FAILED)]
        if call.on("chat_bare_error_at_end"):
            return [*head, *body[: max(1, len(body) // 2)], encode(FAILED)]
        pieces = [*head, *self._disturbed(body), *self._ending()]
        return pieces if call.on("chat_no_done") else [*pieces, DONE]

    def _chunk(self, *deltas: Obj, **extra: Any) -> bytes:
        choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
        return event({"choices": choices, **self._frame, **extra})

    def _content(self) -> list[bytes]:
        answer, call = self._spoken.answer, self._call
        deltas: list[Obj] = (
            [{"role": "assistant", "content": ""}] if call.model.get("vendor") == "OpenAI" else []
        )
        late = call.on("late_thinking")
        deltas += [] if late else self._thinking()
        texts = repeated(lambda text: self._chunk({"content": text, "role": "assistant"}), answer.deltas)
        tools = self._tool_deltas()
        if call.on("chat_split_choices") and answer.text and tools:
            # The last text and the first call share a chunk, as two choices.
            together = self._chunk({"content": answer.deltas[-1], "role": "assistant"}, tools.pop(0))
            return [*map(self._chunk, deltas), *texts[:-1], together, *map(self._chunk, tools)]
        return [*map(self._chunk, deltas), *texts, *map(self._chunk, tools)]

    def _thinking(self) -> list[Obj]:
        thought = reasoning(self._spoken)
        if not thought:
            return []
        words = thought["reasoning_text"].split(" ")
        texts = [word + (" " if n + 1 < len(words) else "") for n, word in enumerate(words)]
        return [
            *({"reasoning_text": text} for text in texts),
            {"reasoning_opaque": thought["reasoning_opaque"]},
        ]

    def _tool_deltas(self) -> list[Obj]:
        rows = [self._tool_pieces(position) for position in range(len(self._spoken.answer.calls))]
        if not self._call.on("chat_interleaved_tools"):
            return [delta for row in rows for delta in row]
        longest = max(map(len, rows), default=0)
        return [row[step] for step in range(longest) for row in rows if step < len(row)]

    def _tool_pieces(self, position: int) -> list[Obj]:
        call, tool = self._call, self._spoken.answer.calls[position]
        tool_id = tool_call_id(call, self._spoken, position, tool)
        place: Obj = {"index": 0 if call.on("chat_same_index") else position}
        if call.on("chat_no_index"):
            place = {}
        first = {**place, "id": tool_id, "type": "function", "function": {"name": tool.name, "arguments": ""}}
        repeated = {"id": tool_id} if call.on("chat_repeat_id") else {}
        texts = _thirds(arguments_text(tool))
        rest = [{**place, **repeated, "function": {"arguments": text}} for text in texts]
        return [{"content": None, "tool_calls": [piece]} for piece in (first, *rest)]

    def _disturbed(self, body: list[bytes]) -> list[bytes]:
        middle = len(body) // 2
        if self._call.on("chat_null_choices"):
            absent = event(self._frame)
            body = [*body[:middle], event({"choices": None, **self._frame}), absent, *body[middle:]]
        if self._call.on("chat_comments"):
            body = [COMMENT, *body[:middle], COMMENT, *body[middle:]]
        return body

    def _ending(self) -> list[bytes]:
        call = self._call
        counted = {"usage": usage_of(self._spoken), "copilot_usage": copilot_usage(self._spoken.usage)}
        separate = call.on("chat_usage_separate_chunk")
        if call.on("chat_no_finish"):
            return []
        finish = {"index": 0, "finish_reason": finish_reason(call, self._spoken), "delta": {"content": None}}
        pieces = [event({"choices": [finish], **self._frame, **({} if separate else counted)})]
        if call.on("late_thinking"):
            pieces += [self._chunk(delta) for delta in self._thinking()]
        if separate:
            pieces.append(event({"choices": [], **self._frame, **counted}))
        return pieces


def _thirds(text: str) -> list[str]:
    size = max(1, -(-len(text) // 3))
    return [text[start : start + size] for start in range(0, len(text), size)]
