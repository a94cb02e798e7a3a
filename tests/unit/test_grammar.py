"""The canonical grammar: what folds, what is refused."""

import pytest

from core.canonical import (
    BlockCitation,
    BlockDelta,
    BlockOpaque,
    BlockStart,
    BlockStop,
    Citation,
    Image,
    MessageStart,
    MessageStop,
    Opaque,
    Refusal,
    Reply,
    StreamEvent,
    Text,
    Thinking,
    ToolUse,
    Usage,
)
from core.grammar import GrammarError, fold, unfold

START = MessageStart("m1", "model")
STOP = MessageStop("end_turn", Usage(3, 4))
SIGNATURE = Opaque("messages", "sig")


def test_deltas_fold_into_their_blocks() -> None:
    events: list[StreamEvent] = [
        START,
        BlockStart(0, Thinking("")),
        BlockDelta(0, "hm"),
        BlockOpaque(0, SIGNATURE),
        BlockStop(0),
        BlockStart(1, Text("a")),
        BlockDelta(1, "b"),
        BlockCitation(1, Citation(url="u")),
        BlockDelta(1, "c"),
        BlockStop(1),
        BlockStart(2, ToolUse("c1", "f", "")),
        BlockDelta(2, '{"x":'),
        BlockDelta(2, "1}"),
        BlockStop(2),
        STOP,
    ]
    expected = Reply(
        id="m1",
        model="model",
        content=(Thinking("hm", SIGNATURE), Text("abc", (Citation(url="u"),)), ToolUse("c1", "f", '{"x":1}')),
        stop_reason="end_turn",
        usage=Usage(3, 4),
    )
    assert expected == fold(events)


def test_a_complete_reply_unfolds_to_a_legal_stream() -> None:
    reply = Reply(id="m", model="x", content=(Text("a"), Refusal("no")), stop_reason="refusal")
    assert reply == fold(unfold(reply))


@pytest.mark.parametrize(
    "events",
    [
        [],
        [START],
        [STOP],
        [START, START, STOP],
        [START, STOP, STOP],
        [START, STOP, BlockStart(0, Text(""))],
        [BlockStart(0, Text(""))],
        [START, BlockStart(1, Text(""))],
        [START, BlockStart(0, Text("")), BlockStart(1, Text(""))],
        [START, BlockStart(0, Text("")), STOP],
        [START, BlockStart(0, Text("")), BlockDelta(1, "x")],
        [START, BlockDelta(0, "x")],
        [START, BlockStop(0)],
        [START, BlockStart(0, Image(url="u")), BlockDelta(0, "x")],
        [START, BlockStart(0, Text("")), BlockOpaque(0, SIGNATURE)],
        [START, BlockStart(0, Thinking("")), BlockCitation(0, Citation())],
        [START, BlockStart(0, Text("")), BlockStop(0), BlockStart(0, Text("")), BlockStop(0), STOP],
    ],
    ids=repr,
)
def test_an_illegal_order_is_refused(events: list[StreamEvent]) -> None:
    with pytest.raises(GrammarError):
        fold(events)
