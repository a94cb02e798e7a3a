"""What the secret files promise beside the port: who may read them, and what is refused."""

import os
import stat
import sys
from pathlib import Path

import pytest

from core.ports import StoreError
from infra.local.secrets import FileSecretStore

posix = pytest.mark.skipif(sys.platform == "win32", reason="permissions are POSIX")
not_root = pytest.mark.skipif(
    sys.platform != "win32" and os.geteuid() == 0, reason="root may do what permissions forbid"
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "gateway" / "secrets"


@pytest.fixture
def store(directory: Path) -> FileSecretStore:
    return FileSecretStore(directory)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_nothing_is_touched_before_the_first_save(store: FileSecretStore, directory: Path) -> None:
    assert store.load("name") is None
    store.delete("name")
    assert not directory.exists()


@posix
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277])
def test_file_and_directory_belong_to_their_owner_alone(
    store: FileSecretStore, directory: Path, umask: int
) -> None:
    directory.parent.mkdir()
    before = os.umask(umask & 0o077)
    try:
        store.save("name", "old")
        os.umask(umask)
        store.save("name", "secret")
    finally:
        os.umask(before)
    assert mode_of(directory) == 0o700
    assert mode_of(directory / "name") & 0o077 == 0
    assert [path.name for path in directory.iterdir()] == ["name"]


@posix
def test_a_file_that_others_may_read_is_repaired_before_it_is_read(
    store: FileSecretStore, directory: Path
) -> None:
    store.save("name", "secret")
    (directory / "name").chmod(0o644)
    assert store.load("name") == "secret"
    assert mode_of(directory / "name") == 0o600


@posix
def test_a_save_over_a_readable_file_makes_it_private(store: FileSecretStore, directory: Path) -> None:
    store.save("name", "secret")
    (directory / "name").chmod(0o666)
    store.save("name", "new")
    assert mode_of(directory / "name") == 0o600


@posix
def test_a_directory_that_others_may_write_is_refused_and_left_as_it_is(
    store: FileSecretStore, directory: Path
) -> None:
    store.save("name", "secret")
    directory.chmod(0o777)
    with pytest.raises(StoreError, match="chmod 700"):
        store.load("name")
    with pytest.raises(StoreError, match="chmod 700"):
        store.save("name", "new")
    assert mode_of(directory) == 0o777


@posix
def test_a_symbolic_link_is_not_followed(store: FileSecretStore, directory: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("of someone else")
    target.chmod(0o644)
    directory.mkdir(parents=True)
    (directory / "name").symlink_to(target)
    with pytest.raises(StoreError, match="symbolic link"):
        store.load("name")
    assert mode_of(target) == 0o644

    store.save("name", "mine")
    assert store.load("name") == "mine"
    assert target.read_text() == "of someone else"


@posix
def test_delete_removes_a_link_and_not_its_target(
    store: FileSecretStore, directory: Path, tmp_path: Path
) -> None:
    target = tmp_path / "target"
    target.touch()
    directory.mkdir(parents=True)
    (directory / "name").symlink_to(target)
    store.delete("name")
    assert not (directory / "name").is_symlink()
    assert target.exists()


@posix
def test_what_is_no_plain_file_is_refused_without_opening_it(store: FileSecretStore, directory: Path) -> None:
    directory.mkdir(parents=True)
    os.mkfifo(directory / "pipe")
    (directory / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(StoreError, match="not a plain file"):
            store.load(name)
    for call in (lambda: store.save("folder", "secret"), lambda: store.delete("folder")):
        with pytest.raises(StoreError, match="permissions"):
            call()
    assert sorted(path.name for path in directory.iterdir()) == ["folder", "pipe"]


@pytest.mark.parametrize(
    ("content", "secret"), [(b"token\n", "token"), (b"token\r\n\r\n", "token"), (b"\n", None), (b"", None)]
)
def test_line_breaks_that_an_editor_adds_are_no_part_of_the_secret(
    store: FileSecretStore, directory: Path, content: bytes, secret: str | None
) -> None:
    store.save("name", "old")
    (directory / "name").write_bytes(content)
    assert store.load("name") == secret


def test_a_file_that_is_no_text_names_its_remedy(store: FileSecretStore, directory: Path) -> None:
    store.save("name", "old")
    (directory / "name").write_bytes(b"\xff\xfe")
    with pytest.raises(StoreError, match="log in again"):
        store.load("name")


def test_no_message_holds_the_secret(store: FileSecretStore, directory: Path) -> None:
    directory.mkdir(parents=True)
    (directory / "name").mkdir()
    with pytest.raises(StoreError) as raised:
        store.save("name", "canary-secret")
    assert "canary-secret" not in str(raised.value)
    with pytest.raises(ValueError, match="line break") as refused:
        store.save("name", "canary-secret\n")
    assert "canary-secret" not in str(refused.value)


def test_a_directory_that_is_a_file_names_its_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = FileSecretStore(tmp_path / "file" / "secrets")
    for call in (lambda: store.load("name"), lambda: store.save("name", "secret")):
        with pytest.raises(StoreError, match="COPILOT_GATEWAY_DATA_DIR"):
            call()


@not_root
def test_a_directory_that_may_not_be_written_names_its_remedy(
    store: FileSecretStore, directory: Path
) -> None:
    store.save("name", "old")
    directory.chmod(0o500)
    try:
        with pytest.raises(StoreError, match="permissions"):
            store.save("name", "new")
        assert store.load("name") == "old"
    finally:
        directory.chmod(0o700)


@not_root
def test_a_file_that_may_not_be_read_names_its_remedy(store: FileSecretStore, directory: Path) -> None:
    store.save("name", "old")
    (directory / "name").chmod(0o000)
    with pytest.raises(StoreError, match="permissions"):
        store.load("name")


def test_delete_removes_what_a_killed_writer_left(store: FileSecretStore, directory: Path) -> None:
    store.save("name", "secret")
    (directory / ".name.0123456789abcdef").write_text("secret")
    (directory / ".names.0123456789abcdef").write_text("of another name")
    store.delete("name")
    assert [path.name for path in directory.iterdir()] == [".names.0123456789abcdef"]
