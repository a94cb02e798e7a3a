"""What one process, or one instance on Lambda, of a crowd does; each begins when all of them are there.

Run as a program with a directory, the fake's two URLs and the ground's two clocks, it forks into a crowd of processes on one
SQLite file, and prints what they saw, a line each.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

from core.access.allowance import Allowances
from core.access.caller import Caller, Limits
from core.canonical import Usage
from core.copilot.catalogue import Catalogue
from core.copilot.client import CopilotClient
from core.copilot.github import GitHub
from core.copilot.token import CopilotTokens
from core.copilot.transport import Transport
from core.errors import GatewayError
from core.exchange import Exchange
from core.ledger.ledger import Ledger
from core.ports import StateStore
from core.settings import Secret, Settings
from infra.local.secrets import FileSecretStore
from tests.contract.stores import Clock, SqliteAdapter, StateAdapter
from tests.emulators.copilot import DEMO_TOKEN

SIZE = 50
PER_MINUTE = 70
AT_ONCE = 7
ASKED = 2  # requests of each, counted by the minute
NOTED = 3  # requests of each that the ledger notes
TOKENS = 1000  # of each of these
PLACE = ("models-under-way", "all")


@dataclass(frozen=True)
class Ground:
    """Where the crowd meets.

    shift: seconds that its clock is ahead. still: the moment (unix seconds) of all that is counted by the minute; about
    now, for whoever opens the store removes what has expired by a clock of its own.
    """

    adapter: StateAdapter
    github_url: str
    api_url: str
    shift: float
    still: float


@dataclass(frozen=True)
class Seen:
    """What one of them saw."""

    token: str
    models: int
    passed: int
    most_at_once: int


def hex_id() -> str:
    return uuid4().hex


def visit(ground: Ground, wait_for_all: Callable[[], object]) -> Seen:
    """Do everything that processes may do to each other, at the same time as the others."""
    now, still = _shifted(ground.shift), Clock(ground.still)
    store, frozen = ground.adapter.open(now), ground.adapter.open(still)
    wait_for_all()
    try:
        token, models = _ask(ground, store, now)
        passed = _passed(frozen, still)
        most = _most_at_once(frozen, still)
        _note(store, now)
    finally:
        ground.adapter.close(store)
        ground.adapter.close(frozen)
    return Seen(token, models, passed, most)


def _shifted(seconds: float) -> Callable[[], float]:
    return lambda: time.time() + seconds


def _ask(ground: Ground, store: StateStore, now: Callable[[], float]) -> tuple[str, int]:
    settings = Settings(
        github_url=ground.github_url, github_api_url=ground.api_url, github_token=Secret(DEMO_TOKEN)
    )
    nowhere = FileSecretStore(ground.adapter.directory / "no-secrets")  # type: ignore[attr-defined]  # all have it
    tokens = CopilotTokens(settings, nowhere, store, GitHub(now=now), now=now, new_id=hex_id, wait=time.sleep)
    transport = Transport(now=now)
    client = CopilotClient(settings, tokens, transport, now=now, new_id=hex_id)
    try:
        return tokens.current().value, len(
            Catalogue(settings, client, store, now=now, new_id=hex_id, wait=time.sleep).models()
        )
    finally:
        transport.close()


def _asking(limits: Limits) -> Exchange:
    return Exchange(
        id=hex_id(), began_at=0.0, caller=Caller("crowd", limits), surface="chat", model="gpt-4.1"
    )


def _passed(frozen: StateStore, still: Clock) -> int:
    """Ask twice within one minute of all; return how often that was let in."""
    allowances = Allowances(frozen, Limits(), now=still)
    passed = 0
    for _ in range(ASKED):
        try:
            allowances.enter(_asking(Limits(per_minute=PER_MINUTE)))
        except GatewayError:
            continue
        passed += 1
    return passed


def _most_at_once(frozen: StateStore, still: Clock) -> int:
    """Come at once with the others; return how many were inside then, or 0 when all places were taken."""
    allowances = Allowances(frozen, Limits(), now=still)
    asked = _asking(Limits(at_once=AT_ONCE))
    try:
        leave = allowances.enter(asked)
    except GatewayError:
        return 0
    inside = frozen.add(*PLACE, {"n": 1})["n"]
    frozen.add(*PLACE, {"n": -1})
    assert leave is not None
    leave(asked)
    return inside


def _note(store: StateStore, now: Callable[[], float]) -> None:
    ledger = Ledger(store, now, time.monotonic)
    for _ in range(NOTED):
        done = _asking(Limits())
        done.usage, done.credits, done.status = Usage(input_tokens=TOKENS), 0.5, 200
        ledger.note(done)
    ledger.flush()


def fork(ground: Ground) -> list[Seen]:
    """Let a crowd of processes visit the ground, and return what they saw. To be called in a process with one thread."""
    gate, opener = os.pipe()
    readers = [_child(ground, gate, opener) for _ in range(SIZE)]
    os.close(opener)  # the children read the end of this pipe together
    os.close(gate)
    seen: list[Seen] = []
    for reader in readers:
        with os.fdopen(reader) as lines:
            seen.append(Seen(**json.loads(lines.read())))
        os.wait()
    return seen


def _child(ground: Ground, gate: int, opener: int) -> int:
    reader, writer = os.pipe()
    if os.fork() != 0:
        os.close(writer)
        return reader
    status = 1
    try:
        os.close(opener)
        seen = visit(ground, lambda: os.read(gate, 1))
        os.write(writer, json.dumps(asdict(seen)).encode())
        status = 0
    finally:
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    place, github_url, api_url, *clocks = sys.argv[1:]
    for one in fork(Ground(SqliteAdapter(Path(place)), github_url, api_url, *map(float, clocks))):
        print(json.dumps(asdict(one)))  # noqa: T201
