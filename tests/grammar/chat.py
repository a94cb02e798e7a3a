"""A strict judge of chat streams, written from what the SDKs choke on and not from our encoder."""

import json
from dataclasses import dataclass, field
from typing import Any

FINISH_REASONS = {"stop", "length", "tool_calls", "content_filter", "function_call"}
DELTA_MEMBERS = {
    "role", "content", "refusal", "tool_calls", "function_call", "annotations",
    "reasoning_content", "reasoning_text", "reasoning_opaque",
}  # fmt: skip

# Members that the gateway writes into what upstream wrote; upstream may say others twice for all we care.
OURS = {"id", "object", "created", "model", "choices", "delta", "role", "index", "finish_reason", "usage"}


@dataclass
class ChatCall:
    """A tool call, its pieces joined by index."""

    id: str
    type: str
    name: str
    arguments: str


@dataclass
class ChatReply:
    """What a client has after reading the whole stream."""

    id: str = ""
    model: str = ""
    text: str = ""
    thinking: str = ""
    opaque: str = ""
    refusal: str = ""
    calls: list[ChatCall] = field(default_factory=list)
    annotations: list[dict[str, Any]] = field(default_factory=list)
    finish_reason: str | None = None
    usage: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    comments: int = 0


def check_chat_stream(stream: bytes, *, repeats: bool = False) -> ChatReply:
    """Read the stream as the strictest of clients would; AssertionError where one of them would fail.

    repeats: a chunk may have a member twice, as what is passed through has when upstream's has.
    """
    assert stream == b"" or stream.endswith(b"\n\n"), "the last event is cut"
    assert b"\r" not in stream
    reply = ChatReply()
    done = False
    for event in stream.split(b"\n\n")[:-1]:
        if event.startswith(b":"):
            assert b"\n" not in event
            reply.comments += 1
            continue
        assert event.startswith(b"data: "), event
        assert b"\n" not in event, event
        assert not done, "something after [DONE]"
        assert reply.error is None, "something after an error"
        data = event.removeprefix(b"data: ")
        if data == b"[DONE]":
            done = True
            continue
        _chunk(json.loads(data, object_pairs_hook=None if repeats else _unique), reply)
    if reply.error is None:
        assert done, "no [DONE]"
        assert reply.finish_reason is not None, "no finish_reason"
        if reply.finish_reason == "tool_calls":
            assert reply.calls
        if reply.finish_reason != "length":
            for call in reply.calls:
                assert call.type == "custom" or isinstance(json.loads(call.arguments), dict)
    else:
        assert not done, "a failed stream must not look complete"
    return reply


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs if name in OURS]
    assert len(names) == len(set(names)), f"a member is there twice: {pairs}"
    return dict(pairs)


def _chunk(chunk: dict[str, Any], reply: ChatReply) -> None:
    if "error" in chunk:
        assert set(chunk) == {"error"}
        assert set(chunk["error"]) == {"message", "type", "param", "code"}
        assert isinstance(chunk["error"]["message"], str)
        reply.error = chunk["error"]
        return
    assert chunk["object"] == "chat.completion.chunk"
    assert isinstance(chunk["created"], int)
    assert chunk["created"] > 0
    assert isinstance(chunk["id"], str)
    assert chunk["id"]
    assert isinstance(chunk["model"], str)
    assert chunk["model"]
    assert reply.id in {"", chunk["id"]}, "the id changed"
    assert reply.model in {"", chunk["model"]}, "the model changed"
    reply.id, reply.model = chunk["id"], chunk["model"]
    if not chunk["choices"]:
        assert reply.finish_reason is not None, "a chunk without choices before the finish"
        assert reply.usage is None or "usage" not in chunk
        assert isinstance(chunk["usage"]["prompt_tokens"], int)
        assert isinstance(chunk["usage"]["completion_tokens"], int)
        reply.usage = chunk["usage"]
        return
    assert len(chunk["choices"]) == 1
    assert reply.finish_reason is None, "a choice after the finish"
    _choice(chunk["choices"][0], reply)
    if chunk.get("usage") is not None:
        reply.usage = chunk["usage"]


def _choice(choice: dict[str, Any], reply: ChatReply) -> None:
    assert choice["index"] == 0
    assert "finish_reason" in choice
    delta = choice["delta"]
    assert isinstance(delta, dict)
    first = not hasattr(reply, "_spoken")
    if first:
        assert delta.get("role") == "assistant", "the first delta has no role"
        reply._spoken = True  # type: ignore[attr-defined]  # private to this judge
    else:
        assert "role" not in delta or delta["role"] is None, "the role is said twice"
    reply.text += delta.get("content") or ""
    thought = delta.get("reasoning_content") or delta.get("reasoning_text") or ""
    reply.thinking += thought
    reply.refusal += delta.get("refusal") or ""
    opaque = delta.get("reasoning_opaque") or ""
    reply.opaque += opaque
    reply.annotations += delta.get("annotations") or []
    for piece in delta.get("tool_calls") or ():
        _piece(piece, reply)
    if choice["finish_reason"] is not None:
        assert choice["finish_reason"] in FINISH_REASONS
        reply.finish_reason = choice["finish_reason"]


def _piece(piece: dict[str, Any], reply: ChatReply) -> None:
    index = piece["index"]
    if index == len(reply.calls):
        assert isinstance(piece["id"], str)
        assert piece["id"]
        assert piece["type"] in {"function", "custom"}
        body = piece[piece["type"]]
        text = body["arguments" if piece["type"] == "function" else "input"]
        assert body["name"]
        assert isinstance(text, str)
        reply.calls.append(ChatCall(piece["id"], piece["type"], body["name"], text))
        return
    assert 0 <= index < len(reply.calls), f"tool index {index} where {len(reply.calls)} was due"
    assert not piece.get("id"), "the id is said twice"
    call = reply.calls[index]
    body = piece[call.type]
    assert not body.get("name"), "the name is said twice"
    call.arguments += body["arguments" if call.type == "function" else "input"]
