"""What the Secrets Manager store promises beside the port: its memory, what stays in AWS, what is said when AWS refuses."""

import json
from functools import partial
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from core.ports import GITHUB_TOKEN, StoreError
from infra.aws.secrets_manager import MEMORY, SecretsManagerStore
from infra.aws.service import make_client
from tests.contract import moto_server
from tests.contract.stores import Clock

on_moto = pytest.mark.aws
OLD, NEW = "gho_canary_old", "gho_canary_new"


@pytest.fixture
def prefix(aws: str, request: pytest.FixtureRequest) -> str:
    return f"gateway/{request.node.name.partition('[')[0]}"


@pytest.fixture
def secret_id(prefix: str) -> str:
    return f"{prefix}/{GITHUB_TOKEN}"


@pytest.fixture
def client(aws: str) -> Any:
    return make_client("secretsmanager")


def store_at(prefix: str, clock: Clock | None = None) -> SecretsManagerStore:
    return SecretsManagerStore(prefix, partial(make_client, "secretsmanager"), clock or Clock())


# Memory


@on_moto
def test_a_secret_is_read_once_in_a_quarter_of_an_hour(prefix: str, clock: Clock) -> None:
    store, other = store_at(prefix, clock), store_at(prefix, clock)
    store.save(GITHUB_TOKEN, OLD)
    reader = store_at(prefix, clock)
    assert reader.load(GITHUB_TOKEN) == OLD
    other.save(GITHUB_TOKEN, NEW)
    clock.time += MEMORY - 1
    assert (OLD, OLD, NEW) == tuple(each.load(GITHUB_TOKEN) for each in (store, reader, other))
    clock.time += 1
    assert (NEW, NEW) == (store.load(GITHUB_TOKEN), reader.load(GITHUB_TOKEN))


@on_moto
def test_a_secret_that_was_to_be_forgotten_is_read_anew(prefix: str) -> None:
    store = store_at(prefix)
    store.save(GITHUB_TOKEN, OLD)
    store_at(prefix).save(GITHUB_TOKEN, NEW)
    store.forget()
    assert store.load(GITHUB_TOKEN) == NEW


@on_moto
def test_a_missing_secret_is_asked_for_anew_each_time(prefix: str) -> None:
    store = store_at(prefix)
    assert store.load(GITHUB_TOKEN) is None
    store_at(prefix).save(GITHUB_TOKEN, NEW)
    assert store.load(GITHUB_TOKEN) == NEW


# What stays in AWS


@on_moto
def test_the_empty_secret_of_a_fresh_stack_is_filled_not_created(
    prefix: str, secret_id: str, client: Any
) -> None:
    arn = client.create_secret(Name=secret_id)["ARN"]
    store = store_at(prefix)
    assert store.load(GITHUB_TOKEN) is None
    store.save(GITHUB_TOKEN, NEW)
    found = client.get_secret_value(SecretId=secret_id)
    assert (arn, NEW) == (found["ARN"], found["SecretString"])


@on_moto
def test_an_arn_stands_for_the_one_secret(prefix: str, secret_id: str, client: Any) -> None:
    arn = client.create_secret(Name=secret_id)["ARN"]
    store_at(arn).save(GITHUB_TOKEN, NEW)
    assert store_at(prefix).load(GITHUB_TOKEN) == NEW
    with pytest.raises(StoreError, match="Remove the stage and deploy it anew"):
        store_at(arn[:-6] + "absent").save(GITHUB_TOKEN, NEW)


@on_moto
def test_a_deleted_secret_is_overwritten_with_the_one_before_it_and_keeps_its_arn(
    prefix: str, secret_id: str, client: Any
) -> None:
    store = store_at(prefix)
    store.save(GITHUB_TOKEN, OLD)
    arn = client.describe_secret(SecretId=secret_id)["ARN"]
    store.save(GITHUB_TOKEN, NEW)
    store.delete(GITHUB_TOKEN)
    labelled = [
        client.get_secret_value(SecretId=secret_id, VersionStage=stage)["SecretString"]
        for stage in ("AWSCURRENT", "AWSPREVIOUS")
    ]
    assert ["\n", "\n"] == labelled
    assert arn == client.describe_secret(SecretId=secret_id)["ARN"]
    assert store_at(prefix).load(GITHUB_TOKEN) is None


@on_moto
def test_a_line_break_that_a_shell_added_is_no_part_of_the_secret(
    prefix: str, secret_id: str, client: Any
) -> None:
    client.create_secret(Name=secret_id, SecretString=NEW + "\r\n")
    assert store_at(prefix).load(GITHUB_TOKEN) == NEW


@on_moto
def test_a_secret_of_bytes_is_an_error_that_a_login_mends(prefix: str, secret_id: str, client: Any) -> None:
    client.create_secret(Name=secret_id, SecretBinary=b"\xff")
    with pytest.raises(StoreError, match="Log in again"):
        store_at(prefix).load(GITHUB_TOKEN)
    store_at(prefix).save(GITHUB_TOKEN, NEW)
    assert store_at(prefix).load(GITHUB_TOKEN) == NEW


@on_moto
def test_a_secret_marked_for_deletion_names_the_way_back(prefix: str, secret_id: str, client: Any) -> None:
    store = store_at(prefix)
    store.save(GITHUB_TOKEN, OLD)
    store.forget()
    client.delete_secret(SecretId=secret_id)
    with pytest.raises(StoreError, match=f"restore-secret --secret-id {secret_id}"):
        store.load(GITHUB_TOKEN)


def test_a_secret_larger_than_aws_keeps_is_refused_without_showing_it() -> None:
    with pytest.raises(StoreError, match="65,536") as caught:
        store_at("gateway").save(GITHUB_TOKEN, "canary" * 11_000)
    assert "canary" not in str(caught.value)


# What AWS refuses


@pytest.mark.parametrize("operation", ["GetSecretValue", "PutSecretValue", "CreateSecret"])
def test_a_missing_permission_is_named_and_no_secret_shown(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    def answer(request: Request) -> Response:
        asked = request.headers["X-Amz-Target"].rpartition(".")[2]
        code = "AccessDeniedException" if asked == operation else "ResourceNotFoundException"
        return Response(json.dumps({"__type": code, "Message": "no"}), 400)

    httpserver.expect_request("/").respond_with_handler(answer)
    for name, value in moto_server.environment(httpserver.url_for("").rstrip("/")).items():
        monkeypatch.setenv(name, value)
    store = store_at("gateway/dev")
    call = (
        partial(store.load, GITHUB_TOKEN)
        if operation == "GetSecretValue"
        else partial(store.save, GITHUB_TOKEN, NEW)
    )
    with pytest.raises(StoreError) as caught:
        call()
    assert f"The secret gateway/dev/github-token may not be used: its role or user lacks the permission secretsmanager:{operation}." in str(
        caught.value
    )  # fmt: skip
    assert NEW not in str(caught.value)
