"""`deploy` from the first word to the last against moto, with the gateway of the AWS composition root in front of it."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.serving import make_server

import infra.aws.services as cloud
from core.ports import GITHUB_TOKEN
from core.settings import Settings
from handlers import create_app
from infra import wiring
from infra.aws.secrets_manager import SecretsManagerStore
from infra.aws.service import make_client
from tests.contract import moto_server
from tests.e2e.browser import Browser, Tick, moving_clock
from tests.e2e.cli_driver import COMMAND, PATIENCE, ROOT, offer_code
from tests.emulators.copilot import DEMO_TOKEN, FakeCopilot

pytestmark = pytest.mark.aws

STACK = {
    "Resources": {
        "StateTable": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "TableName": "copilot-gateway-dev",
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [
                    {"AttributeName": "pk", "AttributeType": "S"},
                    {"AttributeName": "sk", "AttributeType": "S"},
                ],
                "KeySchema": [
                    {"AttributeName": "pk", "KeyType": "HASH"},
                    {"AttributeName": "sk", "KeyType": "RANGE"},
                ],
            },
        },
        "GithubToken": {
            "Type": "AWS::SecretsManager::Secret",
            "Properties": {"Name": "copilot-gateway/dev/github-token"},
        },
    },
    "Outputs": {
        "TableName": {"Value": {"Ref": "StateTable"}},
        "SecretName": {"Value": "copilot-gateway/dev"},
        "BaseUrl": {"Value": ""},
    },
}
# Stands for osls: it makes the part of the stack that moto knows, and puts the address of the test's gateway into it.
OSLS = """
import json, os, sys
import boto3
client = boto3.client("cloudformation")
if "copilot-gateway-dev" not in [stack["StackName"] for stack in client.describe_stacks()["Stacks"]]:
    client.create_stack(StackName="copilot-gateway-dev", TemplateBody=open("stack.json").read())
json.dump(sys.argv[1:], open("osls.json", "w"))
"""


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with moto_server.moto_server() as url:
        yield url


@pytest.fixture
def tick(fake: FakeCopilot, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tick]:
    with moving_clock(fake, monkeypatch, wiring, cloud) as forward:
        yield forward


@pytest.fixture
def url(
    moto: str, fake: FakeCopilot, tick: Tick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The gateway as a function runs it, on the table and the secret of the stage."""
    environ = moto_server.environment(moto)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    settings = Settings(
        github_url=fake.github_url,
        github_api_url=fake.api_url,
        data_dir=str(tmp_path),
        max_body_bytes=100_000,
    )
    place = {
        "COPILOT_GATEWAY_TABLE": "copilot-gateway-dev",
        "COPILOT_GATEWAY_SECRET": "copilot-gateway/dev",
    }
    services = cloud.build_services(settings, place)
    server = make_server("127.0.0.1", 0, create_app(services), threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
    services.copilot.transport.close()


@pytest.fixture
def environ(url: str, moto: str, fake: FakeCopilot, tmp_path: Path) -> dict[str, str]:
    """A checkout with an osls of our own, and an account that knows nothing of AWS but moto."""
    fake.state.set_modes("gpt-5-mini", {"pace_ms": 40})
    tools = tmp_path / "bin"
    for name, script in {
        "node": "#!/bin/sh\necho v22.14.0\n",
        "npm": "#!/bin/sh\nexit 9\n",
        "npx": f"#!{sys.executable}\n{OSLS}",
    }.items():
        tools.mkdir(exist_ok=True)
        (tools / name).write_text(script)
        (tools / name).chmod(0o755)
    for path in ("serverless.yml", "dist/copilot-gateway-arm64.zip", "node_modules/.bin/osls"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    outputs = STACK["Outputs"] | {"BaseUrl": {"Value": f"{url}/"}}
    (tmp_path / "stack.json").write_text(json.dumps(STACK | {"Outputs": outputs}))
    return {
        "PATH": str(tools), "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), **moto_server.environment(moto),
        "COPILOT_GATEWAY_DATA_DIR": str(tmp_path / "data"), "COPILOT_GATEWAY_GITHUB_URL": fake.github_url,
        "COPILOT_GATEWAY_GITHUB_API_URL": fake.api_url,
    }  # fmt: skip


def start(environ: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments], cwd=environ["HOME"], env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def run(environ: dict[str, str], *arguments: str) -> tuple[int, str, str]:
    with start(environ, *arguments) as process:
        out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Return what is said up to this line and with it."""
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if text in line:
            return said
    raise AssertionError(said)


def log_in(url: str, key: str, fake: FakeCopilot, tick: Tick) -> str:
    browser = Browser(url)
    user_code = offer_code(fake)
    browser.get()
    browser.press("sign-in", key=key)
    browser.press("start")
    fake.approve(user_code)
    tick(2)
    return browser.get()


def test_from_nothing_to_the_first_streamed_token(
    environ: dict[str, str], url: str, fake: FakeCopilot, tick: Tick
) -> None:
    with start(environ, "deploy", "--no-build") as process:
        assert process.stdout is not None
        said = read_until(process, "Now log in to GitHub")
        key = process.stdout.readline().strip()
        assert "GitHub agreed, and the login is kept. Logged in to GitHub as octocat" in log_in(
            url, key, fake, tick
        )
        out, err = process.communicate(timeout=PATIENCE)
    assert 0 == process.returncode, said + err + out
    asked = json.loads((Path(environ["HOME"]) / "osls.json").read_text())
    assert [
        "--no-install",
        "osls",
        "deploy",
        "--stage",
        "dev",
        "--region",
        "eu-central-1",
        "--param",
        "front=url",
    ] == asked
    assert f"open {url}/login" in said
    assert "AWS account 123456789012 in eu-central-1" in said
    assert 7 == len(out.splitlines())
    assert "ok       streaming" in out
    assert f"ANTHROPIC_BASE_URL={url} " in err
    assert [] == [secret for secret in (key, DEMO_TOKEN) if secret in said + err + out]
    stored = SecretsManagerStore("copilot-gateway/dev", lambda: make_client("secretsmanager"))
    assert stored.load(GITHUB_TOKEN) == DEMO_TOKEN

    # Once more, as for an upgrade: no new key, no login, and no key of ours stays behind.
    code, out, err = run(environ, "deploy", "--no-build")
    assert (0, False, False) == (code, "cgw_" in out, "Now log in" in err), out + err
    code, out, _ = run(environ, "keys", "list", "--json", "--stage", "dev")
    assert ["first"] == [known["name"] for known in json.loads(out)]

    # Every command that knows a stage.
    code, out, _ = run(environ, "check-usage", "--stage", "dev")
    assert (0, True) == (code, out.startswith("octocat: plan individual"))
    code, out, err = run(environ, "smoke", "--stage", "dev")
    assert (0, True) == (code, "ok       key" in out), out + err
    code, out, _ = run(environ, "keys", "create", "phone", "--stage", "dev")
    phone = out.strip()
    assert 0 == code
    code, _, err = run(environ, "auth", "--stage", "dev")
    assert (0, True) == (code, "Already logged in as octocat." in err)
    fake.approve(offer_code(fake))
    code, _, err = run(environ, "auth", "--stage", "dev", "--force")
    assert (0, True) == (code, "kept in AWS Secrets Manager (dev)" in err), err
    assert 0 == run(environ, "keys", "revoke", "phone", "--stage", "dev")[0]
    assert phone not in run(environ, "keys", "list", "--stage", "dev")[1]
    code, _, err = run(environ, "keys", "list", "--stage", "prod")
    assert (1, True) == (code, "There is no stack copilot-gateway-prod in eu-central-1." in err), err


def test_a_dry_run_touches_nothing(environ: dict[str, str]) -> None:
    code, out, err = run(environ, "deploy", "--dry-run", "--stage", "dry")
    assert (0, "") == (code, out), err
    assert "3. make the first API key" in err
    assert not (Path(environ["HOME"]) / "osls.json").exists()


def test_a_deployment_that_fails_is_said(environ: dict[str, str]) -> None:
    npx = Path(environ["PATH"]) / "npx"
    npx.write_text("#!/bin/sh\necho 'The stack is on fire'; exit 3\n")
    code, _, err = run(environ, "deploy", "--no-build")
    assert 1 == code
    assert "The stack is on fire" in err
    assert "error: npx osls failed (exit code 3); it says above why." == err.splitlines()[-1]


def test_a_zip_that_is_not_there_is_said(environ: dict[str, str]) -> None:
    (Path(environ["HOME"]) / "dist" / "copilot-gateway-arm64.zip").unlink()
    code, _, err = run(environ, "deploy", "--no-build")
    assert (1, True) == (code, "Leave out --no-build." in err)
