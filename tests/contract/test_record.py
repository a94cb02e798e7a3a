"""One record for each request, whole, after the last byte: on both local servers and on Lambda."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import pytest

from tests.contract.recording import ADDRESS, Records, serving
from tests.e2e.asking import PATH, SURFACES, ask
from tests.e2e.hosting import ONLY_MESSAGES, PATIENCE, Open, Wire, environ_for, new_fake
from tests.e2e.upstream import END, STREAM, Step, Upstream, chunk
from tests.emulators.copilot import DEMO_TOKEN, FakeCopilot
from tests.emulators.copilot.state import Account
from tests.emulators.runtime_api import Lambda

MODEL = {"chat": "gpt-4.1", "messages": ONLY_MESSAGES, "responses": "gpt-5.5"}
every_cell = pytest.mark.parametrize(
    ("surface", "upstream"),
    [(surface, upstream) for upstream in MODEL for surface in SURFACES],
    ids=[f"{upstream}_to_{surface}" for upstream in MODEL for surface in SURFACES],
)
every_surface = pytest.mark.parametrize("surface", SURFACES)
either_way = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
ON_LAMBDA = pytest.param(
    "lambda", marks=pytest.mark.skipif(find_spec("awslambdaric") is None, reason="AWS's loop is for Linux")
)
on_waitress = pytest.mark.parametrize("server", ["serve"], indirect=True)


@dataclass
class Recorded:
    """A gateway and the records that it tells."""

    wire: Wire
    records: Records

    def post(self, path: str, body: object, **headers: str | None) -> tuple[Any, dict[str, Any]]:
        """Send one request; return its answer and its one record."""
        answer = self.wire.post(path, body, **headers)
        return answer, self.records.next()

    def open(self, body: object, path: str = PATH["chat"]) -> Open:
        return self.wire.open("POST", path, body)


@pytest.fixture(scope="module")
def one_fake() -> Iterator[FakeCopilot]:
    fake = new_fake()
    yield fake
    fake.stop()


@pytest.fixture
def fake(one_fake: FakeCopilot) -> Iterator[FakeCopilot]:
    yield one_fake
    one_fake.state.modes.clear()
    fresh = Account(DEMO_TOKEN)
    for name in Account.__slots__:
        setattr(one_fake.account, name, getattr(fresh, name))


@pytest.fixture(scope="module")
def scripted() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def records() -> Iterator[Records]:
    with Records() as told:
        yield told


def start(server: str, environ: dict[str, str], records: Records) -> Iterator[Wire]:
    environ = {**environ, ADDRESS: records.address}
    if server == "lambda":
        with Lambda("tests.contract.recording.handler", environ) as function:
            yield Wire(function.url, {"x-api-key": "the-key"})
    else:
        with serving(server, environ) as url:
            yield Wire(url, {"x-api-key": "the-key"})


@pytest.fixture(scope="module", params=["serve", "serve_dev", ON_LAMBDA])
def server(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def healthy_wire(
    server: str, one_fake: FakeCopilot, records: Records, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Wire]:
    data = tmp_path_factory.mktemp("healthy")
    environ = environ_for(one_fake, data, api_key="the-key", breaker_refusals=0, commit_after=PATIENCE)
    yield from start(server, environ, records)


@pytest.fixture(scope="module")
def scripted_wire(
    server: str, one_fake: FakeCopilot, scripted: Upstream, records: Records, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Wire]:  # fmt: skip
    data = tmp_path_factory.mktemp("scripted")
    environ = environ_for(
        one_fake, data, api_key="the-key", copilot_url=scripted.url, commit_after=0.05, heartbeat=0.05
    )
    yield from start(server, environ, records)


def alone(wire: Wire, records: Records) -> Iterator[Recorded]:
    """Yield the gateway; no record but those that the test took may come."""
    yield Recorded(wire, records)
    wire.get("/healthz")
    assert "GET /healthz" == records.next()["route"]


@pytest.fixture
def gateway(healthy_wire: Wire, fake: FakeCopilot, records: Records) -> Iterator[Recorded]:
    yield from alone(healthy_wire, records)


@pytest.fixture
def cut_off(scripted_wire: Wire, fake: FakeCopilot, records: Records) -> Iterator[Recorded]:
    """A gateway whose upstream does what the test says."""
    yield from alone(scripted_wire, records)


def used(body: bytes) -> dict[str, int]:
    """Return the input and output tokens that an answer tells its client."""
    texts = [line[6:] for line in body.split(b"\n") if line.startswith(b"data: {")] or [body]
    usage: dict[str, Any] = {}
    for event in map(json.loads, texts):
        for place in (event, event.get("message") or {}, event.get("response") or {}):
            usage |= {name: value for name, value in (place.get("usage") or {}).items() if value is not None}
    cached = usage.get("cache_read_input_tokens", 0) + usage.get("cache_creation_input_tokens", 0)
    return {
        "input_tokens": usage.get("prompt_tokens", usage.get("input_tokens", 0) + cached),
        "output_tokens": usage.get("completion_tokens", usage.get("output_tokens", 0)),
    }


@every_cell
@either_way
def test_model_call_is_recorded_with_what_it_used(
    gateway: Recorded, surface: str, upstream: str, *, stream: bool
) -> None:
    asked = ask(surface, MODEL[upstream], "[[say:amber bronze]]", stream=stream)
    answer, record = gateway.post(PATH[surface], asked)
    expected = {
        "route": f"POST {PATH[surface]}", "surface": surface, "requested": MODEL[upstream],
        "model": MODEL[upstream], "upstream": upstream, "streams": stream, "status": 200, "error": "", "message": "",
        "admitted": True, "over": True, "id": answer.headers["x-request-id"],
        "upstream_id": answer.headers["x-github-request-id"],
    }  # fmt: skip
    assert expected == {name: record[name] for name in expected}
    assert "static" == record["caller"]["name"]
    assert used(answer.body) == {name: record["usage"][name] for name in ("input_tokens", "output_tokens")}
    assert record["usage"]["output_tokens"] > 0
    assert record["credits"] > 0
    assert stream == (record["first_token"] is not None)
    assert 0 <= (record["first_token"] or 0) <= record["duration"]


@every_cell
def test_whole_answer_tells_its_own_figures(gateway: Recorded, surface: str, upstream: str) -> None:
    answer, record = gateway.post(PATH[surface], ask(surface, MODEL[upstream], "[[say:amber]]"))
    usage = record["usage"]
    assert {
        "x-gateway-input-tokens": str(usage["input_tokens"]),
        "x-gateway-cached-tokens": str(usage["cache_read_tokens"]),
        "x-gateway-output-tokens": str(usage["output_tokens"]),
        "x-gateway-credits": f"{record['credits']:.6f}",
    } == {name: value for name, value in answer.headers.items() if name.endswith(("-tokens", "-credits"))}


@every_cell
def test_stream_that_upstream_cuts_is_recorded_as_failed(
    gateway: Recorded, fake: FakeCopilot, surface: str, upstream: str
) -> None:
    fake.set_modes("*", cut_after_n_bytes=1_000, cut_with_reset=True)
    answer, record = gateway.post(PATH[surface], ask(surface, MODEL[upstream], "[[words:300]]", stream=True))
    assert (200, 200, "upstream", True) == (
        answer.status, record["status"], record["error"], bool(record["message"])
    )  # fmt: skip


def test_failure_that_is_passed_on_as_it_came_is_one(cut_off: Recorded, scripted: Upstream) -> None:
    failed = {"type": "server_error", "code": "rate_limit_exceeded", "message": "Too much."}
    response = {
        "id": "resp_1",
        "object": "response",
        "status": "failed",
        "error": failed,
        "output": [],
        "model": "m",
    }
    event = {"type": "response.failed", "sequence_number": 0, "response": response}
    scripted.stream(b"event: response.failed\ndata: " + json.dumps(event).encode() + b"\n\n")
    asked = ask("responses", MODEL["responses"], "hi", stream=True)
    answer, record = cut_off.post(PATH["responses"], asked)
    assert b"event: response.failed" in answer.body
    assert (200, "rate_limit", "Too much.") == (record["status"], record["error"], record["message"])


@every_surface
@either_way
def test_refusal_of_upstream_is_recorded_with_its_status(
    gateway: Recorded, fake: FakeCopilot, surface: str, *, stream: bool
) -> None:
    fake.account.rate_limit_code, fake.account.retry_after = "user_model_rate_limited", "41"
    answer, record = gateway.post(PATH[surface], ask(surface, MODEL["chat"], "hi", stream=stream))
    assert (429, 429, "rate_limit", MODEL["chat"], 41) == (
        answer.status, record["status"], record["error"], record["model"], record["retry_after"]
    )  # fmt: skip


@every_surface
def test_unknown_model_is_recorded_as_it_was_asked_for(gateway: Recorded, surface: str) -> None:
    answer, record = gateway.post(PATH[surface], ask(surface, "no-such-model-9", "hi", stream=True))
    assert 404 == answer.status
    assert ("no-such-model-9", "", surface, "not_found", False, True) == (
        record["requested"], record["model"], record["surface"], record["error"], record["admitted"],
        record["streams"],
    )  # fmt: skip


@every_surface
@pytest.mark.parametrize("body", [b"{", b"[]", b'{"model": "\\ud800"}', b'{"model": 5}'])
def test_bad_body_is_recorded_on_its_surface(gateway: Recorded, surface: str, body: bytes) -> None:
    answer, record = gateway.post(PATH[surface], body)
    assert (400, 400, surface, "invalid_request", "") == (
        answer.status, record["status"], record["surface"], record["error"], record["requested"]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "expected"),
    [
        ("POST", "/v1/messages", {"x-api-key": "wrong"}, 401, ("POST /v1/messages", "messages", "authentication")),
        ("GET", "/v1/nothing", {}, 404, ("", "", "not_found")),
        ("GET", "/v1/messages", {}, 405, ("", "", "method_not_allowed")),
        ("HEAD", "/healthz", {}, 200, ("HEAD /healthz", "", "")),
        ("GET", "/v1/models", {}, 200, ("GET /v1/models", "", "")),
        ("GET", "/v1/models/none", {}, 404, ("GET /v1/models/<path:model_id>", "", "not_found")),
    ],
)  # fmt: skip
def test_every_request_has_a_record(  # noqa: PLR0917 - a table of cases
    gateway: Recorded, method: str, path: str, headers: dict[str, str | None], status: int, expected: tuple[str, ...]
) -> None:  # fmt: skip
    body = {"model": "m"} if method == "POST" else None
    answer = gateway.wire.send(method, path, body, headers)
    record = gateway.records.next()
    assert status == answer.status == record["status"]
    assert expected == (record["route"], record["surface"], record["error"])


def test_embeddings_are_recorded_with_all_batches(gateway: Recorded) -> None:
    asked = {"model": "text-embedding-3-small", "input": ["one", "two words", "three"]}
    answer, record = gateway.post("/v1/embeddings", asked)
    assert 200 == answer.status, answer.text
    counted = answer.json["usage"]["prompt_tokens"]
    assert ("embeddings", "text-embedding-3-small", counted, 0) == (
        record["surface"], record["model"], record["usage"]["input_tokens"], record["usage"]["output_tokens"]
    )  # fmt: skip
    assert str(counted) == answer.headers["x-gateway-input-tokens"]


@pytest.mark.parametrize(
    ("path", "surface"), [("/v1/messages/count_tokens", "messages"), ("/v1/responses/input_tokens", "responses")]
)  # fmt: skip
def test_counting_tokens_is_recorded_and_uses_none(gateway: Recorded, path: str, surface: str) -> None:
    asked = ask(surface, MODEL[surface], "hello there")
    _, record = gateway.post(path, {name: value for name, value in asked.items() if name != "stream"})
    assert ("count_tokens", MODEL[surface], MODEL[surface], None, "") == (
        record["surface"], record["requested"], record["model"], record["usage"], record["error"]
    )  # fmt: skip


def test_repairs_and_losses_are_recorded(gateway: Recorded) -> None:
    asked = ask("messages", MODEL["chat"], "hi") | {"top_k": 5}
    answer, record = gateway.post(PATH["messages"], asked)
    assert answer.headers["x-gateway-losses"] == ", ".join(record["losses"])
    assert "top_k" in record["losses"]


WORDS = (
    b'data: {"id":"1","choices":[{"index":0,"delta":{"role":"assistant","content":"amber"}}],"model":"m"}\n\n'
)
STOP = (
    b'data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"model":"m",'
    b'"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}\n\ndata: [DONE]\n\n'
)


@on_waitress
@every_surface
def test_client_that_leaves_is_recorded_as_that(cut_off: Recorded, scripted: Upstream, surface: str) -> None:
    exchange = scripted.stream(WORDS, Step.WATCH)
    reply = cut_off.open(ask(surface, MODEL["chat"], "hi", stream=True), PATH[surface])
    reply.until(b"amber")
    reply.leave()
    assert exchange.wait_until_left()
    record = cut_off.records.next()
    assert (200, "client_left", "") == (record["status"], record["error"], record["message"])


def test_client_that_leaves_after_the_end_has_not_left(cut_off: Recorded, scripted: Upstream) -> None:
    exchange = scripted.stream(WORDS, STOP, Step.HOLD)
    reply = cut_off.open(ask("chat", MODEL["chat"], "hi", stream=True))
    reply.until(b"[DONE]\n\n")
    reply.leave()
    record = cut_off.records.next()
    exchange.release()
    assert ("", 9, 2) == (record["error"], record["usage"]["input_tokens"], record["usage"]["output_tokens"])


def test_answer_that_breaks_after_its_end_is_a_whole_one(cut_off: Recorded, scripted: Upstream) -> None:
    scripted.play(STREAM, chunk(WORDS), chunk(STOP), Step.RESET)
    answer, record = cut_off.post(PATH["chat"], ask("chat", MODEL["chat"], "hi", stream=True))
    assert answer.body.endswith(b"[DONE]\n\n")
    assert ("", 11) == (
        record["error"],
        sum(record["usage"][name] for name in ("input_tokens", "output_tokens")),
    )


def test_first_token_is_none_of_a_stream_that_has_none(cut_off: Recorded, scripted: Upstream) -> None:
    scripted.play(STREAM, END)
    _, record = cut_off.post(PATH["chat"], ask("chat", MODEL["chat"], "hi", stream=True))
    assert (None, "upstream", None) == (record["first_token"], record["error"], record["usage"])


@either_way
def test_observers_keep_no_client_waiting(gateway: Recorded, *, stream: bool) -> None:
    """The last byte, and the end of a chunked body, come while an observer is still at work."""
    gateway.records.hold()
    try:
        asked = ask("chat", MODEL["chat"], "[[say:amber]]", stream=stream)
        assert b"amber" in gateway.wire.post(PATH["chat"], asked).body
    finally:
        gateway.records.nod()
    assert "" == gateway.records.next()["error"]
