"""What upstream can do to a request, seen from the client, in every cell of surfaces and dialects."""

import json
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

from core.settings import Secret
from tests.e2e.asking import PATH, SURFACES, UPSTREAM_PATH, ask, error_of, read_reply, read_stream
from tests.e2e.conftest import Host
from tests.e2e.hosting import ONLY_MESSAGES, PATIENCE, Wire
from tests.e2e.upstream import Step, Upstream
from tests.emulators.copilot import BUSINESS_TOKEN, FakeCopilot

MODEL = {"chat": "gpt-4.1", "messages": ONLY_MESSAGES, "responses": "gpt-5.5"}
CELLS = [(surface, upstream) for upstream in MODEL for surface in SURFACES]
every_cell = pytest.mark.parametrize(
    ("surface", "upstream"), CELLS, ids=[f"{upstream}_to_{surface}" for surface, upstream in CELLS]
)
either_way = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
every_surface = pytest.mark.parametrize("surface", SURFACES)
EXCHANGE = "/copilot_internal/v2/token"


@every_cell
@pytest.mark.parametrize("at", [0, 1, 400, 1500])
@pytest.mark.parametrize("reset", [False, True])
def test_stream_that_upstream_cuts_ends_in_an_error(
    gateway: Wire, fake: FakeCopilot, surface: str, upstream: str, at: int, *, reset: bool
) -> None:
    """AC-05: no invented success, exactly one terminal event, what was said before is kept."""
    fake.set_modes("*", cut_after_n_bytes=at, cut_with_reset=reset)
    answer = gateway.post(PATH[surface], ask(surface, MODEL[upstream], "[[words:300]]", stream=True))
    if answer.status == 200:
        told = read_stream(surface, answer.body)
        assert told.stop == "error"
        assert " ".join(f"word{n}" for n in range(300)).startswith(told.text)
    else:
        assert 502 == answer.status
        error_of(surface, answer.body)


@every_cell
def test_complete_reply_of_a_cut_upstream_is_a_502(
    gateway: Wire, fake: FakeCopilot, surface: str, upstream: str
) -> None:
    """AC-05."""
    fake.set_modes("*", cut_after_n_bytes=200)
    answer = gateway.post(PATH[surface], ask(surface, MODEL[upstream], "[[words:300]]"))
    assert 502 == answer.status
    error_of(surface, answer.body)


def expire(fake: FakeCopilot) -> None:
    """End the token that was used last, and no other gateway's."""
    fake.state.expire_sessions(fake.log[-1].headers["authorization"].removeprefix("Bearer "))


@every_cell
@either_way
def test_session_that_expires_is_healed_by_one_exchange_and_one_retry(
    fake: FakeCopilot, host: Host, surface: str, upstream: str, *, stream: bool
) -> None:
    """A gateway of its own: forced renewals are limited to a few a minute."""
    asked = ask(surface, MODEL[upstream], "[[say:fine]]", stream=stream)
    wire = Wire(host().url)
    assert wire.post(PATH[surface], asked).status == 200
    expire(fake)
    fake.clear_log()
    answer = wire.post(PATH[surface], asked)
    assert "fine" == (read_stream if stream else read_reply)(surface, answer.body).text.strip()
    assert [1, 2] == [len(fake.requests(path)) for path in (EXCHANGE, UPSTREAM_PATH[upstream])]
    assert ["user", "user"] == [
        entry.headers["x-initiator"] for entry in fake.requests(UPSTREAM_PATH[upstream])
    ]


@every_cell
@either_way
def test_rate_limit_is_a_real_429_with_its_hint(
    gateway: Wire, fake: FakeCopilot, surface: str, upstream: str, *, stream: bool
) -> None:
    """AC-48, AC-49."""
    fake.account.rate_limit_code, fake.account.retry_after = "user_model_rate_limited", "17"
    answer = gateway.post(PATH[surface], ask(surface, MODEL[upstream], "hi", stream=stream))
    assert (429, "17", "application/json") == (
        answer.status, answer.headers["retry-after"], answer.headers["content-type"],
    )  # fmt: skip
    assert error_of(surface, answer.body)["type"].startswith("rate_limit")
    assert answer.headers["request-id"] == answer.headers["x-request-id"]
    assert answer.headers["x-github-request-id"].startswith("FAKE:")
    assert len(fake.requests(UPSTREAM_PATH[upstream])) == 1


REFUSALS: dict[str, tuple[int, object, dict[str, int]]] = {
    # status and body of upstream; the status that each surface shows
    "backend 400": (400, {"message": "messages: unhappy"}, {"chat": 400, "messages": 400, "responses": 400}),
    "quota": (402, {"error": {"message": "You have no quota", "code": "quota_exceeded"}}, {"chat": 429, "messages": 402, "responses": 429}),
    "terms": (403, {"error": {"message": "You violated the Terms of Service"}}, {"chat": 403, "messages": 403, "responses": 403}),
    "too large": (413, "Request Entity Too Large\n", {"chat": 413, "messages": 413, "responses": 413}),
    "filtered": (422, {"error": {"message": "filtered", "code": "content_filter"}}, {"chat": 400, "messages": 400, "responses": 400}),
    "web page": (500, "<!doctype html><html><title>Unicorn!</title><script>alert(1)</script></html>", {"chat": 502, "messages": 502, "responses": 502}),
    "bad gateway": (502, "", {"chat": 502, "messages": 502, "responses": 502}),
    "busy": (503, "upstream connect error", {"chat": 503, "messages": 529, "responses": 503}),
    "html success": (200, "<html><title>Sign in</title></html>", {"chat": 502, "messages": 502, "responses": 502}),
}  # fmt: skip


@every_cell
@pytest.mark.parametrize("refusal", REFUSALS)
@either_way
def test_refusal_of_upstream_keeps_its_meaning(
    gateway: Wire, fake: FakeCopilot, surface: str, upstream: str, refusal: str, *, stream: bool
) -> None:
    """AC-50."""
    status, body, shown = REFUSALS[refusal]
    fake.force("POST", UPSTREAM_PATH[upstream], status, body, times=0)
    answer = gateway.post(PATH[surface], ask(surface, MODEL[upstream], "hi", stream=stream))
    if refusal == "html success" and stream and answer.status == 200:
        assert read_stream(surface, answer.body).stop == "error"
        return
    assert shown[surface] == answer.status, answer.text
    assert "<" not in error_of(surface, answer.body)["message"]
    if refusal in {"quota", "terms"}:
        assert answer.headers["x-should-retry"] == "false"
        assert len(fake.requests(UPSTREAM_PATH[upstream])) == 1


@pytest.mark.parametrize(("seconds", "said"), [("300", None), ("301", "false")])
def test_a_client_is_not_made_to_wait_for_long(
    gateway: Wire, fake: FakeCopilot, seconds: str, said: str | None
) -> None:
    """Both vendors' SDKs would sleep."""
    fake.account.rate_limit_code, fake.account.retry_after = "user_model_rate_limited", seconds
    answer = gateway.post(PATH["chat"], ask("chat", "gpt-4.1", "hi"))
    assert (429, seconds, said) == (
        answer.status, answer.headers["retry-after"], answer.headers.get("x-should-retry"),
    )  # fmt: skip


def test_blocked_account_is_not_asked_again(gateway: Wire, fake: FakeCopilot) -> None:
    fake.force(
        "POST",
        "/chat/completions",
        403,
        {"error": {"message": "blocked", "code": "extension_blocked"}},
        times=0,
    )
    answer = gateway.post(PATH["chat"], ask("chat", "gpt-4.1", "hi"))
    assert (403, 1, 0) == (
        answer.status,
        len(fake.requests("/chat/completions")),
        len(fake.requests(EXCHANGE)),
    )


@every_surface
@either_way
def test_account_that_moved_to_another_host_is_followed(
    fake: FakeCopilot, host: Host, surface: str, *, stream: bool
) -> None:
    """Copilot answers 421 at the old host; the exchange names the new one."""
    wire = Wire(host().url)
    assert wire.post(PATH[surface], ask(surface, "gpt-4.1", "hi", stream=stream)).status == 200
    fake.account.host = "business"
    answer = wire.post(PATH[surface], ask(surface, "gpt-4.1", "[[say:moved]]", stream=stream))
    assert "moved" == (read_stream if stream else read_reply)(surface, answer.body).text
    assert ["individual", "individual", "business"] == [
        entry.host for entry in fake.requests("/chat/completions")
    ]


def test_business_seat_is_served_without_any_setting(fake: FakeCopilot, host: Host) -> None:
    gateway = host(github_token=Secret(BUSINESS_TOKEN))
    assert Wire(gateway.url).post(PATH["chat"], ask("chat", "gpt-4.1", "hi")).status == 200
    assert ["business"] == [entry.host for entry in fake.requests("/chat/completions")]


@every_cell
@either_way
def test_context_overflow_is_phrased_so_that_agents_compact(
    gateway: Wire, fake: FakeCopilot, surface: str, upstream: str, *, stream: bool
) -> None:
    limits = next(entry for entry in fake.models if entry.get("id") == MODEL[upstream])["capabilities"][
        "limits"
    ]
    limits["max_prompt_tokens"] = 50
    answer = gateway.post(PATH[surface], ask(surface, MODEL[upstream], "word " * 400, stream=stream))
    error = error_of(surface, answer.body)
    assert 400 == answer.status
    if surface == "messages":
        assert error["type"] == "invalid_request_error"
        assert error["message"].startswith("prompt is too long: ")
        assert error["message"].endswith(" tokens > 50 maximum")
    else:
        assert (error["code"], "maximum context length is 50 tokens" in error["message"]) == (
            "context_length_exceeded", True,
        )  # fmt: skip


@every_surface
@either_way
def test_revoked_login_is_a_403_that_names_the_remedy(
    fake: FakeCopilot, host: Host, surface: str, *, stream: bool
) -> None:
    wire = Wire(host().url)
    assert wire.post(PATH[surface], ask(surface, "gpt-4.1", "hi")).status == 200
    fake.account.revoked = True
    expire(fake)
    answer = wire.post(PATH[surface], ask(surface, "gpt-4.1", "hi", stream=stream))
    assert (403, True) == (answer.status, "copilot-gateway auth" in error_of(surface, answer.body)["message"])


ERROR_MODES: dict[str, dict[str, Any]] = {
    "chat": {"chat_error_midstream": True},
    "messages": {"msg_error_event": True},
    "responses": {"resp_error_event": True},
}


@every_cell
def test_error_that_upstream_sends_mid_stream_is_passed_on_once(
    gateway: Wire, fake: FakeCopilot, surface: str, upstream: str
) -> None:
    """AC-08."""
    fake.set_modes("*", **ERROR_MODES[upstream])
    answer = gateway.post(PATH[surface], ask(surface, MODEL[upstream], "[[words:30]]", stream=True))
    assert (200, "error") == (answer.status, read_stream(surface, answer.body).stop)
    whole = gateway.post(PATH[surface], ask(surface, MODEL[upstream], "[[words:30]]"))
    if not (surface == upstream and whole.status == 200):  # a complete reply has no middle
        assert whole.status >= 500
        error_of(surface, whole.body)


ENDS: dict[tuple[str, ...], str] = {
    ("chat_no_done",): "stop",
    # Copilot's Claude-on-chat leaves the reason out now and then, yet says `[DONE]`.
    ("chat_no_finish",): "stop",
    ("chat_no_finish", "chat_no_done"): "error",
    ("chat_bare_error_at_end",): "error",
}


@pytest.mark.parametrize("modes", ENDS, ids="+".join)
@every_surface
def test_chat_upstream_without_a_proper_end(
    gateway: Wire, fake: FakeCopilot, surface: str, modes: tuple[str, ...]
) -> None:
    """AC-05: one of reason and `[DONE]` may be missing, not both."""
    fake.set_modes("*", **dict.fromkeys(modes, True))
    answer = gateway.post(PATH[surface], ask(surface, "gpt-4.1", "[[words:30]]", stream=True))
    assert ENDS[modes] == read_stream(surface, answer.body).stop


@every_surface
def test_failed_response_is_an_error(gateway: Wire, fake: FakeCopilot, surface: str) -> None:
    fake.set_modes("gpt-5.5", resp_failed_after_created=True)
    answer = gateway.post(PATH[surface], ask(surface, "gpt-5.5", "hi", stream=True))
    assert "error" == read_stream(surface, answer.body).stop


@every_surface
@either_way
def test_truncated_tool_call_is_never_completed_by_invention(
    gateway: Wire, fake: FakeCopilot, surface: str, *, stream: bool
) -> None:
    """AC-19: cut off by the output limit, so no invented arguments."""
    call = {
        "index": 0,
        "id": "call_1",
        "type": "function",
        "function": {"name": "get_weather", "arguments": '{"city": "Par'},
    }
    frame = {"id": "c1", "created": 1, "model": "gpt-4.1", "object": "chat.completion.chunk"}
    chunks = [
        {**frame, "choices": [{"index": 0, "delta": {"role": "assistant", "tool_calls": [call]}}]},
        {**frame, "choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]},
    ]
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    if surface == "chat" and not stream:
        body: Any = {
            **frame,
            "object": "chat.completion",
            "usage": {},
            "choices": [{"index": 0, "message": message, "finish_reason": "length"}],
        }
        fake.force("POST", "/chat/completions", 200, body)
    else:
        pieces = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks] + ["data: [DONE]\n\n"]
        fake.force("POST", "/chat/completions", 200, content_type="text/event-stream", pieces=pieces)
    answer = gateway.post(PATH[surface], ask(surface, "gpt-4.1", "weather?", stream=stream, tools=True))
    told = (read_stream if stream else read_reply)(surface, answer.body)
    # What was streamed or passed through stands as it is; `length` tells every client not to run it.
    assert "length" == told.stop
    assert told.calls == [] or (
        (stream or surface == "chat") and told.calls == [("get_weather", '{"city": "Par')]
    )


# Clients that leave before there is an answer to write to


def asking(gateway: Wire, path: str, body: dict[str, Any]) -> socket.socket:
    """Send a request and return without an answer."""
    at, raw = urlsplit(gateway.url), json.dumps(body).encode()
    connection = socket.create_connection((str(at.hostname), at.port or 80), PATIENCE)
    head = f"POST {path} HTTP/1.1\r\nhost: {at.netloc}\r\ncontent-type: application/json\r\ncontent-length: {len(raw)}\r\n\r\n"
    connection.sendall(head.encode() + raw)
    return connection


HALF = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n{"


@every_surface
@pytest.mark.parametrize("script", [[Step.WATCH], [HALF, Step.WATCH]], ids=["no head", "half a body"])
def test_upstream_learns_that_the_client_of_a_complete_reply_left(
    scripted: Wire, upstream: Upstream, surface: str, script: list[bytes | Step]
) -> None:
    """Nobody pays for an answer that nobody reads."""
    exchange = upstream.play(*script)
    with asking(scripted, PATH[surface], ask(surface, "gpt-4.1", "hi")):
        assert exchange.asked.wait(PATIENCE)
    assert exchange.wait_until_left()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/embeddings", {"model": "text-embedding-3-small", "input": "hi"}),
        ("/v1/messages/count_tokens", {"model": "claude-sonnet-4.6", "messages": [{"role": "user", "content": "hi"}]}),
    ],
    ids=["embeddings", "count_tokens"],
)  # fmt: skip
def test_upstream_learns_that_the_client_of_a_small_answer_left(
    scripted: Wire, upstream: Upstream, path: str, body: dict[str, Any]
) -> None:
    exchange = upstream.play(Step.WATCH)
    with asking(scripted, path, body):
        assert exchange.asked.wait(PATIENCE)
    assert exchange.wait_until_left()
