"""Copying where the system has a clipboard."""

import os
import sys
from pathlib import Path

import pytest

from infra.cli.clipboard import copy

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-ins are shell scripts")


def install(folder: Path, name: str, body: str) -> None:
    script = folder / name
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o755)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"PATH": f"{tmp_path}{os.pathsep}{os.defpath}"}


@pytest.mark.parametrize(
    ("tool", "display", "platform"),
    [
        ("pbcopy", {}, "darwin"),
        ("wl-copy", {"WAYLAND_DISPLAY": "wayland-0"}, "linux"),
        ("xclip", {"DISPLAY": ":0"}, "linux"),
        ("clip.exe", {}, "linux"),
    ],
)
def test_text_reaches_the_systems_tool(
    tmp_path: Path, environ: dict[str, str], tool: str, display: dict[str, str], platform: str
) -> None:
    install(tmp_path, tool, f"cat > {tmp_path}/copied")
    assert copy("export A=b", environ | display, platform)
    assert (tmp_path / "copied").read_text() == "export A=b"


def test_tool_that_fails_gives_way_to_the_next(tmp_path: Path, environ: dict[str, str]) -> None:
    install(tmp_path, "wl-copy", "exit 1")
    install(tmp_path, "xclip", f"cat > {tmp_path}/copied")
    assert copy("text", environ | {"WAYLAND_DISPLAY": "wayland-0", "DISPLAY": ":0"}, "linux")
    assert (tmp_path / "copied").read_text() == "text"


def test_machine_without_a_display_has_no_clipboard(tmp_path: Path, environ: dict[str, str]) -> None:
    install(tmp_path, "xclip", "exit 0")
    assert not copy("text", environ, "linux")
