"""Fifty processes on one SQLite file, fifty instances on one DynamoDB table: nothing is done twice, passed twice or lost."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from core.ledger.ledger import Ledger
from infra.aws.dynamodb import DynamoStateStore
from tests.contract.crowd import AT_ONCE, NOTED, PER_MINUTE, SIZE, TOKENS, Ground, Seen, visit
from tests.contract.stores import PATIENCE, DynamoAdapter, SqliteAdapter, StateAdapter, patient_client
from tests.emulators.copilot import FakeCopilot

REPOSITORY = Path(__file__).parents[2]
EXCHANGE = "/copilot_internal/v2/token"
AN_HOUR = 3600.0
EXPIRED = 2400.0  # seconds after which a token is at its end, and a list of models is old


@pytest.fixture
def fake() -> Iterator[FakeCopilot]:
    copilot = FakeCopilot()
    copilot.start()
    yield copilot
    copilot.stop()


def ground_of(adapter: StateAdapter, fake: FakeCopilot, shift: float) -> Ground:
    return Ground(adapter, fake.github_url, fake.api_url, shift, still=time.time() + shift)


def judge(seen: list[Seen], ground: Ground, fake: FakeCopilot, visits: int) -> None:
    """Check what a crowd did; visits: how many crowds there have been."""
    assert SIZE == len(seen)
    assert (visits, visits) == (len(fake.requests(EXCHANGE)), len(fake.requests("/models")))
    assert 1 == len({(one.token, one.models) for one in seen})
    assert PER_MINUTE == sum(one.passed for one in seen)
    assert 1 <= max(one.most_at_once for one in seen) <= AT_ONCE
    store = ground.adapter.open(lambda: time.time() + ground.shift)
    rows = Ledger(store, lambda: time.time() + ground.shift, time.monotonic).hours(time.time() - AN_HOUR)
    ground.adapter.close(store)
    counted = [
        (row.figures.requests, row.figures.input_tokens, row.figures.credits)
        for row in rows  # one or two: the hour may turn
    ]
    notes = visits * SIZE * NOTED
    assert [notes, notes * TOKENS, notes * 0.5] == [sum(figures) for figures in zip(*counted, strict=True)]


def forked(ground: Ground, directory: Path) -> list[Seen]:
    """Let fifty processes do it."""
    argv = [sys.executable, "-m", "tests.contract.crowd", str(directory)]
    argv += [ground.github_url, ground.api_url, str(ground.shift), str(ground.still)]
    told = subprocess.run(argv, cwd=REPOSITORY, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert told.returncode == 0, told.stderr
    return [Seen(**json.loads(line)) for line in told.stdout.splitlines()]


@pytest.mark.timeout(300)
def test_fifty_processes_on_one_file(tmp_path: Path, fake: FakeCopilot) -> None:
    for visits, shift in enumerate((0.0, EXPIRED), 1):
        ground = ground_of(SqliteAdapter(tmp_path), fake, shift)
        judge(forked(ground, tmp_path), ground, fake, visits)


class OneClient(DynamoAdapter):
    """DynamoDB for threads that share boto3's client, which takes long to make."""

    client: Any = None

    def open(self, now: Any) -> DynamoStateStore:
        return DynamoStateStore(self.table, lambda: OneClient.client, now)


@pytest.mark.aws
@pytest.mark.timeout(300)
def test_fifty_instances_on_one_table(dynamo_adapter: DynamoAdapter, fake: FakeCopilot) -> None:
    OneClient.client = patient_client("dynamodb")
    adapter: StateAdapter = OneClient(dynamo_adapter.directory)
    barrier = Barrier(SIZE)
    with ThreadPoolExecutor(SIZE) as threads:
        for visits, shift in enumerate((0.0, EXPIRED), 1):
            ground = ground_of(adapter, fake, shift)
            seen = threads.map(lambda each: visit(each, partial(barrier.wait, PATIENCE)), [ground] * SIZE)
            judge(list(seen), ground, fake, visits)
