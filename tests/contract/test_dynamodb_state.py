"""What the DynamoDB store promises beside the port: what stands in the table, and what is said when AWS refuses."""

import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from core.ports import StoreError
from infra.aws.dynamodb import DynamoStateStore
from infra.aws.service import make_client
from tests.contract import moto_server
from tests.contract.stores import Clock, DynamoAdapter

on_moto = pytest.mark.aws
DAY = 24 * 3600
SERVICE = "com.amazonaws.dynamodb.v20120810#"


@pytest.fixture
def store(dynamo_adapter: DynamoAdapter, clock: Clock) -> DynamoStateStore:
    return dynamo_adapter.open(clock)


def items(adapter: DynamoAdapter) -> dict[tuple[str, str], dict[str, Any]]:
    found = make_client("dynamodb").scan(TableName=adapter.table)["Items"]
    return {(item.pop("pk")["S"], item.pop("sk")["S"]): item for item in found}


# What stands in the table


@on_moto
def test_items_say_when_they_end_and_when_dynamodb_may_remove_them(
    store: DynamoStateStore, dynamo_adapter: DynamoAdapter, clock: Clock
) -> None:
    store.save("kind", "brief", b"value", expires_at=clock.time + 10.5)
    store.save("kind", "lasting", b"value")
    store.claim("kind", "brief", "me", expires_at=clock.time + 10)
    store.add("kind", "brief", {"requests": 1, "owner": -2}, expires_at=clock.time + 10)
    store.add("kind", "lasting", {"requests": 1})
    store.add("kind", "lasting", {"requests": 1}, expires_at=clock.time + 10)
    soon, purge = {"N": "1000010.0"}, {"N": str(1_000_010 + DAY)}
    never = {"N": "1000000000000000.0"}
    value = {"B": b"value"}
    assert items(dynamo_adapter) == {
        ("record#kind", "brief"): {
            "ends_at": {"N": "1000010.5"},
            "purge_at": {"N": str(1_000_011 + DAY)},
            "content": value,
        },
        ("record#kind", "lasting"): {"ends_at": never, "content": value},
        ("lease#kind", "brief"): {"ends_at": soon, "purge_at": purge, "held_by": {"S": "me"}},
        ("counter#kind", "brief"): {
            "ends_at": soon,
            "purge_at": purge,
            "n:requests": {"N": "1"},
            "n:owner": {"N": "-2"},
        },
        ("counter#kind", "lasting"): {"ends_at": never, "n:requests": {"N": "2"}},
    }


@on_moto
def test_what_has_expired_is_invisible_while_dynamodb_still_keeps_it(
    store: DynamoStateStore, dynamo_adapter: DynamoAdapter, clock: Clock
) -> None:
    store.save("kind", "key", b"value", expires_at=clock.time + 10)
    store.add("kind", "key", {"old": 1}, expires_at=clock.time + 10)
    clock.time += 10
    assert len(items(dynamo_adapter)) == 2
    assert (store.load("kind", "key"), store.entries("kind"), store.counters("kind")) == (None, {}, {})
    assert store.delete("kind", "key") is False
    assert store.add("kind", "key", {"new": 1}) == {"new": 1}
    assert "purge_at" not in items(dynamo_adapter)["counter#kind", "key"]


@on_moto
def test_a_kind_larger_than_a_page_is_listed_whole(store: DynamoStateStore) -> None:
    expected = {f"{number:02}": bytes([number]) * 350_000 for number in range(8)}
    for key, value in expected.items():
        store.save("kind", key, value)
    assert store.entries("kind") == expected
    assert list(store.entries("kind")) == sorted(expected)


@on_moto
def test_a_record_that_no_item_can_hold_is_refused_and_the_old_one_stays(store: DynamoStateStore) -> None:
    key = "k" * 1000
    store.save("kind", key, b"x" * 400_000)
    with pytest.raises(StoreError, match="400,001 bytes"):
        store.save("kind", key, b"x" * 400_001)
    assert store.load("kind", key) == b"x" * 400_000


@pytest.mark.parametrize(("kind", "key"), [("k" * 1001, "key"), ("kind", "é" * 501)])
def test_names_that_no_item_can_have_are_refused(kind: str, key: str) -> None:
    with pytest.raises(ValueError, match="1000 bytes"):
        DynamoStateStore("state", partial(make_client, "dynamodb"), Clock()).load(kind, key)


# Counters


@on_moto
def test_fifty_threads_lose_no_addition_to_counters_that_nobody_made_before(store: DynamoStateStore) -> None:
    gate = Barrier(50)

    def add(_: int) -> None:
        gate.wait()
        for _ in range(4):
            store.add("kind", "key", {"n": 1, "m": -2})

    with ThreadPoolExecutor(50) as threads:
        list(threads.map(add, range(50)))
    assert store.counters("kind") == {"key": {"m": -400, "n": 200}}


@on_moto
def test_fifty_counters_are_added_to_at_once(store: DynamoStateStore) -> None:
    amounts = {f"model-{number}": number for number in range(50)}
    store.add("kind", "key", amounts)
    assert store.add("kind", "key", amounts) == {name: 2 * amount for name, amount in sorted(amounts.items())}


@on_moto
def test_an_amount_beyond_64_bits_is_added_where_the_sum_has_room(store: DynamoStateStore) -> None:
    store.add("kind", "key", {"up": -1, "down": 1})
    assert store.add("kind", "key", {"up": 2**63, "down": -(2**63) - 1}) == {
        "down": -(2**63),
        "up": 2**63 - 1,
    }
    with pytest.raises(OverflowError):
        store.add("kind", "key", {"other": 2**63})
    with pytest.raises(OverflowError):
        store.add("kind", "other", {"other": 2**63})


# What AWS refuses


class Refusals:
    """A DynamoDB that answers what it is told, then `{}`."""

    def __init__(self, server: HTTPServer) -> None:
        self.answers: list[Response] = []
        self.operations: list[str] = []
        server.expect_request("/").respond_with_handler(self._answer)

    def refuse(self, code: str, message: str = "no", times: int = 1) -> None:
        self.answers += [Response(json.dumps({"__type": SERVICE + code, "message": message}), 400)] * times

    def _answer(self, request: Request) -> Response:
        self.operations.append(request.headers["X-Amz-Target"].rpartition(".")[2])
        return self.answers.pop(0) if self.answers else Response("{}")


@pytest.fixture
def refusals(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> Refusals:
    lead_to(httpserver.url_for("").rstrip("/"), monkeypatch)
    return Refusals(httpserver)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Note the pauses that botocore makes between attempts, and make none."""
    made: list[float] = []
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=made.append))
    return made


def lead_to(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in moto_server.environment(url).items():
        monkeypatch.setenv(name, value)


def remote() -> DynamoStateStore:
    return DynamoStateStore("state", partial(make_client, "dynamodb"), Clock())


CALLS: dict[str, Callable[[DynamoStateStore], object]] = {
    "GetItem": lambda store: store.load("kind", "key"),
    "PutItem": lambda store: store.claim("kind", "key", "me", expires_at=2e6),
    "UpdateItem": lambda store: store.add("kind", "key", {"n": 1}),
    "DeleteItem": lambda store: store.delete("kind", "key"),
    "Query": lambda store: store.entries("kind"),
}


@pytest.mark.parametrize("operation", CALLS)
def test_a_missing_permission_is_named(refusals: Refusals, operation: str) -> None:
    refusals.refuse("AccessDeniedException", "User: arn:aws:sts::1:role is not authorized")
    with pytest.raises(StoreError) as caught:
        CALLS[operation](remote())
    assert [operation] == refusals.operations
    assert f"The DynamoDB table state may not be used: its role or user lacks the permission dynamodb:{operation}." in str(
        caught.value
    )  # fmt: skip


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("ResourceNotFoundException", "does not exist in this region"),
        ("UnrecognizedClientException", "AWS does not accept the credentials"),
        ("ExpiredTokenException", "AWS does not accept the credentials"),
        ("ValidationException", "AWS answered Validation to dynamodb:GetItem. no"),
    ],
)
def test_a_refusal_names_its_remedy(refusals: Refusals, code: str, words: str) -> None:
    refusals.refuse(code)
    with pytest.raises(StoreError, match=words):
        remote().load("kind", "key")


def test_a_moment_s_throttling_is_waited_out(refusals: Refusals, pauses: list[float]) -> None:
    refusals.refuse("ProvisionedThroughputExceededException", times=3)
    assert remote().load("kind", "key") is None
    assert (["GetItem"] * 4, 3) == (refusals.operations, len(pauses))


def test_lasting_throttling_is_an_error_after_four_attempts(refusals: Refusals, pauses: list[float]) -> None:
    refusals.refuse("ThrottlingException", times=9)
    with pytest.raises(StoreError, match="more than AWS allows at the moment"):
        remote().load("kind", "key")
    assert (["GetItem"] * 4, 3) == (refusals.operations, len(pauses))
    assert max(pauses) <= 4


def test_counters_that_others_create_and_delete_all_the_time_are_given_up(
    refusals: Refusals, pauses: list[float]
) -> None:
    refusals.refuse("ConditionalCheckFailedException", times=99)
    with pytest.raises(StoreError, match="too often"):
        remote().add("kind", "key", {"n": 1})
    assert ["UpdateItem", "PutItem"] * 10 == refusals.operations


def test_a_service_that_does_not_answer_is_an_error(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch, httpserver: HTTPServer
) -> None:
    lead_to("http://127.0.0.1:9", monkeypatch)  # the discard port, where nobody listens
    with pytest.raises(StoreError, match="cannot be reached"):
        remote().load("kind", "key")


@pytest.mark.parametrize(
    ("absent", "words"),
    [(("AWS_REGION", "AWS_DEFAULT_REGION"), "region"), (("AWS_ACCESS_KEY_ID",), "credentials")],
)
def test_without_region_or_credentials_the_error_says_so(
    refusals: Refusals, monkeypatch: pytest.MonkeyPatch, absent: tuple[str, ...], words: str
) -> None:
    for name in absent:
        monkeypatch.delenv(name)
    with pytest.raises(StoreError, match=words):
        remote().load("kind", "key")


def test_without_boto3_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(StoreError, match="pip install boto3"):
        remote().load("kind", "key")
