"""The log file: private, bounded, shared, and never in a request's way."""

import logging
import multiprocessing
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.settings import Settings
from infra.logs.file import LogFile
from infra.logs.setup import configure, log_path
from infra.settings import SettingsError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gateway.log"


@pytest.fixture
def log(path: Path) -> Iterator[LogFile]:
    made = LogFile(path, most=100, kept=3)
    yield made
    made.close()


def say(log: logging.Handler, text: str) -> None:
    log.handle(logging.LogRecord("gateway", logging.INFO, __file__, 1, text, (), None))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_the_owner_may_read_it_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        log = LogFile(tmp_path / "a", most=10, kept=1)
        say(log, "0123456789")
        say(log, "0123456789")
        log.close()
    finally:
        os.umask(before)
    assert [(path.name, mode(path)) for path in sorted(tmp_path.iterdir())] == [("a", 0o600), ("a.1", 0o600)]


def test_a_file_that_others_may_read_is_closed_to_them(path: Path) -> None:
    path.write_text("")
    path.chmod(0o644)
    LogFile(path, most=10, kept=1).close()
    assert mode(path) == 0o600


def test_old_parts_are_numbered_and_few(log: LogFile, path: Path) -> None:
    for number in range(12):
        say(log, f"{number:02d}" + "x" * 47)  # two lines a file
    kept = {each.name: each.read_text().split("x")[0] for each in path.parent.iterdir()}
    assert kept == {"gateway.log": "10", "gateway.log.1": "08", "gateway.log.2": "06", "gateway.log.3": "04"}


def test_a_line_longer_than_the_file_may_be_is_written_all_the_same(log: LogFile, path: Path) -> None:
    say(log, "y" * 500)
    say(log, "z")
    assert path.read_text() == "z\n"
    assert path.with_name("gateway.log.1").stat().st_size == 501


def test_a_file_that_was_taken_away_is_begun_anew(log: LogFile, path: Path) -> None:
    say(log, "one")
    path.rename(path.with_name("elsewhere"))
    say(log, "two")
    assert path.read_text() == "two\n"


def write_many(path: Path, name: str) -> None:
    log = LogFile(path, most=2_000, kept=200)
    for number in range(200):
        say(log, f"{name} {number:03d} " + "x" * 60)
    log.close()


def test_processes_share_a_file_without_losing_or_tearing_a_line(path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=write_many, args=(path, name)) for name in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    lines = [line for part in path.parent.iterdir() for line in part.read_text().splitlines()]
    assert {len(line) for line in lines} == {66}
    assert sorted(lines) == sorted(
        f"{name} {number:03d} " + "x" * 60 for name in "abc" for number in range(200)
    )


def test_a_full_disk_costs_lines_and_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs Linux's /dev/full")
    log = LogFile.__new__(LogFile)
    logging.Handler.__init__(log)
    log._path, log._most, log._kept, log._failing = Path("/dev/full"), 10**9, 0, False
    log._descriptor = os.open("/dev/full", os.O_WRONLY)
    for _ in range(3):
        say(log, "lost")
    log.close()
    assert capsys.readouterr().err == (
        "warning: lines of the log file /dev/full are lost: No space left on device\n"
    )


@pytest.mark.parametrize("kind", ["directory", "symlink", "fifo", "missing parent"])
def test_a_place_that_cannot_hold_a_log_is_refused_with_a_remedy(path: Path, kind: str) -> None:
    chosen = path
    if kind == "directory":
        path.mkdir()
    elif kind == "symlink":
        path.symlink_to(path.with_name("target"))
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        chosen = path / "below" / "it.log"
    with pytest.raises(SettingsError, match=r"cannot be written: .*--log-file") as refused:
        configure(Settings(data_dir=str(path.parent), log_file=str(chosen)), serving=True)
    assert str(chosen) in str(refused.value)


def test_where_the_log_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert log_path(Settings(data_dir="/data")) == Path("/data/gateway.log")
    assert log_path(Settings(data_dir="/data", log_file="here.log")) == tmp_path / "here.log"
    assert log_path(Settings(data_dir="/data", log_file="off")) is None


def test_commands_that_do_not_serve_write_no_file(tmp_path: Path) -> None:
    configure(Settings(data_dir=str(tmp_path)))
    assert list(tmp_path.iterdir()) == []
