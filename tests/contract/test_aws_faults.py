"""The gateway on AWS whose services throttle, deny, fail, cut or do not answer: what goes on, what is said, who is kept out."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest

from core.access.caller import Limits
from core.access.managed_keys import ManagedKeys
from core.ledger.ledger import Ledger
from core.ledger.slots import DAY
from core.ports import GITHUB_TOKEN
from core.settings import Settings
from handlers import create_app
from handlers.services import Services
from infra.aws.services import build_services
from tests.contract.stores import DynamoAdapter, SecretsManagerAdapter
from tests.e2e.asking import PATH, SURFACES, UPSTREAM_PATH, ask, error_of, read_stream
from tests.emulators.copilot import DEMO_TOKEN, FakeCopilot

pytestmark = pytest.mark.aws
MODEL = {"chat": "gpt-4.1", "messages": "claude-sonnet-4.6", "responses": "gpt-5.5"}
TABLE, SECRETS = "DynamoDB_20120810", "secretsmanager"
ACCOUNT = "123456789012"
ARN = f"arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret:"
PATIENCE = 60
UNAVAILABLE = {"chat": 503, "messages": 529, "responses": 503}
INFINITE = float("inf")


class Handler(BaseHTTPRequestHandler):
    """Answers as its server's `Front` says, or lets moto answer."""

    front: ClassVar["Front"]

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["content-length"]))
        service, _, operation = self.headers["x-amz-target"].rpartition(".")
        self.front.asked.append(operation)
        fault = self.front.faults.get(service)
        if fault is None:
            self.forward(asked)
        else:
            fault(self)

    def forward(self, asked: bytes) -> None:
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        moto = HTTPConnection(str(urlsplit(self.front.moto).netloc), timeout=PATIENCE)
        try:
            moto.request("POST", self.path, asked, headers)
            answer = moto.getresponse()
            self.answer(answer.status, answer.read(), answer.headers["content-type"])
        finally:
            moto.close()

    def answer(self, status: int, body: bytes, kind: str = "application/x-amz-json-1.0") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 - the standard library's name


Fault = Callable[[Handler], None]


def refused(code: str, status: int = 400) -> Fault:
    said = f"User: arn:aws:sts::{ACCOUNT}:assumed-role/canary/dev is not served"
    return lambda handler: handler.answer(status, json.dumps({"__type": code, "message": said}).encode())


def failed_page(handler: Handler) -> None:
    handler.answer(500, b"<html>canary</html>", "text/html")


def cut(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("content-length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"Item"')
    handler.close_connection = True


def closed(handler: Handler) -> None:
    handler.close_connection = True


def silent(handler: Handler) -> None:
    handler.front.over.wait(PATIENCE)


REMEDIES: dict[str, tuple[Fault, str]] = {
    "throughput": (refused("ProvisionedThroughputExceededException"), "Try again in a few seconds"),
    "throttling": (refused("ThrottlingException"), "Try again in a few seconds"),
    "limit": (refused("RequestLimitExceeded"), "Try again in a few seconds"),
    "denied": (refused("AccessDeniedException"), "Add it and deploy again"),
    "credentials": (refused("UnrecognizedClientException"), "Renew them"),
    "unheard": (refused("DecryptionFailure"), "AWS answered DecryptionFailure"),
    "failure": (refused("InternalServerError", 500), "AWS itself fails"),
    "failed_page": (failed_page, "AWS itself fails"),
    "cut": (cut, "Check the network"),
    "closed": (closed, "Check the network"),
}
GONE = {"gone": (refused("ResourceNotFoundException"), "must be removed and deployed anew")}


def each(faults: dict[str, tuple[Fault, str]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("fault", "remedy"), faults.values(), ids=list(faults))


@dataclass
class Front:
    """What boto3 is led to: moto, or by service a fault."""

    moto: str
    faults: dict[str, Fault] = field(default_factory=dict[str, Fault])
    asked: list[str] = field(default_factory=list[str])
    over: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def front(aws: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    front = Front(aws)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Fronting", (Handler,), {"front": front}))
    server.daemon_threads = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    yield front
    front.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Stage:
    """A stage's stores behind the front, logged in; `function` starts an instance."""

    fake: FakeCopilot
    front: Front
    adapter: DynamoAdapter
    key: str
    started: list[Services] = field(default_factory=list[Services])

    def function(self, secret: str = "") -> "Function":
        environ = {
            "COPILOT_GATEWAY_TABLE": self.adapter.table,
            "COPILOT_GATEWAY_SECRET": secret or f"gateway{self.adapter.directory}",
        }
        settings = Settings(github_url=self.fake.github_url, github_api_url=self.fake.api_url)
        self.started.append(build_services(settings, environ))
        return Function(create_app(self.started[-1]).test_client(), self.key)

    def calls(self, surface: str) -> int:
        """Count what reached the model."""
        return len(self.fake.requests(UPSTREAM_PATH[surface]))


@dataclass
class Function:
    """One instance, asked without a network. `key` is the caller's."""

    client: Any
    key: str

    def ask(self, surface: str) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {self.key}", "Host": "127.0.0.1"}
        body = ask(surface, MODEL[surface], "[[say:fine]]", stream=True)
        with self.client.post(PATH[surface], json=body, headers=headers) as answer:
            return answer.status_code, answer.data

    def says_fine(self, surface: str) -> None:
        status, body = self.ask(surface)
        assert 200 == status, body
        assert "fine" == read_stream(surface, body).text.strip()

    def refuses(self, surface: str, remedy: str) -> dict[str, Any]:
        """Ask in vain: the surface's status and envelope for it, with the remedy, and nothing of the account."""
        status, body = self.ask(surface)
        error = error_of(surface, body)
        assert (UNAVAILABLE[surface], True) == (status, remedy in error["message"]), body
        for secret in (DEMO_TOKEN, self.key, "arn:", ACCOUNT, "canary", "Traceback"):
            assert secret not in body.decode()
        return error


@pytest.fixture
def stage(
    front: Front,
    dynamo_adapter: DynamoAdapter,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> Iterator[Stage]:
    # No pauses between attempts, and nothing that depends on how fast this machine is.
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _seconds: None))
    monkeypatch.setattr("core.access.managed_keys.CACHE_LIFE", 3600.0)
    monkeypatch.setattr("core.copilot.catalogue._SHORT_PAUSE", 0.0)
    monkeypatch.setattr("infra.watched_store.SLOW", INFINITE)
    SecretsManagerAdapter(dynamo_adapter.directory).open().save(GITHUB_TOKEN, DEMO_TOKEN)
    key = ManagedKeys(dynamo_adapter.open(time.time), time.time).create("laptop")
    caplog.set_level(logging.INFO, logger="infra.watched_store")
    with FakeCopilot() as fake:
        stage = Stage(fake, front, dynamo_adapter, key)
        yield stage
        for services in stage.started:
            services.copilot.transport.close()


def told(caplog: pytest.LogCaptureFixture, event: str) -> list[str]:
    """Return what the log says of the stores under this name."""
    lines = [record.message for record in caplog.records if record.message.startswith(event)]
    return sorted(line.split(" message=")[0].removeprefix(event).strip() for line in lines)


# The table


@each(REMEDIES | GONE)
def test_a_warm_function_goes_on_without_its_table_and_counts_it_all_later(
    stage: Stage, caplog: pytest.LogCaptureFixture, fault: Fault, remedy: str
) -> None:
    """Key, token and list of models are in memory; what the ledger could not write waits."""
    function = stage.function()
    function.says_fine("chat")
    stage.front.faults[TABLE] = fault
    for surface in SURFACES * 2:
        function.says_fine(surface)
    assert ["doing=writing"] == told(caplog, "store.failed")
    assert all(remedy in record.message for record in caplog.records if "store.failed" in record.message)
    stage.front.faults.clear()
    function.says_fine("chat")
    assert ["doing=writing"] == told(caplog, "store.recovered")
    rows = Ledger(stage.adapter.open(time.time), time.time, time.monotonic).days(time.time() - DAY)
    assert 8 == sum(row.figures.requests for row in rows)
    assert "Traceback" not in caplog.text


@each(REMEDIES | GONE)
def test_a_key_that_cannot_be_looked_up_does_not_get_in(stage: Stage, fault: Fault, remedy: str) -> None:
    function = stage.function()
    stage.front.faults[TABLE] = fault
    for surface in SURFACES:
        error = function.refuses(surface, remedy)
        assert surface == "messages" or "store_unavailable" == error["code"]
    assert 0 == sum(stage.calls(surface) for surface in SURFACES)
    stage.front.faults.clear()
    function.says_fine("chat")


def test_a_table_that_does_not_answer_keeps_everybody_out_after_four_attempts(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.aws.service.READ_TIMEOUT", 0.1)
    stage.front.faults[TABLE] = silent
    stage.front.asked.clear()
    stage.function().refuses("messages", "Check the network")
    assert "GetItem" == stage.front.asked[0]
    assert 4 == stage.front.asked.count("GetItem")


def test_a_moment_s_throttling_is_seen_by_nobody(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    left = [3]

    def throttle(handler: Handler) -> None:
        left[0] -= 1
        if not left[0]:
            stage.front.faults.clear()
        REMEDIES["throughput"][0](handler)

    stage.front.faults[TABLE] = throttle
    stage.function().says_fine("chat")
    assert (0, []) == (left[0], told(caplog, "store.failed"))


def test_a_limit_that_cannot_be_counted_is_not_ignored(stage: Stage) -> None:
    keys = ManagedKeys(stage.adapter.open(time.time), time.time)
    stage.key = keys.create("limited", limits=Limits(per_day=5))
    function = stage.function()
    function.says_fine("chat")
    stage.front.faults[TABLE] = REMEDIES["denied"][0]
    function.refuses("chat", "Add it and deploy again")
    assert 1 == stage.calls("chat")
    stage.front.faults.clear()
    function.says_fine("chat")


# The login


@each(REMEDIES)
def test_a_login_that_cannot_be_read_is_a_503_told_once(
    stage: Stage, caplog: pytest.LogCaptureFixture, fault: Fault, remedy: str
) -> None:
    function = stage.function()
    stage.front.faults[SECRETS] = fault
    for surface in SURFACES:
        function.refuses(surface, remedy)
    assert ["doing=reading_secrets"] == told(caplog, "store.failed")
    assert DEMO_TOKEN not in caplog.text
    stage.front.faults.clear()
    function.says_fine("chat")
    assert ["doing=reading_secrets"] == told(caplog, "store.recovered")


def test_a_login_named_by_its_arn_is_told_by_its_name(stage: Stage) -> None:
    function = stage.function(f"{ARN}copilot-gateway/dev/github-token-AbC123")
    stage.front.faults[SECRETS] = REMEDIES["denied"][0]
    function.refuses("messages", "The secret copilot-gateway/dev/github-token may not be used")


def test_a_login_that_is_gone_is_one_that_nobody_made(stage: Stage) -> None:
    function = stage.function()
    stage.front.faults[SECRETS] = GONE["gone"][0]
    status, body = function.ask("messages")
    assert (403, True) == (status, "copilot-gateway auth" in error_of("messages", body)["message"])


def test_a_login_that_nobody_answers_for_is_given_up_after_four_attempts(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    function = stage.function()
    stage.key, known = stage.key[:-1] + "?", stage.key
    assert 401 == Function(function.client, known[:-4] + "0000").ask("chat")[0]  # makes the table's client
    monkeypatch.setattr("infra.aws.service.READ_TIMEOUT", 0.1)
    stage.front.faults[SECRETS] = silent
    function.refuses("chat", "Check the network")
    assert 4 == stage.front.asked.count("GetSecretValue")


@each({name: (REMEDIES | GONE)[name] for name in ("denied", "gone", "closed")})
def test_a_token_in_memory_works_while_the_login_cannot_be_read(
    stage: Stage, caplog: pytest.LogCaptureFixture, fault: Fault, remedy: str
) -> None:
    function = stage.function()
    function.says_fine("chat")
    stage.front.faults |= {SECRETS: fault, TABLE: fault}
    for surface in SURFACES:
        function.says_fine(surface)
    assert "doing=reading_secrets" not in told(caplog, "store.failed"), remedy
