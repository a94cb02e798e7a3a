"""The log of a real gateway: in the terminal, in its file, and as `copilot-gateway logs` shows it."""

import json
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from tests.e2e.cli_driver import COMMAND, PATIENCE, ROOT, Started, environment, run
from tests.e2e.hosting import Wire, environ_for
from tests.emulators.copilot import FakeCopilot

ASKED = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "my diary"}]}


@pytest.fixture
def environ(fake: FakeCopilot, tmp_path: Path) -> dict[str, str]:
    return environment(tmp_path, fake) | environ_for(fake, tmp_path / "data")


@pytest.fixture
def logged(environ: dict[str, str]) -> list[str]:
    """What the terminal showed of a gateway that was asked thrice; its log file is there."""
    program = Started(environ)
    try:
        wire = Wire(program.url())
        assert wire.post("/v1/chat/completions", ASKED).status == 200
        assert wire.post("/v1/messages", {**ASKED, "max_tokens": 9, "stream": True}).status == 200
        assert wire.post("/v1/responses", {"model": "no-such-model", "input": "my diary"}).status == 404
        assert wire.get("/healthz").status == 200
    finally:
        code = program.stop()
    assert code == 0
    return program.said


def route_of(line: str) -> str:
    """Return the route; lines are written after the answers, so that the next request's may come first."""
    return line.split("route=")[1].split(" key", maxsplit=1)[0].split(" model", maxsplit=1)[0]


def test_each_request_is_one_line_without_its_words(logged: list[str], environ: dict[str, str]) -> None:
    lines = sorted((line for line in logged if " request." in line), key=route_of)
    assert [route_of(line) for line in lines] == [
        "'POST /v1/chat/completions'",
        "'POST /v1/messages'",
        "'POST /v1/responses'",
    ]
    first, second, third = lines
    assert " model=gpt-4.1 upstream=chat status=200 " in first
    assert " first_token=" in second
    assert " input=" in first
    assert " status=404 error=not_found " in third
    assert " message=" in third
    assert " upstream_id=" in first
    assert "diary" not in "\n".join(logged)


def test_the_file_holds_the_same_as_json_and_is_private(logged: list[str], environ: dict[str, str]) -> None:
    file = Path(environ["COPILOT_GATEWAY_DATA_DIR"]) / "gateway.log"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    requests = [line for line in lines if line["event"] == "request.done"]
    assert [200, 200, 404] == sorted(line["status"] for line in requests)
    assert all(isinstance(line["duration"], float) for line in requests)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_logs_shows_and_chooses(logged: list[str], environ: dict[str, str]) -> None:
    shown = run(environ, "logs")
    assert (0, 3) == (shown.returncode, shown.stdout.count("request.done"))
    assert "\x1b" not in shown.stdout
    errors = run(environ, "logs", "--errors", "--json", "--since", "1h")
    told = [json.loads(line) for line in errors.stdout.splitlines()]
    (line,) = [line for line in told if line["event"] == "request.done"]
    assert ("not_found", 404) == (line["error"], line["status"])
    assert run(environ, "logs", "--model", "gpt-4*", "-n", "1").stdout.count("\n") == 1
    assert run(environ, "logs", "--key", "nobody").stdout == ""


def test_logs_follows_across_a_rotation(logged: list[str], environ: dict[str, str]) -> None:
    file = Path(environ["COPILOT_GATEWAY_DATA_DIR"]) / "gateway.log"
    following = subprocess.Popen(
        [*COMMAND, "logs", "-f", "-n", "1", "--json"],
        cwd=ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert following.stdout is not None
        assert json.loads(following.stdout.readline())["event"] == "request.done"
        with file.open("a") as log:
            log.write('{"event": "first.of_all"}\n')
        assert json.loads(following.stdout.readline()) == {"event": "first.of_all"}
        file.rename(file.with_name("gateway.log.1"))
        file.write_text('{"event": "then.another"}\n')
        assert json.loads(following.stdout.readline()) == {"event": "then.another"}
        following.send_signal(signal.SIGINT)
        assert following.wait(PATIENCE) == 130
    finally:
        following.kill()
        following.communicate()


def test_without_a_log_it_is_said_where_it_would_be(environ: dict[str, str]) -> None:
    missing = run(environ, "logs")
    assert (1, True) == (missing.returncode, "There is no log at" in missing.stderr)
    off = run(environ | {"COPILOT_GATEWAY_LOG_FILE": "off"}, "logs")
    assert (1, True) == (off.returncode, "switched off" in off.stderr)
    folder = run(environ, "logs", "--log-file", environ["HOME"])
    assert (1, f"error: {environ['HOME']}: Is a directory\n") == (folder.returncode, folder.stderr)
    bad = run(environ, "logs", "--since", "yesterday")
    assert (2, True) == (bad.returncode, "30m or 2d" in bad.stderr)


def test_a_log_file_that_cannot_be_written_stops_the_start(environ: dict[str, str], tmp_path: Path) -> None:
    refused = run(environ, "start", "--port", "0", "--log-file", str(tmp_path / "no" / "such" / "file"))
    assert (2, True) == (refused.returncode, "--log-file" in refused.stderr)


def test_another_place_and_another_form(environ: dict[str, str], tmp_path: Path) -> None:
    chosen = tmp_path / "elsewhere.log"
    program = Started(environ | {"COPILOT_GATEWAY_LOG_FORMAT": "json"}, "--log-file", str(chosen))
    try:
        Wire(program.url()).get("/v1/models")
    finally:
        program.stop()
    (shown,) = [line for line in program.said if line.startswith("{") and "request.done" in line]
    (kept,) = [line for line in chosen.read_text().splitlines() if "request.done" in line]
    assert json.loads(shown) == json.loads(kept)
    assert not (Path(environ["COPILOT_GATEWAY_DATA_DIR"]) / "gateway.log").exists()
