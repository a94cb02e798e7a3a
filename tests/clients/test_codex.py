"""Codex CLI does a task with a tool call over the Responses API, on a model of each dialect."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import BIN

pytestmark = [pytest.mark.clients, pytest.mark.timeout(180)]

MODELS = ["claude-sonnet-4.6", "gemini-3.8-flash", "gpt-5.5"]
CONFIG = """
model = "{model}"
model_provider = "gateway"

[model_providers.gateway]
name = "Copilot Gateway"
base_url = "{gateway}/v1"
env_key = "GATEWAY_KEY"
wire_api = "responses"
"""


def run(gateway: str, model: str, prompt: str, workplace: Path) -> list[dict[str, Any]]:
    """Run Codex headless and return the events of its JSON output."""
    home = workplace.parent / "codex"
    home.mkdir()
    (home / "config.toml").write_text(CONFIG.format(model=model, gateway=gateway))
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(workplace.parent),
        "CODEX_HOME": str(home),
        "GATEWAY_KEY": "local",
    }
    done = subprocess.run(
        [BIN / "codex", "exec", "--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", prompt],
        cwd=workplace, env=environ, capture_output=True, text=True, timeout=150, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("model", MODELS)
def test_a_tool_runs_and_its_result_reaches_the_model(
    gateway: str, model: str, workplace: Path, word: str
) -> None:
    events = run(
        gateway, model, "Run the command `cat note.txt` and tell me exactly what it printed.", workplace
    )
    items = [event["item"] for event in events if event["type"] == "item.completed"]
    commands = [item for item in items if item["type"] == "command_execution"]
    assert word in commands[0]["aggregated_output"]
    answers = [item["text"] for item in items if item["type"] == "agent_message"]
    assert word in answers[-1]
    assert events[-1]["type"] == "turn.completed"
