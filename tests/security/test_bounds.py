"""Attacks on memory, on parsers and on what keeps the gateway up: weaknesses 14, 15, 16, 18, 19, 21 and 24."""

import json
import re
import socket
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from core.settings import Secret
from tests.e2e.asking import PATH, SURFACES, UPSTREAM_PATH, ask, error_of
from tests.e2e.cli_driver import Started, environment, store_login
from tests.e2e.conftest import Host
from tests.e2e.hosting import Wire, environ_for
from tests.e2e.upstream import Step, Upstream, chunk
from tests.emulators.copilot import FakeCopilot
from tests.security.attacks import KEY, ROOT

MEGABYTE = 1024 * 1024
needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")


def peak(program: Started) -> int:
    """Return the most memory that the process ever had, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{program.process.pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


# 14: bodies


@pytest.mark.parametrize("surface", SURFACES)
def test_weakness_14_a_body_over_the_limit_is_a_413_that_was_not_read(locked: Wire, surface: str) -> None:
    """Row 14: by its length at once, in chunks as soon as it is too much."""
    head = f"POST {PATH[surface]} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nx-api-key: {KEY}\r\n"
    measured = locked.raw(f"{head}Content-Length: 1000001\r\n\r\n".encode())
    chunked = locked.raw(
        f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + (b"40000\r\n" + b"x" * 0x40000 + b"\r\n") * 5
    )
    for received in (measured, chunked):
        assert received.startswith(b"HTTP/1.1 413 ")
        error_of(surface, received.partition(b"\r\n\r\n")[2])


def test_weakness_14_without_a_key_only_a_form_may_be_sent(locked: Wire) -> None:
    """Row 14: the login page is open, but not for a film."""
    head = "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    assert locked.raw(f"{head}Content-Length: 8193\r\n\r\n".encode()).startswith(b"HTTP/1.1 413 ")


@needs_proc
def test_weakness_14_what_strangers_send_takes_no_memory(fake: FakeCopilot, tmp_path: Path) -> None:
    """Row 14: forty bodies of ten megabytes."""
    program = Started(environment(tmp_path, fake) | environ_for(fake, tmp_path / "data", api_key=KEY))
    try:
        address = urlsplit(program.url())
        before = peak(program)
        head = b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10485760\r\n\r\n"
        for _ in range(40):
            with socket.create_connection(
                (str(address.hostname), address.port or 0), timeout=60
            ) as connection:
                connection.sendall(head)
                connection.sendall(b"x" * 10 * MEGABYTE)
                assert connection.recv(100).startswith(b"HTTP/1.1 401 ")
        assert peak(program) - before < 20 * MEGABYTE
    finally:
        program.stop()


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


HUGE: dict[str, str] = {
    "deep lists": nested(400_000),
    "deep objects": '{"a":' * 200_000 + "1" + "}" * 200_000,
    "depth that a parser may take": nested(900),
    "a number of a megabyte": "1" * 900_000,
    "a fraction of a megabyte": "0." + "3" * 900_000,
    "an exponent": "1e999999999",
    "a text of a megabyte": '"' + "x" * 900_000 + '"',
    "a text of escapes": '"' + "\\u0000" * 150_000 + '"',
    "many members": "{" + ",".join(f'"k{n}":{n}' for n in range(60_000)) + "}",
    "one name many times": "{" + ",".join('"role":"user"' for _ in range(60_000)) + "}",
    "many items": "[" + "0," * 400_000 + "0]",
    "many empty turns": "[" + "{}," * 300_000 + "{}]",
}
BODY = {
    "chat": "messages",
    "messages": "messages",
    "responses": "input",
    "count_tokens": "messages",
    "embeddings": "input",
}
ROUTE = PATH | {"count_tokens": "/v1/messages/count_tokens", "embeddings": "/v1/embeddings"}


@pytest.mark.parametrize("route", ROUTE)
@pytest.mark.parametrize("case", HUGE)
@pytest.mark.timeout(60)  # quadratic time would take hours
def test_weakness_14_no_json_of_a_megabyte_is_too_much(locked: Wire, route: str, case: str) -> None:
    """Rows 14 and 16: a status of the client's own fault, or upstream's, in the surface's envelope."""
    for place in (BODY[route], "metadata", "tools"):
        body = f'{{"model":"gpt-4.1","max_tokens":5,"{place}":{HUGE[case]}}}'
        answer = locked.post(ROUTE[route], body.encode(), x_api_key=KEY)
        assert answer.status == 200 or 400 <= answer.status < 500, (place, answer.text[:300])
        if answer.status != 200:
            error_of({"count_tokens": "messages", "embeddings": "chat"}.get(route, route), answer.body)


# 15: answers


@needs_proc
def test_weakness_15_an_endless_answer_takes_no_memory(
    fake: FakeCopilot, upstream: Upstream, tmp_path: Path
) -> None:
    """Row 15: neither where the client reads it nor where it does not."""
    program = Started(
        environment(tmp_path, fake) | environ_for(fake, tmp_path / "data", copilot_url=upstream.url)
    )
    piece = (
        b'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"gpt-4.1","choices":[{"index":0,"delta":{"content":"%s"}}]}\n\n'
        % (b"x" * 20_000)
    )
    try:
        wire = Wire(program.url())
        before = 0
        for reads in (True, True, False):
            exchange = upstream.stream(*[chunk(piece * 50)] * 30, Step.WATCH)
            reply = wire.open("POST", PATH["messages"], ask("messages", "gpt-4.1", "hi", stream=True))
            assert 200 == reply.status
            if reads:
                assert len(reply.response.read(20 * MEGABYTE)) == 20 * MEGABYTE
            reply.leave()
            assert exchange.wait_until_left()
            before = before or peak(program)  # the first one warms up
        assert peak(program) - before < 15 * MEGABYTE
    finally:
        program.stop()


# 16: what models say

ODD: dict[str, Any] = {
    "nothing": {}, "a list": [], "a text": "x", "null": None, "no choices": {"choices": []}, "null choices": {"choices": None},
    "cut arguments": {"choices": [{"index": 0, "finish_reason": "length", "message": {"role": "assistant", "content": None, "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"a": "b'}}]}}]},
    "deep arguments": {"choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": nested(50_000)}}]}}]},
    "numbers as texts": {"choices": [{"index": 0, "finish_reason": 7, "message": {"role": 1, "content": 2}}], "usage": "much"},
    "odd blocks": {"id": 1, "type": "message", "role": "assistant", "content": [None, 1, {"type": "odd"}], "stop_reason": 3},
    "odd output": {"id": "r", "object": "response", "status": "completed", "output": [None, {"type": 4}], "usage": []},
}  # fmt: skip
MODEL = {"chat": "gpt-4.1", "messages": "claude-sonnet-4.6", "responses": "gpt-5.5"}


@pytest.mark.parametrize("dialect", SURFACES)
@pytest.mark.parametrize("case", ODD)
def test_weakness_16_no_answer_of_a_model_crashes_the_gateway(
    gateway: Wire, fake: FakeCopilot, dialect: str, case: str
) -> None:
    """Row 16: on every surface, streamed and not; upstream's fault is a 502 or an error event, never ours."""
    for surface in SURFACES:
        for stream in (False, True):
            wire = json.dumps(ODD[case])
            pieces = [f"data: {wire}\n\n"] if stream else [wire]
            kind = "text/event-stream" if stream else "application/json"
            fake.force("POST", UPSTREAM_PATH[dialect], 200, content_type=kind, pieces=pieces)
            answer = gateway.post(PATH[surface], ask(surface, MODEL[dialect], "hi", stream=stream))
            assert answer.status in {200, 502}, answer.text[:300]
            assert not re.search(r"Traceback|The gateway failed", answer.text)
    assert 200 == gateway.post(PATH["chat"], ask("chat", "gpt-4.1", "hi")).status


# 18: nothing is fetched at run time

HOOK = """
import os, sys
if (told := os.environ.get("CONNECTIONS")):
    def look(event, given):
        if event in ("socket.connect", "socket.getaddrinfo"):
            where = given[1][0] if event == "socket.connect" and isinstance(given[1], tuple) else given[0] if event == "socket.getaddrinfo" else ""
            with open(told, "a") as file:
                file.write(f"{where}\\n")
    sys.addaudithook(look)
"""


def test_weakness_18_the_gateway_connects_to_its_upstream_alone(fake: FakeCopilot, tmp_path: Path) -> None:
    """Row 18: no tokenizer, update or asset is downloaded, on any route."""
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(HOOK)
    told = tmp_path / "connections"
    environ = environment(tmp_path, fake) | {"PYTHONPATH": str(hooks), "CONNECTIONS": str(told)}
    store_login(environ)
    program = Started(environ)
    try:
        wire = Wire(program.url())
        for surface in SURFACES:
            for model in MODEL.values():
                assert 200 == wire.post(PATH[surface], ask(surface, model, "hi")).status
        for model in MODEL.values():
            count = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
            assert 200 == wire.post("/v1/messages/count_tokens", count).status
        for path in ("/usage", "/login", "/v1/models", "/healthz"):
            assert 200 == wire.get(path).status
    finally:
        program.stop()
    # waitress parses an address of its own that it does not use.
    assert set() == set(told.read_text().splitlines()) - {"", "0.0.0.0", "127.0.0.1"}  # noqa: S104
    assert "127.0.0.1" in told.read_text()


def test_weakness_18_every_dependency_is_pinned_by_its_hash() -> None:
    """Row 18: and installed only so."""
    makefile = (ROOT / "Makefile").read_text()
    installs = re.findall(r"\$\(PIP\) install (.*)", makefile)
    assert installs
    assert [] == [line for line in installs if "--require-hashes" not in line and "--no-deps" not in line]
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    assert [""] == [name for name, package in packages.items() if "integrity" not in package]  # our own


# 19 and 24: tokens


def test_weakness_19_a_refresh_that_fails_is_a_passing_error_with_a_remedy(
    host: Host, fake: FakeCopilot
) -> None:
    """Row 19: each request tries anew, and nothing else stops."""
    wire = Wire(host().url)
    refresh = "/copilot_internal/v2/token"
    for body in ({"message": "down"}, [], "garbage"):
        fake.force("GET", refresh, 503, body, times=0)
        answers = [wire.post(PATH[surface], ask(surface, "gpt-4.1", "hi")) for surface in SURFACES]
        assert all(500 < answer.status < 505 for answer in answers), [answer.text for answer in answers]
        for surface, answer in zip(SURFACES, answers, strict=True):
            assert len(error_of(surface, answer.body)["message"]) > 20
        assert 200 == wire.get("/healthz").status
        fake.state.forced.clear()
    # A failure is remembered for two seconds, so that a crowd of clients does not hammer GitHub.
    while wire.post(PATH["chat"], ask("chat", "gpt-4.1", "hi")).status != 200:
        assert [] == fake.state.forced


def test_weakness_19_no_thread_lives_on_to_refresh(host: Host, fake: FakeCopilot) -> None:
    """Row 19: what is not there can neither fail nor wedge."""
    wire = Wire(host().url)
    assert 200 == wire.post(PATH["chat"], ask("chat", "gpt-4.1", "hi")).status
    alive = threading.enumerate()
    assert [] == [thread for thread in alive if re.search(r"refresh|token|timer", thread.name, re.IGNORECASE)]
    assert [] == [thread for thread in alive if isinstance(thread, threading.Timer)]  # its name says nothing


@pytest.mark.parametrize("surface", SURFACES)
def test_weakness_24_a_token_that_went_stale_is_renewed_behind_the_clients_back(
    host: Host, fake: FakeCopilot, surface: str
) -> None:
    """Row 24: one renewal, one retry, and no 401 for the client."""
    wire = Wire(host(api_key=Secret(KEY)).url, {"x-api-key": KEY})
    assert 200 == wire.post(PATH[surface], ask(surface, "gpt-4.1", "hi")).status
    fake.state.expire_sessions(fake.log[-1].headers["authorization"].removeprefix("Bearer "))
    fake.clear_log()
    assert 200 == wire.post(PATH[surface], ask(surface, "gpt-4.1", "hi")).status
    paths = [entry.path for entry in fake.log]
    assert (2, 1) == (paths.count("/chat/completions"), paths.count("/copilot_internal/v2/token"))


# 21: rights


def test_weakness_21_functions_have_rights_on_their_own_things_alone() -> None:
    """Row 21: one log, one table, one secret; no wildcard."""
    roles = [path.read_text() for path in sorted((ROOT / "infra" / "aws").glob("roles-*.yml"))]
    assert len(roles) >= 2
    for text in roles:
        assert not re.search(r"(?:Action|Resource):.*[\"'\s\[]\*", text)
        assert not re.search(r"\w+:\*[\s,\]]", text.replace(':*"', "").replace("arn:", ""))
        services = set(re.findall(r"\b([a-z]+):[A-Z][A-Za-z]+", text)) - {"aws"}
        assert services <= {"logs", "dynamodb", "secretsmanager", "sts", "lambda", "cloudwatch", "kms"}, (
            services
        )


def test_weakness_21_the_container_does_not_run_as_root() -> None:
    """Row 21."""
    text = (ROOT / "Dockerfile").read_text()
    users = re.findall(r"^USER\s+(\S+)", text, re.MULTILINE)
    assert users
    assert users[-1].partition(":")[0] not in {"root", "0"}
