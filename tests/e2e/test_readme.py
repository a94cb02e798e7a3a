"""What the README tells people to do, done as written."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.hosting import Wire

README = (Path(__file__).parents[2] / "README.md").read_text()
WRITTEN = "http://127.0.0.1:4141"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("block", blocks("python"), ids=lambda block: block.split()[1])
def test_python_block_runs_as_written(gateway: Wire, block: str) -> None:
    assert WRITTEN in block
    program = block.replace(WRITTEN, gateway.url)
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (0, "") == (run.returncode, run.stderr)
    assert "hello" in run.stdout.lower()


def exported() -> dict[str, str]:
    [block] = [block for block in blocks("sh") if "ANTHROPIC_BASE_URL" in block]
    return dict(re.findall(r"^export (\w+)=(\S+)$", block, re.MULTILINE))


def test_variables_for_claude_code_lead_to_models_that_answer(gateway: Wire) -> None:
    variables = exported()
    assert WRITTEN == variables["ANTHROPIC_BASE_URL"]
    program = (
        "import anthropic, os\n"
        "with anthropic.Anthropic() as client:\n"
        "    for name in ('ANTHROPIC_MODEL', 'ANTHROPIC_DEFAULT_HAIKU_MODEL'):\n"
        "        reply = client.messages.create(model=os.environ[name], max_tokens=50,"
        " messages=[{'role': 'user', 'content': 'hello'}])\n"
        "        print(reply.model)\n"
    )
    environ = os.environ | variables | {"ANTHROPIC_BASE_URL": gateway.url}
    environ.pop("ANTHROPIC_API_KEY", None)
    run = subprocess.run(
        [sys.executable, "-c", program], env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    said = [variables["ANTHROPIC_MODEL"], variables["ANTHROPIC_DEFAULT_HAIKU_MODEL"]]
    assert (0, "", said) == (run.returncode, run.stderr, run.stdout.split())


def test_quick_start_is_two_commands() -> None:
    [block] = [block for block in blocks("sh") if "make start" in block]
    assert 2 == len(block.strip().splitlines())


def test_routes_of_the_table_are_served(gateway: Wire) -> None:
    rows = re.findall(r"^\| (`(?:GET|POST) .*?) \|", README, re.MULTILINE)
    assert len(rows) >= 7
    for row in rows:
        method = row.split()[0].strip("`")
        for path in re.findall(r"(/[\w/{}]+)`", row):
            answer = gateway.send(method, path.replace("{id}", "gpt-4.1"), {} if method == "POST" else None)
            assert answer.status not in {404, 405, 500}, path
