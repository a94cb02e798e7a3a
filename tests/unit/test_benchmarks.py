"""The measuring itself: what is read from the wire, and what is made of the figures."""

from typing import Any

import pytest

from benchmarks import guard, page
from benchmarks.lanes import LANES, Lane, WrongError, answer
from benchmarks.load import Heard, Target, missing, unchunked
from benchmarks.measures import delays, part

GATEWAY = Target("127.0.0.1", 1)
HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def test_chunks_are_joined() -> None:
    assert b"one two" == unchunked(b"4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n")


def test_what_a_sized_answer_lacks_is_known_from_its_head() -> None:
    assert (3, -1) == (missing(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"), missing(HEAD))


def test_a_word_comes_with_the_piece_that_completes_it() -> None:
    heard = Heard(sent_at=0, done_at=9, wire=b"abcdefgh", arrivals=[(4, 1_000_000_000), (8, 2_000_000_000)])
    assert (1.0, 2.0) == (heard.seconds_to(b"bcd"), heard.seconds_to(b"de"))


def test_delay_is_counted_once_a_stamp_from_the_piece_that_completes_it() -> None:
    stamps = b"00000000000001000000 00000000000002000000 and again 00000000000001000000"
    heard = Heard(wire=stamps, arrivals=[(20, 1_500_000), (41, 2_250_000), (len(stamps), 9_000_000)])
    assert [0.5, 0.25] == delays(heard)


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1), (0.5, 3), (0.95, 5), (1.0, 5)])
def test_part_is_a_value_that_occurred(share: float, expected: float) -> None:
    assert expected == part([3, 1, 5, 2, 4], share)


def test_an_answer_with_a_word_missing_is_wrong() -> None:
    body = (
        b'{"id":"1","object":"chat.completion","created":1,"model":"gpt-4.1","choices":[{"index":0,"finish_reason":'
        b'"stop","message":{"role":"assistant","content":"word0 word2"}}],"usage":{"completion_tokens":3}}'
    )
    heard = Heard(wire=b"HTTP/1.1 200 OK\r\n\r\n" + body)
    with pytest.raises(WrongError, match="word0 word2"):
        Lane("chat", "chat").check(GATEWAY, heard, 3, stream=False)
    assert "word0 word1 word2" == answer(3)


def test_there_are_nine_lanes_of_which_three_pass_through() -> None:
    assert (9, 3) == (len(set(LANES)), sum(lane.passes_through for lane in LANES))


def test_a_figure_is_judged_by_goal_and_stretch() -> None:
    values = [0.9, 1.1, 1.3]
    assert ["better", "met", "missed"] == [page.verdict(value, 1.2, 1.0, page.at_most) for value in values]
    assert ["missed", "better", "better"] == [
        page.verdict(value, 1.0, 1.1, page.at_least) for value in values
    ]


@pytest.mark.parametrize(
    ("found", "remarks"),
    [
        ({"a": 1.09}, []),
        ({"a": 1.2}, ["a: +20% instructions"]),
        ({"a": 1.0, "b": 1.0}, ["b: no budget"]),
        ({}, ["a: not counted any more"]),
    ],
)
def test_what_costs_more_than_its_budget_is_remarked(found: dict[str, float], remarks: list[str]) -> None:
    assert remarks == guard.judge({"a": 1.0}, found)


def test_the_table_has_a_row_for_every_target() -> None:
    found: dict[str, Any] = {"results": {}}
    for _, (group, row, name), *_ in page.TARGETS:
        found["results"].setdefault(group, {}).setdefault(row, {})[name] = 1.0
    assert len(page.TARGETS) + 2 == len(page.table(found).splitlines())
