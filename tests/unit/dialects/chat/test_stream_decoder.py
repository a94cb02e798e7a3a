"""Upstream's streams, as bad as they come, to canonical events."""

import pytest

from core.canonical import (
    Block,
    BlockDelta,
    BlockStart,
    BlockStop,
    Citation,
    MessageStart,
    MessageStop,
    Opaque,
    Refusal,
    Reply,
    Text,
    Thinking,
    ToolUse,
    Usage,
)
from core.dialects.chat import CHAT
from core.errors import GatewayError, UpstreamProtocolError
from core.grammar import fold
from tests.unit.dialects.chat.wire import (
    DONE,
    SIZES,
    call,
    calls,
    chunk,
    decode,
    event,
    finish,
    split,
    text,
    usage,
)

WEATHER = ToolUse("a", "weather", '{"city":"Rome"}')
TIME = ToolUse("b", "time", '{"zone":1}')


def reply_of(*events: bytes, done: bool = True) -> Reply:
    stream = b"".join(events) + (DONE if done else b"")
    whole = fold(decode(stream))
    for size in SIZES:
        assert whole == fold(decode(stream, size))
        assert whole == fold(decode(stream.replace(b"\n", b"\r\n"), size))
    return whole


def content_of(*events: bytes) -> tuple[Block, ...]:
    return reply_of(*events).content


def failure_of(*events: bytes) -> GatewayError:
    stream = b"".join(events)
    found = []
    for size in SIZES:
        with pytest.raises(GatewayError) as caught:
            decode(stream, size)
        found.append((caught.value.kind, caught.value.message, caught.value.code))
    assert len(set(found)) == 1
    return caught.value


def test_text_streams_as_one_block() -> None:
    assert [
        MessageStart("chatcmpl-1", "upstream-1"),
        BlockStart(0, Text("")),
        BlockDelta(0, "Hel"),
        BlockDelta(0, "lo"),
        BlockStop(0),
        MessageStop("end_turn", Usage(), raw="stop"),
    ] == decode(text("Hel") + text("lo") + finish() + DONE)


def test_usage_after_the_finish_reason_is_reported() -> None:
    """AC-01."""
    reply = reply_of(text("Hi"), finish(), event({"choices": [], "usage": usage()}))
    assert Usage(input_tokens=100, output_tokens=7, cache_read_tokens=40) == reply.usage
    assert reply == reply_of(text("Hi"), finish(), event({"choices": [], "usage": usage()}), done=False)


def test_interleaved_calls_become_one_block_after_the_other() -> None:
    """AC-02."""
    assert (WEATHER, TIME) == content_of(
        calls(call(0, "", call_id="a", name="weather")),
        calls(call(1, "", call_id="b", name="time")),
        calls(call(0, '{"city"')),
        calls(call(1, '{"zo')),
        calls(call(0, ':"Rome"}')),
        calls(call(1, 'ne":1}')),
        finish("tool_calls"),
    )


def test_a_call_is_streamed_as_it_comes_and_the_next_one_once_it_is_whole() -> None:
    decoder = CHAT.decoder()
    decoder.feed(calls(call(0, "", call_id="a", name="weather")))
    assert [BlockStart(0, ToolUse("a", "weather", "")), BlockDelta(0, '{"city"')] == decoder.feed(
        calls(call(0, '{"city"'))
    )
    assert [BlockDelta(0, ':"Rome"}')] == decoder.feed(calls(call(0, ':"Rome"}')))
    assert [BlockStop(0)] == decoder.feed(calls(call(1, call_id="b", name="time")))
    assert [BlockStart(1, ToolUse("b", "time", "")), BlockDelta(1, "{")] == decoder.feed(calls(call(1, "{")))


def test_text_after_a_call_is_a_new_block() -> None:
    """AC-03."""
    assert (Text("Look."), WEATHER, Text("Done.")) == content_of(
        text("Look."),
        calls(call(0, '{"city":"Rome"}', call_id="a", name="weather")),
        text("Do"),
        text("ne."),
        finish("tool_calls"),
    )


def test_text_that_comes_inside_a_call_waits_for_its_end() -> None:
    assert (WEATHER, Text("aside")) == content_of(
        calls(call(0, '{"city"', call_id="a", name="weather")),
        text("aside"),
        calls(call(0, ':"Rome"}')),
        finish("tool_calls"),
    )


def test_all_choices_of_a_chunk_are_one_answer() -> None:
    """AC-04."""
    both = chunk(
        {"content": "Look."}, {"tool_calls": [call(0, '{"city":"Rome"}', call_id="a", name="weather")]}
    )
    reply = reply_of(both, finish("tool_calls"))
    assert ((Text("Look."), WEATHER), "tool_use") == (reply.content, reply.stop_reason)


def test_tool_use_is_never_said_without_a_call() -> None:
    """AC-04."""
    assert reply_of(text("Hi"), finish("tool_calls")).stop_reason == "end_turn"


def test_a_cut_stream_is_an_error() -> None:
    """AC-05."""
    assert failure_of(text("Hi")).kind == "upstream"
    assert failure_of().kind == "upstream"
    assert failure_of(DONE).kind == "upstream"


def test_a_stream_that_is_done_without_a_reason_is_judged_by_its_content() -> None:
    """AC-05: [DONE] was seen, so nothing is missing but the word."""
    assert reply_of(text("Hi")).stop_reason == "end_turn"
    assert reply_of(calls(call(0, '{"city":"Rome"}', call_id="a", name="weather"))).stop_reason == "tool_use"
    assert failure_of(calls(call(0, '{"city":', call_id="a", name="weather")), DONE).kind == "upstream"


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("content_filter", "refusal"),
        ("refusal", "refusal"),
        ("function_call", "end_turn"),
        ("weird", "end_turn"),
    ],
)
def test_finish_reasons_of_plain_text(word: str, expected: str) -> None:
    """AC-06, AC-12."""
    stop = decode(text("Hi") + finish(word) + DONE)[-1]
    assert isinstance(stop, MessageStop)
    assert (expected, word) == (stop.stop_reason, stop.raw)


@pytest.mark.parametrize("word", ["stop", "weird", "tool_calls", "function_call"])
def test_calls_make_it_tool_use_whatever_upstream_says(word: str) -> None:
    """AC-12, AC-24."""
    piece = calls(call(0, '{"city":"Rome"}', call_id="a", name="weather"))
    assert reply_of(piece, finish(word)).stop_reason == "tool_use"


@pytest.mark.parametrize("word", ["error", "server_error"])
def test_a_failed_answer_is_an_error(word: str) -> None:
    assert failure_of(text("Hi"), finish(word), DONE).code == word


@pytest.mark.parametrize(
    "name", ["reasoning_text", "reasoning_content", "reasoning", "thinking", "cot_summary"]
)
def test_thinking_is_known_by_all_its_names(name: str) -> None:
    """AC-07."""
    opaque = "signature" if name == "thinking" else "reasoning_opaque"
    assert (Thinking("Hm, yes", Opaque("chat", "sig", scope="here")), Text("Yes.")) == content_of(
        chunk({name: "Hm, "}),
        chunk({name: "yes"}),
        chunk({opaque: "sig", "content": ""}),
        text("Yes."),
        finish(),
    )


def test_thinking_said_under_two_names_counts_once() -> None:
    assert (Thinking("Hm"),) == content_of(
        chunk({"reasoning_text": "Hm", "reasoning_content": "Hm"}), finish()
    )


def test_an_opaque_value_without_text_is_kept() -> None:
    assert (Text("Hi"), Thinking("", Opaque("chat", "sig", scope="here"))) == content_of(
        text("Hi"), chunk({"reasoning_opaque": "sig"}), finish()
    )


def test_thinking_between_text_and_after_the_finish_is_kept() -> None:
    assert (
        Text("A"),
        Thinking("one"),
        Text("B"),
        Thinking("two", Opaque("chat", "s", scope="here")),
    ) == content_of(
        text("A"),
        chunk({"reasoning_text": "one"}),
        text("B"),
        finish(),
        chunk({"reasoning_text": "two"}),
        chunk({"reasoning_opaque": "s"}),
        chunk({"reasoning_opaque": "s"}),
    )


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        ({"message": "busy", "code": "model_overloaded"}, "overloaded", "model_overloaded"),
        (
            {"message": "slow", "code": "user_global_rate_limited:pro"},
            "rate_limit",
            "user_global_rate_limited:pro",
        ),
        ({"message": "bad", "code": 500}, "upstream", None),
        ({"message": "bad", "code": 429}, "rate_limit", None),
        ({"message": "x", "type": "invalid_request_error"}, "invalid_request", None),
        ("just text", "upstream", None),
        ([], "upstream", None),
        ({"message": {"deep": 1}, "code": ["x"]}, "upstream", None),
    ],
)
def test_an_error_chunk_is_upstreams_error(error: object, kind: str, code: str | None) -> None:
    """AC-08."""
    found = failure_of(text("Hi"), event({"error": error}), DONE)
    assert (kind, code) == (found.kind, found.code)


def test_a_prompt_that_is_too_long_is_known_by_its_numbers() -> None:
    message = "prompt token count of 130000 exceeds the limit of 128000"
    found = failure_of(event({"error": {"message": message, "code": ""}}))
    assert ("context_overflow", 130000, 128000) == (found.kind, found.tokens, found.limit)


def test_copilot_errors_and_a_bare_error_at_the_end_are_errors() -> None:
    """AC-08."""
    assert (
        failure_of(event({"copilot_errors": [{"code": "rate_limited", "message": "m"}]})).kind == "rate_limit"
    )
    assert failure_of(text("Hi"), b'{"error":{"message":"m","code":"overloaded"}}').kind == "overloaded"
    assert "".join(text_of(reply_of(event({"copilot_errors": []}), text("Hi"), finish()))) == "Hi"


def test_skipped_reference_does_not_end_the_answer() -> None:
    """GitHub's documentation of extensions: errors of these types accompany an answer."""
    notes = [{"type": "reference", "code": "not_available", "message": "m"}, {"type": "function"}]
    assert "".join(text_of(reply_of(event({"copilot_errors": notes}), text("Hi"), finish()))) == "Hi"
    odd = [*notes, {"type": [], "code": "overloaded"}]
    assert failure_of(event({"copilot_errors": odd})).kind == "overloaded"


def text_of(reply: Reply) -> list[str]:
    return [block.text for block in reply.content if isinstance(block, Text)]


def test_a_finish_said_twice_is_one_end() -> None:
    """AC-09."""
    events = decode(
        text("Hi") + finish() + finish("length") + finish() + DONE + DONE + text("late") + finish()
    )
    assert [MessageStop("max_tokens", Usage(), raw="length")] == [
        e for e in events if isinstance(e, MessageStop)
    ]
    assert events[-1] == MessageStop("max_tokens", Usage(), raw="length")


def test_a_first_chunk_with_filter_results_only_says_nothing() -> None:
    """AC-10."""
    first = event({"choices": [], "created": 0, "id": "", "prompt_filter_results": [{"prompt_index": 0}]})
    assert [] == CHAT.decoder().feed(first)
    assert reply_of(first, text("Hi"), finish()).id == "chatcmpl-1"


def test_a_block_opens_when_id_and_name_are_known() -> None:
    """AC-11."""
    assert (WEATHER,) == content_of(
        calls(call(0, call_id="a")),
        calls(call(0, '{"city":')),
        calls(call(0, name="weather")),
        calls(call(0, '"Rome"}')),
        finish("tool_calls"),
    )
    assert (WEATHER,) == content_of(
        calls(call(0, '{"city":', name="weather")),
        calls(call(0, '"Rome"}', call_id="a")),
        finish("tool_calls"),
    )


def test_null_is_no_surprise() -> None:
    """AC-13, AC-16."""
    reply = reply_of(
        event({"id": None, "model": None, "choices": None, "usage": None}),
        chunk({"content": None, "role": None, "tool_calls": None, "reasoning_text": None}, usage=None),
        chunk(None),
        text("Hi", usage={"prompt_tokens": 5, "completion_tokens": None, "prompt_tokens_details": None}),
        event({"model": "m"}),
        finish(),
    )
    assert ((Text("Hi"),), Usage(input_tokens=5)) == (reply.content, reply.usage)


def test_usage_that_makes_no_sense_does_not_stop_an_answer() -> None:
    """AC-13."""
    assert Usage() == reply_of(text("Hi"), finish(usage={"prompt_tokens": "many"}, copilot_usage=[1])).usage


def test_copilots_price_is_kept() -> None:
    reply = reply_of(text("Hi"), finish(usage=usage(), copilot_usage={"total_nano_aiu": 12}))
    assert reply.usage.nano_credits == 12


@pytest.mark.parametrize("index", [0, None])
def test_an_id_said_with_every_piece_is_one_call(index: int | None) -> None:
    """AC-14."""
    assert (WEATHER, TIME) == content_of(
        calls(call(index, '{"city"', call_id="a", name="weather")),
        calls(call(index, ':"Rome"}', call_id="a")),
        calls(call(index, '{"zone"', call_id="b", name="time")),
        calls(call(index, ":1}", call_id="b")),
        finish("stop"),
    )


def test_parallel_calls_may_share_an_index() -> None:
    """AC-14: Gemini numbers all its calls 0."""
    assert (WEATHER, TIME) == content_of(
        calls(
            call(0, '{"city":"Rome"}', call_id="a", name="weather"),
            call(0, '{"zone":1}', call_id="b", name="time"),
        ),
        finish("stop"),
    )


def test_pieces_without_index_and_id_go_to_the_last_call() -> None:
    """AC-14."""
    assert (WEATHER, TIME) == content_of(
        calls(call(None, '{"city"', call_id="a", name="weather")),
        calls(call(None, ':"Rome"}')),
        calls(call(None, '{"zone"', call_id="b", name="time")),
        calls(call(None, ":1}")),
        finish("stop"),
    )


def test_calls_without_index_and_id_are_told_apart_by_their_names() -> None:
    """AC-14."""
    found = content_of(
        calls(call(None, '{"city"', name="weather")),
        calls(call(None, ':"Rome"}', name="weather")),
        calls(call(None, '{"city":"Bonn"}', name="weather")),
        calls(call(None, '{"zone":1}', name="time")),
        finish("stop"),
    )
    assert [("weather", '{"city":"Rome"}'), ("weather", '{"city":"Bonn"}'), ("time", '{"zone":1}')] == [
        (block.name, block.arguments) for block in found if isinstance(block, ToolUse)
    ]


def test_a_call_without_an_id_gets_the_same_one_every_time() -> None:
    stream = [calls(call(0, "{}", name="weather")), finish()]
    (block,) = content_of(*stream)
    assert isinstance(block, ToolUse)
    assert ("weather", "{}", True) == (block.name, block.arguments, block.call_id.startswith("call_"))


def test_only_a_finish_is_an_empty_answer() -> None:
    """AC-15."""
    reply = reply_of(finish("length"))
    assert ((), "max_tokens") == (reply.content, reply.stop_reason)


def test_a_call_without_arguments_has_an_empty_object() -> None:
    """AC-18."""
    assert (ToolUse("a", "weather", "{}"), ToolUse("b", "time", "{}")) == content_of(
        calls(call(0, "", call_id="a", name="weather")),
        calls(call(1, call_id="b", name="time")),
        finish("tool_calls"),
    )


@pytest.mark.parametrize("arguments", ['{"city":', "[1]", "Rome", '"x"', "{}{}", "[" * 20000])
def test_arguments_that_are_no_object_are_an_error(arguments: str) -> None:
    """AC-19, AC-23."""
    piece = calls(call(0, arguments, call_id="a", name="weather"))
    assert failure_of(text("Hi"), piece, finish("tool_calls"), DONE).kind == "upstream"


def test_a_call_that_the_limit_cut_before_its_arguments_is_left_out() -> None:
    """AC-19."""
    reply = reply_of(text("Hi"), calls(call(0, "", call_id="a", name="weather")), finish("length"))
    assert ((Text("Hi"),), "max_tokens") == (reply.content, reply.stop_reason)
    later = calls(call(1, '{"zo', call_id="b", name="time"))
    first = calls(call(0, '{"city":"Rome"', call_id="a", name="weather"))
    assert (ToolUse("a", "weather", '{"city":"Rome"'),) == content_of(first, later, finish("length"))


def test_a_call_that_is_never_named_is_an_error() -> None:
    assert failure_of(calls(call(0, "{}", call_id="a")), finish("tool_calls"), DONE).kind == "upstream"


def test_a_call_that_goes_on_after_its_end_is_an_error() -> None:
    whole = calls(call(0, '{"city":"Rome"}', call_id="a", name="weather"))
    other = calls(call(1, "", call_id="b", name="time"))
    assert failure_of(whole, other, calls(call(0, "x")), finish(), DONE).kind == "upstream"
    assert content_of(whole, other, calls(call(0, " ")), finish())[0] == WEATHER


def test_a_refusal_is_a_block_and_a_stop_reason() -> None:
    """AC-06."""
    reply = reply_of(chunk({"refusal": "I "}), chunk({"refusal": "won't"}), finish())
    assert ((Refusal("I won't"),), "refusal") == (reply.content, reply.stop_reason)


def test_citations_belong_to_the_text() -> None:
    url = {"url": "https://x", "title": "X", "start_index": 0, "end_index": 2}
    code = {
        "IPCodeCitations": [{"citations": {"url": "https://c", "license": "MIT", "snippet": "s"}}, {}, None][
            :2
        ]
    }
    cited = Citation("https://x", "X", start=0, end=2)
    noted = {"annotations": [{"type": "url_citation", "url_citation": url}, 7], "copilot_annotations": code}
    expected = Text("Hi", citations=(cited, Citation("https://c", "MIT", "s")))
    assert (expected,) == content_of(text("Hi"), chunk(noted), finish())
    assert (expected,) == content_of(chunk(noted), text("Hi"), finish())


def test_the_legacy_function_call_is_a_call() -> None:
    (block,) = content_of(
        chunk({"function_call": {"name": "weather", "arguments": '{"city"'}}),
        chunk({"function_call": {"arguments": ':"Rome"}'}}),
        finish("function_call"),
    )
    assert isinstance(block, ToolUse)
    assert ("weather", '{"city":"Rome"}') == (block.name, block.arguments)


def test_comments_blank_data_and_split_characters_are_no_trouble() -> None:
    """AC-66."""
    stream = [b": hi\n\ndata:\n\ndata: \n\nid: 3\nretry: 5\n", text("ä€𝄞\u2028"), b"\n\n: x\n", finish()]
    assert (Text("ä€𝄞\u2028"),) == content_of(*stream)


def test_a_whole_reply_in_the_stream_is_read() -> None:
    whole = {"choices": [{"message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}]}
    assert (Text("Hi"),) == content_of(event(whole))


@pytest.mark.parametrize(
    "junk",
    [b"data: nonsense\n\n", b"data: 7\n\n", b'data: {"choices":7}\n\n', b"data: " + b"[" * 9000 + b"\n\n"],
)
def test_what_is_no_chunk_is_a_broken_protocol(junk: bytes) -> None:
    failure = failure_of(text("Hi"), junk, finish(), DONE)
    assert isinstance(failure, UpstreamProtocolError)


def test_events_before_an_error_are_delivered_first() -> None:
    decoder = CHAT.decoder()
    stream = text("Hi") + event({"error": {"message": "m"}})
    assert BlockDelta(0, "Hi") == decoder.feed(stream)[-1]
    with pytest.raises(GatewayError, match="m"):
        decoder.feed(b"")


@pytest.mark.parametrize("size", SIZES)
def test_nothing_comes_after_the_end(size: int | None) -> None:
    decoder = CHAT.decoder()
    decoder.feed(text("Hi") + finish() + DONE)
    late = b"data: junk\n\n" + event({"error": {}}) + DONE
    assert [] == [event for piece in split(late, size) for event in decoder.feed(piece)] + decoder.close()


def test_the_call_of_a_custom_tool_is_free_text() -> None:
    begun = {"index": 0, "id": "a", "type": "custom", "custom": {"name": "patch", "input": ""}}
    pieces = [calls({"index": 0, "custom": {"input": more}}) for more in ("*** Begin", " Patch")]
    patch = ToolUse("a", "patch", "*** Begin Patch", custom=True)
    time = calls(call(1, '{"zone":1}', call_id="b", name="time"))
    assert (patch, TIME) == content_of(calls(begun), time, *pieces, finish("tool_calls"))
