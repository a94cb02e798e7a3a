"""Other programs' files are changed with care and given back as they were."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.clients.files import FileError
from infra.clients.plan import Change, Key, Plan, Setting
from infra.clients.setup import Setups

THEIRS = '{\n  // mine\n  "theme": "dark",\n  "model": "old"\n}\n'
OURS = (Setting(("model",), "new"), Setting(("providers", "gateway", "url"), "http://127.0.0.1:4141"))


@pytest.fixture
def setups(tmp_path: Path) -> Setups:
    return Setups(tmp_path / "data", lambda: "20260101-120000")


@pytest.fixture
def path(home: Path) -> Path:
    return home / ".app" / "settings.json"


Write = Callable[..., list[Path]]


@pytest.fixture
def write(setups: Setups, path: Path) -> Write:
    """Return what makes a set-up of one file."""

    def run(*settings: Setting, key: Key | None = None) -> list[Path]:
        plan = Plan(changes=(Change(path, "json", settings or OURS),))
        return setups.write("app", setups.edits("app", plan), key or Key())

    return run


def put(path: Path, text: str, mode: int = 0o600) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode())
    path.chmod(mode)


def test_what_was_there_is_kept_beside_and_given_back_to_the_byte(
    setups: Setups, path: Path, write: Write
) -> None:
    put(path, THEIRS, 0o640)
    backups = write()
    assert [path.with_name("settings.json.20260101-120000.bak")] == backups
    assert THEIRS == backups[0].read_text()
    assert 0o600 == backups[0].stat().st_mode & 0o777
    assert 0o640 == path.stat().st_mode & 0o777
    assert "// mine" in path.read_text()
    setups.undo("app")
    assert [path] == list(path.parent.iterdir())
    assert (THEIRS, 0o640) == (path.read_text(), path.stat().st_mode & 0o777)
    assert not setups.exists("app")


def test_a_second_time_there_is_nothing_to_do(path: Path, write: Write) -> None:
    put(path, THEIRS)
    write()
    moment = path.stat().st_mtime_ns
    assert [] == write()
    assert moment == path.stat().st_mtime_ns


def test_another_set_up_replaces_the_first_and_undo_leads_to_the_beginning(
    setups: Setups, path: Path, write: Write
) -> None:
    put(path, THEIRS)
    write()
    assert [] == write(Setting(("model",), "newer"))
    assert {"theme": "dark", "model": "newer"} == json.loads(path.read_text().replace("// mine", ""))
    setups.undo("app")
    assert THEIRS == path.read_text()
    assert [path] == list(path.parent.iterdir())


def test_two_set_ups_of_a_new_file_leave_nothing_behind(setups: Setups, path: Path, write: Write) -> None:
    write()
    write(Setting(("model",), "newer"))
    setups.undo("app")
    assert [] == list(path.parent.iterdir())


def test_another_set_up_keeps_a_copy_of_what_the_person_changed_between(path: Path, write: Write) -> None:
    put(path, THEIRS)
    write()
    put(path, changed := path.read_text().replace('"dark"', '"light"'))
    assert [changed] == [backup.read_text() for backup in write(Setting(("model",), "newer"))]


def test_what_the_person_changed_since_stays(setups: Setups, path: Path, write: Write) -> None:
    put(path, THEIRS)
    write()
    put(path, path.read_text().replace('"dark"', '"light"'))
    (undone,) = setups.undo("app")
    assert THEIRS.replace('"dark"', '"light"') == path.read_text()
    assert ((), True) == (undone.left, "changed since" in undone.told)


def test_our_own_value_that_was_changed_since_stays_and_is_named(
    setups: Setups, path: Path, write: Write
) -> None:
    put(path, THEIRS)
    write()
    put(path, path.read_text().replace('"new"', '"mine"'))
    (undone,) = setups.undo("app")
    assert (("model",),) == undone.left
    assert THEIRS.replace('"old"', '"mine"') == path.read_text()


def test_a_new_file_is_private_and_gone_after_undo(setups: Setups, path: Path, write: Write) -> None:
    assert [] == write()
    assert 0o600 == path.stat().st_mode & 0o777
    setups.undo("app")
    assert not path.exists()


def test_what_the_person_added_to_our_file_is_kept(setups: Setups, path: Path, write: Write) -> None:
    write()
    put(path, path.read_text().replace("{", '{\n  "theirs": 1,', 1))
    setups.undo("app")
    assert {"theirs": 1} == json.loads(path.read_text())


def test_undo_of_a_file_that_is_gone_says_so(setups: Setups, path: Path, write: Write) -> None:
    write()
    path.unlink()
    assert ["is gone; there is nothing to take back"] == [undone.told for undone in setups.undo("app")]
    assert [] == setups.undo("app")


def test_the_record_is_private_for_it_holds_what_was_there(tmp_path: Path, path: Path, write: Write) -> None:
    put(path, THEIRS)
    write()
    (record,) = (tmp_path / "data" / "setup").iterdir()
    assert (0o600, 0o700) == (record.stat().st_mode & 0o777, record.parent.stat().st_mode & 0o777)


def test_a_symbolic_link_is_left_alone(path: Path, write: Write, home: Path) -> None:
    put(home / "dotfiles.json", THEIRS)
    path.parent.mkdir()
    path.symlink_to(home / "dotfiles.json")
    with pytest.raises(FileError, match="is a symbolic link to"):
        write()
    assert THEIRS == (home / "dotfiles.json").read_text()


def test_a_folder_in_the_files_place_is_left_alone(path: Path, write: Write) -> None:
    path.mkdir(parents=True)
    with pytest.raises(FileError, match="not a plain file"):
        write()


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX's")
@pytest.mark.parametrize("target", ["file", "folder"])
def test_what_others_may_write_to_is_left_alone(target: str, path: Path, write: Write) -> None:
    put(path, THEIRS)
    (path if target == "file" else path.parent).chmod(0o777)
    with pytest.raises(FileError, match="chmod go-w"):
        write()
    assert THEIRS == path.read_text()


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root can give a file away")
def test_another_users_file_is_left_alone(path: Path, write: Write) -> None:
    put(path, THEIRS)
    os.chown(path, 12345, 12345)
    with pytest.raises(FileError, match="belongs to another user"):
        write()


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX's")
def test_a_key_never_goes_into_a_file_that_others_may_read(path: Path, write: Write) -> None:
    put(path, THEIRS, 0o644)
    key = Key("literal", "cgw_canary")
    with pytest.raises(FileError, match="chmod 600") as refusal:
        write(Setting(("key",), "cgw_canary"), key=key)
    assert "cgw_canary" not in str(refusal.value)
    assert THEIRS == path.read_text()
    path.chmod(0o600)
    write(Setting(("key",), "cgw_canary"), key=key)
    assert "cgw_canary" in path.read_text()


@pytest.mark.parametrize("text", ['{"a": ', "\x00", "[]"])
def test_a_file_that_cannot_be_understood_is_left_alone(text: str, path: Path, write: Write) -> None:
    put(path, text)
    with pytest.raises(FileError, match="Nothing was written"):
        write()
    assert text == path.read_text()


def test_bytes_that_are_no_text_are_left_alone(path: Path, write: Write) -> None:
    put(path, "")
    path.write_bytes(b"\xff\xfe{}")
    with pytest.raises(FileError, match="UTF-8"):
        write()


def test_windows_line_ends_stay(setups: Setups, path: Path, write: Write) -> None:
    text = THEIRS.replace("\n", "\r\n")
    put(path, text)
    write()
    assert "\n" not in path.read_bytes().decode().replace("\r\n", "")
    setups.undo("app")
    assert text.encode() == path.read_bytes()


def test_a_damaged_record_is_named(tmp_path: Path, setups: Setups) -> None:
    (tmp_path / "data" / "setup").mkdir(parents=True)
    (tmp_path / "data" / "setup" / "app.json").write_text("{")
    with pytest.raises(FileError, match=r"app\.json"):
        setups.undo("app")
