"""Shell completion as a shell uses it, and how a wrong command line is answered."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.cli_driver import COMMAND, ROOT, run


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Where `copilot-gateway` is a program on the path."""
    program = tmp_path / "bin" / "copilot-gateway"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m infra.cli "$@"\n')
    program.chmod(0o755)
    return {
        "PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path),
        "COPILOT_GATEWAY_DATA_DIR": str(tmp_path / "data"),
    }  # fmt: skip


def completed(environ: dict[str, str], tmp_path: Path, *words: str) -> list[str]:
    """Return what bash offers for the last word."""
    script = tmp_path / "completion.bash"
    script.write_text(run(environ, "completion", "bash").stdout)
    line = " ".join(f"'{word}'" for word in words)
    asked = subprocess.run(
        ["bash", "--norc", "-c", f"""
        source "{script}"
        COMP_WORDS=(copilot-gateway {line}); COMP_CWORD={len(words)}
        _copilot_gateway_completion copilot-gateway
        printf '%s\\n' "${{COMPREPLY[@]}}"
        """],
        env=environ, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert asked.stderr == ""
    return asked.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["st"], ["start"]),
        (["keys", "re"], ["revoke"]),
        (["start", "--rate"], ["--rate-limit"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
    ],
)
def test_bash_completes(
    environ: dict[str, str], tmp_path: Path, words: list[str], offered: list[str]
) -> None:
    assert offered == completed(environ, tmp_path, *words)


@pytest.mark.parametrize(("shell", "mark"), [("zsh", "#compdef copilot-gateway"), ("fish", "complete ")])
def test_other_shells_ask_the_same_question(environ: dict[str, str], shell: str, mark: str) -> None:
    told = run(environ, "completion", shell)
    assert (0, "", True) == (told.returncode, told.stderr, mark in told.stdout)
    words = {"COMP_WORDS": "copilot-gateway do", "COMP_CWORD": "do" if shell == "fish" else "1"}
    asked = run(environ | words | {"_COPILOT_GATEWAY_COMPLETE": f"{shell}_complete"})
    assert (0, True, False) == (asked.returncode, "doctor" in asked.stdout, "start" in asked.stdout)


def test_names_are_completed_without_importing_the_commands() -> None:
    program = (
        "import sys, click, infra.cli.app as app\n"
        "app.cli.shell_complete(click.Context(app.cli), 's')\n"
        "print([name for name in sys.modules if name in ('flask', 'infra.cli.start', 'rich')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["start", "--prot", "1"], 2, "See: copilot-gateway start --help"),
        (["start", "--port", "x"], 2, "'x' is not a valid integer"),
        (["sart"], 2, "See: copilot-gateway --help"),
        (["keys", "create"], 2, "Missing argument 'NAME'. See: copilot-gateway keys create --help"),
        (["completion", "csh"], 2, "'bash', 'zsh', 'fish'"),
    ],
)
def test_a_wrong_command_line_is_told_in_one_line(
    environ: dict[str, str], arguments: list[str], code: int, expected: str
) -> None:
    told = run(environ, *arguments)
    assert (code, "", 1) == (told.returncode, told.stdout, len(told.stderr.splitlines()))
    assert told.stderr.startswith("error: ")
    assert expected in told.stderr


def test_every_command_explains_itself(environ: dict[str, str]) -> None:
    from infra.cli.app import COMMANDS

    shown = run(environ, "--help").stdout
    assert "Exit codes: 0 done" in shown
    for name in COMMANDS:
        told = run(environ, name, "--help")
        assert (0, "") == (told.returncode, told.stderr), name
        assert told.stdout.startswith(f"Usage: copilot-gateway {name}"), name
        assert name in shown


def test_no_color_is_honoured_and_pipes_get_none(environ: dict[str, str]) -> None:
    import pty

    master, slave = pty.openpty()
    done = subprocess.run(
        [*COMMAND, "models"], env=environ | {"NO_COLOR": "1", "TERM": "xterm-256color"}, cwd=ROOT, stdin=subprocess.DEVNULL,
        stdout=slave, stderr=slave, check=False, timeout=60,
    )  # fmt: skip
    os.close(slave)
    shown = os.read(master, 65_536)
    os.close(master)
    assert done.returncode == 3
    # Bold may stay; a colour is 30 to 37, 90 to 97 or 38.
    assert not any(
        b"\x1b[%d" % colour in shown or b";%dm" % colour in shown for colour in (31, 32, 33, 38, 91)
    )
    assert b"\x1b" not in run(environ, "models").stderr.encode()
