"""Claude Code does a task with a tool call, on a model of each dialect."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import BIN

pytestmark = [pytest.mark.clients, pytest.mark.timeout(180)]

MODELS = ["claude-sonnet-4.6", "claude-opus-4-8", "gemini-3.8-flash", "gpt-5.5"]


def run(gateway: str, model: str, prompt: str, workplace: Path) -> list[dict[str, Any]]:
    """Run Claude Code headless and return the events of its stream-json output."""
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(workplace.parent),
        "ANTHROPIC_BASE_URL": gateway,
        "ANTHROPIC_AUTH_TOKEN": "local",
        "ANTHROPIC_MODEL": model,
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": "gpt-5-mini",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "IS_SANDBOX": "1",
    }
    done = subprocess.run(
        [BIN / "claude", "-p", prompt, "--output-format", "stream-json", "--verbose", "--dangerously-skip-permissions"],
        cwd=workplace, env=environ, capture_output=True, text=True, timeout=150, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def blocks(events: list[dict[str, Any]], role: str, kind: str) -> list[dict[str, Any]]:
    """Return the content blocks of one kind in the turns of one role."""
    contents = [event["message"]["content"] for event in events if event["type"] == role]
    return [
        block
        for content in contents
        if isinstance(content, list)
        for block in content
        if block["type"] == kind
    ]


@pytest.mark.parametrize("model", MODELS)
def test_a_tool_runs_and_its_result_reaches_the_model(
    gateway: str, model: str, workplace: Path, word: str
) -> None:
    events = run(
        gateway, model, "Run the command `cat note.txt` and tell me exactly what it printed.", workplace
    )
    assert blocks(events, "assistant", "tool_use")[0]["name"] == "Bash"
    assert word in json.dumps(blocks(events, "user", "tool_result")[0])
    result = events[-1]
    assert ("result", "success", False) == (result["type"], result["subtype"], result["is_error"])
    assert word in result["result"]
    assert result["usage"]["output_tokens"] > 0


@pytest.mark.parametrize("model", ["claude-sonnet-4.6", "gemini-3.8-flash"])
def test_a_web_search_brings_links(gateway: str, model: str, workplace: Path) -> None:
    """AC-37: neither model can search; one that can does it for them."""
    events = run(gateway, model, '[[tool:WebSearch {"query":"weather in Paris"}]]', workplace)
    (used,) = blocks(events, "assistant", "tool_use")
    assert used["name"] == "WebSearch"
    found = json.dumps(blocks(events, "user", "tool_result")[0])
    assert "https://" in found
    assert events[-1]["subtype"] == "success"
