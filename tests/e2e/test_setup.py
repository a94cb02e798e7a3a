"""`copilot-gateway setup` as a person runs it."""

import json
from pathlib import Path

import pytest

from tests.e2e.cli_driver import environment, run, store_login, unreachable
from tests.e2e.conftest import Host
from tests.e2e.hosting import Wire
from tests.emulators.copilot import FakeCopilot
from tests.listening import free_port

CANARY = "cgw_canary0123456789abcdef"


@pytest.fixture
def environ(tmp_path: Path, fake: FakeCopilot) -> dict[str, str]:
    return environment(tmp_path, fake)


def test_alone_it_lists_the_clients(environ: dict[str, str]) -> None:
    done = run(environ, "setup")
    assert 0 == done.returncode
    names = [line.split()[0] for line in done.stdout.splitlines()]
    assert {"claude-code", "codex", "opencode", "zed", "vscode", "cursor", "xcode", "open-webui"} <= set(
        names
    )
    rows = json.loads(run(environ, "setup", "--list", "--json").stdout)
    assert names == [row["name"] for row in rows]


def test_shown_first_then_made_then_taken_back(
    gateway: Wire, environ: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / ".claude" / "settings.json"
    path.parent.mkdir()
    path.write_text('{\n  "theme": "dark" // mine\n}\n')
    shown = run(environ, "setup", "claude-code", "--url", gateway.url)
    assert (0, True) == (shown.returncode, f'+    "ANTHROPIC_BASE_URL": "{gateway.url}",' in shown.stdout)
    assert '{\n  "theme": "dark" // mine\n}\n' == path.read_text()
    made = run(environ, "setup", "claude-code", "--url", gateway.url, "--write")
    assert (0, True) == (made.returncode, f"Written: {path}" in made.stderr)
    assert "// mine" in path.read_text()
    again = run(environ, "setup", "claude-code", "--url", gateway.url, "--write")
    assert "nothing to do" in again.stderr
    assert "set up" in run(environ, "setup").stdout
    undone = run(environ, "setup", "claude-code", "--undo")
    assert (0, True) == (undone.returncode, "as it was before" in undone.stderr)
    assert '{\n  "theme": "dark" // mine\n}\n' == path.read_text()
    assert [path] == list(path.parent.iterdir())
    assert "nothing to take back" in run(environ, "setup", "claude-code", "--undo").stderr


def test_models_are_the_live_ones_and_can_be_chosen(gateway: Wire, environ: dict[str, str]) -> None:
    told = json.loads(run(environ, "setup", "codex", "--url", gateway.url, "--json").stdout)
    assert ("gpt-5.5", "gpt-5-mini") == (told["model"], told["small_model"])
    wished = ("--model", "gpt-5.4", "--small-model", "gpt-4.1")
    told = json.loads(run(environ, "setup", "codex", "--url", gateway.url, *wished, "--json").stdout)
    assert ("gpt-5.4", "gpt-4.1") == (told["model"], told["small_model"])
    assert '+model = "gpt-5.4"' in told["files"][0]["diff"]
    wrong = run(environ, "setup", "codex", "--url", gateway.url, "--model", "gpt-5.44")
    assert (2, True) == (wrong.returncode, "Nearest: gpt-5.4" in wrong.stderr)


def test_without_a_gateway_the_subscription_says_the_models(environ: dict[str, str]) -> None:
    store_login(environ)
    done = run({**environ, "COPILOT_GATEWAY_PORT": str(free_port())}, "setup", "llm", "--json")
    assert (0, "claude-sonnet-5") == (done.returncode, json.loads(done.stdout)["model"])


def test_without_gateway_and_login_it_says_what_to_start(environ: dict[str, str]) -> None:
    done = run({**unreachable(environ), "COPILOT_GATEWAY_PORT": str(free_port())}, "setup", "codex")
    assert (4, True) == (done.returncode, "copilot-gateway start" in done.stderr)
    elsewhere = run(environ, "setup", "codex", "--url", f"http://127.0.0.1:{free_port()}")
    assert (4, True) == (elsewhere.returncode, "Nothing answers" in elsewhere.stderr)


def test_a_key_is_named_by_its_variable_where_the_gateway_asks_for_one(
    host: Host, environ: dict[str, str], tmp_path: Path
) -> None:
    from core.settings import Secret

    url = host(api_key=Secret(CANARY)).url
    refused = run(environ, "setup", "codex", "--url", url)
    assert (1, True) == (refused.returncode, "Set COPILOT_GATEWAY_API_KEY" in refused.stderr)
    keyed = {**environ, "COPILOT_GATEWAY_API_KEY": CANARY}
    done = run(keyed, "setup", "codex", "--url", url, "--write")
    assert 0 == done.returncode
    text = (tmp_path / ".codex" / "config.toml").read_text()
    assert (True, False) == ('env_key = "COPILOT_GATEWAY_API_KEY"' in text, CANARY in text)
    assert CANARY not in done.stdout + done.stderr


def test_a_key_that_is_given_is_written_but_never_shown(
    host: Host, environ: dict[str, str], tmp_path: Path
) -> None:
    from core.settings import Secret

    url = host(api_key=Secret(CANARY)).url
    done = run(environ, "setup", "codex", "--url", url, "--key", CANARY, "--write")
    assert 0 == done.returncode
    assert CANARY in (tmp_path / ".codex" / "config.toml").read_text()
    told = run(
        environ, "setup", "codex", "--url", url, "--key", CANARY, "--model", "gpt-5.4", "--json", "--check"
    )
    for text in (done.stdout, done.stderr, told.stdout, told.stderr):
        assert CANARY not in text
    assert "ok" in [finding["mark"] for finding in json.loads(told.stdout)["checks"]]


def test_a_client_that_is_not_installed_is_checked_by_its_requests(
    gateway: Wire, environ: dict[str, str]
) -> None:
    for name, count in (("xcode", 2), ("zed", 1), ("vscode", 1), ("raycast", 1)):
        done = run(environ, "setup", name, "--url", gateway.url, "--check", "--json")
        marks = [finding["mark"] for finding in json.loads(done.stdout)["checks"]]
        assert (0, ["skipped"] + ["ok"] * count) == (done.returncode, marks), done.stdout


def test_requests_that_nothing_answers_are_failures(environ: dict[str, str]) -> None:
    store_login(environ)
    done = run({**environ, "COPILOT_GATEWAY_PORT": str(free_port())}, "setup", "xcode", "--check", "--json")
    told = [
        (finding["mark"], finding["told"].partition(":")[0]) for finding in json.loads(done.stdout)["checks"]
    ]
    assert (1, [("FAILED", "the connection broke")] * 2) == (done.returncode, told[1:])


def test_a_client_that_does_not_answer_is_a_failure(
    gateway: Wire, environ: dict[str, str], tmp_path: Path
) -> None:
    program = tmp_path / "bin" / "codex"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho I am lost; exit 3\n")
    program.chmod(0o755)
    environ["PATH"] = f"{program.parent}:{environ['PATH']}"
    done = run(environ, "setup", "codex", "--url", gateway.url, "--check")
    assert (1, True) == (done.returncode, "exit code 3: I am lost" in done.stdout)
    assert not (tmp_path / ".codex").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["claude-cod"], "Did you mean claude-code?"),
        (["xyzzy"], "There is no set-up for xyzzy"),
        (["codex", "--undo", "--write"], "--undo goes alone"),
        (["codex", "--url", "ftp://x"], "begins with https://"),
        (["codex", "--key", "two words"], "That is no key"),
        (["codex", "--key", "-"], "That is no key"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_two(
    arguments: list[str], told: str, environ: dict[str, str]
) -> None:
    done = run(environ, "setup", *arguments)
    assert (2, True, False) == (done.returncode, told in done.stderr, "Traceback" in done.stderr)
