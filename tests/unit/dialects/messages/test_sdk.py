"""Anthropic's own SDK reads what we write."""

import pytest

from core.canonical import (
    Citation,
    Opaque,
    Reply,
    ServerToolResult,
    ServerToolUse,
    Text,
    Thinking,
    ToolUse,
    Usage,
)
from core.dialects.messages import MESSAGES
from core.errors import GatewayError
from core.grammar import unfold
from tests.unit.dialects.messages.strategies import echo

httpx = pytest.importorskip("httpx2")
anthropic = pytest.importorskip("anthropic")

REPLY = Reply(
    id="x",
    model="up",
    content=(
        Thinking("hm", Opaque("messages", "sig")),
        Text("Grüße", citations=(Citation("https://a.b", "A"),)),
        ServerToolUse("srvtoolu_1", "web_search", '{"query":"q"}'),
        ServerToolResult("srvtoolu_1", "web_search", (Citation("https://a.b", "A"),)),
        ToolUse("toolu_1", "weather", '{"city":"Rome"}'),
    ),
    stop_reason="tool_use",
    usage=Usage(100, 7, 40, 10),
)


def client(status: int, body: bytes, kind: str) -> object:
    """Return an SDK client whose every request is answered with these bytes."""

    def answer(_request: object) -> object:
        return httpx.Response(status, content=body, headers={"content-type": kind})

    return anthropic.Anthropic(
        api_key="k",
        base_url="http://gateway",
        max_retries=0,
        http_client=httpx.Client(transport=httpx.MockTransport(answer)),
    )


def streamed() -> bytes:
    encoder = MESSAGES.encoder(echo())
    return b"".join(encoder.feed(event) for event in unfold(REPLY))


@pytest.fixture
def asked() -> dict[str, object]:
    return {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "q"}]}


def test_the_stream_helper_builds_the_complete_reply(asked: dict[str, object]) -> None:
    with client(200, MESSAGES.ping + streamed(), "text/event-stream").messages.stream(**asked) as stream:  # type: ignore[attr-defined]
        message = stream.get_final_message()
    whole = client(200, MESSAGES.encode_response(REPLY, echo()), "application/json").messages.create(**asked)  # type: ignore[attr-defined]
    assert message.content[-1].input == {"city": "Rome"}
    assert [block.type for block in message.content] == [block.type for block in whole.content]
    assert (message.stop_reason, message.model, message.usage.input_tokens) == ("tool_use", "asked", 50)
    assert message.usage.cache_read_input_tokens == whole.usage.cache_read_input_tokens == 40


def test_an_error_in_mid_stream_is_raised(asked: dict[str, object]) -> None:
    encoder = MESSAGES.encoder(echo())
    begun = b"".join(encoder.feed(event) for event in list(unfold(REPLY))[:2])
    body = begun + encoder.error(GatewayError("busy", kind="overloaded"))
    opened = client(200, body, "text/event-stream").messages.stream(**asked)  # type: ignore[attr-defined]
    with pytest.raises(anthropic.APIStatusError, match="busy"), opened as stream:
        stream.get_final_message()


def test_an_error_body_is_understood(asked: dict[str, object]) -> None:
    encoded = MESSAGES.encode_error(GatewayError("slow down", kind="rate_limit"))
    with pytest.raises(anthropic.RateLimitError, match="slow down"):
        client(encoded.status, encoded.body, "application/json").messages.create(**asked)  # type: ignore[attr-defined]
