"""The routes of stored responses over every state store, for callers with keys of their own."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from msgspec import structs
from werkzeug.test import TestResponse

from core.access.caller import Caller as KeyHolder
from core.ports import StateStore
from core.settings import Secret, Settings
from core.stored.archive import KIND
from handlers import create_app
from handlers.services import Services
from infra.local.services import build_services
from tests.contract.stores import Clock
from tests.emulators.copilot import FakeCopilot

TTL = 3600.0
SETTING = "COPILOT_GATEWAY_STORE_RESPONSES"
# Passed through; translated to messages; translated to chat.
MODELS = ["gpt-5.5", "claude-sonnet-4.6", "gpt-4.1"]
every_model = pytest.mark.parametrize("model", MODELS)
both_ways = pytest.mark.parametrize("stream", [False, True])


class Keys:
    """Two people with a key each."""

    def authenticate(self, presented: str) -> KeyHolder | None:
        name = {"key-of-ann": "ann", "key-of-bob": "bob"}.get(presented)
        return None if name is None else KeyHolder(name)


class Caller:
    """One key's holder."""

    def __init__(self, client: FlaskClient, key: str) -> None:
        self._client = client
        self._headers = {"Authorization": f"Bearer {key}", "Host": "127.0.0.1"}

    def call(self, method: str, path: str, body: object = None) -> TestResponse:
        given: dict[str, Any] = {} if body is None else {"json": body}
        return self._client.open(path, method=method, headers=self._headers, **given)

    def get(self, path: str) -> TestResponse:
        return self.call("GET", path)

    def ask(self, model: str, prompt: str, *, stream: bool = False, **members: object) -> dict[str, Any]:
        """Return the response object, of the terminal event in a stream."""
        answered = self.call(
            "POST", "/v1/responses", {"model": model, "input": prompt, "stream": stream, **members}
        )
        assert 200 == answered.status_code, answered.text
        return last_of(answered) if stream else answered.get_json()


def responses_of(answered: TestResponse) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in answered.text.splitlines() if line.startswith("data: ")]
    return [event["response"] for event in map(json.loads, lines) if "response" in event]


def last_of(answered: TestResponse) -> dict[str, Any]:
    return responses_of(answered)[-1]


def error_of(answered: TestResponse) -> tuple[int, str | None, str | None]:
    error = answered.get_json()["error"]
    return answered.status_code, error["param"], error["code"]


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeCopilot]:
    with FakeCopilot() as running:
        yield running


Build = Callable[..., Services]


@pytest.fixture
def build(fake: FakeCopilot, state: StateStore, clock: Clock, tmp_path: Path) -> Iterator[Build]:
    built: list[Services] = []

    def build(**settings: object) -> Services:
        chosen: dict[str, Any] = {
            "github_url": fake.github_url, "github_api_url": fake.api_url, "github_token": Secret(fake.token),
            "data_dir": str(tmp_path / "data"), "store_responses": True, "store_ttl": TTL, **settings,
        }  # fmt: skip
        made = structs.replace(build_services(Settings(**chosen)), state=state, now=clock, keys=Keys())
        built.append(made)
        return made

    yield build
    for services in built:
        services.copilot.transport.close()


def caller(services: Services, key: str = "key-of-ann") -> Caller:
    return Caller(create_app(services).test_client(), key)


@pytest.fixture
def ann(build: Build) -> Caller:
    return caller(build())


@pytest.fixture
def off(build: Build) -> Caller:
    return caller(build(store_responses=False))


# Kept and found


@every_model
@both_ways
def test_what_was_answered_can_be_read_again(ann: Caller, model: str, *, stream: bool) -> None:
    said = ann.ask(model, "[[say:hello]]", stream=stream)
    assert (True, None, "completed") == (said["store"], said["previous_response_id"], said["status"])
    found = ann.get(f"/v1/responses/{said['id']}?include=reasoning.encrypted_content")
    assert (200, said) == (found.status_code, found.get_json())
    assert "application/json" == found.mimetype


@every_model
@both_ways
def test_a_turn_continues_the_one_before(ann: Caller, model: str, *, stream: bool) -> None:
    first = ann.ask(model, "My name is Ada.", stream=stream)
    second = ann.ask(model, "What is my name?", stream=stream, previous_response_id=first["id"])
    third = ann.ask(model, "What is my name?", stream=stream, previous_response_id=second["id"])
    for said in (second, third):
        assert "Your name is Ada." == said["output"][-1]["content"][0]["text"]
    assert second["id"] == third["previous_response_id"]
    listed = ann.get(f"/v1/responses/{third['id']}/input_items?order=asc").get_json()
    roles = [item["role"] for item in listed["data"] if item["type"] == "message"]
    assert ["user", "assistant", "user", "assistant", "user"] == roles


@pytest.mark.parametrize("model", MODELS)
def test_every_event_of_a_stream_tells_the_truth(ann: Caller, model: str) -> None:
    first = ann.ask(model, "[[say:one]]")
    answered = ann.call(
        "POST",
        "/v1/responses",
        {"model": model, "input": "[[say:two]]", "stream": True, "previous_response_id": first["id"]},
    )
    seen = [(said["store"], said["previous_response_id"]) for said in responses_of(answered)]
    assert {(True, first["id"])} == set(seen)
    assert 3 == len(seen)


def test_a_refused_reply_in_a_stream_is_kept_as_failed(ann: Caller, fake: FakeCopilot) -> None:
    fake.set_modes("gpt-5.5", resp_failed_after_created=True)
    try:
        said = ann.ask("gpt-5.5", "Hi", stream=True)
    finally:
        fake.state.modes.clear()
    assert ("failed", True) == (said["status"], said["store"])
    assert "failed" == ann.get(f"/v1/responses/{said['id']}").get_json()["status"]


def test_reasoning_survives_from_turn_to_turn(ann: Caller, fake: FakeCopilot) -> None:
    reasoning = {"effort": "low", "summary": "auto"}
    first = ann.ask("gpt-5.5", "My name is Ada.", reasoning=reasoning)
    answered = ann.call(
        "POST",
        "/v1/responses",
        {
            "model": "gpt-5.5",
            "input": "What is my name?",
            "previous_response_id": first["id"],
            "reasoning": reasoning,
        },
    )
    assert "include" == answered.headers["x-gateway-repairs"]
    assert ["reasoning", "message"] == [item["type"] for item in first["output"]]
    sent = json.loads(fake.requests("/responses")[-1].body)["input"]
    assert ["message", "reasoning", "message", "message"] == [item["type"] for item in sent]
    assert first["output"][0]["encrypted_content"] == sent[1]["encrypted_content"]


@pytest.mark.parametrize("model", MODELS[1:])
@pytest.mark.parametrize("asked", [{}, {"store": True}, {"store": False}])
def test_what_is_kept_or_need_not_be_is_no_loss(
    ann: Caller, off: Caller, model: str, asked: dict[str, Any]
) -> None:
    for given in (ann, off) if not asked.get("store") else (ann,):
        answered = given.call("POST", "/v1/responses", {"model": model, "input": "Hi", **asked})
        assert 200 == answered.status_code
        assert "x-gateway-losses" not in answered.headers


def test_a_response_ends_with_its_time(ann: Caller, clock: Clock) -> None:
    said = ann.ask("gpt-4.1", "Hi")
    clock.time += TTL - 1
    assert 200 == ann.get(f"/responses/{said['id']}").status_code
    clock.time += 1
    assert 404 == ann.get(f"/responses/{said['id']}").status_code


def test_deleted_is_gone(ann: Caller) -> None:
    said = ann.ask("gpt-4.1", "Hi")
    path = f"/v1/responses/{said['id']}"
    assert {"id": said["id"], "object": "response.deleted", "deleted": True} == ann.call(
        "DELETE", path
    ).get_json()
    assert [404, 404, 404] == [
        answered.status_code
        for answered in (ann.call("DELETE", path), ann.get(path), ann.get(f"{path}/input_items"))
    ]


def test_another_key_finds_nothing(build: Build) -> None:
    services = build()
    ann, bob = caller(services), caller(services, "key-of-bob")
    said = ann.ask("gpt-4.1", "Hi")
    path = f"/v1/responses/{said['id']}"
    assert [404, 404, 404] == [
        answered.status_code
        for answered in (bob.get(path), bob.get(f"{path}/input_items"), bob.call("DELETE", path))
    ]
    continued = bob.call(
        "POST", "/v1/responses", {"model": "gpt-4.1", "input": "Hi", "previous_response_id": said["id"]}
    )
    assert (400, "previous_response_id", "previous_response_not_found") == error_of(continued)
    assert 200 == ann.get(path).status_code


# Not kept


@both_ways
def test_store_false_leaves_nothing_at_rest(ann: Caller, state: StateStore, *, stream: bool) -> None:
    said = ann.ask("gpt-5.5", "Hi", stream=stream, store=False)
    assert (False, 404, {}) == (
        said["store"],
        ann.get(f"/v1/responses/{said['id']}").status_code,
        state.entries(KIND),
    )


@every_model
@both_ways
def test_off_keeps_nothing_and_says_so_when_asked(
    off: Caller, state: StateStore, model: str, *, stream: bool
) -> None:
    answered = off.call(
        "POST", "/v1/responses", {"model": model, "input": "Hi", "stream": stream, "store": True}
    )
    said = last_of(answered) if stream else answered.get_json()
    assert (200, "store", False) == (
        answered.status_code,
        answered.headers["x-gateway-losses"],
        said["store"],
    )
    assert {} == state.entries(KIND)


@every_model
def test_off_refuses_to_continue_and_names_the_setting(off: Caller, model: str) -> None:
    answered = off.call(
        "POST", "/v1/responses", {"model": model, "input": "Hi", "previous_response_id": "resp_1"}
    )
    assert (400, "previous_response_id", "previous_response_not_found") == error_of(answered)
    assert SETTING in answered.text


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("GET", "/input_items"), ("DELETE", "")])
def test_off_has_nothing_to_show_and_names_the_setting(off: Caller, method: str, path: str) -> None:
    answered = off.call(method, f"/v1/responses/resp_1{path}")
    assert (400, None, "store_disabled") == error_of(answered)
    assert SETTING in answered.text


# Refused


@pytest.mark.parametrize("model", [*MODELS, "no-such-model"])
@both_ways
def test_an_unknown_id_is_refused(ann: Caller, model: str, *, stream: bool) -> None:
    answered = ann.call(
        "POST",
        "/v1/responses",
        {"model": model, "input": "Hi", "stream": stream, "previous_response_id": "resp_none"},
    )
    assert (400, "previous_response_id", "previous_response_not_found") == error_of(answered)
    assert "'resp_none'" in answered.text


@pytest.mark.parametrize(
    ("members", "param"), [({"background": True}, "background"), ({"conversation": "conv_1"}, "conversation")]
)
def test_background_and_conversations_are_refused(
    ann: Caller, off: Caller, members: dict[str, object], param: str
) -> None:
    for given in (ann, off):
        answered = given.call("POST", "/v1/responses", {"model": "gpt-4.1", "input": "Hi", **members})
        assert (400, param, "unsupported_feature") == error_of(answered)


def test_a_stored_response_is_not_streamed_again(ann: Caller) -> None:
    assert (400, "stream") == error_of(ann.get("/v1/responses/resp_1?stream=true"))[:2]
    assert 404 == ann.get("/v1/responses/resp_1?stream=false").status_code


def test_nothing_can_be_cancelled(ann: Caller) -> None:
    answered = ann.call("POST", "/v1/responses/resp_1/cancel", {})
    assert (400, None) == error_of(answered)[:2]
    assert "background" in answered.text


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "order=up", "after=msg_none"])
def test_a_page_that_cannot_be_is_refused(ann: Caller, query: str) -> None:
    said = ann.ask("gpt-4.1", "Hi")
    answered = ann.get(f"/v1/responses/{said['id']}/input_items?{query}")
    assert (400, query.partition("=")[0]) == error_of(answered)[:2]


@pytest.mark.parametrize("response_id", ["x" * 5000, "%00", "%ff", "..", "résp", "input_tokens"])
def test_any_id_is_only_not_found(ann: Caller, response_id: str) -> None:
    assert 404 == ann.get(f"/v1/responses/{response_id}").status_code


def test_a_conversation_may_not_outgrow_the_limit_of_a_body(build: Build) -> None:
    ann = caller(build(max_body_bytes=3000))
    said = ann.ask("gpt-4.1", "x" * 2000)
    answered = ann.call(
        "POST", "/v1/responses", {"model": "gpt-4.1", "input": "Hi", "previous_response_id": said["id"]}
    )
    assert 413 == answered.status_code


# Counting


@every_model
def test_an_input_is_counted_here(ann: Caller, off: Caller, model: str) -> None:
    counts: list[int] = []
    for given, text in ((ann, "Hi"), (off, "Hi"), (ann, "Hi " * 500)):
        answered = given.call("POST", "/v1/responses/input_tokens", {"model": model, "input": text})
        read = answered.get_json()
        assert ("response.input_tokens", "estimate") == (read["object"], answered.headers["x-gateway-count"])
        counts.append(read["input_tokens"])
    assert 1 < counts[0] == counts[1] < counts[2] - 400


def test_a_count_holds_the_conversation_before(ann: Caller) -> None:
    said = ann.ask("gpt-4.1", "word " * 300)
    asked = {"model": "gpt-4.1", "input": "Hi", "previous_response_id": said["id"]}
    assert ann.call("POST", "/v1/responses/input_tokens", asked).get_json()["input_tokens"] > 300


def test_a_count_of_nothing_is_refused(ann: Caller) -> None:
    assert 400 == ann.call("POST", "/v1/responses/input_tokens", {"model": "gpt-4.1"}).status_code
    assert 404 == ann.call("POST", "/v1/responses/input_tokens", {"model": "nope", "input": "a"}).status_code
