"""`start` as a person runs it."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from core.ledger.ledger import Ledger
from core.ledger.summary import total
from infra.local.state import SqliteStateStore
from tests.e2e import cli_driver as driver
from tests.e2e.browser import Browser
from tests.e2e.cli_driver import (
    COMMAND,
    PATIENCE,
    ROOT,
    Started,
    Terminal,
    chat,
    get,
    offer_code,
    run,
    store_login,
    unreachable,
)
from tests.emulators.copilot import DEMO_TOKEN, FakeCopilot


@pytest.fixture
def fake() -> Iterator[FakeCopilot]:
    with FakeCopilot() as fake:
        yield fake


@pytest.fixture
def environ(tmp_path: Path, fake: FakeCopilot) -> dict[str, str]:
    return driver.environment(tmp_path, fake)


def test_start_serves_and_says_where(environ: dict[str, str], fake: FakeCopilot) -> None:
    store_login(environ)
    gateway = Started(environ)
    try:
        url = gateway.url()
        listed = {str(model["id"]) for model in get(f"{url}/v1/models")["data"]}
    finally:
        code = gateway.stop()
    text = "\n".join(gateway.said)
    assert {"claude-sonnet-4.6", "gpt-4.1"} <= listed
    assert "Unofficial" in text
    assert f"warning: NOT GitHub Copilot: a stand-in at {fake.api_url} answers." in gateway.said
    assert f"ANTHROPIC_BASE_URL={url} " in text
    assert "claude-sonnet-4.6, " in text
    assert DEMO_TOKEN not in text
    assert code == 0


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_development_server_serves_too(environ: dict[str, str], fake: FakeCopilot) -> None:
    store_login(environ)
    gateway = Started(environ, "--dev")
    try:
        assert get(f"{gateway.url()}/v1/models")["data"]
    finally:
        assert gateway.stop(signal.SIGTERM) == 0


def test_start_without_login_and_terminal_is_one_line(environ: dict[str, str]) -> None:
    """Case 32: nobody waits for a code that is printed where nobody looks."""
    told = run(environ, "start", "--port", "0")
    (line,) = told.stderr.splitlines()
    assert told.returncode == 3
    assert "copilot-gateway auth" in line
    assert "make demo" in line


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
def test_start_without_login_and_network_is_one_line(environ: dict[str, str]) -> None:
    master, slave = os.openpty()
    process = subprocess.Popen(
        [*COMMAND, "start", "--port", "0"], cwd=ROOT, env=unreachable(environ) | {"NO_COLOR": "1", "TERM": "dumb"},
        stdin=subprocess.DEVNULL, stderr=slave,
    )  # fmt: skip
    os.close(slave)
    code = process.wait(PATIENCE)
    shown = os.read(master, 65_536).decode()
    os.close(master)
    (line,) = shown.splitlines()
    assert code == 3
    assert line.startswith("error: Nobody is logged in to GitHub. ")
    assert "make demo" in line


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
def test_start_logs_in_first_on_a_terminal(environ: dict[str, str], fake: FakeCopilot) -> None:
    fake.approve(offer_code(fake))
    terminal = Terminal([*COMMAND, "start", "--port", "0"], environ)
    try:
        shown = terminal.read_until("Listening on ")
    finally:
        code = terminal.stop()
    assert "Logged in." in shown
    assert code == 0


def test_start_serves_while_copilot_cannot_be_reached(environ: dict[str, str]) -> None:
    store_login(environ)
    gateway = Started(unreachable(environ))
    try:
        assert gateway.url()
    finally:
        assert gateway.stop() == 0
    assert any(line.startswith("warning: The models could not be listed: ") for line in gateway.said)


def test_what_was_asked_is_in_the_books_soon_also_where_nobody_asks_again(
    environ: dict[str, str],
) -> None:
    """A process that is killed loses the last second at most."""
    store_login(environ)
    gateway = Started(environ)
    try:
        url = gateway.url()
        assert [200] * 3 == [chat(url) for _ in range(3)]
        ends = time.monotonic() + PATIENCE
        path = Path(environ["COPILOT_GATEWAY_DATA_DIR"]) / "state.sqlite3"
        with closing(SqliteStateStore(path, time.time)) as state:
            books = Ledger(state, time.time, time.monotonic)
            while total(books.days(time.time() - 60)).requests < 3:
                assert time.monotonic() < ends
                time.sleep(0.1)
    finally:
        gateway.stop(signal.SIGKILL)


def test_taken_port_is_one_line(environ: dict[str, str]) -> None:
    store_login(environ)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        told = run(environ, "start", "--port", port)
    assert told.returncode == 1
    assert told.stderr.splitlines()[-1].startswith(f"error: cannot listen on 127.0.0.1 port {port}")


def test_account_without_copilot_is_told_what_github_says(environ: dict[str, str], fake: FakeCopilot) -> None:
    store_login(environ)
    fake.account.blocked_notification = "no_copilot_access"
    told = run(environ, "start", "--port", "0")
    assert told.returncode == 1
    assert "No access to GitHub Copilot was found for this account." in told.stderr.splitlines()[-1]


def test_claude_code_command_names_models_that_exist(environ: dict[str, str]) -> None:
    store_login(environ)
    gateway = Started(environ | {"SHELL": "/bin/bash"}, "--claude-code")
    try:
        url = gateway.url()
    finally:
        gateway.stop()
    (line,) = [line for line in gateway.said if "ANTHROPIC_MODEL" in line]
    for part in (
        f"ANTHROPIC_BASE_URL={url}", "ANTHROPIC_MODEL=claude-sonnet-5", "ANTHROPIC_DEFAULT_HAIKU_MODEL=claude-haiku-4.5",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1",
    ):  # fmt: skip
        assert part in line


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
def test_claude_code_asks_for_models_on_a_terminal(environ: dict[str, str]) -> None:
    store_login(environ)
    terminal = Terminal([*COMMAND, "start", "--port", "0", "--claude-code"], environ | {"SHELL": "/bin/bash"})
    try:
        terminal.answer("Model (number or id)", "no-such-model")
        terminal.answer("There is no model no-such-model.", "claude-opus-4.8")
        terminal.answer("Small, fast model", "")
        shown = terminal.read_until("Listening on ")
    finally:
        code = terminal.stop()
    assert "ANTHROPIC_MODEL=claude-opus-4.8 ANTHROPIC_DEFAULT_HAIKU_MODEL=claude-haiku-4.5" in shown
    assert code == 0


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
def test_manual_approval_decides_in_the_terminal(environ: dict[str, str]) -> None:
    store_login(environ)
    terminal = Terminal([*COMMAND, "start", "--port", "0", "--manual"], environ)
    statuses: list[int] = []
    try:
        url = terminal.read_until("(Ctrl-C stops)").rpartition("Listening on ")[2].split()[0]
        for answer in ("y", "n"):
            thread = threading.Thread(target=lambda: statuses.append(chat(url)))
            thread.start()
            terminal.answer("pass?", answer)
            thread.join(PATIENCE)
    finally:
        terminal.stop()
    assert statuses == [200, 403]


def test_without_a_terminal_the_dashboard_alone_approves(environ: dict[str, str]) -> None:
    store_login(environ)
    gateway = Started(environ, "--manual")
    statuses: list[int] = []
    try:
        url = gateway.url()
        browser = Browser(url, path="/dashboard")
        for action in ("approve", "refuse"):
            thread = threading.Thread(target=lambda: statuses.append(chat(url)))
            thread.start()
            while not (waiting := re.search(r'name="id" value="([^"]+)"', browser.page.text)):
                browser.get()
            browser.press(action, id=waiting[1])
            thread.join(PATIENCE)
    finally:
        gateway.stop()
    assert [200, 403] == statuses
    assert any(line.endswith(f"waits for your approval on {url}/dashboard.") for line in gateway.said)


HEAD = b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2001\r\n\r\n"


def test_start_reads_no_body_far_over_the_limit_that_is_set(environ: dict[str, str]) -> None:
    """Whoever has no key must not fill the memory: what is over twice the limit is refused by its length alone."""
    store_login(environ)
    gateway = Started(environ | {"COPILOT_GATEWAY_MAX_BODY_BYTES": "1000"})
    try:
        host, _, port = gateway.url().removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), PATIENCE) as client:
            client.sendall(HEAD)
            status = client.recv(100).split(b"\r\n")[0]
    finally:
        gateway.stop()
    assert [b"HTTP/1.1", b"413"] == status.split()[:2]


def test_start_refuses_a_state_that_would_let_no_client_in(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "state.sqlite3").mkdir()
    environ |= {
        "COPILOT_GATEWAY_DATA_DIR": str(tmp_path / "elsewhere"),
        "COPILOT_GATEWAY_GITHUB_TOKEN": DEMO_TOKEN,
    }
    ended = run(environ, "start", "--port", "0")
    assert (1, 1) == (ended.returncode, len(ended.stderr.splitlines()))
    assert "state.sqlite3 is not a plain file." in ended.stderr
