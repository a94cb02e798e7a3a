"""A search result that upstream left empty is told after the answer, with what the answer cites."""

import pytest

from core.canonical import (
    BlockCitation,
    BlockDelta,
    BlockStart,
    BlockStop,
    Citation,
    MessageStart,
    MessageStop,
    Reply,
    ServerToolResult,
    ServerToolUse,
    StreamEvent,
    Text,
    Usage,
)
from core.grammar import fold, unfold
from core.search_sources import SourcingDecoder

PAGE = Citation("https://example.com/a", "A", start=1, end=3)
OTHER = Citation("https://example.com/b", "B")
FIRST, SECOND = ServerToolUse("s1", "web_search", "{}"), ServerToolUse("s2", "web_search", "{}")


class Played:
    """A decoder whose every chunk is one event; the last one comes with the close."""

    def __init__(self, events: list[StreamEvent]) -> None:
        self._events = events

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        return [self._events.pop(0)] if chunk else []

    def close(self) -> list[StreamEvent]:
        return self._events


def told(events: list[StreamEvent]) -> list[StreamEvent]:
    decoder = SourcingDecoder(Played(list(events)))
    heard: list[StreamEvent] = []
    for _ in events[:-1]:
        heard += decoder.feed(b"x")
    return heard + decoder.close()


def reply(*content: object) -> Reply:
    return Reply(id="r", model="m", content=content, stop_reason="end_turn")  # type: ignore[arg-type] - blocks


def test_an_empty_result_takes_the_citations_of_the_answer() -> None:
    events: list[StreamEvent] = [
        MessageStart("r", "m"),
        BlockStart(0, FIRST), BlockStop(0),
        BlockStart(1, ServerToolResult("s1", "web_search")), BlockStop(1),
        BlockStart(2, Text("")), BlockDelta(2, "words"), BlockCitation(2, PAGE), BlockCitation(2, PAGE), BlockStop(2),
        BlockStart(3, Text("more", (OTHER, Citation(cited_text="no address")))), BlockStop(3),
        MessageStop("end_turn", Usage()),
    ]  # fmt: skip
    found = (Citation(PAGE.url, "A"), Citation(OTHER.url, "B"))
    assert reply(
        FIRST,
        Text("words", (PAGE, PAGE)),
        Text("more", (OTHER, Citation(cited_text="no address"))),
        ServerToolResult("s1", "web_search", found),
    ) == fold(told(events))


def test_of_several_empty_results_the_last_one_takes_all() -> None:
    empty = [ServerToolResult(name, "web_search") for name in ("s1", "s2")]
    given = reply(FIRST, empty[0], SECOND, empty[1], Text("words", (PAGE,)))
    last = ServerToolResult("s2", "web_search", (Citation(PAGE.url, "A"),))
    expected = reply(FIRST, SECOND, Text("words", (PAGE,)), empty[0], last)
    assert expected == fold(told(list(unfold(given))))


@pytest.mark.parametrize(
    "result",
    [
        ServerToolResult("s1", "web_search", (OTHER,)),
        ServerToolResult("s1", "web_search", error_code="unavailable"),
    ],
)
def test_a_result_that_says_something_stays_where_it_is(result: ServerToolResult) -> None:
    events = list(unfold(reply(FIRST, result, Text("words", (PAGE,)))))
    assert events == told(events)


def test_an_answer_without_a_search_is_not_touched() -> None:
    events = list(unfold(reply(Text("words", (PAGE,)))))
    assert events == told(events)


def test_an_answer_that_cites_nothing_leaves_the_result_empty() -> None:
    given = reply(FIRST, ServerToolResult("s1", "web_search"))
    assert given == fold(told(list(unfold(given))))
