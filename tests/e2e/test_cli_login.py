"""`auth` as a person runs it."""

import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import cli_driver as driver
from tests.e2e.cli_driver import COMMAND, PATIENCE, ROOT, offer_code, run, store_login
from tests.emulators.copilot import DEMO_TOKEN, FakeCopilot


@pytest.fixture
def fake() -> Iterator[FakeCopilot]:
    with FakeCopilot() as fake:
        yield fake


@pytest.fixture
def environ(tmp_path: Path, fake: FakeCopilot) -> dict[str, str]:
    return driver.environment(tmp_path, fake)


def test_login_is_stored_for_its_owner_only(environ: dict[str, str], fake: FakeCopilot) -> None:
    user_code = offer_code(fake)
    fake.approve(user_code)
    told = run(environ, "auth")
    file = Path(environ["COPILOT_GATEWAY_DATA_DIR"]) / "github-token"
    assert told.returncode == 0, told.stderr
    assert f"{fake.github_url}/login/device and enter the code {user_code}" in told.stderr
    assert file.read_text() == DEMO_TOKEN
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert DEMO_TOKEN not in told.stdout + told.stderr


def test_token_is_shown_only_when_asked(environ: dict[str, str], fake: FakeCopilot) -> None:
    fake.approve(offer_code(fake))
    told = run(environ, "auth", "--show-token")
    assert f"GitHub token: {DEMO_TOKEN}" in told.stderr


def test_refused_login_ends_with_the_reason(environ: dict[str, str], fake: FakeCopilot) -> None:
    fake.deny(offer_code(fake))
    told = run(environ, "auth")
    assert told.returncode == 3
    assert told.stderr.splitlines()[-1] == "error: The login was cancelled on GitHub's page."
    assert not (Path(environ["COPILOT_GATEWAY_DATA_DIR"]) / "github-token").exists()


def test_login_that_works_is_kept_unless_forced(environ: dict[str, str], fake: FakeCopilot) -> None:
    store_login(environ)
    told = run(environ, "auth")
    assert (told.returncode, fake.requests("/login/device/code")) == (0, [])
    assert "Already logged in as octocat." in told.stderr
    fake.approve(offer_code(fake))
    assert run(environ, "auth", "--force").returncode == 0
    assert len(fake.requests("/login/device/code")) == 1


def test_dead_login_is_replaced(environ: dict[str, str], fake: FakeCopilot) -> None:
    store_login(environ, "gho_revoked")
    fake.approve(offer_code(fake))
    assert run(environ, "auth").returncode == 0
    assert (Path(environ["COPILOT_GATEWAY_DATA_DIR"]) / "github-token").read_text() == DEMO_TOKEN


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_interrupted_login_ends_quietly(environ: dict[str, str], fake: FakeCopilot) -> None:
    offer_code(fake)
    process = subprocess.Popen(
        [*COMMAND, "auth"], cwd=ROOT, env=environ, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    with process.stderr:
        for line in process.stderr:
            if line.startswith("Waiting"):
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
    assert (process.wait(PATIENCE), "Traceback" in rest) == (130, False)
