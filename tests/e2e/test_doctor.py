"""`doctor` as a person runs it: each failure is found, named once, and told with its remedy."""

import json
import socket
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import cli_driver as driver
from tests.e2e.cli_driver import run, store_login, unreachable
from tests.e2e.conftest import Host
from tests.emulators.copilot import BUSINESS_TOKEN, DEMO_TOKEN, FakeCopilot
from tests.emulators.copilot.models import entry

EXCHANGE = "/copilot_internal/v2/token"
NEEDS_TOKEN = ["token", "copilot", "plan", "catalogue", "request"]


@pytest.fixture
def environ(tmp_path: Path, fake: FakeCopilot) -> dict[str, str]:
    found = driver.environment(tmp_path, fake) | {"COPILOT_GATEWAY_PORT": "0"}
    store_login(found)
    return found


def data_of(environ: dict[str, str]) -> Path:
    return Path(environ["COPILOT_GATEWAY_DATA_DIR"])


class Told:
    """What one run said."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code = done.returncode
        self.findings: dict[str, dict[str, Any]] = {one["name"]: one for one in json.loads(done.stdout)}
        assert "Traceback" not in done.stderr
        assert not [trace for trace in (DEMO_TOKEN, "tid=") if trace in done.stdout + done.stderr]

    def marked(self, mark: str) -> list[str]:
        return [name for name, finding in self.findings.items() if finding["mark"] == mark]

    def text(self, name: str) -> str:
        return f"{self.findings[name]['told']} {self.findings[name]['remedy']}"


def examined(environ: dict[str, str], *arguments: str) -> Told:
    return Told(run(environ, "doctor", "--json", *arguments))


def test_a_healthy_gateway_is_found_so_in_a_line_a_check(environ: dict[str, str]) -> None:
    told = run(environ, "doctor")
    marks = [line.split()[0] for line in told.stdout.splitlines()]
    assert (0, {"ok", "skipped"}) == (told.returncode, set(marks)), told.stdout
    assert marks.count("skipped") == 1  # the fake tells no time
    assert told.stderr == "Nothing is wrong.\n"
    assert "octocat: plan individual" in told.stdout
    assert DEMO_TOKEN not in told.stdout


def test_the_request_goes_to_the_model_that_costs_nothing(environ: dict[str, str], fake: FakeCopilot) -> None:
    for model in fake.models:
        if model.get("id") == "gemini-3.8-flash":
            model["billing"]["multiplier"] = 0
    told = examined(environ)
    (asked,) = fake.requests("/chat/completions")
    assert (0, "gemini-3.8-flash") == (told.code, json.loads(asked.body)["model"])
    assert ("user", True) == (asked.headers["x-initiator"], json.loads(asked.body)["max_tokens"] <= 16)


@pytest.mark.parametrize(
    ("arguments", "paths"),
    [
        (["--offline"], set()),
        (["--no-request"], {"/", "/_ping", "/copilot_internal/user", EXCHANGE, "/models"}),
    ],
)
def test_what_is_not_wanted_is_not_sent(
    environ: dict[str, str], fake: FakeCopilot, arguments: list[str], paths: set[str]
) -> None:
    assert examined(environ, *arguments).code == 0
    assert paths == {asked.path for asked in fake.log}


def test_the_doctor_s_own_request_waits_for_nobody(environ: dict[str, str]) -> None:
    limits = {"COPILOT_GATEWAY_MANUAL": "true", "COPILOT_GATEWAY_RATE_LIMIT": "3600"}
    told = examined(environ | limits)
    assert (0, "ok") == (told.code, told.findings["request"]["mark"])


def test_a_missing_login_is_told_once(environ: dict[str, str]) -> None:
    (data_of(environ) / "github-token").unlink()
    told = examined(environ)
    assert (3, ["login"]) == (told.code, told.marked("wrong"))
    assert "copilot-gateway auth" in told.text("login")
    assert ["not checked, because of: login"] * 5 == [told.findings[name]["told"] for name in NEEDS_TOKEN]


@pytest.mark.parametrize("token", ["ghp_classic", "github_pat_fine_grained"])
def test_a_personal_access_token_is_told_from_a_login(
    environ: dict[str, str], fake: FakeCopilot, token: str
) -> None:
    told = examined(environ | {"COPILOT_GATEWAY_GITHUB_TOKEN": token})
    assert (3, ["login"]) == (told.code, told.marked("wrong"))
    assert "personal access token" in told.text("login")
    assert "copilot-gateway auth" in told.text("login")
    assert token not in json.dumps(told.findings)
    assert fake.requests(EXCHANGE) == []


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "(stored)"),
        ({"GH_TOKEN": DEMO_TOKEN}, "(stored)"),
        ({"COPILOT_GATEWAY_GITHUB_TOKEN": DEMO_TOKEN}, "(COPILOT_GATEWAY_GITHUB_TOKEN, before the stored login)"),
    ],
)  # fmt: skip
def test_the_source_of_the_login_is_named(
    environ: dict[str, str], variables: dict[str, str], expected: str
) -> None:
    told = examined(environ | variables, "--offline")
    assert expected in told.text("login")


@pytest.mark.parametrize("variable", ["GH_TOKEN", "GITHUB_TOKEN"])
def test_the_token_of_another_tool_is_named_by_its_variable(environ: dict[str, str], variable: str) -> None:
    (data_of(environ) / "github-token").unlink()
    assert f"({variable})" in examined(environ | {variable: DEMO_TOKEN}, "--offline").text("login")


def no_seat(fake: FakeCopilot) -> None:
    fake.account.blocked_notification = "no_copilot_access"


def revoked(fake: FakeCopilot) -> None:
    fake.account.revoked = True


def foreign_app(fake: FakeCopilot) -> None:
    fake.account.can_exchange = False


def refusal(status: int, message: str, **headers: str) -> Callable[[FakeCopilot], None]:
    def force(fake: FakeCopilot) -> None:
        fake.force("GET", EXCHANGE, status, {"message": message}, headers=headers, times=0)

    return force


def foreign_host(fake: FakeCopilot) -> None:
    body = {
        "token": "tid=x",
        "refresh_in": 1500,
        "expires_at": 1,
        "endpoints": {"api": "https://evil.example"},
    }
    fake.force("GET", EXCHANGE, 200, body)


@pytest.mark.parametrize(
    ("fault", "code", "expected"),
    [
        (revoked, 3, "copilot-gateway auth"),
        (foreign_app, 3, 'set identity to "direct"'),
        (no_seat, 1, "Get a plan, or ask your organisation for a seat"),
        (foreign_host, 1, "set copilot_url"),
        (refusal(403, "Resource protected by organization SAML enforcement."), 1, "single sign-on"),
        (refusal(403, "API rate limit exceeded", **{"x-ratelimit-remaining": "0"}), 4, "Wait, then try again"),
        (refusal(429, "slow down"), 4, "Wait, then try again"),
        (refusal(500, "oops"), 4, "githubstatus.com"),
    ],
)  # fmt: skip
def test_what_stops_the_exchange_is_told_with_its_remedy(
    environ: dict[str, str], fake: FakeCopilot, fault: Callable[[FakeCopilot], None], code: int, expected: str
) -> None:
    fault(fake)
    told = examined(environ)
    assert (code, ["token"]) == (told.code, told.marked("wrong"))
    assert expected in told.text("token")
    assert {"copilot", "plan", "catalogue", "request"} <= set(told.marked("skipped"))


def test_an_app_of_ones_own_needs_no_exchange(environ: dict[str, str], fake: FakeCopilot) -> None:
    direct = environ | {"COPILOT_GATEWAY_IDENTITY": "direct", "COPILOT_GATEWAY_COPILOT_URL": fake.capi_url}
    told = examined(direct)
    assert (0, []) == (told.code, fake.requests(EXCHANGE)), told.findings
    assert "none is needed" in told.text("token")


def test_a_business_seat_is_well_at_its_own_host(environ: dict[str, str], fake: FakeCopilot) -> None:
    told = examined(environ | {"COPILOT_GATEWAY_GITHUB_TOKEN": BUSINESS_TOKEN})
    assert (0, True) == (told.code, fake.business_url in told.text("token"))


def test_a_used_up_quota_is_a_warning_before_it_is_a_refusal(
    environ: dict[str, str], fake: FakeCopilot
) -> None:
    fake.account.percent_remaining = 0.0
    told = examined(environ)
    assert (0, ["plan"]) == (told.code, told.marked("warning"))
    assert "Wait for the reset" in told.text("plan")


def unconfigured(fake: FakeCopilot) -> None:
    for model in fake.models:
        model["policy"] = {"state": "unconfigured"}


def old_version(fake: FakeCopilot) -> None:
    fake.force("GET", "/models", 466, "client version not supported")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (lambda fake: fake.models.clear(), "Get a plan"),
        (unconfigured, "offers this account no chat model. Look at http"),
        (old_version, "update the gateway or its editor_version"),
        (lambda fake: fake.force("GET", "/models", 403, "forbidden: access denied\n", times=0), "access denied"),
        (lambda fake: fake.force("GET", "/models", 429, {"code": "extension_blocked", "message": "no"}), "Stop sending"),
    ],
)  # fmt: skip
def test_what_stops_the_list_of_models_is_told_with_its_remedy(
    environ: dict[str, str], fake: FakeCopilot, fault: Callable[[FakeCopilot], None], expected: str
) -> None:
    fault(fake)
    told = examined(environ)
    assert (1, ["catalogue"]) == (told.code, told.marked("wrong"))
    assert expected in told.text("catalogue")


def test_a_model_that_waits_for_consent_is_named_with_the_page(
    environ: dict[str, str], fake: FakeCopilot
) -> None:
    told = examined(environ, "--no-request")
    assert f"not enabled: grok-4.6 (enable what you want at {fake.github_url}/settings/copilot)" in told.text(
        "catalogue"
    )


def test_a_client_that_is_too_old_for_new_models_is_warned(
    environ: dict[str, str], fake: FakeCopilot
) -> None:
    warning = {"code": "client_version_deprecated", "message": "Your client version is old."}
    fake.models.append(entry("gpt-7", ["/chat/completions"], (1000, 1000, 100), warning_messages=[warning]))
    fake.models[-1]["warning_messages"] = [warning]
    told = examined(environ, "--no-request")
    assert (0, ["catalogue"]) == (told.code, told.marked("warning"))
    assert "editor_version" in told.text("catalogue")


@pytest.mark.parametrize(
    ("reply", "code", "expected"),
    [
        ((402, {"error": {"message": "You have no quota", "code": "quota_exceeded"}}), 1, "Wait for the reset"),
        ((466, "client version not supported"), 1, "editor_version"),
        ((403, "Access to this endpoint is forbidden. Please review our Terms of Service"), 1, "Stop sending requests"),
        ((429, {"error": {"message": "slow down", "code": "user_global_rate_limited"}}), 4, "Wait, then try again"),
        ((503, "busy"), 4, "githubstatus.com"),
    ],
)  # fmt: skip
def test_what_stops_the_request_is_told_with_its_remedy(
    environ: dict[str, str], fake: FakeCopilot, reply: tuple[int, object], code: int, expected: str
) -> None:
    fake.force("POST", "/chat/completions", *reply, times=0)
    told = examined(environ)
    assert (code, ["request"]) == (told.code, told.marked("wrong"))
    assert expected in told.text("request")


def test_an_unreachable_github_is_told_once_a_host(environ: dict[str, str]) -> None:
    told = examined(unreachable(environ))
    assert (4, ["github", "github api"]) == (told.code, told.marked("wrong"))
    assert "the connection was refused" in told.text("github api")
    assert "firewall" in told.text("github api")
    assert {"not checked, because of: github api"} == {told.findings[name]["told"] for name in NEEDS_TOKEN}


@pytest.mark.parametrize(
    ("variables", "name", "expected"),
    [
        ({"HTTPS_PROXY": "socks5://me:hush@127.0.0.1:1"}, "proxy", "only http:// proxies are supported"),
        ({"REQUESTS_CA_BUNDLE": "/nowhere.pem"}, "certificates", "Correct REQUESTS_CA_BUNDLE or unset it."),
        ({"COPILOT_GATEWAY_PROT": "1"}, "settings", "Did you mean COPILOT_GATEWAY_PORT"),
        ({"COPILOT_GATEWAY_HOST": "192.0.2.1"}, "keys", "copilot-gateway keys create"),
    ],
)
def test_what_is_wrong_with_the_settings_is_told_and_nothing_sent(
    environ: dict[str, str], fake: FakeCopilot, variables: dict[str, str], name: str, expected: str
) -> None:
    told = examined(environ | variables, *(["--offline"] if name == "keys" else []))
    assert (1, [name]) == (told.code, told.marked("wrong"))
    assert expected in told.text(name)
    assert "hush" not in json.dumps(told.findings)
    assert fake.log == []


def test_http_proxy_alone_is_a_warning(environ: dict[str, str]) -> None:
    told = examined(environ | {"HTTP_PROXY": "http://127.0.0.1:9"}, "--no-request")
    assert (0, ["proxy"]) == (told.code, told.marked("warning"))
    assert "HTTPS_PROXY" in told.text("proxy")


def test_a_setting_that_keeps_prompts_is_a_warning(environ: dict[str, str]) -> None:
    told = examined(environ | {"COPILOT_GATEWAY_STORE_RESPONSES": "true"}, "--offline")
    assert (0, ["privacy"]) == (told.code, told.marked("warning"))
    assert "for 30 days" in told.text("privacy")


def test_a_directory_that_others_may_write_to_is_wrong(environ: dict[str, str]) -> None:
    data_of(environ).chmod(0o770)
    told = examined(environ, "--offline")
    assert (1, ["directory"]) == (told.code, told.marked("wrong"))
    assert f"chmod 700 {data_of(environ)}" in told.text("directory")


def test_a_state_that_is_well_is_read(environ: dict[str, str]) -> None:
    run(environ, "keys", "create", "laptop")
    told = examined(environ, "--offline")
    assert (0, "1 keys.") == (told.code, told.findings["keys"]["told"])
    assert "can be read and written" in told.text("state")


def test_a_damaged_state_is_found_and_the_rest_still_checked(environ: dict[str, str]) -> None:
    run(environ, "keys", "create", "laptop")
    path = data_of(environ) / "state.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.close()
    content = bytearray(path.read_bytes())
    size = len(content) // pages
    content[size : size + 100] = b"\xff" * 100  # the second page, so that the file's own head is still good
    path.write_bytes(content)
    told = examined(environ)
    assert (1, ["state"]) == (told.code, told.marked("wrong")), told.findings["state"]
    assert "Move" in told.text("state")
    assert "-wal" in told.text("state")
    assert told.findings["request"]["mark"] == "ok"


def test_a_state_that_another_process_holds_is_told(environ: dict[str, str]) -> None:
    run(environ, "keys", "create", "laptop")
    holder = sqlite3.connect(data_of(environ) / "state.sqlite3", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    told = examined(environ, "--offline")
    holder.close()
    assert (1, ["state"]) == (told.code, told.marked("wrong"))
    assert "End that process" in told.text("state")


def test_a_port_that_another_program_holds_is_wrong(environ: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        port = str(listener.getsockname()[1])
        process = subprocess.Popen(
            [*driver.COMMAND, "doctor", "--json", "--offline"], cwd=driver.ROOT,
            env=environ | {"COPILOT_GATEWAY_PORT": port}, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        connection, _ = listener.accept()
        with connection:
            connection.recv(1024)
            connection.sendall(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
        said, _ = process.communicate(timeout=60)
    finding = {one["name"]: one for one in json.loads(said)}["port"]
    assert (1, "wrong") == (process.returncode, finding["mark"])
    assert "the port is in use" in finding["told"]
    assert "--port" in finding["remedy"]


@pytest.mark.parametrize("key", ["", "the-key"])
def test_a_gateway_that_runs_already_is_recognized(environ: dict[str, str], host: Host, key: str) -> None:
    from core.settings import Secret

    running = host(api_key=Secret(key))
    variables = {"COPILOT_GATEWAY_PORT": running.url.rpartition(":")[2], "COPILOT_GATEWAY_API_KEY": key}
    told = examined(environ | variables, "--offline")
    assert (0, True) == (told.code, "a gateway runs on" in told.text("port")), told.text("port")
    assert told.text("port").strip().endswith("and answers.")


def test_a_wrong_stage_ends_with_one_line(environ: dict[str, str]) -> None:
    told = run(
        environ | {"AWS_EC2_METADATA_DISABLED": "true"},
        "doctor",
        "--stage",
        "dev",
        "--region",
        "eu-central-1",
    )
    assert told.returncode == 1
    assert told.stdout.startswith("wrong    account      There are no AWS credentials")
    assert "because of: account" in told.stdout
