"""The checks of a Copilot call, each seen before the next, and the models."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.emulators.calling import PNG, SAY, Caller
from tests.emulators.copilot import BUSINESS_TOKEN, DEMO_TOKEN, FakeCopilot

CHAT = {"model": "gpt-4.1", "messages": SAY}
IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}


@pytest.fixture
def fake() -> Iterator[FakeCopilot]:
    with FakeCopilot() as running:
        yield running


def test_checks_refuse_in_the_order_of_the_real_front(fake: FakeCopilot) -> None:
    """Every step mends one fault of a request that has them all."""
    bad: dict[str, Any] = {"model": "nope", "messages": [], "padding": "x" * 500}
    fake.state.body_limit = 400
    fake.account.quota_code = "quota_exceeded"
    caller = Caller(fake, fake.business_url)
    token = caller.headers["Authorization"]
    caller.headers = {}

    def fault(path: str = "/v2/nowhere", body: object = bad) -> tuple[int, str]:
        answer = caller.post(path, body)
        assert answer.headers["content-type"].startswith("text/plain")
        return answer.status, answer.text

    assert fault() == (400, "bad request: missing Authorization header\n")
    caller.headers["Authorization"] = "Bearer nonsense"
    assert fault() == (401, "unauthorized: invalid token\n")
    caller.headers["Authorization"] = token
    assert fault() == (400, "bad request: missing Editor-Version header for IDE auth\n")
    caller.headers["Editor-Version"] = "nonsense"
    assert fault() == (400, "bad request: unknown Editor-Version header for IDE auth\n")
    caller.headers["Editor-Version"] = "vscode/1.105.0"
    assert fault()[0] == 403
    caller.headers["Copilot-Integration-Id"] = "vscode-chat"
    assert fault() == (421, "Misdirected Request")
    caller.base = fake.capi_url
    assert fault()[0] == 402
    fake.account.quota_code = None
    assert fault() == (413, "Request Entity Too Large\n")
    fake.state.body_limit = 10_000
    assert fault() == (404, "404 page not found\n")
    assert '"code":"model_not_supported"' in fault("/chat/completions")[1]
    unseen = {"role": "user", "content": [IMAGE]}
    assert (
        "Copilot-Vision-Request" in fault("/chat/completions", {"model": "gpt-4.1", "messages": [unseen]})[1]
    )
    caller.headers["Copilot-Vision-Request"] = "true"
    assert "at least one message" in fault("/chat/completions", {"model": "gpt-4.1", "messages": []})[1]
    assert caller.chat().status == 200


def test_an_expired_token_is_told_apart(fake: FakeCopilot) -> None:
    caller = Caller(fake)
    fake.clock.advance(1801)
    assert (401, "unauthorized: token expired\n") == (caller.chat().status, caller.chat().text)


def test_raw_oauth_tokens_need_no_editor_but_see_no_preview_models(fake: FakeCopilot) -> None:
    caller = Caller(fake)
    assert caller.responses("gpt-6-astra").status == 200
    caller.headers = {"Authorization": f"Bearer {DEMO_TOKEN}"}
    assert caller.chat().status == 200
    assert caller.responses("gpt-6-astra").json["error"]["code"] == "model_not_supported"


def test_accounts_of_another_host_are_served_there(fake: FakeCopilot) -> None:
    caller = Caller(fake, fake.business_url)
    caller.headers["Authorization"] = f"Bearer {fake.session_token(BUSINESS_TOKEN)}"
    assert caller.chat().status == 200


def test_rate_limits_carry_their_code_and_retry_after(fake: FakeCopilot) -> None:
    fake.account.rate_limit_code, fake.account.retry_after = "user_global_rate_limited:pro", "7"
    answer = Caller(fake).chat()
    assert (429, "7", "user_global_rate_limited:pro") == (
        answer.status,
        answer.headers["retry-after"],
        answer.json["error"]["code"],
    )


def test_forced_answers_hit_the_nth_call_only(fake: FakeCopilot) -> None:
    fake.force("POST", "/chat/completions", 500, "boom", nth=2)
    fake.force(
        "POST", "/chat/completions", 429, {"error": {"code": "x"}}, headers={"retry-after": "3"}, nth=3
    )
    caller = Caller(fake)
    answers = [caller.chat() for _ in range(4)]
    assert [200, 500, 429, 200] == [answer.status for answer in answers]
    assert ("boom", "3") == (answers[1].text, answers[2].headers["retry-after"])


def test_success_carries_the_ids_and_the_quota(fake: FakeCopilot) -> None:
    answer = Caller(fake).post("/chat/completions", CHAT, x_request_id="mine")
    assert (answer.headers["x-request-id"], "x-github-request-id" in answer.headers) == ("mine", True)
    assert answer.headers["x-quota-snapshot-premium_interactions"].startswith("ent=300&")


def test_the_refusal_of_a_model_is_json_in_plain_text(fake: FakeCopilot) -> None:
    answer = Caller(fake).chat("gpt-9")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.json["error"] == {
        "message": "The requested model is not supported.",
        "code": "model_not_supported",
        "param": "model",
        "type": "invalid_request_error",
    }


@pytest.mark.parametrize(
    ("model", "path"),
    [("gpt-5.5", "/chat/completions"), ("claude-haiku-4.5", "/v1/messages"), ("gpt-4o", "/responses")],
)
def test_a_model_answers_only_where_it_is_offered(fake: FakeCopilot, model: str, path: str) -> None:
    answer = Caller(fake).post(path, {"model": model})
    assert (400, "model_not_supported") == (answer.status, answer.json["error"]["code"])


def test_a_policy_must_be_accepted_first(fake: FakeCopilot) -> None:
    caller = Caller(fake)
    assert caller.chat("grok-4.6").status == 400
    assert caller.post("/models/grok-4.6/policy", {"state": "enabled"}).status == 200
    assert caller.chat("grok-4.6").status == 200


def test_the_catalogue_has_one_of_every_kind_and_broken_entries(fake: FakeCopilot) -> None:
    entries = Caller(fake).get("/models", X_GitHub_Api_Version="2026-01-09").json["data"]
    by_id = {entry["id"]: entry for entry in entries if isinstance(entry.get("id"), str)}
    assert len(entries) == len(by_id) + 2
    assert "supported_endpoints" not in by_id["gpt-4o"]
    assert by_id["grok-4.6"]["policy"]["state"] == "unconfigured"
    assert by_id["text-embedding-3-small"]["capabilities"]["limits"] == {"max_inputs": 512}
    assert "warning_messages" not in by_id["gpt-4.1"]
    assert (
        "warning_messages" in Caller(fake).get("/models", X_GitHub_Api_Version="2024-01-01").json["data"][0]
    )


def test_nested_images_need_the_vision_header_on_every_path(fake: FakeCopilot) -> None:
    caller = Caller(fake)
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "image", "source": source}]}
    turns = [
        {"role": "user", "content": "look"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "look", "input": {}}]},
        {"role": "user", "content": [result]},
    ]
    url = f"data:image/png;base64,{PNG}"
    output = [
        {"role": "user", "content": "look"},
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
        {
            "type": "function_call_output",
            "call_id": "c1",
            "output": [{"type": "input_image", "image_url": url}],
        },
    ]
    assert [400, 400] == [caller.messages(messages=turns).status, caller.responses(told=output).status]
    caller.headers["copilot-vision-request"] = "true"
    assert "[image/png of 70 bytes, 1x1]" in caller.messages(messages=turns).text
    assert caller.responses(told=output).status == 200


def test_blind_models_and_foreign_images_are_refused(fake: FakeCopilot) -> None:
    caller = Caller(fake)
    caller.headers["Copilot-Vision-Request"] = "true"
    message = {"role": "user", "content": [IMAGE]}
    assert "not supported by this model" in caller.chat("kimi-k3", [message]).text
    elsewhere = {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}
    foreign = caller.chat(messages=[{"role": "user", "content": [elsewhere]}])
    assert foreign.json == {"error": {"message": "external image URLs are not supported", "code": ""}}
    seen = caller.chat(messages=[message]).json["choices"][0]["message"]["content"]
    assert "image/png of 70 bytes (1x1)" in seen


def test_embeddings_take_arrays_within_the_batch_limit(fake: FakeCopilot) -> None:
    caller = Caller(fake)

    def embed(given: object, **fields: object) -> Any:
        return caller.post("/embeddings", {"model": "text-embedding-3-small", "input": given, **fields})

    assert (400, "Bad Request\n") == (embed("text").status, embed("text").text)
    assert embed(["a"] * 513).status == 400
    answer = embed(["a", "b", "a"], dimensions=4).json
    assert {"data", "usage"} == set(answer)
    first, second, third = (entry["embedding"] for entry in answer["data"])
    assert (4, first, True) == (len(first), third, first != second)
    assert embed([[1, 2, 3]]).json["usage"]["prompt_tokens"] == 3


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b"null", b'"x"', b'{"model":"gpt-4.1","messages":"x"}', b"\xff\xfe", b"[" * 5000],
)
def test_bytes_of_any_kind_get_a_4xx(fake: FakeCopilot, raw: bytes) -> None:
    for path in ("/chat/completions", "/responses", "/v1/messages", "/embeddings"):
        assert Caller(fake).post(path, raw).status == 400


def test_auto_sessions_are_opened_and_judged(fake: FakeCopilot) -> None:
    caller = Caller(fake)
    opened = caller.post("/models/session", {"auto_mode": {"model_hints": ["auto"]}}).json
    assert opened["selected_model"] in opened["available_models"]
    assert caller.post("/models/session/intent", {"prompt": "hi"}).json["predicted_label"] == "no_reasoning"
    assert (200, "OK") == (caller.get("/_ping").status, caller.get("/_ping").text)
