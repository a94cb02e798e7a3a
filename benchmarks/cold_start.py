"""What a cold start on Lambda costs, and what the streaming runtime adds to a chunk; without AWS, on this machine.

python -m benchmarks.cold_start [--rounds 15] [--imports]
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from core.access.managed_keys import ManagedKeys
from core.ports import GITHUB_TOKEN
from infra.aws.dynamodb import DynamoStateStore
from infra.aws.secrets_manager import SecretsManagerStore
from infra.aws.service import make_client
from tests.contract.conftest import create_table
from tests.contract.moto_server import environment, moto_server
from tests.e2e.asking import ask
from tests.e2e.hosting import Wire
from tests.emulators.copilot import DEMO_TOKEN, FakeCopilot
from tests.emulators.runtime_api import Lambda
from tests.emulators.runtime_api.front import event_of
from tests.emulators.runtime_api.wire import Request

BARE = "pass"
LIBRARIES = "import flask, requests, awslambdaric.bootstrap, awslambdaric.lambda_runtime_client"
ENTRY = "import infra.aws.entry, infra.aws.runtime, infra.aws.app, infra.aws.services"
IMPORT_TARGET, CHUNK_TARGET_MS = 1.35, 0.3
# What a cold start has no use for before the first request says so.
UNWANTED = (
    "boto3",
    "botocore",
    "tiktoken",
    "regex",
    "rich",
    "click",
    "waitress",
    "sqlite3",
    "asyncio",
    "moto",
)
TABLE, SECRET = "copilot-gateway-bench", "copilot-gateway-bench"


def cpu_ms(code: str) -> float:
    """CPU milliseconds of a fresh interpreter that runs this."""
    child = os.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-c", code])
    _, status, used = os.wait4(child, 0)
    assert status == 0
    return (used.ru_utime + used.ru_stime) * 1000


def import_ratio(rounds: int) -> tuple[float, float, float]:
    """CPU ms of the libraries' import and of the entry's, less the bare interpreter's; the median ratio of pairs."""
    pairs = []
    for _ in range(rounds):
        bare, libraries, entry = (cpu_ms(code) for code in (BARE, LIBRARIES, ENTRY))
        pairs.append((libraries - bare, entry - bare))
    libraries, entry = (statistics.median(column) for column in zip(*pairs, strict=True))
    return libraries, entry, statistics.median(after / before for before, after in pairs)


def modules(code: str) -> set[str]:
    said = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )  # fmt: skip
    return set(said.stdout.split())


def slowest_imports(count: int = 25) -> list[str]:
    said = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", ENTRY], capture_output=True, text=True, check=True
    ).stderr
    rows = [line.removeprefix("import time:").split("|") for line in said.splitlines()[1:]]
    rows.sort(key=lambda row: -int(row[0]))
    return [f"{int(row[0]) / 1000:7.1f} ms  {row[2].strip()}" for row in rows[:count]]


@contextmanager
def aws(fake: FakeCopilot) -> Iterator[tuple[dict[str, str], str]]:
    """Yield the environment of a function on moto's DynamoDB and Secrets Manager, logged in, and a key for it."""
    with moto_server() as url:
        environ = environment(url)
        os.environ.update(environ)
        create_table(TABLE)
        state = DynamoStateStore(TABLE, lambda: make_client("dynamodb"), time.time)
        key = ManagedKeys(state, time.time).create("bench")
        SecretsManagerStore(SECRET, lambda: make_client("secretsmanager")).save(GITHUB_TOKEN, DEMO_TOKEN)
        named = {
            "TABLE": TABLE,
            "SECRET": SECRET,
            "GITHUB_URL": fake.github_url,
            "GITHUB_API_URL": fake.api_url,
        }
        yield environ | {f"COPILOT_GATEWAY_{name}": value for name, value in named.items()}, key


def first_byte_ms(environ: Mapping[str, str], key: str) -> float:
    """Milliseconds from the start of the process to the first streamed byte at the client."""
    with Lambda("infra.aws.app.handler", environ) as function:
        client = Wire(function.url, {"x-api-key": key})
        began = time.perf_counter()
        reply = client.open(
            "POST", "/v1/messages", ask("messages", "claude-sonnet-4.6", "[[say:hi]]", stream=True)
        )
        first = reply.until(b"\n")
        took = (time.perf_counter() - began) * 1000
        reply.rest()
        if reply.status != 200 or not first or function.api.faults:
            raise RuntimeError("".join(function.log))
    return took


def forget_token() -> None:
    """Empty the table but for the keys: the next start exchanges the login for a token, and fetches the catalogue."""
    client = make_client("dynamodb")
    for item in client.scan(TableName=TABLE)["Items"]:
        if not item["pk"]["S"].endswith("api-key"):
            client.delete_item(TableName=TABLE, Key={"pk": item["pk"], "sk": item["sk"]})


def cold_starts(rounds: int) -> dict[str, float]:
    times: dict[str, list[float]] = {"token in DynamoDB": [], "no token": []}
    with FakeCopilot() as fake, aws(fake) as (environ, key):
        first_byte_ms(environ, key)
        for _ in range(rounds):
            forget_token()
            times["no token"].append(first_byte_ms(environ, key))
            times["token in DynamoDB"].append(first_byte_ms(environ, key))
    return {name: statistics.median(each) for name, each in times.items()}


def chunk_overhead_ms(count: int = 1000, gap: float = 0.002) -> list[float]:
    """Sorted milliseconds from the making of a chunk to its arrival at the Runtime API."""
    with Lambda("benchmarks.cold_start_function.handler", {}) as function:
        invocation = function.invoke(event_of(Request("GET", f"/?{count},{gap}"), b""))
        delays = []
        for piece in invocation.pieces():
            now = time.monotonic()
            delays.append((now - float(piece[6:].strip())) * 1000)
    assert len(delays) == count
    return sorted(delays[1:])


def bulk_us(count: int = 20_000) -> float:
    """Microseconds a chunk takes when the app is never waited for."""
    with Lambda("benchmarks.cold_start_function.handler", {}) as function:
        invocation = function.invoke(event_of(Request("GET", f"/?{count},0"), b""))
        pieces = invocation.pieces()
        next(pieces)
        began = time.perf_counter()
        for _ in pieces:
            pass
        return (time.perf_counter() - began) / count * 1e6


def verdict(value: float, target: float) -> str:
    return f"(target {target:g}: {'met' if value <= target else 'MISSED'})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--imports", action="store_true", help="list the slowest imports by name")
    options: Any = parser.parse_args()
    libraries, entry, ratio = import_ratio(options.rounds)
    print(f"import of flask + requests + awslambdaric     {libraries:8.0f} ms CPU")
    print(f"import of the Lambda entry                    {entry:8.0f} ms CPU")
    print(
        f"ratio, median of {options.rounds} pairs                     {ratio:8.2f} {verdict(ratio, IMPORT_TARGET)}"
    )
    found = modules(ENTRY)
    print(f"modules                                       {len(found):8d}")
    print(
        f"unwanted among them                           {', '.join(sorted(found & set(UNWANTED))) or 'none'}"
    )
    for name, value in cold_starts(max(options.rounds // 3, 1)).items():
        print(f"process start to first byte, {name:17}{value:8.0f} ms")
    delays = chunk_overhead_ms()
    median = statistics.median(delays)
    print(
        f"a chunk's way to the Runtime API, median      {median:8.3f} ms {verdict(median, CHUNK_TARGET_MS)}"
    )
    print(f"                                  95 of 100   {delays[int(len(delays) * 0.95)]:8.3f} ms")
    print(f"a chunk in bulk                               {bulk_us():8.1f} us")
    if options.imports:
        print(*slowest_imports(), sep="\n")


if __name__ == "__main__":
    main()
