"""OpenAI's own SDK judges what a client would get; it raises on ids that change, items unannounced, missing members."""

from typing import Any

import openai
import pytest
from openai.types.responses import Response
from pydantic import BaseModel
from pytest_httpserver import HTTPServer

from core.canonical import (
    BlockCitation,
    BlockDelta,
    BlockOpaque,
    BlockStart,
    BlockStop,
    Citation,
    MessageStart,
    MessageStop,
    Opaque,
    ServerToolResult,
    ServerToolUse,
    StreamEvent,
    Text,
    Thinking,
    ToolUse,
    Usage,
)
from core.dialects.responses import RESPONSES
from core.errors import GatewayError
from core.grammar import fold
from tests.unit.dialects.responses.shapes import body, echo, encode_stream, relay
from tests.unit.dialects.responses.test_relay_stream import rotating

SOURCE = Citation("https://a.example", "A", start=0, end=3)
TOOL = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}, "strict": True}
EVENTS: list[StreamEvent] = [
    MessageStart("up", "m"),
    BlockStart(0, Thinking("")),
    BlockDelta(0, "hm"),
    BlockOpaque(0, Opaque("messages", "sig")),
    BlockStop(0),
    BlockStart(1, ServerToolUse("s", "web_search", '{"query":"q"}')),
    BlockStop(1),
    BlockStart(2, ServerToolResult("s", "web_search", (SOURCE,))),
    BlockStop(2),
    BlockStart(3, Text("")),
    BlockDelta(3, '{"answer"'),
    BlockDelta(3, ":42}"),
    BlockCitation(3, SOURCE),
    BlockStop(3),
    BlockStart(4, ToolUse("call_1", "f", "")),
    BlockDelta(4, '{"a":1}'),
    BlockStop(4),
    BlockStart(5, ToolUse("call_2", "patch", "*** Begin", custom=True)),
    BlockStop(5),
    MessageStop("tool_use", Usage(10, 5)),
]


class Answer(BaseModel):
    answer: int


@pytest.fixture
def client(httpserver: HTTPServer) -> openai.OpenAI:
    return openai.OpenAI(base_url=httpserver.url_for("/v1"), api_key="test", max_retries=0)


def serve(httpserver: HTTPServer, reply: bytes, content_type: str = "text/event-stream") -> None:
    httpserver.expect_request("/v1/responses").respond_with_data(reply, content_type=content_type)


def asked_echo() -> Any:
    raw = body(tools=[TOOL, {"type": "custom", "name": "patch"}], instructions="be brief", tool_choice="auto")
    return echo(RESPONSES.decode_request(raw))


def test_the_stream_helper_reads_every_block(client: openai.OpenAI, httpserver: HTTPServer) -> None:
    serve(httpserver, encode_stream(EVENTS, asked_echo()))
    with client.responses.stream(model="asked", input="hi", text_format=Answer, tools=[TOOL]) as stream:  # type: ignore[list-item]
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert final.output_parsed == Answer(answer=42)
    assert [item.type for item in final.output] == [
        "reasoning", "web_search_call", "message", "function_call", "custom_tool_call",
    ]  # fmt: skip


def test_the_strict_model_takes_every_response(client: openai.OpenAI, httpserver: HTTPServer) -> None:
    reply = RESPONSES.encode_response(fold(EVENTS), asked_echo())
    Response.model_validate_json(reply, strict=True)
    serve(httpserver, reply, "application/json")
    parsed = client.responses.parse(model="asked", input="hi", text_format=Answer)
    assert (parsed.output_parsed, parsed.model) == (Answer(answer=42), "asked")
    assert parsed.usage is not None
    assert parsed.usage.total_tokens == 15


def test_relayed_ids_satisfy_the_stream_helper(client: openai.OpenAI, httpserver: HTTPServer) -> None:
    """AC-59."""
    serve(httpserver, relay(rotating()))
    with client.responses.stream(model="asked", input="hi") as stream:
        assert stream.get_final_response().output_text == "Hello"


def test_a_failure_reaches_the_client_as_one(client: openai.OpenAI, httpserver: HTTPServer) -> None:
    encoder = RESPONSES.encoder(echo())
    broken = b"".join([encoder.feed(event) for event in EVENTS[:3]])
    serve(httpserver, broken + encoder.error(GatewayError("boom", kind="upstream")))
    last = list(client.responses.create(model="asked", input="hi", stream=True))[-1]
    assert last.type == "response.failed"
    assert last.response.error is not None
    assert last.response.error.message == "boom"
