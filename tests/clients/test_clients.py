"""Every client that can be installed here does a task, set up by `copilot-gateway setup NAME --write` and nothing else."""

import subprocess
from pathlib import Path

import pytest

from infra.clients.check import arguments
from infra.clients.plan import Change, Client, Plan
from infra.clients.registry import client
from tests.clients.conftest import PATIENCE, Demo, Row, set_up

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]

CLAUDE, GPT, GEMINI = "claude-sonnet-4.6", "gpt-5.5", "gemini-3.8-flash"
# The surface on which each model is to be reached: a model's own dialect, wherever the client speaks it.
AGENTS = [
    ("claude-code", CLAUDE, "messages"),
    ("claude-code", "claude-opus-4.8", "messages"),
    ("claude-code", GEMINI, "messages"),
    ("claude-code", GPT, "messages"),
    ("codex", CLAUDE, "responses"),
    ("codex", GEMINI, "responses"),
    ("codex", GPT, "responses"),
    ("opencode", CLAUDE, "messages"),
    ("opencode", GPT, "responses"),
    ("opencode", GEMINI, "chat"),
    ("copilot-cli", CLAUDE, "messages"),
    ("copilot-cli", GPT, "responses"),
    ("copilot-cli", GEMINI, "chat"),
    ("continue", CLAUDE, "messages"),
    ("continue", GPT, "responses"),
    ("pi", CLAUDE, "messages"),
    ("pi", GPT, "responses"),
    ("pi", GEMINI, "chat"),
    ("qwen-code", CLAUDE, "messages"),
    ("qwen-code", GEMINI, "chat"),
    ("droid", CLAUDE, "messages"),
    ("droid", GPT, "responses"),
]
# Programs that send even a request to this machine through the proxy.
NO_PROXY = {"qwen-code"}


def run(chosen: Client, file: str, prompt: str, workplace: Path, environ: dict[str, str], *more: str) -> str:
    """Let the client answer, with leave to use its tools, and return what it prints."""
    headless = chosen.headless
    assert headless is not None
    if chosen.name in NO_PROXY:
        environ = {name: value for name, value in environ.items() if not name.endswith("_PROXY")}
    written = Plan(changes=(Change(Path(file), "text", ()),))
    done = subprocess.run(
        [*arguments(headless, written, prompt, allow=True), *more],
        cwd=workplace, env={**environ, **headless.variables}, capture_output=True, text=True, timeout=PATIENCE,
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("case", AGENTS, ids=lambda case: f"{case[0]}-{case[1]}")
def test_a_tool_runs_and_its_result_reaches_the_model(
    case: tuple[str, str, str], demo: Demo, workplace: Path, environ: dict[str, str], table: list[Row]
) -> None:
    name, model, surface = case
    chosen = client(name)
    table.append(row := Row(chosen.title, chosen.tested, "shell command"))
    made = set_up(environ, name, demo.url, model)
    demo.cells()
    prompt = "Run the command `cat note.txt` and tell me exactly what it printed."
    said = run(chosen, made["files"][0]["path"], prompt, workplace, environ)
    assert (workplace / "note.txt").read_text().strip() in said
    cells = demo.cells(2)
    assert {surface} == {cell.surface for cell in cells if cell.model == model}
    assert len([cell for cell in cells if cell.model == model]) >= 2
    row.passed(cells)


@pytest.mark.parametrize("model", [CLAUDE, GPT])
def test_llm_calls_a_tool(
    model: str, demo: Demo, workplace: Path, environ: dict[str, str], table: list[Row]
) -> None:
    chosen = client("llm")
    table.append(row := Row(chosen.title, chosen.tested, "tool llm_version"))
    set_up(environ, "llm", demo.url, model)
    demo.cells()
    said = run(chosen, "", "[[tool:llm_version {}]]", workplace, environ, "-T", "llm_version")
    assert chosen.tested in said
    cells = demo.cells(2)
    assert [("chat", model)] * 2 == [(cell.surface, cell.model) for cell in cells]
    row.passed(cells)


def test_aider_edits_a_file(
    demo: Demo, workplace: Path, environ: dict[str, str], table: list[Row], word: str
) -> None:
    chosen = client("aider")
    table.append(row := Row(chosen.title, chosen.tested, "edit a file"))
    set_up(environ, "aider", demo.url, CLAUDE)
    demo.cells()
    block = f"note.txt\n```\n<<<<<<< SEARCH\n{word}\n=======\nchanged\n>>>>>>> REPLACE\n```\n"
    run(chosen, "", f"[[say:{block}]]", workplace, environ, "note.txt")
    assert "changed\n" == (workplace / "note.txt").read_text()
    cells = demo.cells(1)
    assert {("chat", CLAUDE)} == {(cell.surface, cell.model) for cell in cells}
    row.passed(cells)


@pytest.mark.parametrize("name", ["claude-code", "pi"])
def test_check_runs_the_client_itself_and_leaves_nothing(
    name: str, demo: Demo, environ: dict[str, str]
) -> None:
    from tests.clients.conftest import GATEWAY

    done = subprocess.run(
        [*GATEWAY, "setup", name, "--url", demo.url, "--check"],
        cwd=environ["HOME"], env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert (0, True) == (done.returncode, "7291" in done.stdout), done.stdout + done.stderr
    assert {"work"} >= {path.name for path in Path(environ["HOME"]).iterdir()} - {".local", ".cache"}
