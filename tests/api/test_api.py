"""Schemathesis, on our own description, against the command as people start it: good data, bad data, and sequences."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cli_driver import ROOT
from tests.e2e.conftest import started
from tests.e2e.hosting import ONLY_MESSAGES, Wire, new_fake

KEY = "sk-test-0123456789abcdef"
# By the number of examples, not by time: a faster machine must not draw others.
EXAMPLES = os.environ.get("API_EXAMPLES", "20")
SEED = os.environ.get("API_SEED", "1")
# One model for each dialect of upstream, so that every surface is translated as well as passed through.
MODELS = ["gpt-4.1", ONLY_MESSAGES, "gpt-5.5"]
REQUESTS = ("ChatRequest", "MessagesRequest", "ResponsesRequest")
# Where everything may be sent there are no wrong requests; pages are no part of the API.
LEFT_OUT = {
    "positive": "^/(login|dashboard)?$",
    "negative": r"^/(login|dashboard|usage|metrics|v1/models/\{model_id\})?$",
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """A gateway that asks for a key, keeps responses and has no limits."""
    fake = new_fake()
    settings = {"api_key": KEY, "store_responses": True, "requests_per_minute": 0, "requests_per_day": 0}
    for url in started(fake, tmp_path_factory.mktemp("gateway"), **settings):
        yield Wire(url, {"authorization": f"Bearer {KEY}"})
    fake.stop()


def with_models(document: dict[str, Any]) -> dict[str, Any]:
    """Name models that there are; unknown ones are the subject of other tests."""
    schemas = document["components"]["schemas"]
    for name in REQUESTS:
        schemas[name]["properties"]["model"] = {"enum": MODELS}
    schemas["EmbeddingsRequest"]["properties"]["model"] = {"enum": ["text-embedding-3-small"]}
    return document


def closed(value: Any) -> Any:
    """Allow no further members: upstream refuses what nobody knows."""
    if isinstance(value, list):
        return [closed(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {name: closed(item) for name, item in value.items()}
    named = found.get("type") == "object" and "properties" in found
    return {**found, "additionalProperties": False} if named else found


def with_closed_requests(document: dict[str, Any]) -> dict[str, Any]:
    schemas = document["components"]["schemas"]
    parts = ("Request", "Message", "Part", "Tool", "Item", "Block")
    schemas |= {name: closed(schema) for name, schema in schemas.items() if name.endswith(parts)}
    return document


@pytest.mark.api
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_the_api_is_as_it_is_described(gateway: Wire, tmp_path: Path, mode: str) -> None:
    document = with_models(gateway.get("/openapi.json").json)
    if mode == "positive":
        document = with_closed_requests(document)
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    command = [
        str(Path(sys.executable).with_name("st")), "--no-color",
        "--config-file", str(ROOT / "tests" / "api" / "schemathesis.toml"),
        "run", "openapi.json", "--url", gateway.url, "--header", f"Authorization: Bearer {KEY}",
        "--mode", mode, "--seed", SEED, "--max-examples", EXAMPLES, "--checks", "all",
        "--continue-on-failure", "--suppress-health-check", "all", "--exclude-path-regex", LEFT_OUT[mode],
    ]  # fmt: skip
    environ = environment_of(tmp_path)
    told = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert 0 == told.returncode, told.stdout[-20_000:] + told.stderr[-2_000:]


def environment_of(directory: Path) -> dict[str, str]:
    """Return variables in which Schemathesis finds its hooks, and keeps what it writes to itself."""
    return {
        "PATH": os.environ["PATH"], "HOME": str(directory), "PYTHONPATH": str(ROOT),
        "SCHEMATHESIS_HOOKS": "tests.api.hooks", "NO_PROXY": "127.0.0.1",
    }  # fmt: skip


DEEP = 2_000
NASTY: dict[str, str] = {
    "deep lists": "[" * DEEP + "]" * DEEP,
    "deep objects": '{"a":' * DEEP + "1" + "}" * DEEP,
    "a lone surrogate": '"\\ud800"',
    "a noncharacter": '"\\uffff\\u0000"',
    "direction marks": '"\\u202e\\u2066"',
    "a large number": "1e400",
    "a long number": "9" * 400,
    "many names": "{" + ",".join(f'"{n}":0' for n in range(5_000)) + "}",
}


@pytest.mark.api
@pytest.mark.parametrize("nasty", NASTY)
@pytest.mark.parametrize("name", [*REQUESTS, "EmbeddingsRequest"])
def test_nasty_values_in_every_described_member_are_answered_as_described(
    gateway: Wire, name: str, nasty: str
) -> None:
    document = gateway.get("/openapi.json").json
    [(path, item)] = [
        (path, item)
        for path, item in document["paths"].items()
        if item.get("post", {}).get("operationId", "").startswith("create")
        and item["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith(f"/{name}")
    ]
    good = {"model": json.dumps("gpt-4.1" if name != "EmbeddingsRequest" else "text-embedding-3-small")}
    good |= {"messages": '[{"role":"user","content":"hi"}]'} if name in REQUESTS[:2] else {"input": '"hi"'}
    for member in [*document["components"]["schemas"][name]["properties"], "another"]:
        members = good | {member: NASTY[nasty]}
        body = "{" + ",".join(f'"{key}":{value}' for key, value in members.items()) + "}"
        answer = gateway.post(path, body.encode())
        assert str(answer.status) in item["post"]["responses"], member
        assert answer.status < 500, (member, answer.text[:300])
