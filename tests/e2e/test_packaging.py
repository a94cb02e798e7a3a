"""Container, services and installation: what can be proved without Docker, systemd and macOS."""

import json
import os
import plistlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pytest_httpserver import HTTPServer

from core.copilot.headers import VERSION
from infra import healthcheck
from tests.e2e import image
from tests.e2e.cli_driver import ROOT
from tests.e2e.hosting import Wire
from tests.e2e.image import Image
from tests.emulators.copilot import DEMO_TOKEN, FakeCopilot
from tests.listening import free_port

UNIT = ROOT / "packaging" / "copilot-gateway.service"
PLIST = ROOT / "packaging" / "copilot-gateway.plist"


# The image


def test_the_image_runs_as_nobody_and_says_whether_it_lives() -> None:
    assert "10001:10001" == image.value_of("USER")
    assert '["copilot-gateway"]' == image.value_of("ENTRYPOINT")
    assert '["start"]' == image.value_of("CMD")
    assert "infra.healthcheck" in image.value_of("HEALTHCHECK")
    assert ("/data", "4141") == (image.value_of("VOLUME"), image.value_of("EXPOSE"))
    label = re.search(r'image\.version="([^"]+)"', image.value_of("LABEL"))
    assert label is not None
    assert VERSION == label[1]


def test_the_image_installs_only_what_is_pinned_by_hash() -> None:
    installs = [
        command for name, value in image.instructions() if name == "RUN" for command in value.split("&&")
        if re.search(r"\bpip (install|wheel)\b", command)
    ]  # fmt: skip
    assert len(installs) == 4
    assert [
        command for command in installs if "--require-hashes" not in command and "--no-index" not in command
    ] == []


def test_the_image_is_told_no_secret_and_downloads_nothing_by_hand() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert re.findall(r"(?i)token|api_key|password|curl|wget|apt-get", text) == []
    assert not [name for name, _ in image.instructions() if name in {"ADD", "ARG"}][1:]


def test_only_what_the_gateway_needs_is_sent_to_the_builder() -> None:
    sent = {str(path) for path in image.context()}
    assert {path.split("/")[0] for path in sent} == {
        "core", "handlers", "infra", "requirements", "pyproject.toml", "README.md", "LICENSE",
    }  # fmt: skip
    assert {"requirements/runtime.txt", "requirements/build.txt"} == {
        p for p in sent if p.startswith("requirements")
    }
    copied = [
        value.split()[:-1] for name, value in image.instructions() if name == "COPY" and "--from" not in value
    ]
    for source in (each for some in copied for each in some):
        assert any(path == source or path.startswith(f"{source}/") for path in sent), source


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return found


def test_the_composition_may_do_as_little_as_the_gateway_needs() -> None:
    (service,) = compose()["services"].values()
    assert (True, ["ALL"], ["no-new-privileges:true"]) == (
        service["read_only"], service["cap_drop"], service["security_opt"],
    )  # fmt: skip
    assert ["127.0.0.1:4141:4141"] == service["ports"]
    assert not {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices", "user"} & service.keys()
    assert ["data:/data"] == service["volumes"]
    assert "data" in compose()["volumes"]
    assert (
        json.loads(image.value_of("HEALTHCHECK").partition("CMD ")[2]) == service["healthcheck"]["test"][1:]
    )


def test_the_composition_sets_no_member_that_compose_does_not_know() -> None:
    """Names from the Compose specification."""
    known = {
        "build", "image", "init", "restart", "ports", "volumes", "environment", "read_only", "tmpfs", "cap_drop",
        "security_opt", "mem_limit", "pids_limit", "healthcheck",
    }  # fmt: skip
    (service,) = compose()["services"].values()
    assert service.keys() <= known
    assert {"services", "volumes"} == compose().keys()
    assert {"test", "interval", "timeout", "start_period", "retries"} == service["healthcheck"].keys()


@pytest.mark.parametrize(
    ("status", "body", "expected"), [(200, "ok\n", 0), (200, "hello", 1), (503, "ok\n", 1), (302, "", 1)]
)
def test_the_health_check_believes_only_ok(
    httpserver: HTTPServer, status: int, body: str, expected: int
) -> None:
    httpserver.expect_request("/healthz").respond_with_data(body, status=status)
    environ = {"COPILOT_GATEWAY_HOST": "0.0.0.0", "COPILOT_GATEWAY_PORT": str(httpserver.port)}  # noqa: S104
    assert expected == healthcheck.main(environ)


@pytest.mark.parametrize("port", ["1", "nonsense", "99999"])
def test_the_health_check_fails_where_nobody_answers(port: str) -> None:
    assert healthcheck.main({"COPILOT_GATEWAY_PORT": port}) == 1


def test_the_health_check_imports_nothing_but_the_standard_library() -> None:
    program = "import sys, infra.healthcheck; print([n for n in ('flask', 'msgspec', 'click', 'core') if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


# The image, built in a scratch root


@pytest.fixture(scope="module")
def built() -> Iterator[Image]:
    python = image.readable_python()
    if not python:
        pytest.skip("no Python here that a user without rights can run")
    # Below /tmp, for the user of the image may not enter pytest's own directories.
    root = Path(tempfile.mkdtemp(prefix="copilot-gateway-image-"))
    root.chmod(0o755)
    made = Image(root, python)
    made.build()
    yield made
    shutil.rmtree(root)


def run_in(made: Image, environ: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(command), cwd=made.at, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False, timeout=120, **made.user(),
    )  # fmt: skip


@pytest.mark.packaging
@pytest.mark.timeout(900)
def test_the_image_s_steps_make_a_gateway_that_an_unprivileged_user_runs(
    built: Image, fake: FakeCopilot
) -> None:
    environ = built.environ(
        COPILOT_GATEWAY_PORT=str(free_port()), COPILOT_GATEWAY_GITHUB_URL=fake.github_url,
        COPILOT_GATEWAY_GITHUB_API_URL=fake.api_url, COPILOT_GATEWAY_GITHUB_TOKEN=DEMO_TOKEN, HTTPS_PROXY="", NO_PROXY="",
    )  # fmt: skip
    before = built.files()
    start = [*built.command("ENTRYPOINT"), *built.command("CMD")]
    health = built.command("HEALTHCHECK")
    keyless = run_in(built, environ, *start)
    assert (2, True) == (keyless.returncode, "copilot-gateway keys create" in keyless.stderr), keyless.stderr
    assert run_in(built, environ, *health).returncode == 1
    key = run_in(built, environ, *built.command("ENTRYPOINT"), "keys", "create", "laptop").stdout.strip()
    serving = subprocess.Popen(
        start,
        cwd=built.at,
        env=environ,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        **built.user(),
    )
    try:
        assert serving.stderr is not None
        said = []
        for line in serving.stderr:
            said.append(line)
            if line.startswith("Listening on "):
                break
        else:
            pytest.fail("".join(said))
        check = run_in(built, environ, *health)
        assert (0, "", "") == (check.returncode, check.stdout, check.stderr)
        gateway = Wire(f"http://127.0.0.1:{environ['COPILOT_GATEWAY_PORT']}")
        chat = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "hello"}]}
        count = {"model": "claude-sonnet-4.6", "messages": chat["messages"]}
        assert [401, 200, 200] == [
            gateway.post("/v1/chat/completions", chat).status,
            gateway.post("/v1/chat/completions", chat, x_api_key=key).status,
            gateway.post("/v1/messages/count_tokens", count, x_api_key=key).status,
        ]
        doctor = run_in(built, environ, *built.command("ENTRYPOINT"), "doctor", "--no-request")
        assert (0, True) == (doctor.returncode, "a gateway runs on" in doctor.stdout), doctor.stdout
        serving.terminate()
        serving.communicate(timeout=60)
        assert serving.returncode == 0
    finally:
        serving.kill()
        serving.communicate(timeout=60)
    assert run_in(built, environ, *health).returncode == 1
    assert before == built.files()
    secret = [path for path in before if DEMO_TOKEN.encode() in Path(path).read_bytes()]
    assert secret == []


@pytest.mark.packaging
@pytest.mark.timeout(900)
def test_the_checkout_installs_as_pipx_does(tmp_path: Path) -> None:
    """pipx and uvx make a fresh environment and let pip install the checkout into it, building it in isolation."""
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True, timeout=300)
    program = tmp_path / "venv" / "bin" / "copilot-gateway"
    environ = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(
        [str(program.parent / "pip"), "--disable-pip-version-check", "install", "--quiet", str(ROOT)],
        env=environ, capture_output=True, text=True, check=False, timeout=800,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    clean = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    told = subprocess.run(
        [str(program), "--version"], env=clean, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == f"copilot-gateway, version {VERSION}"
    examined = subprocess.run(
        [str(program), "doctor", "--offline"],
        env=clean,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (3, True) == (examined.returncode, "wrong    login" in examined.stdout), (
        examined.stdout + examined.stderr
    )


# Services


def test_the_unit_is_what_systemd_understands(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    program = tmp_path / ".local" / "bin" / "copilot-gateway"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    verified = subprocess.run(
        ["systemd-analyze", "--user", "verify", str(UNIT)],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in (verified.stdout + verified.stderr).splitlines() if UNIT.name in line]
    assert (0, []) == (verified.returncode, ours), verified.stderr


def test_the_unit_is_hardened_and_does_not_loop_on_what_a_person_must_mend() -> None:
    text = UNIT.read_text()
    for line in (
        "NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=read-only", "RestrictNamespaces=yes",
        "MemoryDenyWriteExecute=yes", "SystemCallFilter=@system-service", "UMask=0077", "RestartPreventExitStatus=2 3",
        "ExecStart=%h/.local/bin/copilot-gateway start",
    ):  # fmt: skip
        assert f"\n{line}\n" in text


def test_the_launch_agent_starts_the_command_and_keeps_its_log(tmp_path: Path) -> None:
    agent = plistlib.loads(PLIST.read_bytes())
    assert ("copilot-gateway", True, {"SuccessfulExit": False}) == (
        agent["Label"], agent["RunAtLoad"], agent["KeepAlive"],
    )  # fmt: skip
    assert 0o077 == agent["Umask"]
    program = tmp_path / ".local" / "bin" / "copilot-gateway"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "asked to $*" >&2\n')
    program.chmod(0o755)
    (tmp_path / "Library" / "Logs").mkdir(parents=True)
    subprocess.run(
        agent["ProgramArguments"], env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}, check=True
    )
    assert "asked to start\n" == (tmp_path / "Library" / "Logs" / "copilot-gateway.log").read_text()
