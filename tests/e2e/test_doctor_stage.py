"""`doctor --stage` against moto: account, stack, door, table and secret, each by itself."""

import json
import os
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
import requests
from pytest_httpserver import HTTPServer

from core.access.managed_keys import ManagedKeys
from core.ports import GITHUB_TOKEN
from infra.aws.dynamodb import DynamoStateStore
from infra.aws.secrets_manager import SecretsManagerStore
from tests.contract import moto_server
from tests.e2e.cli_driver import run, unreachable
from tests.e2e.test_deploy import STACK
from tests.emulators.copilot import DEMO_TOKEN

pytestmark = pytest.mark.aws

NAME = "copilot-gateway-dev"


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with moto_server.moto_server() as url:
        yield url


@pytest.fixture
def environ(moto: str, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A stage whose door is closed as it should be; without keys and without a login."""
    httpserver.expect_request("/healthz").respond_with_data("ok\n")
    httpserver.expect_request("/v1/models").respond_with_data("{}", status=401)
    aws = moto_server.environment(moto)
    for name, value in aws.items():
        monkeypatch.setenv(name, value)
    outputs = STACK["Outputs"] | {"BaseUrl": {"Value": httpserver.url_for("/")}}
    boto3.client("cloudformation").create_stack(
        StackName=NAME, TemplateBody=json.dumps(STACK | {"Outputs": outputs})
    )
    yield {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "HOME": "/nonexistent",
        **aws,
    }
    requests.post(f"{moto}/moto-api/reset", timeout=60).raise_for_status()


def examined(environ: dict[str, str]) -> tuple[int, dict[str, Any]]:
    told = run(environ, "doctor", "--stage", "dev", "--json")
    assert "Traceback" not in told.stderr
    return told.returncode, {one["name"]: one for one in json.loads(told.stdout)}


def test_a_stage_that_is_complete_is_well(environ: dict[str, str]) -> None:
    ManagedKeys(DynamoStateStore(NAME, lambda: boto3.client("dynamodb"), time.time), time.time).create(
        "laptop"
    )
    secrets = SecretsManagerStore("copilot-gateway/dev", lambda: boto3.client("secretsmanager"))
    secrets.save(GITHUB_TOKEN, DEMO_TOKEN)
    code, found = examined(environ)
    assert (0, {"ok"}) == (code, {one["mark"] for one in found.values()}), found
    assert found["table"]["told"] == f"{NAME} can be read; 1 keys."
    assert DEMO_TOKEN not in json.dumps(found)


def test_a_stage_without_login_and_keys_says_how_to_make_them(environ: dict[str, str]) -> None:
    code, found = examined(environ)
    assert (3, "warning", "wrong") == (code, found["table"]["mark"], found["secret"]["mark"])
    assert "copilot-gateway keys create NAME --stage dev" in found["table"]["remedy"]
    assert "/login, or run `copilot-gateway auth --stage dev`" in found["secret"]["remedy"]


def test_a_personal_access_token_in_the_secret_is_found(environ: dict[str, str]) -> None:
    secrets = SecretsManagerStore("copilot-gateway/dev", lambda: boto3.client("secretsmanager"))
    secrets.save(GITHUB_TOKEN, "ghp_canary")
    code, found = examined(environ)
    assert (3, True) == (code, "auth --force" in found["secret"]["remedy"])
    assert "ghp_canary" not in json.dumps(found)


def test_a_door_that_is_open_is_wrong(environ: dict[str, str], httpserver: HTTPServer) -> None:
    httpserver.clear()
    httpserver.expect_request("/healthz").respond_with_data("ok\n")
    httpserver.expect_request("/v1/models").respond_with_data("{}")
    _, found = examined(environ)
    assert ("wrong", True) == (found["door"]["mark"], "where 401 is due" in found["door"]["told"])


def test_a_stage_that_is_ill_or_gone_says_so(environ: dict[str, str], httpserver: HTTPServer) -> None:
    httpserver.clear()
    httpserver.expect_request("/healthz").respond_with_data("{}", status=502)
    _, found = examined(environ)
    assert ("wrong", "skipped") == (found["health"]["mark"], found["door"]["mark"])
    assert "copilot-gateway deploy --stage dev" in found["health"]["remedy"]


def test_a_stage_that_does_not_exist_is_told_once(environ: dict[str, str]) -> None:
    boto3.client("cloudformation").delete_stack(StackName=NAME)
    code, found = examined(environ)
    assert (1, "ok", "wrong") == (code, found["account"]["mark"], found["stack"]["mark"])
    assert {"not checked, because of: stack"} == {
        found[name]["told"] for name in ("health", "door", "table", "secret")
    }


def test_aws_out_of_reach_is_told_once(environ: dict[str, str]) -> None:
    nobody = unreachable({})["COPILOT_GATEWAY_GITHUB_URL"]
    code, found = examined(environ | {"AWS_ENDPOINT_URL": nobody, "AWS_MAX_ATTEMPTS": "1"})
    assert (1, "wrong") == (code, found["account"]["mark"])
    assert "AWS cannot be asked" in found["account"]["told"]
