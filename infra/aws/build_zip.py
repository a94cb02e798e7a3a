"""Build the zip that Lambda runs: pinned wheels for its processor, our code, bytecode that is never out of date."""

import argparse
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

ROOT: Final = Path(__file__).resolve().parents[2]
PINS: Final = ROOT / "requirements" / "lambda.txt"
LIMIT: Final = 8 * 1024 * 1024  # bytes; more means that something has slipped in
PYTHON: Final = "3.13"  # the runtime that serverless.yml names
# The C libraries that the runtime's Amazon Linux 2023 (glibc 2.34) can serve, best first.
C_LIBRARIES: Final = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014")
# Pinned for the laptop, never imported on Lambda: the command's looks and editing, the local server, tiktoken's educational part;
# and Prometheus, which cannot ask a function's processes one by one.
LEFT_OUT: Final = frozenset(
    {
        "markdown-it-py",
        "mdurl",
        "prometheus-client",
        "pygments",
        "regex",
        "rich",
        "ruamel-yaml",
        "tomlkit",
        "waitress",
    }
)
# Ours: what the functions import. The rest of infra deploys and serves laptops.
SOURCES: Final = (
    *("core/**/*", "handlers/**/*", "infra/*.py", "infra/aws/*.py", "infra/aws/bootstrap"),
    *("infra/logs/__init__.py", "infra/logs/formats.py", "infra/logs/records.py", "infra/logs/requests.py"),
)
NOT_OURS: Final = frozenset(
    {
        "infra/aws/build_zip.py",
        "infra/aws/log_events.py",
        "infra/aws/stage.py",
        "infra/healthcheck.py",
        "infra/smoke.py",
    }
)
# Of a wheel: what only builders, type checkers and pip read. Names, versions and licences stay.
NO_SUFFIX: Final = (".c", ".h", ".pyi", ".pyx", ".pyc", "py.typed")
NO_RECORD: Final = frozenset(
    {"RECORD", "INSTALLER", "REQUESTED", "WHEEL", "direct_url.json", "entry_points.txt", "top_level.txt"}
)
ELF: Final = b"\x7fELF"
FOREIGN: Final = (b"MZ", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")  # Windows, macOS
EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the oldest date that a zip can hold


Say: TypeAlias = Callable[[str], None]  # shows one line of progress


class BuildError(Exception):
    """The zip cannot be built, or must not be used; the message says what to do."""


class Processor(NamedTuple):
    """A processor by its names: in wheels, and as the number that ELF files carry."""

    wheel: str
    elf: int


PROCESSORS: Final = {"arm64": Processor("aarch64", 183), "x86_64": Processor("x86_64", 62)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Build what the command line asks for; return the exit code."""
    options = _read_arguments(arguments)
    started = time.monotonic()

    def say(text: str) -> None:
        sys.stderr.write(f"[{time.monotonic() - started:5.1f} s] {text}\n")

    try:
        build(options.out, arch=options.arch, python=options.python_version, say=say)
    except (BuildError, OSError) as error:
        sys.stderr.write(f"The zip was not built. {error}\n")
        return 1
    return 0


def build(out: Path, *, arch: str, python: str = PYTHON, say: Say) -> None:
    """Write the zip for this processor and Python version. Raises BuildError, OSError.

    The same sources and pins give the same bytes.
    """
    with tempfile.TemporaryDirectory(prefix="copilot-gateway-zip-") as scratch:
        stage = Path(scratch) / "task"
        say(f"Installing {arch} wheels for Python {python} ...")
        install_wheels(stage, Path(scratch), arch=arch, python=python)
        say("Adding the gateway ...")
        copy_sources(stage)
        prune(stage)
        refuse_foreign(stage, arch)
        compile_bytecode(stage, python, say)
        out.parent.mkdir(parents=True, exist_ok=True)
        say(f"Writing {out} ...")
        count = write_zip(stage, out)
    size = out.stat().st_size
    if size > LIMIT:
        raise BuildError(f"{out} has {size:,} bytes, more than {LIMIT:,}: find out what was added.")
    say(f"Done: {count} files, {size:,} bytes ({size / 1024 / 1024:.1f} MB).")


def install_wheels(stage: Path, scratch: Path, *, arch: str, python: str) -> None:
    """Install the pinned wheels, checked by hash, as they are for the processor. Raises BuildError."""
    pins = scratch / "pins.txt"
    pins.write_text("\n".join(runtime_pins(PINS.read_text())))
    platforms = [f"{library}_{PROCESSORS[arch].wheel}" for library in C_LIBRARIES]
    command = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "install",
        "--quiet",
        "--no-compile",
    ]
    command += ["--target", str(stage), "--no-deps", "--require-hashes", "--only-binary=:all:"]
    command += ["--implementation", "cp", "--python-version", python]
    command += [f"--platform={platform}" for platform in platforms]
    done = subprocess.run([*command, "-r", str(pins)], capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    if done.returncode:
        raise BuildError(f"pip could not install the wheels:\n{done.stderr.strip()}")


def runtime_pins(text: str) -> Iterator[str]:
    """Return the lines of a requirements file without the packages that Lambda does not need."""
    kept = True
    for line in text.splitlines():
        if not line.startswith((" ", "#")):
            kept = line.partition("==")[0].strip() not in LEFT_OUT
        if kept:
            yield line


def copy_sources(stage: Path) -> None:
    """Copy the gateway's own files. Raises BuildError when the start script is missing."""
    for path in sorted({found for pattern in SOURCES for found in ROOT.glob(pattern)}):
        name = path.relative_to(ROOT).as_posix()
        if path.is_file() and "__pycache__" not in path.parts and name not in NOT_OURS:
            target = stage / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
            target.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
    start = stage / "infra" / "aws" / "bootstrap"
    if not os.access(start, os.X_OK):
        raise BuildError(
            "infra/aws/bootstrap is missing or not executable; Lambda starts the gateway with it."
        )


def prune(stage: Path) -> None:
    """Remove what pip leaves and Lambda never reads."""
    for folder in (stage / "bin", *stage.glob("*/tests")):
        shutil.rmtree(folder, ignore_errors=True)
    for path in _files(stage):
        useless = path.parent.name.endswith(".dist-info") and path.name in NO_RECORD
        if useless or path.name.endswith(NO_SUFFIX):
            path.unlink()


def refuse_foreign(stage: Path, arch: str) -> None:
    """Raise BuildError when a binary is for another system: it would only fail in the cloud."""
    wanted = PROCESSORS[arch].elf
    for path in _files(stage):
        with path.open("rb") as file:
            head = file.read(20)
        foreign = head.startswith(FOREIGN) or (
            head.startswith(ELF) and int.from_bytes(head[18:20], "little") != wanted
        )
        if foreign or (path.suffix in {".so", ".pyd", ".dylib"} and not head.startswith(ELF)):
            raise BuildError(f"{path.relative_to(stage)} is not a Linux binary for {arch}.")


def compile_bytecode(stage: Path, python: str, say: Say) -> None:
    """Compile with an interpreter of Lambda's own version. Raises BuildError.

    The cache is marked as never to be checked: a zip's dates do not match, so that Lambda would compile everything at
    every cold start. That is also what happens when no such interpreter is here; it takes half a second more.
    """
    interpreter = find_python(python)
    if interpreter is None:
        say(
            f"Warning: there is no Python {python} here, so the zip holds no bytecode and cold starts take longer."
        )
        return
    say(f"Compiling with {interpreter} ...")
    command = [interpreter, "-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    command += ["-s", str(stage), "-p", "/var/task", str(stage)]
    environ = {"PATH": os.environ.get("PATH", ""), "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    if done.returncode:
        raise BuildError(f"Not everything could be compiled:\n{(done.stdout + done.stderr).strip()}")


def find_python(version: str) -> str | None:
    """Return an interpreter of this version ("3.13"): this one, the one on the path, or pyenv's."""
    candidates = [sys.executable, shutil.which(f"python{version}")]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    candidates += [str(path) for path in sorted(pyenv.glob(f"{version}.*/bin/python"))]
    return next((found for found in candidates if found and _version(found) == version), None)


def write_zip(stage: Path, out: Path) -> int:
    """Write all files in order of name, with one date; return how many there are."""
    paths = list(_files(stage))
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in paths:
            entry = zipfile.ZipInfo(path.relative_to(stage).as_posix(), EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, whatever builds it: Lambda needs the execute bit
            mode = 0o755 if path.stat().st_mode & stat.S_IXUSR and path.suffix != ".so" else 0o644
            entry.external_attr = (stat.S_IFREG | mode) << 16
            archive.writestr(entry, path.read_bytes())
    return len(paths)


def _files(stage: Path) -> Iterator[Path]:
    found = (path for path in stage.rglob("*") if path.is_file())
    yield from sorted(found, key=lambda path: path.relative_to(stage).as_posix())


def _version(interpreter: str) -> str:
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([interpreter, "-I", "-c", ask], capture_output=True, text=True, check=False)  # noqa: S603
    except OSError:
        return ""
    return done.stdout.strip()


def _read_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.aws.build_zip", description=__doc__)
    parser.add_argument(
        "--arch", choices=sorted(PROCESSORS), default="arm64", help="the processor (default: arm64)"
    )
    parser.add_argument("--python-version", default=PYTHON, help=f"the runtime's Python (default: {PYTHON})")
    parser.add_argument("--out", type=Path, help="the file to write (default: dist/copilot-gateway-ARCH.zip)")
    options = parser.parse_args(arguments)
    options.out = options.out or ROOT / "dist" / f"copilot-gateway-{options.arch}.zip"
    return options


if __name__ == "__main__":
    sys.exit(main())
