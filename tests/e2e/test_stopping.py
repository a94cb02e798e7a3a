"""The end of the server, in the middle of answers."""

import signal
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.access.caller import Limits
from core.access.managed_keys import ManagedKeys
from core.access.slots import Slots
from core.ledger.ledger import Ledger
from infra.local.state import STATE_FILE, SqliteStateStore
from tests.e2e.asking import PATH, SURFACES, ask, error_of, read_stream
from tests.e2e.cli_driver import Started, environment
from tests.e2e.hosting import Wire, environ_for
from tests.e2e.upstream import Step, Upstream
from tests.emulators.copilot import FakeCopilot

BEGUN = (
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"gpt-4.1",'
    b'"choices":[{"index":0,"delta":{"role":"assistant","content":"some words"},"finish_reason":null}]}\n\n'
)
CUTS = [(surface, stream) for surface in SURFACES for stream in (True, False)]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without asking it")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[SqliteStateStore]:
    kept = SqliteStateStore(tmp_path / "data" / STATE_FILE, time.time)
    yield kept
    kept.close()


@pytest.fixture
def key(state: SqliteStateStore) -> str:
    return ManagedKeys(state, time.time).create("guest", limits=Limits(at_once=len(CUTS)))


@pytest.fixture
def wire(program: Started, key: str) -> Wire:
    return Wire(program.url(), {"authorization": f"Bearer {key}"})


@pytest.fixture
def program(fake: FakeCopilot, upstream: Upstream, tmp_path: Path, key: str) -> Iterator[Started]:
    started = Started(
        environment(tmp_path, fake) | environ_for(fake, tmp_path / "data", copilot_url=upstream.url)
    )
    yield started
    started.process.kill()
    started.stop(0)


def test_answers_that_the_servers_end_overtakes_end_properly_and_are_counted(
    program: Started, wire: Wire, upstream: Upstream, state: SqliteStateStore
) -> None:
    exchanges = [upstream.stream(BEGUN, Step.WATCH) for _ in CUTS]
    with ThreadPoolExecutor(len(CUTS)) as clients:
        answers = [
            clients.submit(wire.post, PATH[surface], ask(surface, "gpt-4.1", "hi", stream=stream))
            for surface, stream in CUTS
        ]
        assert all(exchange.asked.wait(60) for exchange in exchanges)
        code = program.stop(signal.SIGTERM)
        assert 0 == code, "\n".join(program.said)
        for (surface, stream), waiting in zip(CUTS, answers, strict=True):
            answer = waiting.result()
            if stream:
                assert "error" == read_stream(surface, answer.body).stop
            else:
                assert answer.status in {503, 529}
                error_of(surface, answer.body)
            assert b"is being stopped" in answer.body
    (row,) = Ledger(state, time.time, time.monotonic).days(time.time())
    assert ("guest", {"overloaded": len(CUTS)}) == (row.key, row.figures.errors)
    slots = Slots(state, now=time.time)
    assert all(slots.take("guest", len(CUTS), f"next {number}") for number in range(len(CUTS)))
    assert {} == state.entries("circuit")


def test_nobody_is_let_in_while_the_last_answers_end(
    program: Started, wire: Wire, upstream: Upstream
) -> None:
    exchange = upstream.stream(BEGUN, Step.HOLD, BEGUN.replace(b"null", b'"stop"'), b"data: [DONE]\n\n")
    place = ("127.0.0.1", int(wire.url.rpartition(":")[2]))
    with socket.create_connection(place, 60) as idle:
        reply = wire.open("POST", PATH["chat"], ask("chat", "gpt-4.1", "hi", stream=True))
        begun = reply.until(b"some words")
        program.process.send_signal(signal.SIGTERM)
        assert b"" == idle.recv(1)
        with pytest.raises(ConnectionError):
            socket.create_connection(place, 60)
        exchange.release()
        assert "stop" == read_stream("chat", begun + reply.rest()).stop
    assert 0 == program.stop(0)  # it was asked before
