"""The composition root on AWS: settings, laziness, the gateway on moto's stores, one exchange for everybody."""

import multiprocessing
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier as ProcessBarrier
from pathlib import Path
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest

from core.access.managed_keys import ManagedKeys
from core.copilot.github import GitHub
from core.copilot.token import CopilotTokens
from core.ledger.ledger import Ledger
from core.ledger.slots import DAY
from core.ports import GITHUB_TOKEN
from core.settings import Settings
from handlers import create_app
from handlers.services import Services
from infra.aws.secrets_manager import SecretsManagerStore
from infra.aws.services import build_services
from infra.aws.settings import load_function_settings, load_place
from infra.settings import SettingsError
from tests.contract.stores import DynamoAdapter, SecretsManagerAdapter
from tests.emulators.copilot import DEMO_TOKEN, FakeCopilot

EXCHANGE = "/copilot_internal/v2/token"
FUNCTION = {
    "COPILOT_GATEWAY_TABLE": "copilot-gateway-dev",
    "COPILOT_GATEWAY_SECRET": "copilot-gateway/dev",
    "COPILOT_GATEWAY_STAGE": "dev",
    "COPILOT_GATEWAY_STREAMING": "1",
    "COPILOT_GATEWAY_ENTERPRISE_HOST": "",
}


# Settings


def test_a_function_s_settings_have_their_own_defaults(tmp_path: Path) -> None:
    settings = load_function_settings({**FUNCTION, "LAMBDA_TASK_ROOT": str(tmp_path)})
    assert ("json", 6_291_456, str(tmp_path)) == (
        settings.log_format,
        settings.max_body_bytes,
        settings.data_dir,
    )


def test_the_environment_and_the_packaged_file_are_settings_too(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('aliases = {fast = "gpt-4.1"}\nlog_format = "json"\n')
    settings = load_function_settings(
        {**FUNCTION, "LAMBDA_TASK_ROOT": str(tmp_path), "COPILOT_GATEWAY_LOG_FORMAT": "text"}
    )
    assert ({"fast": "gpt-4.1"}, "text") == (settings.aliases, settings.log_format)


@pytest.mark.parametrize("name", ["GITHUB_TOKEN", "GH_TOKEN", "API_KEY"])
def test_a_secret_in_the_environment_is_refused_without_showing_it(tmp_path: Path, name: str) -> None:
    environ = {**FUNCTION, "LAMBDA_TASK_ROOT": str(tmp_path), f"COPILOT_GATEWAY_{name}": "gho_canary"}
    with pytest.raises(SettingsError, match="Take it out") as caught:
        load_function_settings(environ)
    assert "canary" not in str(caught.value)


def test_what_needs_one_process_is_refused(tmp_path: Path) -> None:
    environ = {**FUNCTION, "LAMBDA_TASK_ROOT": str(tmp_path), "COPILOT_GATEWAY_MANUAL": "1"}
    with pytest.raises(SettingsError, match="manual lets requests wait in one process"):
        load_function_settings(environ)


def test_a_function_without_its_stores_names_what_is_missing() -> None:
    with pytest.raises(SettingsError, match="COPILOT_GATEWAY_TABLE and COPILOT_GATEWAY_SECRET"):
        load_place({"COPILOT_GATEWAY_SECRET": " "})


# Services


def test_nothing_of_aws_is_imported_or_asked_before_a_request_needs_it() -> None:
    code = (
        "import sys\n"
        "from core.settings import Settings\n"
        "from infra.aws.services import build_services\n"
        f"build_services(Settings(), {FUNCTION})\n"
        "found = {'boto3', 'botocore', 'requests', 'sqlite3'} & set(sys.modules)\n"
        "assert not found, found\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture
def fake() -> Iterator[FakeCopilot]:
    with FakeCopilot() as running:
        yield running


@pytest.fixture
def secrets(aws: str, tmp_path: Path) -> SecretsManagerStore:
    return SecretsManagerAdapter(tmp_path).open()


@pytest.fixture
def services(
    fake: FakeCopilot, dynamo_adapter: DynamoAdapter, secrets: SecretsManagerStore
) -> Iterator[Services]:
    environ = {
        "COPILOT_GATEWAY_TABLE": dynamo_adapter.table,
        "COPILOT_GATEWAY_SECRET": f"gateway{dynamo_adapter.directory}",
    }
    built = build_services(settings_for(fake), environ)
    yield built
    built.copilot.transport.close()


def settings_for(fake: FakeCopilot) -> Settings:
    return Settings(github_url=fake.github_url, github_api_url=fake.api_url)


def ask(services: Services, key: str) -> Any:
    return (
        create_app(services)
        .test_client()
        .post(
            "/v1/chat/completions",
            json={"model": "gpt-4.1", "messages": [{"role": "user", "content": "say hello"}]},
            headers={"Authorization": f"Bearer {key}", "Host": "127.0.0.1"},
        )
    )


@pytest.mark.aws
def test_the_gateway_answers_on_dynamodb_and_secrets_manager(
    services: Services, secrets: SecretsManagerStore, fake: FakeCopilot
) -> None:
    key = ManagedKeys(services.state, time.time).create("laptop")
    assert (401, 401) == (ask(services, "").status_code, ask(services, key[:-1] + "?").status_code)
    assert ask(services, key).status_code >= 400  # nobody is logged in
    secrets.save(GITHUB_TOKEN, DEMO_TOKEN)
    answers = [ask(services, key) for _ in range(3)]
    assert [200] * 3 == [answer.status_code for answer in answers], answers[0].text
    assert len(fake.requests(EXCHANGE)) == 1


@pytest.mark.aws
def test_a_login_made_elsewhere_replaces_a_refused_one_at_once(
    services: Services, secrets: SecretsManagerStore, fake: FakeCopilot
) -> None:
    key = ManagedKeys(services.state, time.time).create("laptop")
    secrets.save(GITHUB_TOKEN, "gho_revoked")
    assert ask(services, key).status_code >= 400
    secrets.save(GITHUB_TOKEN, DEMO_TOKEN)
    assert ask(services, key).status_code == 200


@pytest.mark.aws
def test_each_request_is_in_the_ledger_before_the_next(
    services: Services, secrets: SecretsManagerStore, dynamo_adapter: DynamoAdapter
) -> None:
    """A function may be frozen or ended after any answer."""
    key = ManagedKeys(services.state, time.time).create("laptop")
    secrets.save(GITHUB_TOKEN, DEMO_TOKEN)
    for count in (1, 2):
        with ask(services, key) as answer:
            assert 200 == answer.status_code
        rows = Ledger(dynamo_adapter.open(time.time), time.time, time.monotonic).days(time.time() - DAY)
        assert count == sum(row.figures.requests for row in rows)
    assert {("laptop", "gpt-4.1")} == {(row.key, row.model) for row in rows}


# One exchange


def tokens_on(fake_url: str, table: DynamoAdapter, secrets: SecretsManagerAdapter) -> CopilotTokens:
    return CopilotTokens(
        Settings(github_url=fake_url, github_api_url=fake_url),
        secrets.open(),
        table.open(time.time),
        GitHub(now=time.time),
        now=time.time,
        new_id=lambda: uuid4().hex,
        wait=time.sleep,
    )


@pytest.mark.aws
def test_forty_containers_share_one_exchange(
    fake: FakeCopilot, dynamo_adapter: DynamoAdapter, secrets: SecretsManagerStore
) -> None:
    secrets.save(GITHUB_TOKEN, DEMO_TOKEN)
    place = SecretsManagerAdapter(dynamo_adapter.directory)
    gate = Barrier(40)

    def refresh(_: int) -> str:
        tokens = tokens_on(fake.github_url, dynamo_adapter, place)
        gate.wait()
        return tokens.current().value

    with ThreadPoolExecutor(40) as threads:
        found = set(threads.map(refresh, range(40)))
    assert (1, 1) == (len(found), len(fake.requests(EXCHANGE)))


def refresh_in_process(url: str, directory: Path, gate: ProcessBarrier, found: "Queue[list[str]]") -> None:
    many = [tokens_on(url, DynamoAdapter(directory), SecretsManagerAdapter(directory)) for _ in range(5)]
    gate.wait(90)
    with ThreadPoolExecutor(5) as threads:
        found.put([str(token.value) for token in threads.map(CopilotTokens.current, many)])


@pytest.mark.aws
def test_forty_refreshers_in_eight_processes_share_one_exchange(
    fake: FakeCopilot, dynamo_adapter: DynamoAdapter, secrets: SecretsManagerStore
) -> None:
    secrets.save(GITHUB_TOKEN, DEMO_TOKEN)
    context = multiprocessing.get_context("spawn")
    gate, found = context.Barrier(8), context.Queue()
    arguments = (fake.github_url, dynamo_adapter.directory, gate, found)
    processes = [context.Process(target=refresh_in_process, args=arguments) for _ in range(8)]
    for process in processes:
        process.start()
    values = [value for _ in processes for value in found.get(timeout=100)]
    for process in processes:
        process.join(30)
    found.close()
    found.join_thread()
    assert (40, 1, 1) == (len(values), len(set(values)), len(fake.requests(EXCHANGE)))
