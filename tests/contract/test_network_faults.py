"""The whole gateway before a network that carries no proper HTTP: each fault is one clear error in the surface's envelope."""

import gzip
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.contract.proxying import Authority
from tests.e2e.asking import PATH, SURFACES, ask, error_of, read_stream
from tests.e2e.hosting import Hosted, Wire, new_fake
from tests.e2e.upstream import STREAM, Step, Upstream, answer, chunk
from tests.emulators.copilot import FakeCopilot
from tests.listening import free_port
from tests.unit.copilot.doubles import scripted

MODEL = {"chat": "gpt-4.1", "messages": "claude-sonnet-4.6", "responses": "gpt-5.5"}
OK = b"HTTP/1.1 200 OK\r\n"
ZIPPED = OK + b"content-type: text/event-stream\r\ncontent-encoding: gzip\r\nconnection: close\r\n\r\n"
LIMIT = 64 << 20  # bytes of an answer
every_surface = pytest.mark.parametrize("surface", SURFACES)
either_way = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
Start = Callable[..., Wire]


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeCopilot]:
    running = new_fake()
    yield running
    running.stop()


@pytest.fixture
def gateway(fake: FakeCopilot, tmp_path: Path) -> Iterator[Start]:
    """Return what starts a gateway whose Copilot is at this URL."""
    with ExitStack() as stack:

        def start(upstream: str, **settings: Any) -> Wire:
            chosen: dict[str, Any] = {"breaker_refusals": 0, **settings}
            return Wire(stack.enter_context(Hosted(fake, tmp_path, copilot_url=upstream, **chosen)).url)

        yield start


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """A Copilot that lists its models, and answers a call by what it is told."""
    with Upstream() as told:
        yield told


def failure(wire: Wire, surface: str, *, stream: bool) -> tuple[int, str]:
    """Ask; return the status and the message in the surface's envelope."""
    reply = wire.post(PATH[surface], ask(surface, MODEL[surface], "hi", stream=stream))
    message = str(error_of(surface, reply.body)["message"])
    assert "Traceback" not in message
    assert "<" not in message
    return reply.status, message


# No connection


@every_surface
@either_way
def test_a_name_that_nobody_knows(gateway: Start, surface: str, *, stream: bool) -> None:
    status, message = failure(gateway("https://copilot.invalid"), surface, stream=stream)
    assert (502, True) == (status, "copilot.invalid: its name cannot be resolved" in message), message


@every_surface
@either_way
def test_a_port_where_nobody_listens(gateway: Start, surface: str, *, stream: bool) -> None:
    status, message = failure(gateway(f"http://127.0.0.1:{free_port()}"), surface, stream=stream)
    assert (502, True) == (status, "the connection was refused" in message), message


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    return Authority.create(tmp_path_factory.mktemp("authority")).server_context()


@every_surface
@either_way
def test_a_certificate_that_nobody_here_trusts(
    gateway: Start, context: ssl.SSLContext, surface: str, *, stream: bool
) -> None:
    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as tls:
            tls.recv(1)

    with scripted(serve) as url:
        told = failure(gateway(url.replace("http:", "https:")), surface, stream=stream)
    assert (502, True) == (told[0], "REQUESTS_CA_BUNDLE" in told[1]), told


# No answer, or none that is legal


@every_surface
@either_way
def test_a_server_that_accepts_and_says_nothing(
    gateway: Start, upstream: Upstream, surface: str, *, stream: bool
) -> None:
    asked = upstream.play(Step.WATCH)
    wire = gateway(upstream.url, first_byte_timeout=0.3)
    status, message = failure(wire, surface, stream=stream)
    assert (504, True) == (status, "did not begin to answer within 0.3 seconds" in message), message
    assert asked.wait_until_left()


ILLEGAL: dict[str, tuple[bytes, int, str]] = {
    "huge_head": (OK + b"x: " + b"y" * 70_000, 502, "the response head is too long"),
    "interim_heads": (b"HTTP/1.1 102 Processing\r\n\r\n" * 3000, 502, "interim heads without end"),
    "upgrade": (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", 502, "switched protocols"),
    "not_http": (b"SSH-2.0-OpenSSH_9.9\r\n\r\n", 502, "is not HTTP/1.1"),
    "redirect": (answer(302, b"", b"location: http://127.0.0.1:9/"), 502, "302"),
    "web_page": (answer(502, b"<html><title>Proxy &amp; Co</title><script>", b"content-type: text/html"), 502, "Proxy & Co"),
    "page_for_success": (answer(200, b"<html><title>Sign in</title>", b"content-type: text/html"), 502, "web page: Sign in"),
    "encoding": (answer(200, b"??", b"content-encoding: br"), 502, "content encoding"),
    "no_gzip": (ZIPPED + b"this is no gzip", 502, "damaged"),
}  # fmt: skip


@every_surface
@either_way
@pytest.mark.parametrize(("said", "status", "words"), ILLEGAL.values(), ids=list(ILLEGAL))
def test_what_is_no_answer_is_told_as_what_it_is(
    *, gateway: Start, upstream: Upstream, surface: str, stream: bool, said: bytes, status: int, words: str
) -> None:
    for _ in range(2):  # 502 is tried again once
        upstream.play(said)
    told = failure_or_event(gateway(upstream.url), surface, stream=stream)
    assert (True, True) == (told[0] in {status, 200 if stream else status}, words in told[1]), told


def failure_or_event(wire: Wire, surface: str, *, stream: bool) -> tuple[int, str]:
    """Ask; return the status and what the error says: an envelope, or the end of a stream that had begun."""
    reply = wire.post(PATH[surface], ask(surface, MODEL[surface], "hi", stream=stream))
    if reply.status == 200 and stream:
        assert "error" == read_stream(surface, reply.body).stop
        return 200, reply.text
    return reply.status, str(error_of(surface, reply.body)["message"])


@every_surface
@either_way
@pytest.mark.parametrize(
    "said", [b"<html><title>Sign in</title>", b"[]", b"", b'{"id":'], ids=["page", "list", "empty", "half"]
)
def test_a_success_that_is_none_is_an_error(
    *, gateway: Start, upstream: Upstream, surface: str, stream: bool, said: bytes
) -> None:
    for _ in range(2):
        upstream.play(answer(200, said, b"content-type: application/json"))
    status, message = failure_or_event(gateway(upstream.url), surface, stream=stream)
    assert (True, True) == (status in ({502, 200} if stream else {502}), bool(message)), message


@pytest.fixture(scope="module")
def bomb() -> bytes:
    return gzip.compress(b"a" * (LIMIT + (2 << 20)), 1)


@every_surface
@either_way
def test_a_compressed_answer_that_unfolds_without_end_is_given_up(
    *, gateway: Start, upstream: Upstream, bomb: bytes, surface: str, stream: bool
) -> None:
    upstream.play(ZIPPED + bomb)
    status, message = failure_or_event(gateway(upstream.url), surface, stream=stream)
    assert (True, True) == (status in ({502, 200} if stream else {502}), bool(message)), message


def test_a_head_in_single_bytes_is_read(fake: FakeCopilot, gateway: Start, upstream: Upstream) -> None:
    said = answer(200, b'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"gpt-4.1","choices":'
                  b'[{"index":0,"delta":{"role":"assistant","content":"fine"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
                  b"content-type: text/event-stream")  # fmt: skip
    upstream.play(*(said[at : at + 1] for at in range(len(said))))
    reply = gateway(upstream.url).post(PATH["chat"], ask("chat", "gpt-4.1", "hi", stream=True))
    assert (200, "fine") == (reply.status, read_stream("chat", reply.body).text)


@every_surface
def test_an_answer_that_goes_on_without_saying_anything_is_silence(
    gateway: Start, upstream: Upstream, surface: str
) -> None:
    """Members of gzip without content: bytes arrive, and nothing with them."""
    head = STREAM.replace(b"\r\n\r\n", b"\r\ncontent-encoding: gzip\r\n\r\n")
    asked = upstream.play(head, chunk(gzip.compress(b"") * 100), Step.WATCH)
    wire = gateway(upstream.url, idle_timeout=0.3)
    status, message = failure_or_event(wire, surface, stream=True)
    assert (True, True) == (status in {200, 504}, "sent nothing for 0.3 seconds" in message), message
    assert asked.wait_until_left()
