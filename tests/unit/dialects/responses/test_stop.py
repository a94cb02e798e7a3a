import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.canonical import (
    BlockDelta,
    BlockStart,
    BlockStop,
    Citation,
    MessageStart,
    MessageStop,
    Reply,
    StreamEvent,
    Text,
    Thinking,
    ToolUse,
    Usage,
)
from core.grammar import fold, unfold
from core.stop import StopCutter

COUNT = Usage(5, 3)


def stream(*blocks: tuple[object, list[str]]) -> list[StreamEvent]:
    events: list[StreamEvent] = [MessageStart("id", "m")]
    for index, (block, deltas) in enumerate(blocks):
        events += [
            BlockStart(index, block),
            *[BlockDelta(index, delta) for delta in deltas],
            BlockStop(index),
        ]  # type: ignore[arg-type]
    return [*events, MessageStop("end_turn", COUNT)]


def cut(events: list[StreamEvent], *stops: str) -> Reply:
    cutter = StopCutter(stops)
    return fold(passed for event in events for passed in cutter.feed(event))


def test_text_ends_before_the_stop_sequence() -> None:
    """AC-25."""
    reply = cut(stream((Text(""), ["one E", "ND two"]), (ToolUse("c", "f", "{}"), [])), "END")
    assert reply == Reply(
        id="id",
        model="m",
        content=(Text("one "),),
        stop_reason="stop_sequence",
        stop_sequence="END",
        usage=COUNT,
    )


def test_what_only_began_like_a_stop_sequence_is_passed_on() -> None:
    reply = cut(stream((Text(""), ["one E", "N", "de"]), (Text(""), ["EN"])), "END")
    assert (reply.content, reply.stop_reason) == ((Text("one ENde"), Text("EN")), "end_turn")


def test_only_visible_text_is_cut() -> None:
    events = stream((Thinking(""), ["END"]), (ToolUse("c", "f", ""), ['"END"']), (Text("a"), ["b"]))
    assert cut(events, "END") == fold(events)


def test_nothing_to_stop_at_changes_nothing() -> None:
    events = stream((Text("x", (Citation("u"),)), ["y"]))
    cutter = StopCutter(("",))
    assert [passed for event in events for passed in cutter.feed(event)] == events


def test_upstream_may_be_left_at_once() -> None:
    cutter = StopCutter(("END",))
    events = [passed for event in stream((Text(""), ["a END"]))[:3] for passed in cutter.feed(event)]
    assert (cutter.hit, events[-1]) == ("END", BlockStop(0))
    assert cutter.finish(COUNT) == [MessageStop("stop_sequence", COUNT, "END")]
    assert cutter.finish(COUNT) + cutter.feed(MessageStop("end_turn", COUNT)) == []


def test_a_complete_reply_is_cut_alike() -> None:
    reply = Reply(
        id="", model="m", content=(Text("aXb", (Citation("u"),)), Text("c")), stop_reason="end_turn"
    )
    assert cut([*unfold(reply)], "X").content == (Text("a"),)
    assert cut([*unfold(reply)], "Z") == reply


@settings(max_examples=200, deadline=None)
@given(
    text=st.text("abc", max_size=12),
    stops=st.lists(st.text("abc", min_size=1, max_size=4), max_size=3),
    data=st.data(),
)
def test_the_cut_does_not_depend_on_the_deltas(text: str, stops: list[str], data: st.DataObject) -> None:
    """AC-66."""
    places = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    deltas = [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]
    whole = cut(stream((Text(""), [text])), *stops)
    assert cut(stream((Text(""), deltas)), *stops) == whole
    assert not any(stop in block.text for stop in stops for block in whole.content if isinstance(block, Text))


@pytest.mark.parametrize("hit", [True, False])
def test_the_stop_reason_tells_the_sequence(hit: bool) -> None:  # noqa: FBT001 - a test's parameter
    reply = cut(stream((Text(""), ["stop" if hit else "go"])), "stop")
    assert (reply.stop_reason, reply.stop_sequence) == (
        ("stop_sequence", "stop") if hit else ("end_turn", None)
    )
