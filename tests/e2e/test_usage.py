"""What the gateway tells of its own use: /usage, /metrics and the command."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from core.access.caller import Limits
from core.access.managed_keys import ManagedKeys
from core.settings import Secret
from infra.local.state import STATE_FILE, SqliteStateStore
from tests.e2e.asking import PATH, ask
from tests.e2e.cli_driver import Started, environment, run
from tests.e2e.conftest import Host
from tests.e2e.hosting import Hosted, Wire, environ_for
from tests.e2e.upstream import Step, Upstream, answer
from tests.emulators.copilot import FakeCopilot

MODEL = "gpt-4.1"


def asked(gateway: Hosted, key: str = "owner-key") -> Wire:
    """Ask three times: a whole answer, a stream, and a model that does not exist."""
    wire = Wire(gateway.url, {"x-api-key": key})
    before = gateway.counted
    assert 200 == wire.post(PATH["chat"], ask("chat", MODEL, "[[say:one]]")).status
    assert 200 == wire.post(PATH["messages"], ask("messages", MODEL, "[[say:two]]", stream=True)).status
    assert 404 == wire.post(PATH["chat"], ask("chat", "no-such-model", "hi")).status
    gateway.wait_until_counted(before + 3)
    return wire


def guest_key(data: Path, name: str = "guest") -> str:
    keys = ManagedKeys(SqliteStateStore(data / STATE_FILE, time.time), time.time)
    return keys.create(name, limits=Limits(models=("gpt-*", "claude-*")))


@pytest.fixture
def gateway(host: Host) -> Hosted:
    return host(api_key=Secret("owner-key"))


def test_usage_holds_quota_and_ledger(gateway: Hosted) -> None:
    told = asked(gateway).get("/usage").json
    assert ("octocat", "individual") == (told["login"], told["plan"])
    ledger = told["gateway"]
    assert {"today", "last_30_days", "by_key", "by_model", "by_day"} == ledger.keys()
    today = ledger["today"]
    assert (3, 1, 1, {"not_found": 1}, 2) == (
        today["requests"], today["streams"], today["failed"], today["errors"], today["priced_requests"]
    )  # fmt: skip
    assert today == ledger["last_30_days"] == ledger["by_key"]["static"]
    assert {"(no model)": 1, MODEL: 2} == {
        name: each["requests"] for name, each in ledger["by_model"].items()
    }
    assert today["credits"] > 0
    assert today["first_token"]["p50"] is not None


def test_ledger_is_told_where_github_does_not_tell_the_quota(gateway: Hosted, fake: FakeCopilot) -> None:
    wire = asked(gateway)
    body = json.dumps({"message": "no"})
    fake.force("GET", "/copilot_internal/user", 503, body, content_type="application/json")
    answer = wire.get("/usage")
    assert (True, {"error", "gateway"}) == (answer.status >= 500, answer.json.keys())
    assert "no" == answer.json["error"]["message"]
    assert 3 == answer.json["gateway"]["today"]["requests"]


def test_guest_sees_its_own_use_and_nothing_of_the_account(gateway: Hosted, tmp_path: Path) -> None:
    asked(gateway)
    guest = Wire(gateway.url, {"x-api-key": guest_key(tmp_path)})
    assert 200 == guest.post(PATH["chat"], ask("chat", MODEL, "hi")).status
    gateway.wait_until_counted(4)
    told = guest.get("/usage").json
    assert {"gateway"} == told.keys()
    assert (1, ["guest"]) == (told["gateway"]["today"]["requests"], list(told["gateway"]["by_key"]))
    assert 403 == guest.get("/metrics").status


def test_command_tells_the_same(gateway: Hosted, fake: FakeCopilot, tmp_path: Path) -> None:
    asked(gateway)
    gateway.services.ledger.flush()
    environ = environment(tmp_path, fake) | environ_for(fake, tmp_path)
    told = json.loads(run(environ, "check-usage", "--json").stdout)
    assert ("octocat", 3) == (told["login"], told["gateway"]["today"]["requests"])
    shown = run(environ, "check-usage").stdout
    lines = [line.split()[:3] for line in shown.splitlines()]
    assert ["today", "3", "1"] in lines
    assert ["key", "static", "3"] in lines
    assert ["model", MODEL, "2"] in lines


def test_command_tells_the_ledger_where_github_does_not_tell_the_quota(
    gateway: Hosted, fake: FakeCopilot, tmp_path: Path
) -> None:
    asked(gateway)
    gateway.services.ledger.flush()
    environ = environment(tmp_path, fake) | environ_for(fake, tmp_path)
    fake.force("GET", "/copilot_internal/user", 500, "unicorn", times=0)
    told, shown = run(environ, "check-usage", "--json"), run(environ, "check-usage")
    assert ((4, "error: unicorn\n"),) * 2 == tuple((each.returncode, each.stderr) for each in (told, shown))
    assert 3 == json.loads(told.stdout)["gateway"]["today"]["requests"]
    assert ["today", "3", "1"] in [line.split()[:3] for line in shown.stdout.splitlines()]


def test_nothing_is_lost_when_the_gateway_is_stopped(fake: FakeCopilot, tmp_path: Path) -> None:
    environ = environment(tmp_path, fake) | environ_for(fake, tmp_path)
    program = Started(environ)
    wire = Wire(program.url())
    for number in range(5):
        asked = ask("chat", MODEL, "[[say:one]]", stream=bool(number % 2))
        assert 200 == wire.post(PATH["chat"], asked).status
    assert 0 == program.stop(), program.said
    told = json.loads(run(environ, "check-usage", "--json").stdout)
    assert (5, 2) == tuple(told["gateway"]["today"][name] for name in ("requests", "streams"))


def test_command_says_when_there_was_nothing(fake: FakeCopilot, tmp_path: Path) -> None:
    environ = environment(tmp_path, fake) | environ_for(fake, tmp_path)
    assert "answered nothing in the last 30 days" in run(environ, "check-usage").stdout


def values(families: Any) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


@pytest.mark.parametrize(
    ("accept", "kind", "read"),
    [
        ("text/plain", "text/plain", read_text),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text", read_openmetrics),
    ],
)
def test_metrics_are_read_by_prometheus_own_parser(
    gateway: Hosted, accept: str, kind: str, read: Any
) -> None:
    answer = asked(gateway).get("/metrics", accept=accept)
    assert (200, True) == (answer.status, answer.headers["content-type"].startswith(kind))
    told = values(read(answer.text))

    def of(name: str, **labels: str) -> float:
        return told[f"copilot_gateway_{name}", tuple(sorted(labels.items()))]

    chat = {"surface": "chat", "model": MODEL, "key": "static"}
    stream = {"surface": "messages", "model": MODEL, "key": "static"}
    unknown = {"surface": "chat", "model": "", "key": "static"}
    assert (1, 1, 1) == (
        of("requests_total", **chat, status="2xx"),
        of("requests_total", **unknown, status="4xx"),
        of("errors_total", **unknown, kind="not_found"),
    )
    assert of("tokens_total", **chat, kind="output") > 0
    assert of("credits_total", **chat) > 0
    assert (1, 1) == (
        of("first_token_seconds_count", **stream),
        of("duration_seconds_bucket", **stream, le="+Inf"),
    )
    assert 0 == of("requests_in_progress")
    assert of("quota_entitlement", quota="premium_interactions") > 0
    assert 0 < of("quota_remaining_ratio", quota="premium_interactions") <= 1
    assert any(name == "copilot_gateway_build_info" for name, _ in told)
    assert any(name == "process_resident_memory_bytes" for name, _ in told)


def test_metrics_need_a_key(gateway: Hosted) -> None:
    assert 401 == Wire(gateway.url).get("/metrics").status


def test_models_that_clients_make_up_add_no_series(gateway: Hosted) -> None:
    wire = asked(gateway)
    before = len(wire.get("/metrics").text.splitlines())
    for number in range(5):
        wire.post(PATH["chat"], ask("chat", f"made-up-{number}", "hi"))
    gateway.wait_until_counted(8)
    text = wire.get("/metrics").text
    assert "made-up" not in text
    assert before == len(text.splitlines())


def test_library_is_imported_by_the_first_scrape_only() -> None:
    import subprocess
    import sys

    program = "import sys, handlers; print('prometheus_client' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "False\n" == told.stdout


# What upstream had counted when the request failed


def test_tokens_of_a_complete_answer_that_was_cut_are_counted(host: Host, upstream: Upstream) -> None:
    started = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": []}
    begun = {
        "type": "message_start",
        "message": {**started, "usage": {"input_tokens": 70, "output_tokens": 1}},
    }
    upstream.stream(b"event: message_start\ndata: %b\n\n" % json.dumps(begun).encode(), Step.RESET)
    gateway = host(copilot_url=upstream.url)
    asking = ask("responses", "claude-sonnet-4.6", "hi")
    assert 502 == Wire(gateway.url).post(PATH["responses"], asking).status
    assert 70 == tokens_counted(gateway)


def test_tokens_of_the_batches_before_the_one_that_failed_are_counted(host: Host, upstream: Upstream) -> None:
    vectors = [{"embedding": [0.5], "index": index} for index in range(512)]
    reply = {"data": vectors, "usage": {"prompt_tokens": 512, "total_tokens": 512}}
    upstream.play(answer(200, json.dumps(reply).encode(), b"content-type: application/json"))
    upstream.play(answer(429, b"{}"))
    gateway = host(copilot_url=upstream.url)
    asking = {"model": "text-embedding-3-small", "input": ["word"] * 600}
    assert 429 == Wire(gateway.url).post("/v1/embeddings", asking).status
    assert 512 == tokens_counted(gateway)


def tokens_counted(gateway: Hosted) -> int:
    gateway.wait_until_counted(1)
    return sum(total.figures.input_tokens for total in gateway.services.ledger.totals())
