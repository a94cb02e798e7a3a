"""Streamed replies of the app itself, between a WSGI server's hands and a scripted Copilot: what holds whatever goes wrong."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest
from flask.testing import FlaskClient
from msgspec import structs
from werkzeug.test import create_environ
from werkzeug.wsgi import ClosingIterator

from core.exchange import Exchange
from core.settings import Secret, Settings
from handlers import create_app
from handlers.services import Services
from infra.local.services import build_services
from tests.e2e.asking import PATH, SURFACES, ask, read_stream
from tests.e2e.hosting import PATIENCE, new_fake
from tests.e2e.upstream import Step, Upstream
from tests.emulators.copilot import DEMO_TOKEN, FakeCopilot

BEGUN = b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"amber"}}]}\n\n'
ENDED = b'data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"


class BrokenClock:
    """A defect: a clock whose answer to this call is an exception."""

    def __init__(self, breaks_at: int) -> None:
        self._left = breaks_at

    def __call__(self) -> float:
        self._left -= 1
        if not self._left:
            raise RuntimeError("a defect")
        return time.monotonic()


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeCopilot]:
    one = new_fake()
    yield one
    one.stop()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as scripted:
        yield scripted


@pytest.fixture
def services(fake: FakeCopilot, upstream: Upstream, tmp_path: Path) -> Iterator[Services]:
    settings = Settings(
        github_url=fake.github_url, github_api_url=fake.api_url, github_token=Secret(DEMO_TOKEN),
        copilot_url=upstream.url, data_dir=str(tmp_path), commit_after=PATIENCE,
    )  # fmt: skip
    given = build_services(settings)
    yield given
    given.copilot.transport.close()


@pytest.fixture
def finished() -> list[Exchange]:
    """The records that an observer was told."""
    return []


@pytest.fixture
def client(services: Services, finished: list[Exchange]) -> Callable[..., FlaskClient]:
    """Return a client of the app with these parts exchanged."""

    def made(**parts: object) -> FlaskClient:
        observers = (*services.observers, finished.append)
        return create_app(structs.replace(services, observers=observers, **parts)).test_client()

    return made


def test_reply_that_nobody_reads_lets_go_of_upstream_and_ends_once(
    client: Callable[..., FlaskClient], upstream: Upstream, finished: list[Exchange]
) -> None:
    """A generator that was never started runs nothing of its own when it is closed."""
    exchange = upstream.stream(BEGUN, Step.WATCH)
    asked = ask("chat", "gpt-4.1", "hi", stream=True)
    environ = create_environ(PATH["chat"], "http://127.0.0.1", method="POST", json=asked)
    reply = cast("ClosingIterator", client().application(environ, lambda *_: bytes))
    reply.close()
    reply.close()
    assert exchange.wait_until_left()
    assert ["client_left"] == [record.error for record in finished]


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("breaks_at", [2, 3])
def test_defect_in_the_middle_of_a_stream_is_told_as_its_end(
    client: Callable[..., FlaskClient], upstream: Upstream, finished: list[Exchange], surface: str, breaks_at: int
) -> None:  # fmt: skip
    upstream.stream(BEGUN, Step.WATCH)
    asked = ask(surface, "gpt-4.1", "hi", stream=True)
    broken = client(ticks=BrokenClock(breaks_at))
    answer = broken.post(PATH[surface], json=asked, headers={"Host": "127.0.0.1"})
    assert "error" == read_stream(surface, answer.data).stop
    assert b"The gateway failed; its log says why." in answer.data
    answer.close()
    assert ["internal"] == [record.error for record in finished]


def test_first_token_is_the_first_of_many(
    client: Callable[..., FlaskClient], upstream: Upstream, finished: list[Exchange]
) -> None:
    exchange = upstream.stream(BEGUN, Step.HOLD, BEGUN, ENDED, DONE)
    asked = ask("chat", "gpt-4.1", "hi", stream=True)
    reply = client().post(PATH["chat"], json=asked, headers={"Host": "127.0.0.1"}, buffered=False)
    pieces = iter(reply.response)
    assert b"amber" in next(pieces)
    seen_at = time.monotonic()
    exchange.release()
    assert b"[DONE]" in b"".join(pieces)
    reply.close()
    (record,) = finished
    assert record.first_token is not None
    assert record.started + record.first_token <= seen_at
