"""The real app on Lambda: AWS's loop with our client, started by the wrapper, in front of an upstream that waits."""

from collections.abc import Iterator
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest

from tests.e2e.asking import PATH, SURFACES, ask, error_of, read_reply, read_stream
from tests.e2e.hosting import Wire, environ_for, new_fake
from tests.e2e.upstream import END, STREAM, Step, Upstream, chunk
from tests.emulators.calling import Caller
from tests.emulators.copilot import FakeCopilot
from tests.emulators.runtime_api import Lambda
from tests.emulators.runtime_api.front import DOMAIN, LARGEST_BODY

pytestmark = pytest.mark.skipif(find_spec("awslambdaric") is None, reason="AWS's loop is built for Linux")
HANDLER = "tests.emulators.runtime_api.local_function.handler"
MODEL = {"chat": "gpt-4.1", "messages": "claude-sonnet-4.6", "responses": "gpt-5.5"}
PROMPT = "[[say:umber violet wheat xanthic]]"
WORDS = [b"umber", b"violet", b"wheat", b"xanthic"]
every_surface = pytest.mark.parametrize("surface", SURFACES)


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeCopilot]:
    fake = new_fake()
    yield fake
    fake.stop()


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as scripted:
        yield scripted


@pytest.fixture(scope="module")
def recorded(fake: FakeCopilot) -> dict[str, bytes]:
    """What a healthy upstream streams, by dialect."""
    caller = Caller(fake)
    turns = [{"role": "user", "content": PROMPT}]
    return {
        "chat": caller.chat(MODEL["chat"], turns, stream=True).body,
        "messages": caller.messages(MODEL["messages"], turns, stream=True).body,
        "responses": caller.responses(MODEL["responses"], turns, stream=True).body,
    }


def environ(fake: FakeCopilot, upstream: Upstream, data: Path) -> dict[str, str]:
    return environ_for(
        fake, data, copilot_url=upstream.url, commit_after=0.05, heartbeat=0.05, api_key="the-key"
    )


@pytest.fixture(scope="module")
def function(
    fake: FakeCopilot, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lambda]:
    with Lambda(HANDLER, environ(fake, upstream, tmp_path_factory.mktemp("lambda"))) as running:
        yield running
    assert [] == [line for line in running.log if "Traceback" in line]  # whole now that the process has ended


@pytest.fixture
def gateway(function: Lambda) -> Iterator[Wire]:
    """A client that has the key; whatever the Runtime API refuses is a failure."""
    function.api.faults.clear()
    yield Wire(function.url, {"x-api-key": "the-key"})
    assert [] == function.api.faults


@every_surface
def test_each_chunk_arrives_before_upstream_is_told_to_send_the_next(
    gateway: Wire, upstream: Upstream, recorded: dict[str, bytes], surface: str
) -> None:
    wire = recorded[surface]
    cuts = [0, *(wire.index(b"\n\n", wire.index(word)) + 2 for word in WORDS), len(wire)]
    parts = [wire[start:end] for start, end in pairwise(cuts)]
    steps: list[bytes | Step] = [step for part in parts for step in (part, Step.HOLD)]
    exchange = upstream.stream(*steps)
    reply = gateway.open("POST", PATH[surface], ask(surface, MODEL[surface], PROMPT, stream=True))
    heard = b""
    for word in WORDS:
        while word not in heard:
            event = reply.until(b"\n\n")
            assert event
            heard += event
        exchange.release()
    exchange.release()
    told = read_stream(surface, heard + reply.rest())
    assert (200, "umber violet wheat xanthic", "stop") == (reply.status, told.text.strip(), told.stop)


@every_surface
def test_silent_upstream_is_bridged_by_pings(
    gateway: Wire, upstream: Upstream, recorded: dict[str, bytes], surface: str
) -> None:
    exchange = upstream.play(Step.HOLD, STREAM, chunk(recorded[surface]), END)
    reply = gateway.open("POST", PATH[surface], ask(surface, MODEL[surface], PROMPT, stream=True))
    heard = reply.until(b"\n\n") + reply.until(b"\n\n")
    exchange.release()
    assert "stop" == read_stream(surface, heard + reply.rest()).stop


def test_complete_replies_and_streams_take_turns_in_one_process(
    gateway: Wire, upstream: Upstream, recorded: dict[str, bytes], function: Lambda
) -> None:
    gateway.get("/healthz")
    starts = len(function.starts)
    for _ in range(3):
        upstream.stream(recorded["responses"])
        streamed = gateway.post("/v1/messages", ask("messages", "gpt-5.5", PROMPT, stream=True))
        upstream.stream(recorded["responses"])
        whole = gateway.post("/v1/messages", ask("messages", "gpt-5.5", PROMPT))
        told = [read_stream("messages", streamed.body), read_reply("messages", whole.body)]
        assert [("umber violet wheat xanthic", "stop")] * 2 == [
            (each.text.strip(), each.stop) for each in told
        ]
    assert starts == len(function.starts)


def test_client_that_leaves_goes_unnoticed_and_the_next_request_is_served(
    gateway: Wire, upstream: Upstream, recorded: dict[str, bytes], function: Lambda
) -> None:
    wire = recorded["chat"]
    at = wire.index(b"violet")
    exchange = upstream.stream(wire[:at], Step.HOLD, wire[at:])
    reply = gateway.open("POST", PATH["chat"], ask("chat", MODEL["chat"], PROMPT, stream=True))
    reply.until(b"\n\n")
    reply.leave()
    exchange.release()
    assert b"ok\n" == gateway.get("/healthz").body
    assert not exchange.left.is_set()
    assert "TruncatedHTTPRequest" in function.logged("lambda.answer_cut", '"status":400')


@every_surface
@pytest.mark.parametrize("before_the_first_byte", [True, False])
def test_stream_ends_by_its_own_deadline_with_a_legal_error(
    fake: FakeCopilot, upstream: Upstream, recorded: dict[str, bytes], tmp_path: Path, surface: str,
    *, before_the_first_byte: bool,
) -> None:  # fmt: skip
    wire = recorded[surface]
    with Lambda(HANDLER, environ(fake, upstream, tmp_path), seconds=3, mercy=60) as function:
        client = Wire(function.url, {"x-api-key": "the-key"})
        if before_the_first_byte:
            upstream.play(Step.WATCH)
        else:
            upstream.stream(wire[: wire.index(b"violet")], Step.WATCH)
        reply = client.post(PATH[surface], ask(surface, MODEL[surface], PROMPT, stream=True))
        told = read_stream(surface, reply.body)
        assert (200, "error") == (reply.status, told.stop)
        assert b"time that this gateway has" in reply.body
        assert b"ok\n" == client.get("/healthz").body
        assert ([], 1) == (function.api.faults, len(function.starts))


def test_complete_reply_that_takes_too_long_is_a_504(
    fake: FakeCopilot, upstream: Upstream, tmp_path: Path
) -> None:
    with Lambda(HANDLER, environ(fake, upstream, tmp_path), seconds=3, mercy=60) as function:
        client = Wire(function.url, {"x-api-key": "the-key"})
        upstream.play(Step.WATCH)
        reply = client.post(PATH["chat"], ask("chat", MODEL["chat"], PROMPT))
        assert (504, "deadline") == (reply.status, error_of("chat", reply.body)["code"])


def test_refusals_keep_their_status_and_envelope(gateway: Wire) -> None:
    missing = gateway.post(PATH["messages"], ask("messages", MODEL["messages"], PROMPT), x_api_key=None)
    wrong = gateway.post(PATH["messages"], b"{")
    unknown = gateway.get("/nowhere")
    assert [401, 400, 404] == [missing.status, wrong.status, unknown.status]
    assert "authentication_error" == error_of("messages", missing.body)["type"]


def test_platforms_own_domain_is_served_and_others_are_not(gateway: Wire) -> None:
    statuses = [gateway.get("/v1/models", host=host).status for host in (DOMAIN, "evil.example")]
    assert [200, 403] == statuses
    origins = [
        gateway.get("/v1/models", origin=f"https://{host}").status for host in (DOMAIN, "evil.example")
    ]
    assert [200, 403] == origins


def test_big_bodies_arrive_whole(gateway: Wire, upstream: Upstream, recorded: dict[str, bytes]) -> None:
    exchange = upstream.stream(recorded["chat"])
    prompt = "é" * (LARGEST_BODY // 8)
    reply = gateway.post(PATH["chat"], ask("chat", MODEL["chat"], prompt, stream=True))
    assert 200 == reply.status
    assert prompt == exchange.json["messages"][0]["content"]


def test_body_over_lambdas_limit_is_a_413_whoever_says_it(gateway: Wire) -> None:
    assert 413 == gateway.post(PATH["chat"], b" " * (LARGEST_BODY + 1)).status


def test_body_in_another_content_type_is_refused_though_it_came_as_base64(gateway: Wire) -> None:
    reply = gateway.post(PATH["chat"], b"\xff\xfe", **{"Content-Type": "application/octet-stream"})
    assert 415 == reply.status


@pytest.mark.parametrize("body", [b'{"model": "\xff"}'.decode("latin-1").encode(), b'{"model": "\\ud800"}'])
def test_broken_text_is_a_400(gateway: Wire, body: bytes) -> None:
    assert gateway.post(PATH["chat"], body).status in {400, 404}
