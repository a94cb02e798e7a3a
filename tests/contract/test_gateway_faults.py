"""The whole gateway in front of a failing Copilot: what must be healed is healed, what must be told is told."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.asking import PATH, SURFACES, UPSTREAM_PATH, ask, error_of, read_stream
from tests.e2e.hosting import ONLY_MESSAGES, Hosted, Wire, new_fake
from tests.emulators.copilot import FakeCopilot

MODEL = {"chat": "gpt-4.1", "messages": ONLY_MESSAGES, "responses": "gpt-5.5"}
every_cell = pytest.mark.parametrize(
    ("surface", "upstream"),
    [(surface, upstream) for upstream in MODEL for surface in SURFACES],
    ids=[f"{upstream}_to_{surface}" for upstream in MODEL for surface in SURFACES],
)


@pytest.fixture
def fake() -> Iterator[FakeCopilot]:
    running = new_fake()
    yield running
    running.stop()


@pytest.fixture
def gateway(fake: FakeCopilot, tmp_path: Path) -> Iterator[Wire]:
    with Hosted(fake, tmp_path) as running:
        yield Wire(running.url)


@every_cell
def test_upstream_killed_mid_stream_is_an_error_event(
    gateway: Wire, fake: FakeCopilot, surface: str, upstream: str
) -> None:
    """AC-05."""
    fake.set_modes("*", cut_after_n_bytes=1_000, cut_with_reset=True)
    answer = gateway.post(PATH[surface], ask(surface, MODEL[upstream], "[[words:300]]", stream=True))
    assert (200, "error") == (answer.status, read_stream(surface, answer.body).stop)
    assert 1 == len(fake.requests(UPSTREAM_PATH[upstream]))


@every_cell
def test_token_that_expires_mid_session_is_renewed_unseen(
    gateway: Wire, fake: FakeCopilot, surface: str, upstream: str
) -> None:
    asked = ask(surface, MODEL[upstream], "[[say:fine]]", stream=True)
    assert 200 == gateway.post(PATH[surface], asked).status
    fake.state.expire_sessions()
    assert "fine" == read_stream(surface, gateway.post(PATH[surface], asked).body).text.strip()
    assert [200, 401, 200] == [entry.status for entry in fake.requests(UPSTREAM_PATH[upstream])]
    assert 2 == len(fake.requests("/copilot_internal/v2/token"))


@every_cell
def test_rate_limit_while_streaming_is_a_429_with_its_hint(
    gateway: Wire, fake: FakeCopilot, surface: str, upstream: str
) -> None:
    """AC-49."""
    fake.account.rate_limit_code, fake.account.retry_after = "user_global_rate_limited:pro", "41"
    answer = gateway.post(PATH[surface], ask(surface, MODEL[upstream], "hi", stream=True))
    assert (429, "41") == (answer.status, answer.headers["retry-after"])
    error_of(surface, answer.body)


@every_cell
def test_account_that_moved_to_another_host_is_followed(
    gateway: Wire, fake: FakeCopilot, surface: str, upstream: str
) -> None:
    asked = ask(surface, MODEL[upstream], "[[say:moved]]", stream=True)
    assert 200 == gateway.post(PATH[surface], asked).status
    fake.account.host = "business"
    assert "moved" == read_stream(surface, gateway.post(PATH[surface], asked).body).text.strip()
    told = [(entry.host, entry.status) for entry in fake.requests(UPSTREAM_PATH[upstream])]
    assert [("individual", 200), ("individual", 421), ("business", 200)] == told


# Stores that fail under a gateway that serves


def damage(data: Path) -> None:
    for end in ("-wal", "-shm"):
        (data / f"state.sqlite3{end}").unlink(missing_ok=True)
    (data / "state.sqlite3").unlink()
    (data / "state.sqlite3").write_bytes(b"no database" * 1000)


def failures(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.message.startswith("store.failed")]


def test_calls_go_on_without_the_state_and_the_log_says_so_once(
    fake: FakeCopilot, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What is in memory serves: a broken state file stops no model call."""
    with Hosted(fake, tmp_path) as running, caplog.at_level(logging.INFO, logger="infra.watched_store"):
        gateway = Wire(running.url)
        assert 200 == gateway.post(PATH["chat"], ask("chat", "gpt-4.1", "hi")).status
        running.wait_until_counted(1)
        damage(tmp_path)
        caplog.clear()
        for surface in SURFACES * 3:
            answer = gateway.post(PATH[surface], ask(surface, "gpt-4.1", "[[say:fine]]", stream=True))
            assert "fine" == read_stream(surface, answer.body).text.strip()
            running.services.ledger.flush()
    assert 1 <= len(failures(caplog)) <= 2  # reading and writing
    assert all("Move it away" in line for line in failures(caplog))


def test_a_gateway_without_any_state_serves(gateway: Wire, tmp_path: Path) -> None:
    """The first call of all: token and catalogue are fetched, and kept in memory only."""
    tmp_path.mkdir(exist_ok=True)
    (tmp_path / "state.sqlite3").write_bytes(b"no database" * 1000)
    (tmp_path / "state.sqlite3").chmod(0o600)
    for _ in range(3):
        assert 200 == gateway.post(PATH["chat"], ask("chat", "gpt-4.1", "hi")).status


def test_a_state_file_that_another_process_holds_stops_no_call(gateway: Wire, tmp_path: Path) -> None:
    asked = ask("chat", "gpt-4.1", "[[say:fine]]")
    assert 200 == gateway.post(PATH["chat"], asked).status
    with closing(sqlite3.connect(tmp_path / "state.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert [200] * 3 == [gateway.post(PATH["chat"], asked).status for _ in range(3)]
        other.execute("ROLLBACK")


@every_cell
def test_calls_go_on_while_github_is_down(
    gateway: Wire, fake: FakeCopilot, surface: str, upstream: str
) -> None:
    """The Copilot token lives, so nobody needs GitHub."""
    asked = ask(surface, MODEL[upstream], "[[say:fine]]", stream=True)
    assert 200 == gateway.post(PATH[surface], asked).status
    fake.force("GET", "/copilot_internal/v2/token", 503, "down", times=0)
    assert "fine" == read_stream(surface, gateway.post(PATH[surface], asked).body).text.strip()
