"""Stores on broken ground, over the real thing: each failure is a sentence that says what to do, never a crash."""

import os
import random
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from core.ports import GITHUB_TOKEN, StoreError
from infra.local.secrets import FileSecretStore
from infra.local.state import SqliteStateStore
from tests.contract.stores import Clock

REPOSITORY = Path(__file__).parents[2]
linux = pytest.mark.skipif(sys.platform != "linux", reason="mounts and limits of Linux")

# A child of its own: a limit on file sizes holds for the whole process. The state goes first, then a secret.
SMALL = """
import resource, sys
from pathlib import Path
from core.ports import StoreError
from infra.local.secrets import FileSecretStore
from infra.local.state import SqliteStateStore
from tests.contract.stores import Clock
place = Path(sys.argv[1])
state, secrets = SqliteStateStore(place / "state.sqlite3", Clock()), FileSecretStore(place)
state.save("kind", "key", b"value")
secrets.save("github-token", "old")
resource.setrlimit(resource.RLIMIT_FSIZE, (70_000, resource.RLIM_INFINITY))
for _ in range(2):
    try:
        state.save("kind", "key", b"x" * 200_000)
    except StoreError as error:
        print("state:", error)
resource.setrlimit(resource.RLIMIT_FSIZE, (2, resource.RLIM_INFINITY))
try:
    secrets.save("github-token", "newer")
except StoreError as error:
    print("secret:", error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(state.load("kind", "key"), secrets.load("github-token"), sorted(path.name for path in place.iterdir() if path.name[0] == "."))
"""


@contextmanager
def mounted(at: Path, options: str) -> Iterator[None]:
    """A small file system of its own, where this process may make one."""
    at.mkdir(exist_ok=True)
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", at], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("this process may not mount a file system")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", at], check=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gateway" / "state.sqlite3"


@pytest.fixture
def store(path: Path, clock: Clock) -> Iterator[SqliteStateStore]:
    store = SqliteStateStore(path, clock, patience=0.05)
    yield store
    store.close()


@linux
def test_a_file_that_may_not_grow_loses_nothing(tmp_path: Path) -> None:
    argv = [sys.executable, "-W", "error", "-c", SMALL, str(tmp_path / "place")]
    said = subprocess.run(
        argv, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=100
    ).stdout
    *failures, kept = said.splitlines()
    assert ["state:", "state:", "secret:"] == [line.split(" ")[0] for line in failures]
    assert all("Check the disk and its free space" in line or "free space" in line for line in failures), said
    assert "b'value' old []" == kept


@linux
@pytest.mark.skipif(sys.platform == "linux" and os.geteuid() != 0, reason="only root mounts")
def test_a_full_disk_names_its_remedy_and_loses_nothing(tmp_path: Path, clock: Clock) -> None:
    with mounted(tmp_path / "small", "size=512k,mode=700"):
        store = SqliteStateStore(tmp_path / "small" / "state.sqlite3", clock, patience=0.05)
        secrets = FileSecretStore(tmp_path / "small")
        store.save("kind", "key", b"value")
        secrets.save(GITHUB_TOKEN, "old")
        with pytest.raises(StoreError, match="the disk is full"):
            store.save("kind", "key", b"x" * 900_000)
        try:
            with (tmp_path / "small" / "filler").open("wb", buffering=0) as filler:
                while filler.write(b"x" * 4096):
                    pass
        except OSError:
            pass
        with pytest.raises(StoreError, match="free space"):
            secrets.save(GITHUB_TOKEN, "newer" * 2000)
        assert (b"value", "old") == (store.load("kind", "key"), secrets.load(GITHUB_TOKEN))
        (tmp_path / "small" / "filler").unlink()
        store.save("kind", "key", b"new")
        assert b"new" == store.load("kind", "key")
        store.close()


@linux
@pytest.mark.skipif(sys.platform == "linux" and os.geteuid() != 0, reason="only root mounts")
def test_a_read_only_file_system_can_still_be_read_or_says_so(tmp_path: Path, clock: Clock) -> None:
    with mounted(tmp_path / "fixed", "size=2m,mode=700"):
        store = SqliteStateStore(tmp_path / "fixed" / "state.sqlite3", clock, patience=0.05)
        secrets = FileSecretStore(tmp_path / "fixed")
        store.save("kind", "key", b"value")
        secrets.save(GITHUB_TOKEN, "old")
        store.close()
        subprocess.run(["mount", "-o", "remount,ro", tmp_path / "fixed"], check=True)
        for write in (lambda: store.save("kind", "key", b"new"), lambda: secrets.save(GITHUB_TOKEN, "new")):
            with pytest.raises(StoreError, match=r"permissions|COPILOT_GATEWAY_DATA_DIR"):
                write()
        assert "old" == secrets.load(GITHUB_TOKEN)
        store.close()


@pytest.mark.parametrize("seed", range(40))
def test_damage_anywhere_is_a_sentence_or_is_not_noticed(
    store: SqliteStateStore, path: Path, clock: Clock, seed: int
) -> None:
    """Bytes of the file changed at random: what can be read has the right type, what cannot is a StoreError."""
    for number in range(30):
        store.save("kind", f"key{number}", b"value" * (number * 40 + 1))
        store.add("kind", f"key{number}", {"n": number}, expires_at=clock.time + 99)
        store.claim("kind", f"key{number}", "me", expires_at=clock.time + 99)
    store.close()
    rng = random.Random(seed)  # noqa: S311 - a test must repeat itself
    content = bytearray(path.read_bytes())
    for _ in range(rng.choice([1, 4, 40, 400])):
        content[rng.randrange(len(content))] = rng.randrange(256)
    path.write_bytes(content[: rng.randrange(len(content))] if seed % 5 == 0 else content)
    if seed % 4 == 0:
        path.with_name(path.name + "-wal").write_bytes(rng.randbytes(9000))
    for question, kind in questions(store, clock):
        answer = answer_of(question)
        if isinstance(answer, StoreError):
            assert re.search(rf"{re.escape(str(path))} .*(SQLite:|newer release)", str(answer)), answer
        else:
            assert isinstance(answer, kind), answer


def answer_of(question: Callable[[], object]) -> object:
    try:
        return question()
    except StoreError as error:
        return error


def questions(
    store: SqliteStateStore, clock: Clock
) -> list[tuple[Callable[[], object], type | tuple[type, ...]]]:
    def entries() -> object:
        found = store.entries("kind")
        assert all(isinstance(key, str) and isinstance(value, bytes) for key, value in found.items())
        return found

    def counters() -> object:
        found = store.counters("kind")
        assert all(isinstance(amount, int) for amounts in found.values() for amount in amounts.values())
        return found

    return [
        (lambda: store.load("kind", "key7"), (bytes, type(None))),
        (entries, dict),
        (counters, dict),
        (lambda: store.add("kind", "key7", {"n": 1}), dict),
        (lambda: store.claim("kind", "key8", "you", expires_at=clock.time + 1), bool),
        (lambda: store.save("kind", "new", b"new"), type(None)),
        (lambda: store.delete("kind", "key3"), bool),
    ]


LOCKING = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


def test_a_file_that_another_process_holds_names_its_remedy_and_can_be_read(
    store: SqliteStateStore, path: Path
) -> None:
    store.save("kind", "key", b"value")
    with subprocess.Popen(
        [sys.executable, "-c", LOCKING, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert "locked\n" == other.stdout.readline()
        for write in (
            lambda: store.save("kind", "key", b"new"), lambda: store.add("kind", "key", {"n": 1}),
            lambda: store.claim("kind", "key", "me", expires_at=9e9), lambda: store.delete("kind", "key"),
        ):  # fmt: skip
            with pytest.raises(StoreError, match="stays locked by another process"):
                write()
        assert b"value" == store.load("kind", "key")
        other.communicate()
    store.save("kind", "key", b"new")
    assert b"new" == store.load("kind", "key")


def test_a_file_that_is_replaced_under_the_gateway_is_used(
    store: SqliteStateStore, path: Path, tmp_path: Path, clock: Clock
) -> None:
    store.save("kind", "key", b"old")
    other = SqliteStateStore(tmp_path / "other" / "state.sqlite3", clock)
    other.save("kind", "key", b"new")
    other.close()
    (tmp_path / "other" / "state.sqlite3").replace(path)
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
    assert b"new" == store.load("kind", "key")


def test_a_table_that_something_else_made_is_a_sentence(store: SqliteStateStore, path: Path) -> None:
    store.save("kind", "key", b"old")
    store.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE record")
        connection.commit()
    with pytest.raises(StoreError, match=r"state\.sqlite3"):
        store.load("kind", "key")


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"gho_\xe9"])
def test_a_secret_that_is_no_text_names_its_remedy(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "place").mkdir(mode=0o700)
    (tmp_path / "place" / GITHUB_TOKEN).write_bytes(content)
    with pytest.raises(StoreError, match="log in again"):
        FileSecretStore(tmp_path / "place").load(GITHUB_TOKEN)
