"""The log read again: each line once, in order, whatever happens to the file."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.logs.file import LogFile
from infra.logs.reading import Choice, LogReader, last, moment


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gateway.log"


@pytest.fixture
def log(path: Path) -> Iterator[LogFile]:
    made = LogFile(path, most=60, kept=9)  # some four lines a file
    yield made
    made.close()


@pytest.fixture
def reader(path: Path) -> Iterator[LogReader]:
    made = LogReader(path)
    yield made
    made.close()


def write(log: LogFile, *numbers: int) -> None:
    for number in numbers:
        text = json.dumps({"n": number})
        log.handle(logging.LogRecord("gateway", logging.INFO, __file__, 1, text, (), None))


def numbers(lines: Any) -> list[int]:
    return [line["n"] for line in lines]


def test_older_parts_come_first(log: LogFile, reader: LogReader) -> None:
    write(log, *range(20))
    assert numbers(reader.past()) == list(range(20))


@pytest.mark.parametrize("step", [1, 3, 7, 17])
def test_following_survives_any_number_of_rotations(log: LogFile, reader: LogReader, step: int) -> None:
    write(log, 0)
    seen = numbers(reader.past())
    for begin in range(1, 60, step):
        write(log, *range(begin, begin + step))
        seen += numbers(reader.new())
    assert seen == list(range(len(seen)))
    assert len(seen) > 59


def test_a_file_that_comes_later_is_found(path: Path, reader: LogReader) -> None:
    assert numbers(reader.past()) == []
    log = LogFile(path, most=60, kept=9)
    write(log, 1)
    log.close()
    assert numbers(reader.new()) == [1]


def test_half_a_line_waits_for_its_end(path: Path, reader: LogReader) -> None:
    path.write_text('{"n": 1}\n{"n":')
    assert numbers(reader.past()) == [1]
    with path.open("a") as file:
        file.write(" 2}\n")
    assert numbers(reader.new()) == [2]


def test_a_file_that_was_emptied_is_read_from_its_beginning(path: Path, reader: LogReader) -> None:
    path.write_text('{"n": 1}\n{"n": 2}\n{"n":')
    assert numbers(reader.past()) == [1, 2]
    path.write_text('{"n": 3}\n')
    assert numbers(reader.new()) == [3]


def test_what_is_no_line_of_ours_is_passed_over(path: Path, reader: LogReader) -> None:
    path.write_bytes(b'garbage\n[1]\n"x"\n\xff\xfe\n' + b"[" * 5000 + b'\n{"n": 1}\n')
    assert numbers(reader.past()) == [1]


def test_the_last_lines_are_the_usual_choice(log: LogFile, reader: LogReader) -> None:
    write(log, *range(20))
    assert numbers(last(reader.past(), Choice(), 3)) == [17, 18, 19]


GOOD = {"event": "request.done", "time": "2026-11-23T06:00:00.000Z", "level": "info", "key": "laptop", "model": "gpt-5-mini", "requested": "mini", "status": 200}  # fmt: skip
OTHER = {"event": "copilot.token_exchanged", "time": "2026-11-23T06:00:00.000Z", "level": "info"}


@pytest.mark.parametrize(
    ("choice", "line", "taken"),
    [
        (Choice(), GOOD, True),
        (Choice(key="laptop"), GOOD, True),
        (Choice(key="lap*"), GOOD, True),
        (Choice(key="phone"), GOOD, False),
        (Choice(key="laptop"), OTHER, False),
        (Choice(model="gpt-5*"), GOOD, True),
        (Choice(model="mini"), GOOD, True),
        (Choice(model="claude*"), GOOD, False),
        (Choice(errors=True), GOOD, False),
        (Choice(errors=True), GOOD | {"status": 429}, True),
        (Choice(errors=True), GOOD | {"error": "client_left"}, True),
        (Choice(errors=True), OTHER | {"level": "warning"}, True),
        (Choice(since=moment(GOOD)), GOOD, True),
        (Choice(since=moment(GOOD) + 1), GOOD, False),
        (Choice(since=1.0), {"event": "a.b", "time": "never"}, False),
    ],
)
def test_lines_are_chosen(choice: Choice, line: dict[str, Any], *, taken: bool) -> None:
    assert choice.takes(line) is taken
