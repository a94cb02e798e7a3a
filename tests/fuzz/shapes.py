"""Rich shapes beside the golden files: every kind of block, tool and member that a dialect knows, once."""

import json
from typing import Any, Final

from core.canonical import (
    Block,
    Citation,
    Compaction,
    Opaque,
    Refusal,
    Reply,
    ServerToolResult,
    ServerToolUse,
    StopReason,
    Text,
    Thinking,
    ToolUse,
    Usage,
)
from core.dialect import Dialect, Echo
from core.dialects.chat import CHAT
from core.dialects.messages import MESSAGES
from core.dialects.responses import RESPONSES
from core.grammar import unfold
from core.model import DialectName, Model
from core.opaque import seal
from tests.unit.dialects.messages.test_stream_decoder import RICH

BY_NAME: Final[dict[DialectName, Dialect]] = {"chat": CHAT, "messages": MESSAGES, "responses": RESPONSES}
SCOPE: Final = "acct"
MODELS: Final = (
    Model(
        id="gemini-up", vendor="Google", dialects=("chat",), max_output=64_000, vision=True, efforts=("low", "high"),
    ),
    Model(
        id="claude-up", vendor="Anthropic", dialects=("messages",), max_output=64_000, adaptive_thinking=True, thinking_budget=(1024, 32_000),
        efforts=("low", "medium", "high", "max"),
    ),
    Model(
        id="claude-old", vendor="Anthropic", dialects=("messages", "chat"), max_output=8_192, thinking_budget=(1024, 32_000), prefill=False,
    ),
    Model(
        id="gpt-up", vendor="OpenAI", dialects=("responses",), max_output=128_000, sampling=False, efforts=("none", "low", "medium", "high"),
        output_limit_name="max_completion_tokens",
    ),
    Model(id="gpt-both", vendor="OpenAI", dialects=("chat", "responses"), output_limit_name="max_completion_tokens", sampling=False),
    Model(id="embed-up", kind="embeddings", dialects=()),
    Model(id="off-up", policy="disabled"),
)  # fmt: skip
THOUGHT: Final = Opaque("responses", "gAAAA", "rs_1", SCOPE)
SEALED: Final = seal(THOUGHT, "chat")
SEALED_CLAUDE: Final = seal(Opaque("messages", "EqoB", scope=SCOPE), "chat")
CALL: Final = ToolUse("call_1", "get_weather", '{"city":"Köln","n":1}')


def echo(**members: Any) -> Echo:
    """Return an echo with countable ids."""
    count = iter(range(10**9))
    ready: dict[str, Any] = {
        "id": "abc",
        "model": "asked",
        "created": 1_763_846_400,
        "scope": SCOPE,
        "input_tokens": 9,
    }
    return Echo(new_id=lambda prefix: f"{prefix}{next(count)}", **{**ready, **members})


def _reply(*content: Block, stop: StopReason = "end_turn") -> Reply:
    return Reply(id="up_1", model="up", content=content, stop_reason=stop, usage=Usage(100, 7, 40, 3, 2, 5))


SPOKEN: Final = (
    _reply(Thinking("Hm.", Opaque("messages", "EqoB")), Text("Grüße"), CALL, ToolUse("call_2", "f", "{}"), stop="tool_use"),
    _reply(Text("a", (Citation("https://x/", "X", "x", 0, 1),)), Text("b"), stop="max_tokens"),
    _reply(Refusal("no"), stop="refusal"),
    _reply(Text("cut")),
)  # fmt: skip
SEARCHED: Final = _reply(
    ServerToolUse("ws_1", "web_search", '{"query":"q"}'),
    ServerToolResult("ws_1", "web_search", (Citation("https://x/", "X"),)),
    Text("so", (Citation("https://x/", "X", start=0, end=2),)),
)
OWN: Final = _reply(
    Thinking("Hm.", THOUGHT), Text("x", phase="commentary"), Compaction(THOUGHT), ToolUse("call_3", "patch", "***", custom=True), stop="tool_use"
)  # fmt: skip


def _streams(name: DialectName, replies: tuple[Reply, ...]) -> tuple[bytes, ...]:
    streams: list[bytes] = []
    for reply in replies:
        encoder = BY_NAME[name].encoder(echo(include_usage=True))
        streams.append(b"".join([encoder.feed(event) for event in unfold(reply)]) + encoder.close())
    return tuple(streams)


def _event(**members: Any) -> bytes:
    return b"data: " + json.dumps(members).encode() + b"\n\n"


def _chunk(*deltas: dict[str, Any], **members: Any) -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    return _event(id="c1", created=1_763_846_400, model="up", choices=choices, **members)


def _piece(index: int, text: str, **head: str) -> dict[str, Any]:
    name = {"name": head.pop("name")} if "name" in head else {}
    return {"index": index, **head, "function": {**name, "arguments": text}}


# What Copilot's chat does that our own encoder does not.
ODD_CHAT: Final = (
    _event(choices=[], created=0, id="", prompt_filter_results=[{"prompt_index": 0}])
    + _chunk(
        {"role": "assistant", "content": None, "reasoning_text": "Hm", "reasoning_opaque": "sig"}, usage=None
    )
    + _chunk({"content": "A"}, {"tool_calls": [_piece(0, '{"a"', id="t1", type="function", name="f")]})
    + _chunk({"tool_calls": [_piece(1, "{", id="t2", type="function", name="g")]})
    + _chunk({"tool_calls": [_piece(0, ":1}", id="t1"), _piece(1, "}", id="t2")]})
    + _chunk({"content": "late", "copilot_annotations": {}, "refusal": None})
    + b": keep-alive\n\n"
    + _event(
        id="c1", model="up", choices=[{"index": 0, "finish_reason": "tool_calls", "delta": {"content": ""}}]
    )
    + _event(id="c1", model="up", choices=[{"index": 1, "finish_reason": "stop", "delta": {}}])
    + _event(
        choices=[],
        usage={"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11, "prompt_tokens_details": None},
    )
    + b"data: [DONE]\n\n"
)
STREAMS: Final[dict[DialectName, tuple[bytes, ...]]] = {
    "chat": (ODD_CHAT, *_streams("chat", SPOKEN)),
    "messages": (RICH, *_streams("messages", (*SPOKEN, SEARCHED))),
    "responses": _streams("responses", (*SPOKEN, SEARCHED, OWN)),
}
REPLIES: Final[dict[DialectName, tuple[Any, ...]]] = {
    name: tuple(json.loads(dialect.encode_response(reply, echo())) for reply in spoken)
    for name, dialect, spoken in (
        ("chat", CHAT, SPOKEN),
        ("messages", MESSAGES, (*SPOKEN, SEARCHED)),
        ("responses", RESPONSES, (*SPOKEN, SEARCHED, OWN)),
    )
}

SCHEMA: Final = {
    "$schema": "x",
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
FORMAT: Final = {"name": "out", "schema": SCHEMA, "strict": True, "description": "d"}
LONG: Final = "mcp__" + "server_" * 9 + "tool"
REQUESTS: Final[dict[DialectName, tuple[Any, ...]]] = {
    "chat": (
        {
            "model": "gemini-up", "stream": True, "stream_options": {"include_usage": True}, "max_tokens": 100, "temperature": 0.5, "top_p": 1, "n": 1,
            "stop": ["END"], "seed": 1, "presence_penalty": 0.1, "frequency_penalty": 0.2, "user": "u", "parallel_tool_calls": True,
            "reasoning_effort": "high", "verbosity": "low", "logit_bias": {"5": 1}, "metadata": {"a": "b"}, "prediction": {"type": "content", "content": "x"},
            "messages": [
                {"role": "system", "content": "Be brief.", "name": "s"},
                {"role": "user", "content": [
                    {"type": "text", "text": "Look", "cache_control": {"type": "ephemeral"}},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,<png>", "detail": "low"}},
                    {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
                    {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
                ]},
                {"role": "assistant", "content": None, "reasoning_text": "Hm", "reasoning_opaque": "sig", "tool_calls": [
                    {"id": "t1", "type": "function", "function": {"name": LONG, "arguments": '{"city":"x"}'}},
                    {"id": "t2", "type": "custom", "custom": {"name": "patch", "input": "***"}},
                ]},
                {"role": "tool", "tool_call_id": "t1", "content": "cold"},
                {"role": "tool", "tool_call_id": "t2", "content": [{"type": "text", "text": "ok"}]},
                {"role": "developer", "content": "Mind."},
                {"role": "assistant", "content": [{"type": "text", "text": "Well"}, {"type": "refusal", "refusal": "no"}], "refusal": None},
                {"role": "user", "content": "Go on"},
            ],
            "tools": [
                {"type": "function", "function": {"name": LONG, "description": "d", "parameters": SCHEMA, "strict": True}},
                {"type": "custom", "custom": {"name": "patch", "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "s: x"}}}},
            ],
            "tool_choice": {"type": "function", "function": {"name": LONG}}, "response_format": {"type": "json_schema", "json_schema": FORMAT},
        },
        {
            "model": "claude-up", "messages": [
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": "b", "reasoning_opaque": SEALED_CLAUDE, "function_call": {"name": "f", "arguments": "{}"}},
                {"role": "function", "name": "f", "content": "r"}, {"role": "user", "content": "c"},
            ],
            "functions": [{"name": "f", "parameters": {}}], "function_call": "auto", "response_format": {"type": "json_object"},
        },
        {"model": "gpt-up", "messages": [{"role": "user", "content": "news?"}], "web_search_options": {"search_context_size": "low"}},
    ),
    "messages": (
        {
            "model": "claude-up", "max_tokens": 4096, "stream": True, "temperature": 1, "top_k": 5, "top_p": 0.9, "stop_sequences": ["END"],
            "metadata": {"user_id": "u" * 80}, "service_tier": "auto", "container": None, "mcp_servers": [],
            "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "scope": "global", "ttl": "1h"}}],
            "thinking": {"type": "enabled", "budget_tokens": 2048}, "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": SCHEMA}},
            "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
            "tools": [
                {"name": "get_weather", "description": "d", "input_schema": SCHEMA, "cache_control": {"type": "ephemeral"}, "eager_input_streaming": True},
                {"type": "custom", "name": LONG, "input_schema": {}}, {"type": "web_search_20250305", "name": "web_search", "max_uses": 3, "allowed_domains": ["x.y"]},
            ],
            "messages": [
                {"role": "user", "content": [
                    {"type": "text", "text": "Look"}, {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
                    {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}, "title": "T", "citations": {"enabled": True}},
                    {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "body"}, "context": "c"},
                    {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "part"}]}},
                    {"type": "search_result", "source": "https://x", "title": "X", "content": [{"type": "text", "text": "found"}], "citations": {"enabled": True}},
                ]},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "Hm", "signature": SEALED}, {"type": "redacted_thinking", "data": "zzz"},
                    {"type": "text", "text": "W", "citations": [{"type": "web_search_result_location", "url": "https://x", "title": "X", "encrypted_index": "e", "cited_text": "x"}]},
                    {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "q"}},
                    {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": [{"type": "web_search_result", "url": "https://x", "title": "X", "encrypted_content": "e"}]},
                    {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "x"}, "cache_control": {"type": "ephemeral"}},
                    {"type": "tool_use", "id": "toolu_2", "name": LONG, "input": {}},
                ]},
                {"role": "user", "content": [
                    {"type": "text", "text": "before"},
                    {"type": "tool_result", "tool_use_id": "toolu_1", "is_error": True, "content": [
                        {"type": "text", "text": "t", "cache_control": {"type": "ephemeral"}}, {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "<png>"}},
                        {"type": "tool_reference", "tool_name": "x"},
                    ]},
                    {"type": "tool_result", "tool_use_id": "toolu_2"}, {"type": "text", "text": "after"},
                ]},
            ],
        },
        {"model": "gpt-up", "max_tokens": 9, "system": "s", "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "I"}], "thinking": {"type": "adaptive"}},
        {"model": "gemini-up", "max_tokens": 9, "messages": [{"role": "user", "content": "news"}], "tools": [{"type": "web_search_20260209", "name": "web_search"}]},
    ),
    "responses": (
        {
            "model": "gpt-up", "instructions": "Be brief.", "stream": True, "store": False, "max_output_tokens": 512, "temperature": 1, "top_p": 1,
            "include": ["reasoning.encrypted_content"], "reasoning": {"effort": "low", "summary": "auto"}, "truncation": "disabled", "metadata": {"a": "b"},
            "text": {"verbosity": "low", "format": {"type": "json_schema", **FORMAT}}, "parallel_tool_calls": False, "prompt_cache_key": "k", "service_tier": "auto",
            "input": [
                {"role": "developer", "content": "rules"},
                {"type": "message", "role": "user", "content": [
                    {"type": "input_text", "text": "Look"}, {"type": "input_image", "image_url": "data:image/png;base64,<png>", "detail": "low"},
                    {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="},
                ]},
                {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm"}], "encrypted_content": SEALED_CLAUDE},
                {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "phase": "commentary", "content": [
                    {"type": "output_text", "text": "W", "annotations": [{"type": "url_citation", "url": "https://x", "title": "X", "start_index": 0, "end_index": 1}]},
                    {"type": "refusal", "refusal": "no"},
                ]},
                {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "get_weather", "arguments": '{"city":"x"}'},
                {"type": "function_call", "call_id": "c3", "name": "read", "namespace": "mcp", "arguments": ""},
                {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "***"},
                {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "cold"}, {"type": "input_image", "image_url": "data:image/png;base64,<png>"}]},
                {"type": "custom_tool_call_output", "call_id": "c2", "output": "ok"}, {"type": "function_call_output", "call_id": "c3", "output": ""},
                {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q", "sources": [{"type": "url", "url": "https://x"}]}},
                {"type": "compaction", "id": "cmp_1", "encrypted_content": "E"}, {"type": "item_reference", "id": "rs_1"}, {"type": "local_shell_call", "id": "l", "call_id": "c4"},
                {"role": "user", "content": "Go on"},
            ],
            "tools": [
                {"type": "function", "name": "get_weather", "description": "d", "parameters": SCHEMA, "strict": True},
                {"type": "namespace", "name": "mcp", "description": "n", "tools": [{"type": "function", "name": "read", "parameters": {}}]},
                {"type": "custom", "name": "patch", "format": {"type": "grammar", "syntax": "lark", "definition": "s: x"}},
                {"type": "web_search", "filters": {"allowed_domains": ["x.y"]}}, {"type": "local_shell"},
            ],
            "tool_choice": {"type": "function", "name": "get_weather"},
        },
        {"model": "claude-up", "input": "hi", "max_output_tokens": 64, "text": {"format": {"type": "json_object"}}, "stop": ["x"]},
        {"model": "gemini-up", "input": "news", "tools": [{"type": "web_search"}], "tool_choice": "required"},
    ),
}  # fmt: skip
