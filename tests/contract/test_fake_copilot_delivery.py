"""How the fake delivers: cuts, stalls, odd bytes, and what its log says of it."""

import gzip
import http.client
import json
import re
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.emulators.calling import EDITOR, Caller
from tests.emulators.copilot import FakeCopilot
from tests.emulators.copilot.delivery import split_characters
from tests.emulators.copilot.modes import delivery
from tests.emulators.copilot.wire import Delivery

UMLAUTS = [{"role": "user", "content": "[[say:grün und schön 🙂]]"}]


@pytest.fixture(scope="module")
def running() -> Iterator[FakeCopilot]:
    with FakeCopilot() as fake:
        yield fake


@pytest.fixture
def caller(running: FakeCopilot) -> Caller:
    running.reset()
    return Caller(running)


def test_a_body_is_cut_after_so_many_bytes(caller: Caller) -> None:
    caller.fake.set_modes("gpt-4.1", cut_after_n_bytes=100)
    answer = caller.chat(stream=True)
    assert (200, 100, True) == (answer.status, len(answer.body), answer.broken)
    assert caller.chat().broken
    assert ["cut", "cut"] == [entry.outcome for entry in caller.fake.requests("/chat/completions")]


def test_a_cut_can_be_a_reset(caller: Caller) -> None:
    caller.fake.set_modes("gpt-4.1", cut_after_n_bytes=100, cut_with_reset=True)
    assert caller.chat(stream=True).broken


def test_line_ends_can_be_crlf(caller: Caller) -> None:
    plain = caller.chat(stream=True)
    caller.fake.set_modes("gpt-4.1", crlf=True)
    answer = caller.chat(stream=True)
    assert re.search(rb"(?<!\r)\n", answer.body) is None
    assert len(plain.events) == len(answer.events)


def test_gzip_is_said_and_done(caller: Caller) -> None:
    caller.fake.set_modes("gpt-4.1", gzip=True)
    for stream in (True, False):
        answer = caller.chat(stream=stream)
        assert ("gzip", True) == (answer.headers["content-encoding"], "one" in answer.text)


def test_characters_are_split_between_writes(caller: Caller) -> None:
    assert ["grü", "n 🙂!"] == b"".join(split_characters("grü|n 🙂!".encode())).decode().split("|")
    assert [b"gr\xc3", b"\xbcn"] == list(split_characters("grün".encode()))
    caller.fake.set_modes("gpt-4.1", split_utf8_across_writes=True)
    chunks = raw_chunks(caller, UMLAUTS)
    assert any(chunk[-1] >= 0xC0 for chunk in chunks)
    assert "🙂" in b"".join(chunks).decode()


def test_every_event_is_a_write_of_its_own_unless_grouped(caller: Caller) -> None:
    single = raw_chunks(caller, UMLAUTS)
    assert all(chunk.endswith(b"\n\n") for chunk in single)
    caller.fake.set_modes("gpt-4.1", events_per_write=4)
    assert -(-len(single) // 4) == len(raw_chunks(caller, UMLAUTS))


def raw_chunks(caller: Caller, messages: object) -> list[bytes]:
    """Return the HTTP chunks of a stream as the fake sent them."""
    body = json.dumps({"model": "gpt-4.1", "messages": messages, "stream": True}).encode()
    address = urlsplit(caller.fake.capi_url)
    head = "".join(f"{name}: {value}\r\n" for name, value in caller.headers.items())
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(
            f"POST /chat/completions HTTP/1.1\r\n{head}connection: close\r\ncontent-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        raw = b""
        while part := connection.recv(65536):
            raw += part
    rest, chunks = raw.partition(b"\r\n\r\n")[2], list[bytes]()
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        chunks.append(rest[: int(size, 16)])
        rest = rest[int(size, 16) + 2 :]
    return [chunk for chunk in chunks if chunk]


def test_silences_and_pace_are_delivered_as_told(caller: Caller) -> None:
    assert Delivery(silent_before_headers=0.25) == delivery({"stall": {"before": 0.25}})
    assert Delivery(silent_after_events=2, silent_for=0.5) == delivery(
        {"stall": {"after_events": 2, "seconds": 0.5}}
    )
    assert Delivery(pace=0.005, first_byte_delay=0.05) == delivery({"pace_ms": 5, "slow_first_byte": 50})
    for modes in (
        {"stall": {"before": 0.01}},
        {"stall": {"after_events": 2, "seconds": 0.01}},
        {"slow_first_byte": 5},
    ):
        caller.fake.force("POST", "/chat/completions", modes=modes, times=2)
        assert caller.chat(stream=True).text.endswith("[DONE]\n\n")
        assert caller.chat().json["choices"][0]["message"]["content"] == "one two three"


def test_words_can_carry_the_time_they_were_sent(caller: Caller) -> None:
    caller.fake.set_modes("gpt-5.5", stamp=True)
    answer = caller.responses(told="[[words:5]]", stream=True)
    sent = [int(e["delta"]) for e in answer.events if e["type"] == "response.output_text.delta"]
    final = answer.events[-1]["response"]["output"][0]["content"][0]["text"]
    assert (5, sent) == (len(set(sent)), sorted(sent))
    assert sent == [int(word) for word in final.split()]
    whole = caller.responses(told="[[words:2]]").json["output"][0]["content"][0]["text"]
    assert all(word.isdigit() for word in whole.split())


def test_connections_are_kept_and_requests_may_be_pipelined_or_chunked(caller: Caller) -> None:
    address = urlsplit(caller.fake.capi_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    body = json.dumps({"model": "gpt-4.1", "messages": UMLAUTS}).encode()
    for chunked in (False, True, True):
        sent = iter([body[:10], body[10:]]) if chunked else body
        connection.request("POST", "/chat/completions", sent, caller.headers, encode_chunked=chunked)
        assert "grün" in connection.getresponse().read().decode()
    connection.close()
    with socket.create_connection((address.hostname, address.port)) as pipe:
        pipe.sendall(b"GET /_ping HTTP/1.1\r\n\r\nGET /_ping HTTP/1.1\r\nconnection: close\r\n\r\n")
        answer = b""
        while part := pipe.recv(65536):
            answer += part
    assert answer.count(b"HTTP/1.1 400 Bad Request") == 2


@pytest.mark.parametrize("raw", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\ncontent-length: x\r\n\r\n"])
def test_what_is_no_http_gets_a_400(caller: Caller, raw: bytes) -> None:
    address = urlsplit(caller.fake.capi_url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(raw)
        assert connection.recv(65536).startswith(b"HTTP/1.1 400")


def test_a_client_that_leaves_is_noticed(caller: Caller) -> None:
    caller.fake.set_modes("gpt-4.1", pace_ms=5)
    address = urlsplit(caller.fake.capi_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    body = json.dumps(
        {"model": "gpt-4.1", "stream": True, "messages": [{"role": "user", "content": "[[words:2000]]"}]}
    )
    connection.request("POST", "/chat/completions", body, caller.headers)
    connection.getresponse().close()
    connection.close()
    entry = caller.fake.requests("/chat/completions")[0]
    while entry.outcome == "open":  # each answer is one more turn of the fake's loop
        caller.get("/_ping")
    assert entry.outcome == "client_left"


def test_compressed_log_bodies_are_the_bytes_received(caller: Caller) -> None:
    raw = gzip.compress(b"{}")
    caller.post("/chat/completions", raw, **EDITOR)
    assert raw == caller.fake.log[-1].body
