"""The walk of docs/quick-start.md, as a new user goes it: `make demo`, a paste from the front page, a look at the dashboard."""

import html
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.conftest import BIN, ROOT, base_url
from tests.e2e.browser import Browser
from tests.e2e.hosting import PATIENCE

pytestmark = [pytest.mark.clients, pytest.mark.timeout(240)]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[str]:
    """The second command of the walk; on a port of its own, and without installing again what runs this test."""
    log = tmp_path / "log"
    with log.open("wb") as out:
        demo = subprocess.Popen(
            ["make", "demo", "ARGS=--port 0", f"VENV={Path(sys.prefix)}", "-o", f"{Path(sys.prefix)}/.installed"],
            cwd=ROOT, stdout=out, stderr=out, env={**os.environ, "PYTHONUNBUFFERED": "1"}, start_new_session=True,
        )  # fmt: skip
    try:
        yield base_url(demo, log)
    finally:
        os.killpg(demo.pid, signal.SIGTERM)
        demo.wait(30)


def pasted(page: str) -> str:
    """Return the block *Claude Code* of the front page."""
    (block,) = re.findall(r'id="claude-code">.*?<code>(.*?)</code>', page, re.DOTALL)
    return html.unescape(block)


def written() -> str:
    """Return the same block of the document."""
    (block,) = re.findall(
        r"(   export ANTHROPIC_BASE_URL.*?)   ```", (ROOT / "docs/quick-start.md").read_text(), re.DOTALL
    )
    return re.sub(r"^   ", "", block, flags=re.MULTILINE).strip()


def test_two_commands_and_one_paste_lead_to_an_answer_that_is_on_the_dashboard(
    started: str, tmp_path: Path
) -> None:
    front = Browser(started, path="/")
    assert "Ready for your tools" in front.get()
    script = pasted(front.page.text)
    assert written().replace("http://127.0.0.1:4141", started) == script

    before = Browser(started, path="/dashboard").get()
    assert "Nothing in 24 hours." in before
    environ = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path), "IS_SANDBOX": "1"}
    asking = f"{script} -p 'Run the command: echo hello, and tell me what it printed.' --allowedTools Bash"
    done = subprocess.run(
        ["sh", "-ec", asking], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=200, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert (0, True) == (done.returncode, "hello" in done.stdout), done.stdout + done.stderr

    dashboard = Browser(started, path="/dashboard")
    (model,) = re.findall(r"ANTHROPIC_MODEL=(\S+)", script)
    row = rf'<th scope="row"><span class="name">{re.escape(model)}</span></th><td class="n">(\d+)</td>'
    until = time.monotonic() + PATIENCE
    counted = 0
    while (
        counted < 2 and time.monotonic() < until
    ):  # the question, and the command's answer, which is counted after it
        dashboard.get()
        counted = sum(map(int, re.findall(row, dashboard.page.text)))
    assert counted >= 2
    assert '<rect class="s0"' in dashboard.page.text
