"""The house keeps its own rules: sizes, docstrings, locked versions, targets that exist."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for room in ("core", "handlers", "infra") for path in (ROOT / room).rglob("*.py"))
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def project_name(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match is not None
    return re.sub(r"[-_.]+", "-", match[0]).lower()


def pins(lock: Path) -> dict[str, str]:
    """Return versions by project name."""
    lines = re.findall(r"^([a-z0-9-]+)(?:\[[a-z,-]+\])?==(\S+)", lock.read_text(), re.MULTILINE)
    return dict(lines)


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


# Code


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_modules_are_short_and_say_what_they_are(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    assert ast.get_docstring(ast.parse(text)), "every module has a docstring"
    assert [
        function.name for function in functions(path) if (function.end_lineno or 0) - function.lineno >= 50
    ] == []


def test_only_infra_reads_the_environment() -> None:
    reading = re.compile(r"\bos\.(environ|getenv)\b|from os import .*\b(environ|getenv)\b")
    assert [
        name_of(path) for path in SOURCES if reading.search(path.read_text()) and "infra" not in path.parts
    ] == []


# Versions


@pytest.mark.parametrize("lock", LOCKS, ids=name_of)
def test_a_lock_pins_every_version_by_hash_and_names_no_index(lock: Path) -> None:
    text = lock.read_text()
    requirements = [part for part in re.split(r"\n(?=\S)", text) if not part.startswith("#")]
    assert [part for part in requirements if "==" not in part or "--hash=sha256:" not in part] == []
    assert re.findall(r"^-.*|\S+://\S+|\S+ @ \S+", text, re.MULTILINE) == []


def test_the_locks_agree_with_each_other() -> None:
    """What is installed together has one version; the zip for Lambda takes the versions that were tested."""
    locks = {lock.stem: pins(lock) for lock in LOCKS}
    assert {"aws", "build", "dev", "docs", "lambda", "runtime"} == locks.keys()
    assert locks["runtime"].items() <= locks["dev"].items()
    for name, lock in locks.items():
        shared = lock.keys() & locks["dev"].keys()
        assert {pin: locks["dev"][pin] for pin in shared} == {pin: lock[pin] for pin in shared}, name


@pytest.mark.parametrize(
    ("lock", "requirements"),
    [
        ("build", PROJECT["build-system"]["requires"]),
        ("runtime", PROJECT["project"]["dependencies"]),
        ("dev", PROJECT["dependency-groups"]["dev"]),
        ("aws", PROJECT["project"]["optional-dependencies"]["aws"]),
        ("lambda", PROJECT["dependency-groups"]["lambda"]),
        ("docs", PROJECT["dependency-groups"]["docs"]),
    ],
)
def test_a_lock_holds_what_the_project_asks_for(lock: str, requirements: list[str]) -> None:
    """Run `make lock` after a change of dependencies."""
    asked = {project_name(requirement) for requirement in requirements}
    assert asked - pins(ROOT / "requirements" / f"{lock}.txt").keys() == set()


# Front door


def test_make_alone_lists_the_targets() -> None:
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    named = set(re.findall(r"^make ([a-z-]+) ", listed, re.MULTILINE))
    assert named <= TARGETS
    assert named >= {
        "install", "start", "demo", "test", "check", "format", "test-clients", "fuzz", "bench", "lock", "clean", "help"
    }  # fmt: skip


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", ".ci/run", ".ci/smoke"])
def test_every_make_target_that_a_document_names_exists(name: str) -> None:
    text = (ROOT / name).read_text()
    calls = re.findall(r"(?:^|`|\bstep )make ((?:[a-z-]+(?: |$|(?=`)))+)", text, re.MULTILINE)
    named = {target for call in calls for target in call.split()}
    assert named - TARGETS == set()


def test_the_version_is_in_the_changelog_or_unreleased() -> None:
    headings = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert {"Unreleased", PROJECT["project"]["version"]} & set(headings)


def test_continuous_integration_runs_what_contributors_run() -> None:
    assert "run: .ci/run" in (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    script = (ROOT / ".ci" / "run").read_text()
    for target in ("make install", "make check", "make test", "make test-clients", ".ci/smoke"):
        assert f"step {target}\n" in script
