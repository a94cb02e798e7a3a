"""Marked secrets and words go in wherever something can go in; then everything that comes out is searched for them."""

import json
import logging
import os
import sys
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from core.settings import Secret, Settings
from handlers import create_app
from handlers.services import Services
from infra.cli.app import COMMANDS
from infra.local.services import build_services
from infra.logs.setup import configure
from tests.e2e.cli_driver import Started, run
from tests.e2e.hosting import Answer, Wire
from tests.security.attacks import routes
from tests.security.leaky_upstream import FAIL, FORMS, STATUSES, LeakyUpstream

# Secrets. Some look like what they are, some like nothing in particular.
GITHUB = "gho_CanaryGithub0000000000000000000000000"
STORED = "ghu_CanaryStored0000000000000000000000000"
LOGIN = "gho_CanaryDeviceLogin00000000000000000000"
COPILOT = "tid=CanaryCopilot;exp=4000000000;sku=x;chat=1:CanarySignature"
STATIC_KEY = "canary-static-key/of one's own".replace(" ", "-").replace("'", "")
DEVICE_CODE = "canary-device-code-5d1f"
PROXY_PASSWORD = "canary-proxy-password"
# What strangers and confused clients send. Nobody may remember it.
WRONG_KEY = "canary-wrong-key-of-another-service"
BASIC = b64encode(b"user:canary-basic-password").decode()
COOKIE = "canary-cookie-0001"
QUERY = "canary-query-0002"
FORM_KEY = "canary-form-key-0003"
HEADER = "canary-header-0004"
SECRETS = {
    name: value
    for name, value in globals().items()
    if name.isupper() and isinstance(value, str) and "anary" in (value if name != "BASIC" else "canary")
}
PARTS_OF = {"COPILOT": ("CanaryCopilot", "CanarySignature")}
# Words. Nobody but the client and upstream may see them.
PROMPT = "Canaryprompt"
COMPLETION = "Canarycompletion"

# Where a value may be, and why.
ALLOWED: dict[tuple[str, str], str] = {
    (
        "COPILOT",
        "data/state.sqlite3",
    ): "the shared cache of the short-lived token (core/copilot/token.py); mode 0600",
    ("STORED", "data/github-token"): "the secret store itself; mode 0600",
    ("STATIC_KEY", "data/config.toml"): "where the user has written it; mode 0600 is asked for",
    ("LOGIN", "data/github-token"): "the secret store itself",
}

# How each command is run to show all it knows. `start` runs all the time; one that is not here is run bare and with --json.
RUNS: dict[str, list[list[str]]] = {
    "start": [],
    "auth": [["auth"]],
    "deploy": [["deploy", "--dry-run"]],
    "keys": [["keys", "list"], ["keys", "list", "--json"]],
    "setup": [["setup"], ["setup", "claude-code"], ["setup", "claude-code", "--json"]],
    "logs": [["logs"], ["logs", "--json", "-n", "9999"], ["logs", "--errors"]],
    "doctor": [["doctor", "--no-request"], ["doctor", "--no-request", "--json"]],
    "completion": [["completion", "bash"]],
}


@dataclass
class Sinks:
    """Everything that came out, by where it came out."""

    found: dict[str, bytes] = field(default_factory=dict[str, bytes])

    def add(self, name: str, content: bytes | str) -> None:
        self.found[name] = self.found.get(name, b"") + (
            content if isinstance(content, bytes) else content.encode()
        )

    def answer(self, name: str, answer: Answer) -> None:
        self.add(name, f"{answer.status}\n{answer.headers}\n".encode() + answer.body)

    def files(self, name: str, folder: Path) -> None:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            self.add(f"{name}/{path.relative_to(folder)}", path.read_bytes())

    def holding(self, *marks: str) -> list[str]:
        """Return the names of the sinks that hold one of these texts."""
        return [name for name, said in self.found.items() if any(mark.encode() in said for mark in marks)]


@pytest.fixture(scope="module")
def leaky() -> Iterator[LeakyUpstream]:
    with LeakyUpstream(
        copilot_token=COPILOT, device_code=DEVICE_CODE, login_token=LOGIN, completion=COMPLETION
    ) as upstream:
        yield upstream


def environment(leaky: LeakyUpstream, home: Path) -> dict[str, str]:
    data = home / "data"
    data.mkdir(mode=0o700)
    for name, text in (
        ("github-token", STORED),
        ("config.toml", f'api_key = "{STATIC_KEY}"\nstore_ttl = 60\n'),
    ):
        (data / name).write_text(text)
        (data / name).chmod(0o600)
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "HOME": str(home),
        "COPILOT_GATEWAY_DATA_DIR": str(data),
        "COPILOT_GATEWAY_GITHUB_URL": leaky.url,
        "COPILOT_GATEWAY_GITHUB_API_URL": leaky.url,
        "COPILOT_GATEWAY_COPILOT_URL": leaky.url,
        "COPILOT_GATEWAY_CATALOGUE_TTL": "600",
        "GH_TOKEN": GITHUB,
        "HTTPS_PROXY": f"http://proxyuser:{PROXY_PASSWORD}@127.0.0.1:9",
    }


def attack(wire: Wire, sinks: Sinks) -> None:
    """Send the marks to every route, as a stranger and as a client, well and badly."""
    strange = {
        "x-api-key": WRONG_KEY, "Authorization": f"Basic {BASIC}", "Cookie": f"gateway-session={COOKIE}",
        "x-odd": HEADER, "x-custom-authority": HEADER,
    }  # fmt: skip
    ours: dict[str, str | None] = {**strange, "Authorization": f"Bearer {STATIC_KEY}"}
    body = {
        "model": "gpt-4.1",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": PROMPT}],
        "input": PROMPT,
    }
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for method, path in routes():
        url = f"{path}?key={QUERY}&access_token={QUERY}"
        sent = body if method == "POST" else None
        sinks.answer(f"stranger {method} {path}", wire.send(method, url, sent, {**strange}))
        sinks.answer(f"client {method} {path}", wire.send(method, url, sent, ours))
        if method == "POST":
            pressed = urlencode({"key": FORM_KEY, "action": "sign-in", "token": COOKIE}).encode()
            sinks.answer(f"form {method} {path}", wire.send(method, url, pressed, {**ours, **form}))
            sinks.answer(
                f"broken {method} {path}",
                wire.send(method, url, f'{{"messages": [{{"content": "{PROMPT}'.encode(), ours),
            )
    for path in ("/v1/chat/completions", "/v1/messages", "/v1/responses"):
        for stream in (False, True):
            answer = wire.send("POST", path, {**body, "stream": stream}, ours)
            assert (200, True) == (answer.status, COMPLETION.encode() in answer.body)
            sinks.answer(f"answer {path}", answer)
    for index, status in enumerate(STATUSES):
        wanted = f"{FAIL}-{status}-{FORMS[index % len(FORMS)]}- {PROMPT}"
        asked = {**body, "messages": [{"role": "user", "content": wanted}], "stream": bool(index % 2)}
        for path in ("/v1/chat/completions", "/v1/messages"):
            sinks.answer(f"refusal {status} {path}", wire.send("POST", path, asked, ours))
    sinks.answer("no route", wire.send("GET", f"/v1/nothing?key={QUERY}", None, ours))


@pytest.fixture(scope="module")
def scene(leaky: LeakyUpstream, tmp_path_factory: pytest.TempPathFactory) -> Sinks:
    """All that a gateway says and leaves behind in its life, in both forms of the log, and all that the commands print."""
    sinks = Sinks()
    for form in ("text", "json"):
        home = tmp_path_factory.mktemp(form)
        environ = environment(leaky, home) | {"COPILOT_GATEWAY_LOG_FORMAT": form}
        program = Started(environ, "--verbose", "--capture", str(home / "captures"))
        try:
            attack(Wire(program.url()), sinks)
            sinks.files("data", home / "data")  # while it runs: with what SQLite has not settled yet
        finally:
            program.stop()
            sinks.add(f"terminal {form}", "\n".join(program.said))
        sinks.files("data", home / "data")
        sinks.files("captures", home / "captures")
    for arguments in (each for name in COMMANDS for each in RUNS.get(name, [[name], [name, "--json"]])):
        done = run(environ, *arguments)
        sinks.add(f"command {' '.join(arguments)}", done.stdout + done.stderr)
    return sinks


def test_the_marks_went_in_and_the_sinks_were_filled(scene: Sinks, leaky: LeakyUpstream) -> None:
    """Else nothing below would prove anything."""
    assert {"/copilot_internal/v2/token", "/models", "/chat/completions"} <= set(leaky.asked)
    assert len(scene.holding(COMPLETION)) >= 3
    assert {
        "terminal text",
        "terminal json",
        "data/gateway.log",
        "data/state.sqlite3",
        "command debug",
    } <= scene.found.keys()
    assert [
        name for name in ("terminal text", "data/gateway.log") if b"request.done" not in scene.found[name]
    ] == []
    assert [name for name in scene.found if name.startswith("captures/")] != []
    assert COMMANDS.keys() >= RUNS.keys()


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_stays_where_it_belongs(scene: Sinks, secret: str) -> None:
    """Row 11."""
    holding = scene.holding(*PARTS_OF.get(secret, (SECRETS[secret],)))
    assert [name for name in holding if not _is_allowed(secret, name)] == []


@pytest.mark.parametrize("word", [PROMPT, COMPLETION])
def test_prompts_and_answers_are_nowhere_but_on_their_way(scene: Sinks, word: str) -> None:
    """Row 15: the log, the ledger and the state hold none, nor do captures without their words."""
    kept = ("terminal", "data/", "captures/", "command")
    assert [name for name in scene.holding(word) if name.startswith(kept)] == []


def _is_allowed(secret: str, sink: str) -> bool:
    # SQLite's companions belong to it.
    return (secret, sink.removesuffix("-wal").removesuffix("-shm")) in ALLOWED


def test_a_crash_tells_nobody_what_it_was_about(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings(data_dir=str(tmp_path), github_token=Secret(GITHUB), verbose=True)
    configure(settings, serving=True)
    client = create_app(_crashing(build_services(settings))).test_client()
    asked = {"model": "gpt-4.1", "messages": [{"role": "user", "content": PROMPT}]}
    answer = client.post("/v1/chat/completions", json=asked)
    assert answer.status_code == 500
    logged = (tmp_path / "gateway.log").read_text()
    for handler in logging.getLogger().handlers:
        handler.close()
    shown = capsys.readouterr()
    said = f"{answer.headers}{answer.text}{logged}{shown.out}{shown.err}"
    assert "request.crashed" in logged
    assert [mark for mark in (PROMPT, GITHUB, COPILOT, STATIC_KEY) if mark in said] == []


def _crashing(services: Services) -> Services:
    class Engine:
        def prepare(self, _surface: Any, body: bytes, _betas: Any) -> Any:
            raise ValueError(f"{body!r} {GITHUB} {COPILOT}")

    return msgspec.structs.replace(services, engine=Engine())


def test_a_command_that_fails_says_no_secret_even_with_its_traceback(
    leaky: LeakyUpstream, tmp_path: Path
) -> None:
    environ = environment(leaky, tmp_path) | {
        "COPILOT_GATEWAY_GITHUB_TOKEN": "ghp_CanaryPersonal000000000000000000"
    }
    (tmp_path / "data" / "config.toml").write_text('api_key = "canary\n')
    for arguments in (
        ["check-usage", "--verbose"],
        ["start", "--verbose", "--port", "0"],
        ["models"],
        ["debug"],
    ):
        done = run(environ, *arguments)
        assert done.returncode != 0
        assert "CanaryPersonal" not in done.stdout + done.stderr


def test_only_who_asks_for_a_token_sees_it(leaky: LeakyUpstream, tmp_path: Path) -> None:
    program = Started(environment(leaky, tmp_path), "--show-token")
    try:
        program.url()
    finally:
        program.stop()
    said = "\n".join(program.said)
    assert (True, True, False) == (STORED in said, COPILOT in said, STATIC_KEY in said)


def test_what_goes_to_aws_holds_nothing_of_this_machine(leaky: LeakyUpstream, tmp_path: Path) -> None:
    """The zip is made of the sources and the template of the repository's text: neither reads what is secret here."""
    environ = environment(leaky, tmp_path)
    template = Path(__file__).parents[2] / "serverless.yml"
    texts = [
        template.read_text(),
        *(path.read_text() for path in (template.parent / "infra" / "aws").glob("*.yml")),
    ]
    named = [
        name for name in (*environ, "GITHUB_TOKEN", "API_KEY") if any(f"env:{name}" in text for text in texts)
    ]
    assert named == []


if __name__ == "__main__":  # what the marks are
    sys.stdout.write(json.dumps(SECRETS, indent=2) + "\n")
