"""Silence, and clients that leave: against an upstream that waits until the test tells it to go on."""

import threading

import pytest

from tests.e2e.asking import PATH, SURFACES, ask, error_of, read_reply, read_stream
from tests.e2e.conftest import Host
from tests.e2e.hosting import Wire
from tests.e2e.upstream import END, STREAM, Step, Upstream, answer, chunk
from tests.emulators.calling import Caller
from tests.emulators.copilot import FakeCopilot

MODEL = {"chat": "gpt-4.1", "messages": "claude-sonnet-4.6", "responses": "gpt-5.5"}
CELLS = [
    (surface, upstream)
    for upstream in MODEL
    for surface in SURFACES
    if (surface, upstream) != ("chat", "messages")  # that Claude speaks chat as well
]
every_cell = pytest.mark.parametrize(
    ("surface", "dialect"), CELLS, ids=[f"{dialect}_to_{surface}" for surface, dialect in CELLS]
)
every_surface = pytest.mark.parametrize("surface", SURFACES)
PING = {
    "chat": b": ping\n\n",
    "messages": b'event: ping\ndata: {"type": "ping"}\n\n',
    "responses": b": ping\n\n",
}
PROMPT = "[[say:some words at last]]"


@pytest.fixture(scope="module")
def recorded(one_fake: FakeCopilot) -> dict[str, bytes]:
    """What a healthy upstream streams, by dialect."""
    caller = Caller(one_fake)
    turns = [{"role": "user", "content": PROMPT}]
    return {
        "chat": caller.chat(MODEL["chat"], turns, stream=True).body,
        "messages": caller.messages(MODEL["messages"], turns, stream=True).body,
        "responses": caller.responses(MODEL["responses"], turns, stream=True).body,
    }


@every_cell
def test_ping_comes_before_upstream_has_sent_a_byte(
    scripted: Wire, upstream: Upstream, recorded: dict[str, bytes], surface: str, dialect: str
) -> None:
    """AC-17."""
    exchange = upstream.play(Step.HOLD, *_stream(recorded[dialect]))
    reply = scripted.open("POST", PATH[surface], ask(surface, MODEL[dialect], PROMPT, stream=True))
    assert 200 == reply.status
    first = reply.until(PING[surface])
    exchange.release()
    assert PING[surface] == first
    told = read_stream(surface, first + reply.rest())
    assert ("some words at last", "stop") == (told.text.strip(), told.stop)


@every_cell
def test_pings_fill_silence_in_the_middle_of_a_stream(
    scripted: Wire, upstream: Upstream, recorded: dict[str, bytes], surface: str, dialect: str
) -> None:
    """AC-17: also where upstream has stopped within an event."""
    wire = recorded[dialect]
    at = wire.index(b"words")
    exchange = upstream.stream(wire[:at], Step.HOLD, wire[at:])
    reply = scripted.open("POST", PATH[surface], ask(surface, MODEL[dialect], PROMPT, stream=True))
    heard = reply.until(PING[surface]) + reply.until(PING[surface])
    exchange.release()
    told = read_stream(surface, heard + reply.rest())
    assert ("some words at last", "stop") == (told.text.strip(), told.stop)


@pytest.mark.parametrize("server", ["pumped", "iterated"])
def test_pings_fill_the_silence_of_an_upstream_that_says_nothing_to_the_client(
    *, scripted: Wire, upstream: Upstream, recorded: dict[str, bytes], host: Host, server: str
) -> None:
    """AC-17: comments, and calls that are held back, keep upstream's socket busy and tell the client nothing."""
    wire = recorded["chat"]
    at = wire.index(b"data:", wire.index(b"words"))
    exchange = upstream.stream(wire[:at], *[Step.HOLD, b": still here\n\n"] * 1000, wire[at:])
    heard = threading.Event()

    def mutter() -> None:
        while not heard.wait(0.01):
            exchange.release()

    thread = threading.Thread(target=mutter)
    thread.start()
    try:
        if server == "iterated":
            hosted = host(copilot_url=upstream.url, commit_after=0.05, heartbeat=0.05, breaker_refusals=0)
            scripted = Wire(hosted.url)
        reply = scripted.open("POST", PATH["messages"], ask("messages", "gpt-4.1", PROMPT, stream=True))
        begun = reply.until(PING["messages"])
    finally:
        heard.set()
        thread.join()
    assert begun.endswith(PING["messages"])
    for _ in range(1000):
        exchange.release()
    told = read_stream("messages", begun + reply.rest())
    assert ("some words at last", "stop") == (told.text.strip(), told.stop)


def test_a_stream_that_is_begun_late_is_pinged_as_often_as_any(
    upstream: Upstream, recorded: dict[str, bytes], host: Host
) -> None:
    wire = recorded["chat"]
    at = wire.index(b"words")
    exchange = upstream.stream(wire[:at], Step.HOLD, wire[at:])
    hosted = host(copilot_url=upstream.url, heartbeat=0.05, breaker_refusals=0)
    reply = Wire(hosted.url).open("POST", PATH["chat"], ask("chat", "gpt-4.1", PROMPT, stream=True))
    heard = reply.until(PING["chat"]) + reply.until(PING["chat"])
    exchange.release()
    assert "stop" == read_stream("chat", heard + reply.rest()).stop


@every_surface
def test_refusal_after_a_ping_is_an_error_event(scripted: Wire, upstream: Upstream, surface: str) -> None:
    exchange = upstream.play(Step.HOLD, answer(429, b'{"error":{"message":"slow down"}}', b"retry-after: 3"))
    reply = scripted.open("POST", PATH[surface], ask(surface, "gpt-4.1", "hi", stream=True))
    heard = reply.until(PING[surface])
    exchange.release()
    heard += reply.rest()
    assert "error" == read_stream(surface, heard).stop
    assert b"slow down" in heard


@every_cell
@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_reply_is_the_same_whatever_the_size_of_upstreams_writes(
    *, scripted: Wire, upstream: Upstream, recorded: dict[str, bytes], surface: str, dialect: str, size: int
) -> None:
    """AC-66."""
    wire = recorded[dialect]
    upstream.stream(*(wire[at : at + size] for at in range(0, len(wire), size)))
    reply = scripted.post(PATH[surface], ask(surface, MODEL[dialect], PROMPT, stream=True))
    told = read_stream(surface, reply.body)
    assert ("some words at last", "stop") == (told.text.strip(), told.stop)


@every_cell
def test_upstream_learns_that_the_client_left_in_the_middle(
    scripted: Wire, upstream: Upstream, recorded: dict[str, bytes], surface: str, dialect: str
) -> None:
    wire = recorded[dialect]
    exchange = upstream.stream(wire[: wire.index(b"words")], Step.WATCH)
    reply = scripted.open("POST", PATH[surface], ask(surface, MODEL[dialect], PROMPT, stream=True))
    reply.until(PING[surface])
    reply.leave()
    assert exchange.wait_until_left()


@every_surface
def test_upstream_learns_that_the_client_left_before_the_first_byte(
    scripted: Wire, upstream: Upstream, surface: str
) -> None:
    exchange = upstream.play(Step.WATCH)
    reply = scripted.open("POST", PATH[surface], ask(surface, "gpt-4.1", PROMPT, stream=True))
    reply.until(PING[surface])
    reply.leave()
    assert exchange.wait_until_left()


@every_surface
@pytest.mark.parametrize("stream", [False, True])
def test_connection_that_dies_before_its_first_byte_is_retried_once(
    scripted: Wire, upstream: Upstream, recorded: dict[str, bytes], surface: str, *, stream: bool
) -> None:
    """AC-63."""
    upstream.play(Step.RESET)
    if surface == "chat" and not stream:
        body = b'{"id":"c","object":"chat.completion","created":1,"model":"gpt-4.1","choices":[{"index":0,"message":{"role":"assistant","content":"some words at last"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}'
        upstream.play(answer(200, body, b"content-type: application/json"))
    else:
        upstream.stream(recorded["chat"])
    reply = scripted.post(PATH[surface], ask(surface, "gpt-4.1", PROMPT, stream=stream))
    assert "some words at last" == (read_stream if stream else read_reply)(surface, reply.body).text


@every_surface
def test_connection_that_dies_twice_is_a_502(host: Host, upstream: Upstream, surface: str) -> None:
    """AC-63."""
    upstream.play(Step.RESET)
    upstream.play(Step.RESET)
    wire = Wire(host(copilot_url=upstream.url).url)
    reply = wire.post(PATH[surface], ask(surface, "gpt-4.1", PROMPT, stream=True))
    assert 502 == reply.status
    error_of(surface, reply.body)


@every_cell
def test_nothing_is_retried_after_the_first_byte(
    scripted: Wire, upstream: Upstream, recorded: dict[str, bytes], surface: str, dialect: str
) -> None:
    """AC-05, AC-63: the script has one answer only, so a retry would hang."""
    wire = recorded[dialect]
    upstream.stream(wire[: wire.index(b"words")], Step.RESET)
    reply = scripted.post(PATH[surface], ask(surface, MODEL[dialect], PROMPT, stream=True))
    assert "error" == read_stream(surface, reply.body).stop


def test_many_streams_wait_side_by_side(
    scripted: Wire, upstream: Upstream, recorded: dict[str, bytes]
) -> None:
    exchanges = [upstream.play(Step.HOLD, *_stream(recorded["chat"])) for _ in range(12)]
    told: list[str] = []

    def call() -> None:
        reply = scripted.post(PATH["chat"], ask("chat", "gpt-4.1", PROMPT, stream=True))
        told.append(read_stream("chat", reply.body).text)

    threads = [threading.Thread(target=call) for _ in exchanges]
    for thread in threads:
        thread.start()
    assert all(exchange.asked.wait(60) for exchange in exchanges)
    for exchange in exchanges:
        exchange.release()
    for thread in threads:
        thread.join()
    assert ["some words at last"] * 12 == told


def _stream(body: bytes) -> list[bytes]:
    return [STREAM, chunk(body), END]
