"""osls deploys both fronts into an emulated AWS account that enforces IAM; the functions answer, then all is removed.

What the emulator lacks: streaming (it hands answers over in one piece, and its REST API knows no streaming at all, so
that front is deployed with transfer=BUFFERED), arm64, and AWS's managed Python, so that the functions run as `provided`
runtimes on this machine's Python. tests/contract has the incremental streaming.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest

from core.access.managed_keys import ManagedKeys
from infra.aws.dynamodb import DynamoStateStore
from infra.aws.secrets_manager import SecretsManagerStore
from tests.aws.conftest import FRONTS, MACHINE, REGION, osls
from tests.emulators.copilot import DEMO_TOKEN, FakeCopilot

PATIENCE = 60
# What the managed runtime has and the zip lacks.
OF_THE_RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six.py")
CHAT = {"model": "gpt-5-mini", "stream": True, "messages": [{"role": "user", "content": "hello there"}]}


@dataclass(frozen=True)
class Aws:
    """The emulated account."""

    endpoint: str
    environ: dict[str, str]
    log: Path

    def client(self, name: str) -> Any:
        return boto3.client(
            name,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )


@dataclass(frozen=True)
class Deployed:
    """One stage with an API key and a GitHub login. `path` is where its front begins at the emulator."""

    aws: Aws
    front: str
    outputs: dict[str, str]
    path: str
    key: str

    def ask(
        self, method: str, path: str, body: Any = None, *, key: str | None = None
    ) -> tuple[int, str, str]:
        """Return the status, the content type and the text of an answer."""
        place = urlsplit(self.aws.endpoint)
        connection = HTTPConnection(place.hostname or "", place.port, timeout=PATIENCE)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection.request(method, self.path + path, None if body is None else json.dumps(body), headers)
        reply = connection.getresponse()
        text = reply.read().decode()
        connection.close()
        return reply.status, (reply.getheader("Content-Type") or "").partition(";")[0], text


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeCopilot]:
    with FakeCopilot() as copilot:
        yield copilot


@pytest.fixture(scope="module")
def function_zip(local_zip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The local zip with the start that a `provided` runtime has, on a Python that sees the zip and boto3 alone."""
    folder = tmp_path_factory.mktemp("runtime")
    packages = Path(sysconfig.get_path("purelib"))
    for name in OF_THE_RUNTIME:
        (folder / name).symlink_to(packages / name)
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    python.chmod(0o755)
    start = f'#!/bin/sh\nexport LAMBDA_RUNTIME_DIR={folder}\nexec "$LAMBDA_TASK_ROOT/infra/aws/bootstrap" {python}\n'
    with_start = shutil.copy(local_zip, folder / "function.zip")
    subprocess.run([sys.executable, "-c", ADD, with_start, start], check=True)
    return Path(with_start)


ADD = """
import sys, zipfile
entry = zipfile.ZipInfo("bootstrap")
entry.create_system, entry.external_attr = 3, 0o100755 << 16
with zipfile.ZipFile(sys.argv[1], "a") as archive:
    archive.writestr(entry, sys.argv[2])
"""


@pytest.fixture(scope="module")
def aws(fake: FakeCopilot, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """A ministack of our own on loopback, with IAM enforced. The functions inherit its environment."""
    home = tmp_path_factory.mktemp("ministack")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}"
    environ = {
        "PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home), "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": endpoint, "AWS_DEFAULT_REGION": REGION, "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
    }  # fmt: skip
    own = {
        "GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "AUTH": "true", "IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0",
        "COPILOT_GATEWAY_GITHUB_URL": fake.github_url, "COPILOT_GATEWAY_GITHUB_API_URL": fake.api_url,
    }  # fmt: skip
    log = home / "log"
    with log.open("w") as out:
        program = subprocess.Popen(
            [Path(sys.executable).with_name("ministack")], env=environ | own, stdout=out, stderr=out
        )
        try:
            _wait_for(port, program, log)
            yield Aws(endpoint, environ, log)
        finally:
            program.terminate()
            program.wait(PATIENCE)


@pytest.fixture(scope="module", params=FRONTS)
def deployed(request: pytest.FixtureRequest, aws: Aws, function_zip: Path) -> Iterator[Deployed]:
    front: str = request.param
    params = {
        "front": front, "zip": str(function_zip), "runtime": "provided.al2023", "architecture": MACHINE, "retain": "Delete",
        "transfer": "STREAM" if front == "url" else "BUFFERED",
    }  # fmt: skip
    flags = [
        "--stage",
        front,
        "--region",
        REGION,
        *(f"--param={name}={value}" for name, value in params.items()),
    ]
    osls("deploy", *flags, environ=aws.environ)
    (stack,) = aws.client("cloudformation").describe_stacks(StackName=f"copilot-gateway-{front}")["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    name = urlsplit(outputs["BaseUrl"]).netloc.partition(".")[0]
    path = f"/_aws/lambda-url/{name}" if front == "url" else f"/_aws/execute-api/{name}/{front}"
    state = DynamoStateStore(outputs["TableName"], lambda: aws.client("dynamodb"), time.time)
    secrets = SecretsManagerStore(outputs["SecretName"], lambda: aws.client("secretsmanager"))
    key = ManagedKeys(state, time.time).create("first")
    secrets.save("github-token", DEMO_TOKEN)
    yield Deployed(aws, front, outputs, path, key)
    osls("remove", *flags, environ=aws.environ)
    assert [] == aws.client("lambda").list_functions()["Functions"]
    assert [] == aws.client("dynamodb").list_tables()["TableNames"]


def test_health_is_open_and_all_else_needs_a_key(deployed: Deployed) -> None:
    assert (200, "text/plain", "ok\n") == deployed.ask("GET", "/healthz")
    for path in ("/v1/models", "/usage", "/nowhere"):
        status, kind, text = deployed.ask("GET", path)
        assert (401, "application/json", True) == (status, kind, "API key" in text)


def test_model_answers_through_table_and_secret(deployed: Deployed) -> None:
    status, kind, text = deployed.ask("POST", "/v1/chat/completions", CHAT, key=deployed.key)
    assert (200, "text/event-stream") == (status, kind), text
    assert text.endswith("data: [DONE]\n\n")
    assert "hello" in text


@pytest.mark.parametrize(
    ("path", "body", "wanted"),
    [
        (
            "/v1/messages",
            {"model": "claude-sonnet-4.6", "max_tokens": 50, "messages": CHAT["messages"]},
            '"message"',
        ),
        ("/v1/messages/count_tokens", {"model": "gpt-5-mini", "messages": CHAT["messages"]}, "input_tokens"),
        ("/v1/responses", {"model": "gpt-5-mini", "input": "hello there"}, '"completed"'),
        ("/v1/embeddings", {"model": "text-embedding-3-small", "input": "hello"}, '"embedding"'),
        ("/v1/models", None, "claude-sonnet-4.6"),
        ("/v1/models/gpt-5-mini", None, "gpt-5-mini"),
        ("/usage", None, "{"),
    ],
)
def test_every_endpoint_answers(deployed: Deployed, path: str, body: Any, wanted: str) -> None:
    method = "GET" if body is None else "POST"
    status, kind, text = deployed.ask(method, path, body, key=deployed.key)
    assert (200, "application/json", True) == (status, kind, wanted in text), text


def test_unknown_route_is_the_gateways_own_404(deployed: Deployed) -> None:
    status, kind, text = deployed.ask("GET", "/v1/nowhere", key=deployed.key)
    assert (404, "application/json", True) == (status, kind, "no route" in text)


def test_login_page_is_there(deployed: Deployed) -> None:
    status, kind, text = deployed.ask("GET", "/login")
    assert (200, "text/html", True) == (status, kind, "<form" in text)


def test_stack_made_what_the_functions_use(deployed: Deployed) -> None:
    table = deployed.aws.client("dynamodb").describe_table(TableName=deployed.outputs["TableName"])["Table"]
    assert {"pk": "HASH", "sk": "RANGE"} == {
        key["AttributeName"]: key["KeyType"] for key in table["KeySchema"]
    }
    groups = deployed.aws.client("logs").describe_log_groups()["logGroups"]
    functions = deployed.aws.client("lambda").list_functions()["Functions"]
    ours = [f for f in functions if f["FunctionName"].startswith(f"copilot-gateway-{deployed.front}-")]
    assert {f"/aws/lambda/{f['FunctionName']}" for f in ours} <= {group["logGroupName"] for group in groups}
    if deployed.front == "url":
        url = deployed.aws.client("lambda").get_function_url_config(FunctionName=ours[0]["FunctionName"])
        policy = json.loads(
            deployed.aws.client("lambda").get_policy(FunctionName=ours[0]["FunctionName"])["Policy"]
        )
        actions = {statement["Action"] for statement in policy["Statement"]}
        assert ("RESPONSE_STREAM", {"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"}) == (
            url["InvokeMode"],
            actions,
        )


def test_logs_hold_no_secret(deployed: Deployed) -> None:
    deployed.ask("GET", "/v1/models", key=deployed.key)
    client = deployed.aws.client("logs")
    said = [deployed.aws.log.read_text()]
    for group in client.describe_log_groups()["logGroups"]:
        events = client.filter_log_events(logGroupName=group["logGroupName"])["events"]
        said += [event["message"] for event in events]
    assert [] == [text for text in said if DEMO_TOKEN in text or deployed.key in text]


def _wait_for(port: int, program: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and program.poll() is None:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail("ministack did not start: " + log.read_text()[-2000:])
