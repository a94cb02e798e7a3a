"""The smoke test against the gateway itself, and against things that are wrong."""

import json
import re
import socket
import subprocess
import sys
import threading
from itertools import count
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from core.settings import Secret
from infra.smoke import Finding, Smoke, check_url, exit_code, line
from tests.e2e import cli_driver as driver
from tests.e2e.cli_driver import PATIENCE, ROOT, run
from tests.e2e.conftest import Host
from tests.emulators.copilot import FakeCopilot

KEY = "operators-key"


@pytest.fixture
def environ(tmp_path: Path, fake: FakeCopilot) -> dict[str, str]:
    """Time between the pieces of a stream, as a real model takes it."""
    fake.state.set_modes("gpt-5-mini", {"pace_ms": 40})
    return driver.environment(tmp_path, fake) | {"COPILOT_GATEWAY_API_KEY": KEY}


def marks(text: str) -> dict[str, str]:
    return {line[9:21].strip(): line[:9].strip() for line in text.splitlines()}


def test_a_healthy_gateway_passes_everything(host: Host, environ: dict[str, str]) -> None:
    gateway = host(api_key=Secret(KEY), max_body_bytes=100_000)
    told = run(environ, "smoke", gateway.url)
    assert {
        "health": "ok", "encryption": "skipped", "no key": "ok", "wrong key": "ok", "key": "ok", "streaming": "ok",
        "large body": "ok",
    } == marks(told.stdout), told.stdout + told.stderr  # fmt: skip
    assert re.search(r"models; copilot-gateway/\S+ python/3\.\d+\.\d+ \w+", told.stdout)
    assert "0.2 MB: refused with 413" in told.stdout
    assert (0, False) == (told.returncode, KEY in told.stdout + told.stderr)


def test_it_runs_without_anything_but_python(host: Host, environ: dict[str, str]) -> None:
    gateway = host(api_key=Secret(KEY), max_body_bytes=100_000)
    told = subprocess.run(
        [sys.executable, "-S", str(ROOT / "infra" / "smoke.py"), f"{gateway.url}/v1/"],
        env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert (0, "ok") == (told.returncode, marks(told.stdout)["streaming"]), told.stdout + told.stderr


def test_a_gateway_without_a_login_has_its_own_exit_code(host: Host, environ: dict[str, str]) -> None:
    gateway = host(api_key=Secret(KEY), github_token=Secret(""), max_body_bytes=100_000)
    told = run(environ, "smoke", gateway.url)
    assert (3, "no login") == (told.returncode, marks(told.stdout)["key"]), told.stdout
    assert f"open {gateway.url}/login in a browser" in told.stderr


def test_a_wrong_key_fails(host: Host, environ: dict[str, str]) -> None:
    gateway = host(api_key=Secret("another"), max_body_bytes=100_000)
    told = run(environ, "smoke", gateway.url, "--json")
    found = {entry["name"]: entry["mark"] for entry in json.loads(told.stdout)}
    assert (1, "FAILED", "Failed: key, large body.") == (
        told.returncode, found["key"], told.stderr.splitlines()[-1].removeprefix("error: ")
    )  # fmt: skip


def test_nobody_at_the_address_has_its_own_exit_code(environ: dict[str, str]) -> None:
    nobody = driver.unreachable(environ)["COPILOT_GATEWAY_GITHUB_URL"]
    told = run(environ, "smoke", nobody)
    assert (4, "FAILED") == (told.returncode, marks(told.stdout)["health"])


@pytest.mark.parametrize(
    "arguments",
    [
        *([], ["ftp://x"], ["example.com"], ["https://u:p@x"], ["https://x", "--stage", "dev"]),
        *(["http://127.0.0.1:abc"], ["http://127.0.0.1:99999"], ["http://[::1"], ["http://a b.example"]),
        *([f"https://{'a' * 64}.example"], ["https://a..example"], ["https://gateway.example/modèles"]),
    ],
)
def test_a_url_or_a_stage_is_needed(environ: dict[str, str], arguments: list[str]) -> None:
    assert run(environ, "smoke", *arguments).returncode == 2


def test_what_comes_in_one_piece_does_not_stream(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/v1/models").respond_with_json({"data": [{"id": "gpt-5-mini"}]})
    httpserver.expect_request("/v1/chat/completions").respond_with_data("data: 1\n\ndata: [DONE]\n\n")
    found = {each.name: each for each in Smoke(httpserver.url_for("").rstrip("/"), KEY).run()}
    assert "FAILED" == found["streaming"].mark
    assert "buffered on the way" in found["streaming"].told


def test_pieces_apart_in_time_are_a_stream(httpserver: HTTPServer) -> None:
    """The clock goes on by a second with each look."""
    httpserver.expect_request("/v1/models").respond_with_json({"data": [{"id": "claude-haiku-4.5"}]})
    pieces = [b"data: 1\n\n" * 8000, b"data: [DONE]\n\n"]
    from werkzeug import Response

    httpserver.expect_request("/v1/chat/completions").respond_with_handler(
        lambda _request: Response(iter(pieces), mimetype="text/event-stream")
    )
    seconds = count()
    smoke = Smoke(httpserver.url_for("").rstrip("/"), KEY, now=lambda: float(next(seconds)))
    found = {each.name: each for each in smoke.run()}
    assert "ok" == found["streaming"].mark, found["streaming"].told


@pytest.mark.parametrize("body", ["", "null", "[]", '{"data": 1}', '{"error": []}', "[" * 100_000])
@pytest.mark.parametrize("status", [200, 401, 500])
def test_a_strange_server_is_a_finding_and_no_crash(httpserver: HTTPServer, body: str, status: int) -> None:
    httpserver.expect_request(re.compile(".*")).respond_with_data(
        body, status, headers={"x-gateway-body-limit": "-1"}
    )
    found = list(Smoke(httpserver.url_for("").rstrip("/"), KEY).run())
    assert (7, 1) == (len(found), exit_code(found))


def test_what_speaks_no_http_is_a_finding_and_no_crash(environ: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def greet() -> None:
            connection, _ = other.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        greeter = threading.Thread(target=greet)
        greeter.start()
        told = run(environ, "smoke", f"http://127.0.0.1:{other.getsockname()[1]}")
        greeter.join()
    assert (4, "FAILED") == (told.returncode, marks(told.stdout)["health"])
    assert "answers what is no HTTP" in told.stdout
    assert "error: Failed: health.\n" == told.stderr


def test_a_key_that_no_header_can_carry_is_a_finding(httpserver: HTTPServer) -> None:
    found = {each.name: each for each in Smoke(httpserver.url_for("").rstrip("/"), "cgw_\u20ac").run()}
    assert ("FAILED", "the key has letters that no header can carry") == found["key"][1:]


def test_plain_http_to_elsewhere_fails() -> None:
    assert Smoke("http://gateway.example", KEY)._encryption()[0] == "FAILED"
    assert Smoke("https://gateway.example", KEY)._encryption()[0] == "ok"


def test_the_stage_of_an_api_gateway_stays_in_the_path() -> None:
    assert "https://a.example/dev" == check_url("https://a.example/dev/v1/")


@pytest.mark.parametrize(
    "text", ["http://127.0.0.1:4141/?signed-in&now", "http://127.0.0.1:4141/#codex", "http://127.0.0.1:99999"]
)
def test_a_url_that_clients_could_put_no_path_behind_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"URL|[Pp]ort"):
        check_url(text)


def test_a_line_is_as_wide_as_the_others() -> None:
    assert "ok       health      answers" == line(Finding("health", "ok", "answers"))
