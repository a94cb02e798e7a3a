"""A whole stage on this machine: AWS's loop, the real app, DynamoDB and Secrets Manager by moto, the fake Copilot."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from core.access.managed_keys import ManagedKeys
from core.ports import GITHUB_TOKEN
from infra.aws.dynamodb import DynamoStateStore
from infra.aws.secrets_manager import SecretsManagerStore
from infra.aws.service import make_client
from tests.contract import moto_server
from tests.contract.conftest import create_table
from tests.e2e.asking import PATH, SURFACES, ask, read_stream
from tests.e2e.hosting import Wire, new_fake
from tests.emulators.copilot import DEMO_TOKEN, FakeCopilot
from tests.emulators.runtime_api import Lambda
from tests.unit.aws.events import rest_event

pytestmark = [
    pytest.mark.aws,
    pytest.mark.skipif(find_spec("awslambdaric") is None, reason="AWS's loop is built for Linux"),
]
MODEL = {"chat": "gpt-4.1", "messages": "claude-sonnet-4.6", "responses": "gpt-5.5"}


@dataclass
class Stage:
    environ: dict[str, str]
    key: str


@pytest.fixture
def fake() -> Iterator[FakeCopilot]:
    fake = new_fake()
    yield fake
    fake.stop()


@pytest.fixture
def stage(aws: str, fake: FakeCopilot, tmp_path: Path) -> Stage:
    """Empty stores but for a login and a key."""
    table, secret = f"stage-{tmp_path.name}"[-255:], f"gateway{tmp_path}"
    create_table(table)
    state = DynamoStateStore(table, lambda: make_client("dynamodb"), time.time)
    SecretsManagerStore(secret, lambda: make_client("secretsmanager")).save(GITHUB_TOKEN, DEMO_TOKEN)
    named = {"TABLE": table, "SECRET": secret, "GITHUB_URL": fake.github_url, "GITHUB_API_URL": fake.api_url}
    environ = {f"COPILOT_GATEWAY_{name}": value for name, value in named.items()}
    return Stage(moto_server.environment(aws) | environ, ManagedKeys(state, time.time).create("laptop"))


def test_function_streams_with_a_managed_key_and_logs_no_secret(stage: Stage) -> None:
    with Lambda("infra.aws.app.handler", stage.environ) as function:
        stranger, client = Wire(function.url), Wire(function.url, {"Authorization": f"Bearer {stage.key}"})
        assert [200, 401] == [stranger.get(path).status for path in ("/healthz", "/v1/models")]
        for surface in SURFACES:
            asked = ask(surface, MODEL[surface], "[[say:hello]]", stream=True)
            told = read_stream(surface, client.post(PATH[surface], asked).body)
            assert ("hello", "stop") == (told.text.strip(), told.stop)
        assert 1 == len(function.starts)
    said = "".join(function.log)
    assert [] == [secret for secret in (stage.key, DEMO_TOKEN, "tid=", "hello") if secret in said]
    assert "copilot.token" in said


def test_each_request_leaves_its_line_of_metrics(stage: Stage) -> None:
    with Lambda("infra.aws.app.handler", stage.environ | {"COPILOT_GATEWAY_SERVICE": "mine"}) as function:
        stranger, client = Wire(function.url), Wire(function.url, {"x-api-key": stage.key})
        assert 401 == stranger.get("/v1/models?canary").status
        answer = client.post(PATH["chat"], ask("chat", MODEL["chat"], "hi", stream=True))
        assert 200 == stranger.get("/healthz").status  # served once the lines before it are written
    lines = [json.loads(line) for line in function.log if line.startswith('{"_aws"')]
    shown = ("Service", "route", "status", "ended", "ColdStart", "ClientErrors", "StreamErrors")
    assert [
        ("mine", "GET /v1/models", 401, "whole", 1, 1, 0),
        ("mine", "POST /v1/chat/completions", 200, "whole", 0, 0, 0),
    ] == [tuple(line[name] for name in shown) for line in lines[:2]]
    assert (MODEL["chat"], "chat", answer.headers["x-request-id"]) == tuple(
        lines[1][name] for name in ("model", "upstream", "request_id")
    )
    assert all(0 < line["FirstByte"] <= line["Duration"] for line in lines)


def test_second_cold_start_finds_the_first_ones_token(stage: Stage, fake: FakeCopilot) -> None:
    for _ in range(2):
        with Lambda("infra.aws.app.handler", stage.environ) as function:
            client = Wire(function.url, {"x-api-key": stage.key})
            assert 200 == client.post(PATH["chat"], ask("chat", "gpt-4.1", "hi")).status
    assert 1 == sum(logged.path == "/copilot_internal/v2/token" for logged in fake.log)


def test_function_of_one_endpoint_serves_that_and_no_other(stage: Stage) -> None:
    with Lambda("infra.aws.endpoints.models", stage.environ) as function:
        headers = {"x-api-key": [stage.key]}
        found = function.invoke(rest_event(path="/v1/models", headers=headers))
        other = function.invoke(rest_event(path="/usage", headers=headers))
        assert b"gpt-4.1" in found.body()
        assert other.wait_over()
        assert [(200, True), (404, True)] == [(each.status, each.streamed) for each in (found, other)]
