"""Judges a Messages stream as the strictest of its clients would: order, indexes, names, required members, one terminal."""

import json
from dataclasses import dataclass, field
from typing import Any

DELTAS = {
    "text": {"text_delta": "text", "citations_delta": "citation"},
    "thinking": {"thinking_delta": "thinking", "signature_delta": "signature"},
    "redacted_thinking": {},
    "tool_use": {"input_json_delta": "partial_json"},
    "server_tool_use": {"input_json_delta": "partial_json"},
}
BLOCK_MEMBERS = {
    "text": {"text": str},
    "thinking": {"thinking": str},
    "redacted_thinking": {"data": str},
    "tool_use": {"id": str, "name": str, "input": dict},
    "server_tool_use": {"id": str, "name": str, "input": dict},
    "web_search_tool_result": {"tool_use_id": str},
}
MESSAGE_MEMBERS = {"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"}


@dataclass
class FoldedReply:
    """What a client has after the stream. `error` is the error object when the stream ended with one."""

    message: dict[str, Any] = field(default_factory=dict)
    content: list[dict[str, Any]] = field(default_factory=list)
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: dict[str, Any] = field(default_factory=dict)
    error: dict[str, Any] | None = None

    @property
    def text(self) -> str:
        return "".join(block["text"] for block in self.content if block["type"] == "text")


def check_messages_stream(wire: bytes) -> FoldedReply:
    """Return what the stream says; AssertionError where a client would be right to refuse it."""
    judge = _Judge()
    for name, body in _events(wire):
        judge.take(name, body)
    assert judge.ended, "the stream has no terminal event"
    return judge.reply


def _events(wire: bytes) -> list[tuple[str, dict[str, Any]]]:
    assert wire.endswith(b"\n\n"), "the last event is not complete"
    events = []
    for block in wire[:-2].split(b"\n\n"):
        if block.startswith(b":"):
            continue
        lines = block.split(b"\n")
        assert len(lines) == 2, f"not one event line and one data line: {block!r}"
        assert lines[0].startswith(b"event: ")
        assert lines[1].startswith(b"data: ")
        body = json.loads(lines[1][6:])
        assert body["type"] == lines[0][7:].decode(), "the event's name is not its type"
        events.append((body["type"], body))
    return events


class _Judge:
    def __init__(self) -> None:
        self.reply = FoldedReply()
        self.ended = False
        self.started = False
        self.open: dict[str, Any] | None = None
        self.json: list[str] = []
        self.delta_seen = False

    def take(self, name: str, body: dict[str, Any]) -> None:
        assert not self.ended, f"{name} after the terminal event"
        if name == "ping":
            return
        on = getattr(self, f"on_{name}", None)
        assert on is not None, f"unknown event {name}"
        assert self.started or name in {"message_start", "error"}, f"{name} before message_start"
        on(body)

    def on_message_start(self, body: dict[str, Any]) -> None:
        assert not self.started, "a second message_start"
        self.started = True
        message = body["message"]
        assert message.keys() >= MESSAGE_MEMBERS, f"missing {MESSAGE_MEMBERS - message.keys()}"
        assert message["type"] == "message"
        assert message["role"] == "assistant"
        assert message["content"] == []
        assert message["stop_reason"] is None
        assert isinstance(message["id"], str)
        assert message["id"]
        assert isinstance(message["usage"]["input_tokens"], int)
        assert isinstance(message["usage"]["output_tokens"], int)
        self.reply.message = message
        self.reply.usage = dict(message["usage"])

    def on_content_block_start(self, body: dict[str, Any]) -> None:
        assert self.open is None, "a block starts inside a block"
        assert not self.delta_seen, "a block starts after message_delta"
        assert body["index"] == len(self.reply.content), "block indexes have a gap"
        self.open, self.json = dict(body["content_block"]), []
        for member, kind in BLOCK_MEMBERS.get(self.open["type"], {}).items():
            assert isinstance(self.open[member], kind), f"{member} of {self.open['type']}"

    def on_content_block_delta(self, body: dict[str, Any]) -> None:
        assert self.open is not None, "a delta outside a block"
        assert body["index"] == len(self.reply.content), "a delta of another block"
        delta = body["delta"]
        known = DELTAS.get(self.open["type"])
        if known is None:
            return
        member = known[delta["type"]]
        if member == "partial_json":
            self.json.append(delta[member])
        elif member == "citation":
            self.open["citations"] = [*(self.open.get("citations") or []), delta[member]]
        elif member == "signature":
            self.open[member] = delta[member]
        else:
            self.open[member] += delta[member]

    def on_content_block_stop(self, body: dict[str, Any]) -> None:
        assert self.open is not None, "a stop without a block"
        assert body["index"] == len(self.reply.content), "a stop of another block"
        if self.json and "".join(self.json):
            self.open["_json"] = "".join(self.json)
        self.reply.content.append(self.open)
        self.open = None

    def on_message_delta(self, body: dict[str, Any]) -> None:
        assert self.open is None, "message_delta inside a block"
        self.delta_seen = True
        assert isinstance(body["usage"]["output_tokens"], int)
        self.reply.usage.update({k: v for k, v in body["usage"].items() if v is not None})
        self.reply.stop_reason = body["delta"].get("stop_reason") or self.reply.stop_reason
        self.reply.stop_sequence = body["delta"].get("stop_sequence")

    def on_message_stop(self, _body: dict[str, Any]) -> None:
        assert self.open is None, "message_stop inside a block"
        assert self.reply.stop_reason is not None, "no stop_reason"
        for block in self.reply.content:
            if "_json" in block:
                text = block.pop("_json")
                if self.reply.stop_reason not in {"max_tokens", "model_context_window_exceeded"}:
                    block["input"] = json.loads(text)
                    assert isinstance(block["input"], dict), "a call's input is no object"
                else:
                    block["partial"] = text
        self.ended = True

    def on_error(self, body: dict[str, Any]) -> None:
        assert self.open is None, "error inside a block"
        assert isinstance(body["error"]["type"], str)
        assert isinstance(body["error"]["message"], str)
        self.reply.error = body["error"]
        self.ended = True
