"""The zip: complete, small, the same each time, and nothing in it that Lambda could not run or should not see."""

import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from infra.aws import build_zip
from infra.aws.build_zip import BuildError

UNCHECKED_HASH = 1  # the flag word of a pyc whose source is never looked at (PEP 552)
# Everything that a request can lead to; boto3 is what the runtime brings.
USE_ALL = """
import infra.aws.app, infra.aws.endpoints, infra.aws.entry, infra.aws.runtime, infra.aws.services
from core.tokens import count_text
import sys
assert count_text("hello world") > 0
foreign = [m.__name__ for m in sys.modules.values() if "site-packages" in (getattr(m, "__file__", None) or "")]
assert not foreign, foreign
assert "boto3" not in sys.modules
"""


def names(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def test_zip_is_the_same_whenever_and_wherever_it_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(build_zip.ROOT, tmp_path / "one", ignore=_all_but_sources)
    shutil.copytree(tmp_path / "one", tmp_path / "elsewhere" / "two", copy_function=shutil.copy)
    built = []
    for tree in (tmp_path / "one", tmp_path / "elsewhere" / "two"):
        monkeypatch.setattr(build_zip, "ROOT", tree)
        build_zip.build(tree / "gateway.zip", arch="arm64", say=print)
        built.append((tree / "gateway.zip").read_bytes())
    assert built[0] == built[1]


def test_zip_keeps_to_its_limit(arm_zip: Path) -> None:
    assert arm_zip.stat().st_size <= 8 * 1024 * 1024


def test_zip_holds_the_gateway_and_its_start_script(arm_zip: Path) -> None:
    found = set(names(arm_zip))
    wanted = {
        "infra/aws/bootstrap",
        "infra/aws/entry.py",
        "handlers/messages.py",
        "core/vocabulary/o200k_base.zlib",
    }
    assert set() == wanted - found


def test_zip_holds_nothing_of_the_laptop_and_no_boto3(arm_zip: Path) -> None:
    unwanted = (
        "boto",
        "rich/",
        "regex/",
        "waitress/",
        "pygments/",
        "pip/",
        "infra/cli",
        "infra/local",
        "tests/",
        "bin/",
    )
    assert [] == [name for name in names(arm_zip) if name.startswith(unwanted)]


def test_start_script_may_be_executed_and_ends_lines_as_linux_does(arm_zip: Path) -> None:
    with zipfile.ZipFile(arm_zip) as archive:
        mode = archive.getinfo("infra/aws/bootstrap").external_attr >> 16
        script = archive.read("infra/aws/bootstrap")
    assert (0o755, True, False) == (stat.S_IMODE(mode), script.startswith(b"#!/bin/sh\n"), b"\r" in script)


def test_every_date_is_the_same(arm_zip: Path) -> None:
    with zipfile.ZipFile(arm_zip) as archive:
        assert {(1980, 1, 1, 0, 0, 0)} == {entry.date_time for entry in archive.infolist()}


def test_every_binary_is_for_the_processor(arm_zip: Path) -> None:
    with zipfile.ZipFile(arm_zip) as archive:
        machines = {archive.read(name)[18:20] for name in archive.namelist() if name.endswith(".so")}
    assert {(183).to_bytes(2, "little")} == machines


def test_every_module_has_bytecode_that_is_never_checked(arm_zip: Path) -> None:
    if build_zip.find_python(build_zip.PYTHON) is None:
        pytest.skip(f"there is no Python {build_zip.PYTHON} here to compile with")
    with zipfile.ZipFile(arm_zip) as archive:
        files = archive.namelist()
        flags = {archive.read(name)[4:8] for name in files if name.endswith(".cpython-313.pyc")}
    compiled = {name for name in files if name.endswith(".pyc")}
    wanted = {
        f"{path.parent}/__pycache__/{path.stem}.cpython-313.pyc".removeprefix("./")
        for path in map(Path, files)
        if path.suffix == ".py"
    }
    assert ({UNCHECKED_HASH.to_bytes(4, "little")}, wanted) == (flags, compiled)


def test_zip_alone_suffices_for_every_request(local_task: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-c", USE_ALL],
        cwd=local_task,
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.so", b"\x7fELF" + bytes(14) + (62).to_bytes(2, "little")),
        ("a.so", b"not a binary at all, but named like one"),
        ("a.pyd", b"MZ\x90\x00"),
        ("tool", b"\xcf\xfa\xed\xfe0000"),
    ],
    ids=["other processor", "no binary", "Windows", "macOS"],
)
def test_foreign_binary_is_refused(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BuildError, match=f"{name} is not a Linux binary for arm64"):
        build_zip.refuse_foreign(tmp_path, "arm64")


def test_missing_interpreter_is_told_and_costs_only_the_bytecode(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    said: list[str] = []
    build_zip.compile_bytecode(tmp_path, "3.99", said.append)
    assert (["a.py"], True) == ([path.name for path in tmp_path.iterdir()], "no Python 3.99" in said[0])


def test_failure_is_one_readable_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = build_zip.main(["--python-version", "2.0", "--out", str(tmp_path / "a.zip")])
    err = capsys.readouterr().err
    assert (1, True, False) == (code, "pip could not install the wheels" in err, "Traceback" in err)


def _all_but_sources(folder: str, names: list[str]) -> set[str]:
    if Path(folder) == build_zip.ROOT:
        return set(names) - {"core", "handlers", "infra"}
    return {name for name in names if name == "__pycache__"}
