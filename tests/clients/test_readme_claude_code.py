"""The README's Claude Code block runs as it stands."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.clients.conftest import BIN, ROOT

pytestmark = [pytest.mark.clients, pytest.mark.timeout(180)]


def test_the_block_answers(gateway: str, tmp_path: Path) -> None:
    (block,) = re.findall(
        r"\*\*Claude Code\*\*\n\n```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL
    )
    script = block.replace("http://127.0.0.1:4141", gateway)
    assert script != block
    environ = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path), "IS_SANDBOX": "1"}
    done = subprocess.run(
        ["sh", "-ec", script], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=150, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert (0, True) == (done.returncode, "hello" in done.stdout), done.stdout + done.stderr
