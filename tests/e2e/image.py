"""The Dockerfile without Docker: its steps run in a scratch root, its command as the user that it names."""

import fnmatch
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dockerfile_parse import DockerfileParser

from tests.e2e.cli_driver import ROOT

MOVED = re.compile(r"(?<![\w.])/(?=(?:opt|source|data)\b)")
NOBODY = 10001


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions in order, as names and values."""
    parser = DockerfileParser(fileobj=io.BytesIO((ROOT / "Dockerfile").read_bytes()))
    structure: list[dict[str, Any]] = parser.structure
    return [
        (str(step["instruction"]), str(step["value"]))
        for step in structure
        if step["instruction"] != "COMMENT"
    ]


def stages() -> list[list[tuple[str, str]]]:
    """Return the instructions by stage, each beginning with its FROM."""
    found: list[list[tuple[str, str]]] = []
    for name, value in instructions():
        if name == "FROM":
            found.append([])
        if found:
            found[-1].append((name, value))
    return found


def value_of(name: str) -> str:
    """Return the last value of an instruction in the last stage."""
    return [value for each, value in stages()[-1] if each == name][-1]


def variables() -> dict[str, str]:
    """Return what ENV sets in the last stage."""
    pairs = [shlex.split(value) for name, value in stages()[-1] if name == "ENV"]
    return dict(pair.split("=", 1) for some in pairs for pair in some)  # type: ignore[misc]


def context() -> Iterator[Path]:
    """Yield the files that .dockerignore lets into the image, relative to the checkout; its last word counts."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().split("\n") if line and line[0] != "#"]
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )  # fmt: skip
    for name in sorted(listed.stdout.split("\n")):
        if name and (ROOT / name).is_file() and not _ignored(name, rules):
            yield Path(name)


def _ignored(name: str, rules: list[str]) -> bool:
    places = [name, *(str(parent) for parent in Path(name).parents)]
    ignored = False
    for rule in rules:
        pattern = rule.removeprefix("!").removeprefix("**/")
        if any(fnmatch.fnmatch(place, pattern) for place in places):
            ignored = not rule.startswith("!")
    return ignored


class Image:
    """A root that the steps have made."""

    def __init__(self, root: Path, python: str) -> None:
        self.root = root
        self._tools = root / "tools"
        self._tools.mkdir()
        (self._tools / "python").symlink_to(python)
        self.at = root

    def build(self) -> None:
        """Run every step of every stage; both stages share the root."""
        for name, value in (step for stage in stages() for step in stage):
            if name == "WORKDIR":
                self.at = Path(self._moved(value))
                self.at.mkdir(parents=True, exist_ok=True)
            elif name == "COPY" and not value.startswith("--from="):
                self._copy(*shlex.split(value))
            elif name == "RUN":
                self._run(value)

    def environ(self, **more: str) -> dict[str, str]:
        """Return the environment of the container's command."""
        own = {name: self._moved(value).split(":$PATH")[0] for name, value in variables().items()}
        return {**own, "PATH": f"{own['PATH']}:/usr/bin:/bin", **more}

    def command(self, instruction: str) -> list[str]:
        """Return an instruction's JSON command (what stands before it is left out)."""
        value = value_of(instruction)
        found: list[str] = json.loads(value[value.index("[") :])
        return found

    def user(self) -> Mapping[str, Any]:
        """Return whom to run as; only root can become somebody else."""
        return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}

    def files(self) -> dict[str, float]:
        """Return every file outside the data directory, with its time."""
        kept = (path for path in self.root.rglob("*") if self.root / "data" not in [path, *path.parents])
        return {str(path): path.lstat().st_mtime for path in kept if not path.is_dir()}

    def _moved(self, text: str) -> str:
        return MOVED.sub(f"{self.root}/", text)

    def _copy(self, *names: str) -> None:
        *sources, target = names
        for file in context():
            for source in sources:
                if Path(source) not in [file, *file.parents]:
                    continue
                # A folder's content, or a file by its name, as Docker copies.
                inner = file.relative_to(source) if (ROOT / source).is_dir() else Path(file.name)
                place = self.at / target / inner
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / file, place)

    def _run(self, command: str) -> None:
        if os.geteuid() != 0:
            command = re.sub(r" --(owner|group)=[0-9]+", "", command)
        environ = {**os.environ, "PATH": f"{self._tools}:{os.environ['PATH']}"}
        for name in ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME"):
            environ.pop(name, None)
        done = subprocess.run(
            ["sh", "-e", "-c", self._moved(command)], cwd=self.at, env=environ, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def readable_python() -> str:
    """Return a Python that a user without rights can run, else the one that runs this."""
    for candidate in ("/usr/local/bin/python3", "/usr/bin/python3", sys.executable):
        suitable = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))"
        who: dict[str, Any] = {"user": NOBODY, "group": NOBODY} if os.geteuid() == 0 else {}
        try:
            done = subprocess.run(
                [candidate, "-c", suitable], cwd="/", capture_output=True, check=False, **who
            )
        except OSError:
            continue
        if done.returncode == 0:
            return candidate
    return ""
