"""The fake steered from another process, and run as a program."""

import json
import random
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator

import pytest

from tests.emulators.calling import SAY, Caller
from tests.emulators.copilot import DEMO_TOKEN, FakeCopilot
from tests.emulators.copilot.modes import ALL_MODES, REALISTIC


@pytest.fixture
def caller() -> Iterator[Caller]:
    with FakeCopilot() as fake:
        yield Caller(fake)


def steer(caller: Caller, name: str, **fields: object) -> object:
    answer = caller.post(f"/_fake/{name}", fields)
    assert answer.status == 200, answer.text
    return answer.json


def test_modes_are_set_and_dropped(caller: Caller) -> None:
    steer(caller, "modes", model="gpt-4.1", modes={"chat_no_done": True})
    assert "[DONE]" not in caller.chat(stream=True).text
    assert caller.call("DELETE", "/_fake/modes").status == 200
    assert "[DONE]" in caller.chat(stream=True).text
    assert caller.post("/_fake/modes", {"modes": {"chat_no_doen": True}}).status == 422


def test_answers_and_modes_are_forced_for_single_calls(caller: Caller) -> None:
    steer(caller, "force", path="/chat/completions", status=503, body="busy", headers={"retry-after": "2"})
    steer(caller, "force", path="/chat/completions", nth=2, modes={"chat_no_done": True})
    first, second, third = (caller.chat(stream=True) for _ in range(3))
    assert (503, "busy", "2") == (first.status, first.text, first.headers["retry-after"])
    assert [False, True] == ["[DONE]" in answer.text for answer in (second, third)]


def test_a_forced_stream_is_sent_as_told(caller: Caller) -> None:
    pieces = ["data: {}\n\n", "data: [DONE]\n\n"]
    fields = {"status": 200, "pieces": pieces, "content_type": "text/event-stream"}
    steer(caller, "force", path="/chat/completions", **fields)
    assert "".join(pieces) == caller.chat(stream=True).text


def test_accounts_models_and_options_are_changed(caller: Caller) -> None:
    steer(caller, "accounts", quota_code="quota_exceeded")
    assert caller.chat().status == 402
    steer(caller, "accounts", quota_code=None, identity_allowlist=["gpt-4o"])
    assert caller.chat().status == 400
    steer(caller, "accounts", identity_allowlist=None)
    steer(caller, "models", id="gpt-4.1", capabilities={"limits": {"max_prompt_tokens": 2}})
    assert "exceeds the limit of 2" in caller.chat().text
    steer(caller, "models", id="gpt-4.1", remove=True)
    assert "model_not_supported" in caller.chat().text
    steer(caller, "options", body_limit=10)
    assert caller.chat("gpt-4o").status == 413
    steer(caller, "reset")
    assert Caller(caller.fake).chat().status == 200


def test_tokens_expire_and_the_clock_moves(caller: Caller) -> None:
    steer(caller, "tokens/expire")
    assert caller.chat().status == 401
    caller = Caller(caller.fake)
    steer(caller, "clock", advance=3600)
    assert caller.chat().status == 401


def test_device_logins_are_decided(caller: Caller) -> None:
    device = caller.post("/login/device/code", {"client_id": "Iv1.b507a08c87ecfe98"}).json
    assert caller.post(f"/_fake/devices/{device['user_code']}/approve", {}).status == 200
    assert caller.post("/_fake/devices/NOPE/approve", {}).status == 422
    shown = caller.get("/_fake/state").json
    assert ("approved", DEMO_TOKEN) == (shown["devices"][0]["status"], shown["devices"][0]["github_token"])


def test_the_log_is_read_from_outside(caller: Caller) -> None:
    caller.chat()
    entries = caller.get("/_fake/log?path=/chat/completions").json["requests"]
    assert [("POST", 200, "complete")] == [(e["method"], e["status"], e["outcome"]) for e in entries]
    assert (SAY, "vscode-chat") == (
        json.loads(entries[0]["body"])["messages"],
        entries[0]["headers"]["copilot-integration-id"],
    )
    assert caller.call("DELETE", "/_fake/log").status == 200
    assert [] == caller.get("/_fake/log").json["requests"]
    assert caller.get("/_fake/nonsense").status == 404


def test_realistic_modes_exist_and_are_set() -> None:
    assert {name for modes in REALISTIC.values() for name in modes} <= ALL_MODES
    with FakeCopilot(realistic=True) as fake:
        caller = Caller(fake)
        assert caller.messages().json["id"].startswith("msg_bdrk_")


def test_broken_bodies_never_break_the_fake(caller: Caller) -> None:
    """Random members of a valid body are replaced by values of the wrong type."""
    chance = random.Random(7)  # noqa: S311 a seeded choice of test values
    odd: list[object] = [
        None,
        0,
        -1,
        1.5,
        "",
        "x",
        [],
        {},
        [None],
        [[]],
        {"type": 5},
        [{"type": "text"}],
        True,
    ]
    bodies: dict[str, dict[str, object]] = {
        "/chat/completions": {"model": "gpt-5-mini", "messages": SAY, "tools": [{"type": "function"}], "stop": "x",
                              "response_format": {}, "tool_choice": "auto", "stream": False, "reasoning_effort": "low"},
        "/responses": {"model": "gpt-5.5", "input": SAY, "tools": [], "text": {}, "reasoning": {}, "include": []},
        "/v1/messages": {"model": "claude-sonnet-4.6", "messages": SAY, "max_tokens": 9, "tools": [], "system": "x",
                         "thinking": {}, "output_config": {}, "tool_choice": {"type": "auto"}, "stop_sequences": []},
        "/embeddings": {"model": "text-embedding-3-small", "input": ["x"], "dimensions": 3},
    }  # fmt: skip
    for path, body in bodies.items():
        for name in body:
            for value in chance.sample(odd, 6):
                answer = caller.post(path, {**body, name: value})
                assert answer.status in {200, 400}, (path, name, value, answer.text)
            nested = {**body, name: [{"role": "user", "content": [value]} for value in odd]}
            assert caller.post(path, nested).status in {200, 400}


@pytest.mark.parametrize("tls", [False, True])
def test_it_runs_as_a_program_and_names_its_urls(*, tls: bool) -> None:
    command = [sys.executable, "-m", "tests.emulators.copilot", "--port", "0", *(["--tls"] if tls else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        try:
            shown = json.loads(program.stdout.readline())
            context = ssl.create_default_context(cafile=shown["certificate"]) if tls else None
            request = urllib.request.Request(f"{shown['capi_url']}/_ping")  # noqa: S310 the fake's own address
            request.add_header("Authorization", f"Bearer {shown['github_token']}")
            with urllib.request.urlopen(request, context=context) as answer:  # noqa: S310 see above
                assert answer.read() == b"OK"
        finally:
            program.terminate()


def test_identical_requests_are_rendered_once_when_cached() -> None:
    with FakeCopilot(cached=True) as fake:
        caller = Caller(fake)
        assert caller.chat().json["id"] == caller.chat().json["id"]
        assert caller.chat(stream=True).body == caller.chat(stream=True).body
        fake.set_modes("gpt-4.1", chat_no_done=True)
        assert "[DONE]" not in caller.chat(stream=True).text
        fake.force("POST", "/chat/completions", 500, "boom")
        assert [500, 200] == [caller.chat().status, caller.chat().status]
