"""Captures of a real gateway: what is in the files, what never is, and that they can be played again."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cli_driver import Started, environment, run
from tests.e2e.hosting import ONLY_MESSAGES, Wire, environ_for
from tests.emulators.copilot import DEMO_TOKEN, FakeCopilot

DIARY = "Dear diary"
TURN = [{"role": "user", "content": DIARY}]
TOOL = {"name": "get_weather", "description": "Weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}  # fmt: skip
WEATHER = [{"role": "user", "content": "What is the weather in Paris? Use the tool."}]
REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "passed through": ("/v1/chat/completions", {"model": "gpt-4.1", "messages": TURN}),
    "passed through, streamed": (
        "/v1/chat/completions",
        {"model": "gpt-4.1", "messages": TURN, "stream": True, "stream_options": {"include_usage": True}},
    ),
    "translated": ("/v1/messages", {"model": "gpt-4.1", "messages": TURN, "max_tokens": 50}),
    "translated, streamed": (
        "/v1/messages",
        {"model": "gpt-4.1", "messages": TURN, "max_tokens": 50, "stream": True},
    ),
    "from Claude": ("/v1/responses", {"model": ONLY_MESSAGES, "input": DIARY, "stream": True}),
    "a tool call": (
        "/v1/chat/completions",
        {"model": ONLY_MESSAGES, "messages": WEATHER, "tools": [{"type": "function", "function": TOOL}]},
    ),
    "a refusal": ("/v1/chat/completions", {"model": "no-such-model", "messages": TURN}),
    "embeddings": ("/v1/embeddings", {"model": "text-embedding-3-small", "input": DIARY}),
}


@pytest.fixture
def environ(fake: FakeCopilot, tmp_path: Path) -> dict[str, str]:
    return environment(tmp_path, fake) | environ_for(fake, tmp_path / "data", api_key="a-key-of-ones-own")


@pytest.fixture(params=["redacted", "full"])
def bodies(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def captured(environ: dict[str, str], tmp_path: Path, bodies: str) -> dict[str, Path]:
    """A file for each of the requests."""
    folder = tmp_path / "captures"
    program = Started(environ, "--capture", str(folder), "--capture-bodies", bodies)
    try:
        wire = Wire(program.url(), {"Authorization": "Bearer a-key-of-ones-own"})
        ids = {name: wire.post(path, body).headers["x-request-id"] for name, (path, body) in REQUESTS.items()}
    finally:
        program.stop()
    assert any(line.startswith("warning: Exchanges are captured") for line in program.said)
    return {name: next(folder.glob(f"*-{number}.jsonl")) for name, number in ids.items()}


def test_every_exchange_is_a_private_file_that_plays_again(
    captured: dict[str, Path], bodies: str, environ: dict[str, str]
) -> None:
    for name, file in captured.items():
        text = file.read_text()
        items = [json.loads(line) for line in text.splitlines()]
        kinds = [item["kind"] for item in items]
        assert ["capture", "client_request"] == kinds[:2]
        assert "client_reply" in kinds
        assert (DIARY in text) is (bodies == "full" and name != "a tool call")
        assert [secret for secret in (DEMO_TOKEN, "ones-own", "tid=") if secret in text] == []
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        played = run(environ, "debug", "replay", str(file))
        assert played.returncode == 0, f"{name}\n{played.stdout}{played.stderr}"


@pytest.mark.parametrize("bodies", ["full"], indirect=True)
def test_a_difference_is_shown_and_fails(captured: dict[str, Path], environ: dict[str, str]) -> None:
    file = captured["translated"]
    text = file.read_text()
    file.write_text(text.replace('\\"stop_reason\\":\\"end_turn\\"', '\\"stop_reason\\":\\"max_tokens\\"'))
    assert file.read_text() != text
    played = run(environ, "debug", "replay", str(file))
    assert (1, True) == (played.returncode, "The answers differ" in played.stderr)
    assert '- "stop_reason": "max_tokens"' in played.stdout
    assert '+ "stop_reason": "end_turn"' in played.stdout
    shown = run(environ, "debug", "replay", "--show", str(file))
    assert '"stop_reason":"end_turn"' in shown.stdout


@pytest.mark.parametrize("text", ["", "{}", "[]", "nonsense", '{"kind":"capture","version":99}', '{"kind":"capture","version":1,"truncated":true}'])  # fmt: skip
def test_what_is_no_capture_is_refused_in_one_line(
    environ: dict[str, str], tmp_path: Path, text: str
) -> None:
    file = tmp_path / "file.jsonl"
    file.write_text(text)
    refused = run(environ, "debug", "replay", str(file))
    assert (1, 1) == (refused.returncode, refused.stderr.count("\n"))
    assert "index" not in refused.stderr
