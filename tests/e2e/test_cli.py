"""The other commands as a person runs them, and every way to be refused."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import cli_driver as driver
from tests.e2e.cli_driver import COMMAND, PATIENCE, ROOT, run, store_login, unreachable
from tests.emulators.copilot import BUSINESS_TOKEN, DEMO_TOKEN, FakeCopilot


@pytest.fixture
def fake() -> Iterator[FakeCopilot]:
    with FakeCopilot() as fake:
        yield fake


@pytest.fixture
def environ(tmp_path: Path, fake: FakeCopilot) -> dict[str, str]:
    return driver.environment(tmp_path, fake)


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["start", "--host", "0.0.0.0"], 2, "COPILOT_GATEWAY_API_KEY"),  # noqa: S104
        (["start", "--port", "99999"], 2, "--port must be a port from 0"),
        (["start", "--rate-limit", "-1"], 2, "--rate-limit must be a number of seconds, 0 or more"),
        (["start", "--prot", "1"], 2, "No such option"),
        (["sart"], 2, "No such command"),
        (["start", "--github-token", "gho_unknown"], 3, "copilot-gateway auth"),
        (["models"], 3, "copilot-gateway auth"),
        (["check-usage"], 3, "copilot-gateway auth"),
    ],
)
def test_refusal_says_why_without_a_traceback(
    environ: dict[str, str], arguments: list[str], code: int, expected: str
) -> None:
    told = run(environ, *arguments)
    assert told.returncode == code
    assert expected in told.stderr.splitlines()[-1]
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize("token", ["ghp_classic", "github_pat_fine_grained"])
def test_personal_access_token_is_refused_with_the_remedy(
    environ: dict[str, str], fake: FakeCopilot, token: str
) -> None:
    """Cases 30 and 31."""
    told = run(environ | {"COPILOT_GATEWAY_GITHUB_TOKEN": token}, "models")
    assert (told.returncode, fake.log) == (3, [])
    assert "personal access token" in told.stderr
    assert "copilot-gateway auth" in told.stderr
    assert token not in told.stderr


def test_token_of_another_tool_serves_where_nobody_has_logged_in(environ: dict[str, str]) -> None:
    told = run(environ | {"GH_TOKEN": DEMO_TOKEN}, "models")
    assert told.returncode == 0


def test_stored_login_goes_before_the_token_of_another_tool(environ: dict[str, str]) -> None:
    store_login(environ)
    told = run(environ | {"GH_TOKEN": "gho_of_another_tool"}, "models")
    assert told.returncode == 0


@pytest.mark.parametrize("command", ["models", "check-usage"])
def test_unreachable_github_has_its_own_exit_code(environ: dict[str, str], command: str) -> None:
    store_login(environ)
    told = run(unreachable(environ), command)
    assert (told.returncode, len(told.stderr.splitlines()), told.stdout) == (4, 1, "")


def test_bad_variable_stops_every_command(environ: dict[str, str]) -> None:
    told = run(environ | {"COPILOT_GATEWAY_PROT": "1"}, "debug")
    assert told.returncode == 2
    assert told.stderr == "error: COPILOT_GATEWAY_PROT is no setting. Did you mean COPILOT_GATEWAY_PORT?\n"


def test_models_are_listed_for_people_and_for_programs(environ: dict[str, str]) -> None:
    store_login(environ)
    shown, told = run(environ, "models"), run(environ, "models", "--json")
    by_id = {model["id"]: model for model in json.loads(told.stdout)}
    assert by_id["gpt-5.5"]["dialects"] == ["responses"]
    assert any(line.split()[:2] == ["gpt-5.5", "responses"] for line in shown.stdout.splitlines())
    assert shown.stderr == ""


@pytest.mark.skipif(sys.platform == "win32", reason="pty is for Unix")
def test_a_terminal_without_colours_gets_no_bold_either(environ: dict[str, str]) -> None:
    import pty

    store_login(environ)
    master, slave = pty.openpty()
    terminal = environ | {"NO_COLOR": "1", "TERM": "xterm-256color"}
    done = subprocess.run(
        [*COMMAND, "models"], cwd=ROOT, env=terminal, stdin=slave, stdout=slave, stderr=slave,
        check=False, timeout=PATIENCE,
    )  # fmt: skip
    os.close(slave)
    shown = os.read(master, 65_536)
    os.close(master)
    assert done.returncode == 0
    assert b"claude-sonnet" in shown
    assert b"\x1b" not in shown


def test_business_seat_needs_no_flag(environ: dict[str, str], fake: FakeCopilot) -> None:
    """Case 26: the host comes with the token, where the individual host would answer 421."""
    store_login(environ, BUSINESS_TOKEN)
    told = run(environ, "models", "--json")
    assert (told.returncode, {entry.host for entry in fake.requests("/models")}) == (0, {"business"})


def test_reader_that_leaves_early_sees_no_traceback(environ: dict[str, str]) -> None:
    store_login(environ)
    process = subprocess.Popen(
        [*COMMAND, "models"], cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == ""
    assert process.wait(PATIENCE) == 1


@pytest.mark.parametrize(
    ("closed", "told"),
    [("<&-", "gpt-5-mini"), (">&-", ""), ("2>&-", "gpt-5-mini"), ("<&- >&- 2>&-", "")],
)
def test_a_closed_stream_is_no_reason_to_fail(environ: dict[str, str], closed: str, told: str) -> None:
    store_login(environ)
    ran = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *COMMAND, "models"], cwd=ROOT, env=environ,
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert told in ran.stdout


def test_usage_is_shown_for_people_and_for_programs(environ: dict[str, str]) -> None:
    store_login(environ)
    shown, told = run(environ, "check-usage"), run(environ, "check-usage", "--json")
    assert json.loads(told.stdout)["login"] == "octocat"
    assert shown.stdout.startswith("octocat: plan individual")


def test_debug_tells_no_secret(environ: dict[str, str]) -> None:
    store_login(environ)
    told = run(environ | {"COPILOT_GATEWAY_API_KEY": "hidden-key"}, "debug", "--json")
    report = json.loads(told.stdout)
    assert (report["token"], report["data_dir"]) == ("stored", environ["COPILOT_GATEWAY_DATA_DIR"])
    assert "hidden-key" not in told.stdout
    assert DEMO_TOKEN not in told.stdout


def test_version_imports_neither_flask_nor_rich() -> None:
    program = "import sys; from infra.cli.app import run; run(['--version']); print(sorted({'flask', 'rich'} & set(sys.modules)))"
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert told.stdout == "copilot-gateway, version 0.1.0\n[]\n"
