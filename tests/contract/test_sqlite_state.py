"""What the SQLite file promises beside the port: who may read it, forks, and what to do when it is broken."""

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import pytest

from core.ports import StoreError
from infra.local.state import SqliteStateStore
from tests.contract.stores import Clock

REPOSITORY = Path(__file__).parents[2]
posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions and processes")
not_root = pytest.mark.skipif(
    sys.platform != "win32" and os.geteuid() == 0, reason="root may do what permissions forbid"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gateway" / "state.sqlite3"


@pytest.fixture
def store(path: Path, clock: Clock) -> Iterator[SqliteStateStore]:
    store = SqliteStateStore(path, clock, patience=0.05)
    yield store
    store.close()


def modes_in(directory: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.lstat().st_mode) for path in directory.iterdir()}


def run_python(code: str, *arguments: str) -> str:
    argv = [sys.executable, "-W", "error", "-c", code, *arguments]
    return subprocess.run(argv, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=60).stdout


def test_nothing_is_touched_before_the_first_use(store: SqliteStateStore, path: Path) -> None:
    assert not path.parent.exists()
    store.load("kind", "key")
    assert path.exists()


@posix
def test_all_files_belong_to_their_owner_alone(store: SqliteStateStore, path: Path) -> None:
    before = os.umask(0)
    try:
        store.save("kind", "key", b"value")
    finally:
        os.umask(before)
    assert modes_in(path.parent) == dict.fromkeys(
        ("state.sqlite3", "state.sqlite3-shm", "state.sqlite3-wal"), 0o600
    )
    assert modes_in(path.parent.parent)["gateway"] == 0o700


@posix
def test_files_that_others_may_read_are_repaired(store: SqliteStateStore, path: Path, clock: Clock) -> None:
    store.save("kind", "key", b"value")
    for file in path.parent.iterdir():
        file.chmod(0o644)
    other = SqliteStateStore(path, clock)
    other.save("kind", "key", b"value")
    assert set(modes_in(path.parent).values()) == {0o600}
    other.close()


@posix
@pytest.mark.parametrize("end", ["", "-wal", "-shm"])
def test_symbolic_links_are_not_followed(
    store: SqliteStateStore, path: Path, tmp_path: Path, end: str
) -> None:
    path.parent.mkdir(mode=0o700)
    path.with_name(path.name + end).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="symbolic link"):
        store.save("kind", "key", b"value")
    assert not (tmp_path / "elsewhere").exists()


@posix
def test_a_directory_that_others_may_write_is_refused(store: SqliteStateStore, path: Path) -> None:
    path.parent.mkdir()
    path.parent.chmod(0o770)
    with pytest.raises(StoreError, match="chmod 700"):
        store.load("kind", "key")


def test_state_outlives_the_store(store: SqliteStateStore, path: Path, clock: Clock) -> None:
    store.save("kind", "key", b"value")
    store.close()
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert SqliteStateStore(path, clock).load("kind", "key") == b"value"
    assert store.load("kind", "key") == b"value"


def test_expired_rows_leave_the_file_with_a_later_write(
    store: SqliteStateStore, path: Path, clock: Clock
) -> None:
    store.save("kind", "first", b"value")
    store.save("kind", "key", b"value", expires_at=clock.time + 10)
    store.claim("kind", "key", "me", expires_at=clock.time + 10)
    store.add("kind", "key", {"n": 1}, expires_at=clock.time + 10)
    clock.time += 3600
    store.save("kind", "other", b"value")
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT 'record', key FROM record UNION ALL SELECT 'lease', key FROM lease"
            " UNION ALL SELECT 'counter', key FROM counter"
        ).fetchall()
    assert sorted(rows) == [("record", "first"), ("record", "other")]


def test_a_deleted_value_is_not_left_in_the_file(store: SqliteStateStore, path: Path) -> None:
    store.save("kind", "key", b"canary-value" * 2000)
    store.save("kind", "small", b"canary-value")
    store.delete("kind", "key")
    store.delete("kind", "small")
    store.close()
    assert b"canary-value" not in path.read_bytes()


# Broken ground


@pytest.mark.parametrize("content", [b"not a database" * 1000, b"SQLite format 3\x00" + b"\xff" * 8176])
def test_a_damaged_file_names_its_remedy(store: SqliteStateStore, path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="is damaged"):
        store.load("kind", "key")
    assert path.read_bytes() == content


def test_damage_in_the_middle_is_an_error_until_the_file_is_moved_away(
    store: SqliteStateStore, path: Path
) -> None:
    store.save("kind", "key", b"value" * 10_000)
    store.close()
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:4096] + b"\xee" * (size - 4096))
    with pytest.raises(StoreError, match="is damaged"):
        store.load("kind", "key")
    path.rename(path.with_suffix(".old"))
    assert store.load("kind", "key") is None


def test_a_file_of_a_newer_release_is_left_alone(store: SqliteStateStore, path: Path) -> None:
    store.save("kind", "key", b"value")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    store.close()
    with pytest.raises(StoreError, match="newer release"):
        store.load("kind", "key")


def test_a_locked_file_names_its_remedy_and_works_again_afterwards(
    store: SqliteStateStore, path: Path
) -> None:
    store.save("kind", "key", b"value")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked by another process"):
            store.save("kind", "key", b"new")
        assert store.load("kind", "key") == b"value"
        other.execute("ROLLBACK")
    store.save("kind", "key", b"new")
    assert store.load("kind", "key") == b"new"


def test_a_full_disk_names_its_remedy_and_loses_nothing(store: SqliteStateStore) -> None:
    store.save("kind", "key", b"value")
    with store._database.connection() as connection:
        connection.execute("PRAGMA max_page_count = 20")
    with pytest.raises(StoreError, match="disk is full"):
        store.save("kind", "key", b"x" * 1_000_000)
    assert store.load("kind", "key") == b"value"


def test_a_directory_that_is_a_file_names_its_remedy(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="COPILOT_GATEWAY_DATA_DIR"):
        SqliteStateStore(tmp_path / "file" / "state.sqlite3", clock).load("kind", "key")


@not_root
def test_a_directory_that_may_not_be_written_names_its_remedy(store: SqliteStateStore, path: Path) -> None:
    path.parent.mkdir(mode=0o500)
    with pytest.raises(StoreError, match="permissions"):
        store.save("kind", "key", b"value")


def test_a_removed_file_is_made_again(store: SqliteStateStore, path: Path) -> None:
    store.save("kind", "key", b"value")
    for file in path.parent.iterdir():
        file.unlink()
    assert store.load("kind", "key") is None
    store.save("kind", "key", b"new")
    assert store.load("kind", "key") == b"new"


# Threads and processes


def test_idle_connections_are_few_after_a_crowd(store: SqliteStateStore) -> None:
    store.save("kind", "key", b"value")  # the file is made; what follows only opens it
    barrier = Barrier(12)

    def use(_: int) -> None:
        with store._database.connection():
            barrier.wait(60)

    with ThreadPoolExecutor(12) as threads:
        list(threads.map(use, range(12)))
    assert len(store._database._idle[os.getpid()]) == 8


OTHER_PROCESS = """
import sys
from pathlib import Path
from core.ports import StoreError
from infra.local.state import SqliteStateStore
from tests.contract.stores import Clock
try:
    SqliteStateStore(Path(sys.argv[1]), Clock(), patience=0.05).save("kind", "key", b"other")
except StoreError as error:
    print("locked" if "locked" in str(error) else error)
else:
    print("written")
"""


def test_opening_a_second_connection_keeps_the_locks_of_the_first(
    store: SqliteStateStore, path: Path
) -> None:
    """Closing any descriptor of a file drops the process's POSIX locks on it."""
    store.save("kind", "key", b"value")
    with store._database.transaction() as connection:
        connection.execute("UPDATE record SET value = ?", (b"mine",))
        assert store.load("kind", "key") == b"value"
        assert run_python(OTHER_PROCESS, str(path)) == "locked\n"
    assert store.load("kind", "key") == b"mine"
    assert run_python(OTHER_PROCESS, str(path)) == "written\n"


FORK = """
import os, sys
from pathlib import Path
from infra.local.state import SqliteStateStore
from tests.contract.stores import Clock
store = SqliteStateStore(Path(sys.argv[1]), Clock())
store.add("kind", "key", {"n": 1})
children = []
for _ in range(4):
    child = os.fork()
    if not child:
        for _ in range(50):
            store.add("kind", "key", {"n": 1})
        sys.exit(0)
    children.append(child)
for _ in range(50):
    store.add("kind", "key", {"n": 1})
statuses = [os.waitpid(child, 0)[1] for child in children]
print(statuses, store.counters("kind"))
"""


@posix
def test_a_store_that_was_used_before_a_fork_works_on_both_sides(path: Path) -> None:
    assert run_python(FORK, str(path)) == "[0, 0, 0, 0] {'key': {'n': 251}}\n"


def test_a_store_that_is_dropped_closes_its_file(path: Path) -> None:
    code = """
import gc, sys
from pathlib import Path
from infra.local.state import SqliteStateStore
from tests.contract.stores import Clock
SqliteStateStore(Path(sys.argv[1]), Clock()).save("kind", "key", b"value")
gc.collect()
print(sorted(file.name for file in Path(sys.argv[1]).parent.iterdir()))
"""
    assert run_python(code, str(path)) == "['state.sqlite3']\n"
