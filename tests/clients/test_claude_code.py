"""Claude Code's own features, beside those that every client has."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import PATIENCE, Demo, Row, set_up

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]


def run(prompt: str, workplace: Path, environ: dict[str, str]) -> list[dict[str, Any]]:
    """Run Claude Code headless and return the events of its stream-json output."""
    done = subprocess.run(
        ["claude", "-p", prompt, "--output-format", "stream-json", "--verbose", "--dangerously-skip-permissions"],
        cwd=workplace, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False,
        stdin=subprocess.DEVNULL,
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


@pytest.mark.parametrize("model", ["claude-sonnet-4.6", "gemini-3.8-flash"])
def test_a_web_search_brings_links(
    model: str, demo: Demo, workplace: Path, environ: dict[str, str], table: list[Row]
) -> None:
    """AC-37: neither model can search; one that can does it for them."""
    set_up(environ, "claude-code", demo.url, model)
    table.append(row := Row("Claude Code", "2.1.328", "web search"))
    demo.cells()
    events = run('[[tool:WebSearch {"query":"weather in Paris"}]]', workplace, environ)
    (used,) = blocks(events, "assistant", "tool_use")
    assert used["name"] == "WebSearch"
    found = json.dumps(blocks(events, "user", "tool_result")[0])
    assert "https://" in found
    result = events[-1]
    assert ("success", False) == (result["subtype"], result["is_error"])
    assert result["usage"]["output_tokens"] > 0
    row.passed(demo.cells(1))
