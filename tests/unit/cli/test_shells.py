"""The shell at hand and its commands."""

import shutil
import subprocess
import sys

import pytest

from infra.cli.shells import Reference, Shell, ancestors, command, detect

VARIABLES = {"URL": "http://127.0.0.1:4141", "KEY": Reference("SECRET"), "MODEL": "claude-opus-4.8[1m]"}


@pytest.mark.parametrize(
    ("programs", "environ", "platform", "expected"),
    [
        (["make", "sh", "fish"], {"SHELL": "/bin/bash"}, "linux", "fish"),
        (["make", "sh"], {"SHELL": "/bin/zsh"}, "linux", "posix"),
        (["-zsh"], {"SHELL": "/usr/bin/fish"}, "darwin", "posix"),
        (["uvx", "nu"], {}, "linux", "nushell"),
        ([], {"SHELL": "/usr/bin/pwsh"}, "linux", "powershell"),
        ([], {}, "linux", "posix"),
        ([], {"PSModulePath": r"C:\Users\me;C:\Program Files;C:\Windows"}, "win32", "powershell"),
        ([], {"PSModulePath": r"C:\Program Files;C:\Windows"}, "win32", "cmd"),
        ([r"C:\Windows\System32\cmd.exe"], {}, "win32", "cmd"),
    ],
)
def test_nearest_shell_is_the_one_at_hand(
    programs: list[str], environ: dict[str, str], platform: str, expected: Shell
) -> None:
    assert detect(environ, programs, platform) == expected


@pytest.mark.parametrize(
    ("shell", "expected"),
    [
        (
            "posix",
            """export URL=http://127.0.0.1:4141 KEY="$SECRET" MODEL='claude-opus-4.8[1m]' && claude""",
        ),
        (
            "fish",
            """set -gx URL http://127.0.0.1:4141; set -gx KEY "$SECRET"; set -gx MODEL 'claude-opus-4.8[1m]'; claude""",
        ),
        (
            "powershell",
            "$env:URL = 'http://127.0.0.1:4141'; $env:KEY = $env:SECRET; $env:MODEL = 'claude-opus-4.8[1m]'; claude",
        ),
        (
            "cmd",
            'set "URL=http://127.0.0.1:4141" && set "KEY=%SECRET%" && set "MODEL=claude-opus-4.8[1m]" && claude',
        ),
        (
            "nushell",
            "$env.URL = 'http://127.0.0.1:4141'; $env.KEY = $env.SECRET; $env.MODEL = 'claude-opus-4.8[1m]'; claude",
        ),
    ],
)
def test_command_is_written_as_the_shell_reads_it(shell: Shell, expected: str) -> None:
    assert command(shell, VARIABLES, "claude") == expected


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_sets_what_was_meant() -> None:
    line = command("posix", VARIABLES, "env")
    told = subprocess.run(
        ["bash", "-c", line], env={"SECRET": "s e c"}, capture_output=True, text=True, check=True
    )
    expected = {"URL=http://127.0.0.1:4141", "KEY=s e c", "MODEL=claude-opus-4.8[1m]"}
    assert expected <= set(told.stdout.splitlines())


@pytest.mark.parametrize(
    "value", ["a b", "$(rm -rf .)", "`x`", "a;b", "a'b", 'a"b', "%PATH%", "a\nb", "a&b", "é"]
)
def test_value_that_a_shell_might_run_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="shell command"):
        command("posix", {"MODEL": value}, "claude")


@pytest.mark.skipif(sys.platform == "win32", reason="no parents to look at")
def test_parents_are_named() -> None:
    assert any("py" in name for name in ancestors()) or list(ancestors())
