import pytest

from core.canonical import (
    BlockDelta,
    BlockStart,
    BlockStop,
    Citation,
    Compaction,
    MessageStart,
    MessageStop,
    Native,
    Opaque,
    Refusal,
    ServerToolResult,
    ServerToolUse,
    Text,
    Thinking,
    ToolUse,
    Usage,
)
from core.dialects.responses import RESPONSES
from core.errors import GatewayError, UpstreamProtocolError
from tests.unit.dialects.responses.shapes import (
    SIZES,
    added,
    call,
    completed,
    created,
    decode,
    decode_reply,
    done,
    message,
    response,
    said,
    sse,
)

WHOLE = Usage(100, 9, 40, 7, 3)
HELLO = sse(
    created(),
    added(0, id="msg_1", type="message", role="assistant", content=[]),
    said("content_part.added", 0, "msg_2", part={"type": "output_text", "text": ""}),
    said("output_text.delta", 0, "msg_3", delta="Hé"),
    {"type": "keepalive"},
    said("output_text.delta", 0, "msg_4", delta="llo"),
    said("output_text.done", 0, "msg_5", text="Héllo"),
    said("content_part.done", 0, "msg_6", part={"type": "output_text", "text": "Héllo", "annotations": []}),
    done(0, **message("Héllo", "msg_7")),
    completed(message("Héllo", "msg_8")),
    done=True,
)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_text_comes_the_same_however_the_bytes_are_cut(size: int | None, line_end: bytes) -> None:
    """AC-66."""
    assert decode(HELLO.replace(b"\n", line_end), size) == [
        MessageStart("resp_up", "gpt-5.5-2026"),
        BlockStart(0, Text("")),
        BlockDelta(0, "Hé"),
        BlockDelta(0, "llo"),
        BlockStop(0),
        MessageStop("end_turn", WHOLE, raw="completed"),
    ]


def test_what_only_the_done_events_say_is_told() -> None:
    """litellm#25321: arguments or text may be streamed in part, or not at all."""
    stream = sse(
        created(),
        added(0, id="msg_1", type="message"),
        said("output_text.delta", 0, delta="one "),
        said("output_text.done", 0, text="one two "),
        done(0, **message("one two three")),
        added(1, id="fc_1", type="function_call", call_id="call_1", name="f", arguments=""),
        said("function_call_arguments.delta", 1, delta='{"a"'),
        said("function_call_arguments.done", 1, arguments='{"a":1'),
        done(1, **call("f", '{"a":1}')),
        added(2, id="fc_2", type="function_call", call_id="call_2", name="g", arguments=""),
        done(2, **call("g", '{"b":2}', "call_2")),
        added(3, id="fc_3", type="function_call", call_id="call_3", name="h", arguments='{"c":3}'),
        completed(),
    )
    assert decode_reply(stream).content == (
        Text("one two three"),
        ToolUse("call_1", "f", '{"a":1}'),
        ToolUse("call_2", "g", '{"b":2}'),
        ToolUse("call_3", "h", '{"c":3}'),
    )


def test_a_call_without_arguments_has_an_empty_object() -> None:
    """AC-18."""
    stream = sse(created(), added(0, id="fc_1", type="function_call", call_id="c", name="f"), completed())
    reply = decode_reply(stream)
    assert (reply.content, reply.stop_reason) == ((ToolUse("c", "f", "{}"),), "tool_use")


def test_items_that_only_the_final_response_holds_are_told() -> None:
    stream = sse(created(), completed(message("late"), call("f", "{}")))
    assert decode_reply(stream).content == (Text("late"), ToolUse("call_1", "f", "{}"))


def test_interleaved_calls_come_one_after_another() -> None:
    """AC-02."""
    stream = sse(
        created(),
        added(0, id="fc_1", type="function_call", call_id="a", name="f"),
        added(1, id="fc_2", type="function_call", call_id="b", name="g"),
        said("function_call_arguments.delta", 0, delta='{"x"'),
        said("function_call_arguments.delta", 1, delta='{"y"'),
        said("function_call_arguments.delta", 0, delta=":1}"),
        said("function_call_arguments.delta", 1, delta=":2}"),
        done(1, **call("g", '{"y":2}', "b")),
        done(0, **call("f", '{"x":1}', "a")),
        completed(call("f", '{"x":1}', "a"), call("g", '{"y":2}', "b")),
    )
    assert decode_reply(stream).content == (ToolUse("a", "f", '{"x":1}'), ToolUse("b", "g", '{"y":2}'))


def test_a_delta_before_its_item_is_kept() -> None:
    stream = sse(
        created(), said("output_text.delta", 0, delta="early"), done(0, **message("early bird")), completed()
    )
    assert decode_reply(stream).content == (Text("early bird"),)


def test_reasoning_keeps_the_first_id_with_the_last_ciphertext() -> None:
    stream = sse(
        created(),
        added(0, id="rs_first", type="reasoning", summary=[], encrypted_content="early"),
        said(
            "reasoning_summary_part.added",
            0,
            "rs_2",
            summary_index=0,
            part={"type": "summary_text", "text": ""},
        ),
        said("reasoning_summary_text.delta", 0, "rs_3", summary_index=0, delta="One"),
        said("reasoning_summary_text.done", 0, "rs_4", summary_index=0, text="One."),
        said("reasoning_summary_text.delta", 0, "rs_5", summary_index=1, delta="Two"),
        done(
            0,
            id="rs_6",
            type="reasoning",
            summary=[{"text": "One."}, {"text": "Two"}],
            encrypted_content="final",
        ),
        completed(),
    )
    opaque = Opaque("responses", "final", "rs_first", "me")
    assert decode_reply(stream, scope="me").content == (Thinking("One.\n\nTwo", opaque),)


def test_a_summary_that_is_only_in_the_done_item_is_told() -> None:
    item = {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "Late"}]}
    stream = sse(created(), added(0, **{**item, "summary": []}), done(0, **item), completed())
    assert decode_reply(stream).content == (Thinking("Late"),)


def test_raw_reasoning_text_is_thinking() -> None:
    stream = sse(
        created(),
        added(0, id="rs_1", type="reasoning"),
        said("reasoning_text.delta", 0, delta="hm"),
        said("reasoning_text.done", 0, text="hmm"),
        done(0, id="rs_1", type="reasoning", summary=[], content=[{"type": "reasoning_text", "text": "hmm"}]),
        completed(),
    )
    assert decode_reply(stream).content == (Thinking("hmm"),)


def test_a_refusal_is_told_as_one() -> None:
    part = {"type": "refusal", "refusal": "No, sorry"}
    stream = sse(
        created(),
        added(0, id="msg_1", type="message"),
        said("refusal.delta", 0, delta="No"),
        said("refusal.done", 0, refusal="No, sorry"),
        done(0, **message("", content=[part])),
        completed(),
    )
    reply = decode_reply(stream)
    assert (reply.content, reply.stop_reason) == ((Refusal("No, sorry"),), "refusal")


def test_citations_are_told_once() -> None:
    note = {
        "type": "url_citation",
        "url": "https://a.example",
        "title": "A",
        "start_index": 0,
        "end_index": 4,
    }
    other = {"type": "file_citation", "file_id": "file_1", "filename": "f", "index": 1}
    part = {"type": "output_text", "text": "text", "annotations": [note, other]}
    stream = sse(
        created(),
        added(0, id="msg_1", type="message", phase="commentary"),
        said("output_text.delta", 0, delta="text"),
        said("output_text.annotation.added", 0, annotation_index=0, annotation=note),
        said("content_part.done", 0, part=part),
        done(0, **message("text", content=[part], phase="commentary")),
        completed(),
    )
    (text,) = decode_reply(stream).content
    assert isinstance(text, Text)
    assert text.phase == "commentary"
    assert text.citations[0] == Citation("https://a.example", "A", start=0, end=4)
    assert [citation.native is None for citation in text.citations] == [True, False]


def test_a_hosted_search_is_a_call_with_its_sources() -> None:
    action = {"type": "search", "query": "cats", "sources": [{"type": "url", "url": "https://c.example"}]}
    item = {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": action}
    stream = sse(
        created(),
        added(0, id="ws_0", type="web_search_call", status="in_progress"),
        said("web_search_call.searching", 0),
        done(0, **item),
        completed(item),
    )
    use, result = decode_reply(stream).content
    assert isinstance(use, ServerToolUse)
    assert (use.call_id, use.name, use.arguments) == ("ws_0", "web_search", '{"query":"cats"}')
    assert result == ServerToolResult("ws_0", "web_search", (Citation("https://c.example"),))


def test_custom_calls_compactions_and_unknown_items_are_kept() -> None:
    custom = {
        "id": "ctc_1",
        "type": "custom_tool_call",
        "call_id": "c",
        "name": "patch",
        "input": "*** Begin",
    }
    stream = sse(
        created(),
        added(0, **{**custom, "input": ""}),
        said("custom_tool_call_input.delta", 0, delta="*** "),
        done(0, **custom),
        done(1, id="cmp_1", type="compaction", encrypted_content="zip"),
        done(2, id="ts_1", type="tool_search_call", arguments={}),
        completed(),
    )
    assert decode_reply(stream).content == (
        ToolUse("c", "patch", "*** Begin", custom=True),
        Compaction(Opaque("responses", "zip", "cmp_1")),
        Native(
            "responses", "tool_search_call", b'{"id": "ts_1", "type": "tool_search_call", "arguments": {}}'
        ),
    )


def test_a_namespace_becomes_part_of_the_name() -> None:
    stream = sse(created(), done(0, **call("read", "{}", namespace="files")), completed())
    assert decode_reply(stream).content == (ToolUse("call_1", "files__read", "{}", namespace="files"),)


@pytest.mark.parametrize(
    ("reason", "stop"),
    [
        ("max_output_tokens", "max_tokens"), ("content_filter", "refusal"), ("odd", "max_tokens"), (None, "max_tokens"),
    ],
)  # fmt: skip
def test_an_incomplete_answer_says_why(reason: str | None, stop: str) -> None:
    """AC-06."""
    event = {
        "type": "response.incomplete",
        "response": response("incomplete", incomplete_details={"reason": reason}),
    }
    assert decode_reply(sse(created(), event)).stop_reason == stop


def test_a_cut_call_is_kept_when_the_answer_was_cut() -> None:
    """AC-19."""
    stream = sse(
        created(),
        added(0, id="fc_1", type="function_call", call_id="c", name="f"),
        said("function_call_arguments.delta", 0, delta='{"a'),
        {
            "type": "response.incomplete",
            "response": response("incomplete", incomplete_details={"reason": "max_output_tokens"}),
        },
    )
    reply = decode_reply(stream)
    assert (reply.content, reply.stop_reason) == ((ToolUse("c", "f", '{"a'),), "max_tokens")


def test_a_call_that_a_filter_cut_is_an_error() -> None:
    """AC-19: a client that was told of a filter would not know that the call is half of one."""
    stream = sse(
        created(),
        added(0, id="fc_1", type="function_call", call_id="c", name="f"),
        said("function_call_arguments.delta", 0, delta='{"a'),
        {
            "type": "response.incomplete",
            "response": response("incomplete", incomplete_details={"reason": "content_filter"}),
        },
    )
    with pytest.raises(UpstreamProtocolError, match="not a JSON object"):
        decode_reply(stream)


@pytest.mark.parametrize("arguments", ['{"a', "[1]", "null", '"x"'])
def test_broken_arguments_of_a_finished_answer_are_an_error(arguments: str) -> None:
    """AC-19, AC-23."""
    with pytest.raises(UpstreamProtocolError, match="not a JSON object"):
        decode_reply(sse(created(), done(0, **call("f", arguments)), completed()))


def test_a_call_that_never_gets_a_name_is_an_error() -> None:
    stream = sse(created(), said("function_call_arguments.delta", 0, delta="{}"), completed())
    with pytest.raises(UpstreamProtocolError, match="name"):
        decode_reply(stream)


@pytest.mark.parametrize(
    "event",
    [
        {
            "type": "response.failed",
            "response": response("failed", error={"code": "rate_limit_exceeded", "message": "slow"}),
        },
        {"type": "error", "code": "rate_limit_exceeded", "message": "slow", "param": None},
        {"type": "error", "error": {"code": "user_global_rate_limited:pro", "message": "slow"}},
    ],
)
def test_upstreams_own_error_keeps_its_kind_and_what_came_before(event: dict[str, object]) -> None:
    """AC-08."""
    decoder = RESPONSES.decoder()
    stream = sse(
        created(), added(0, id="m", type="message"), said("output_text.delta", 0, delta="so far"), event
    )
    assert decoder.feed(stream)[-1] == BlockDelta(0, "so far")
    with pytest.raises(GatewayError) as caught:
        decoder.close()
    assert (caught.value.kind, caught.value.message) == ("rate_limit", "slow")


def test_a_bare_error_object_at_the_end_is_read() -> None:
    stream = sse(created()) + b'{"error":{"code":"model_overloaded","message":"busy"}}'
    with pytest.raises(GatewayError) as caught:
        decode(stream)
    assert caught.value.kind == "overloaded"


@pytest.mark.parametrize("size", SIZES)
def test_a_cut_stream_is_an_error(size: int | None) -> None:
    """AC-05."""
    with pytest.raises(UpstreamProtocolError, match="ended before"):
        decode(HELLO[: HELLO.index(b"event: response.completed")], size)


def test_nothing_after_the_terminal_event_matters() -> None:
    """AC-09."""
    more = sse(completed(message("again"))) + b"data: [DONE]\n\ndata: {broken\n\n"
    assert decode(HELLO + more) == decode(HELLO)


def test_unknown_events_of_any_shape_are_skipped() -> None:
    odd = {"type": "response.sparkle.delta", "delta": {"deep": [1]}, "output_index": "x"}
    assert decode(sse(odd) + HELLO) == decode(HELLO)


def test_a_known_event_of_the_wrong_shape_is_a_protocol_error() -> None:
    with pytest.raises(UpstreamProtocolError, match="broken event"):
        decode(sse(created(), {"type": "response.output_text.delta", "delta": 7, "output_index": 0}))


def test_deep_nesting_is_a_protocol_error() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    with pytest.raises(UpstreamProtocolError):
        decode(
            b'data: {"type":"response.output_item.done","output_index":0,"item":{"type":"x","a":%b}}\n\n'
            % deep
        )


def test_copilots_price_is_read() -> None:
    event = {**completed(message("x")), "copilot_usage": {"total_nano_aiu": 12_000_000}}
    assert decode_reply(sse(created(), event)).usage == Usage(100, 9, 40, 7, 3, 12_000_000)


def test_missing_and_null_usage_is_nothing() -> None:
    """AC-13."""
    bare = {
        "input_tokens": 5,
        "output_tokens": 1,
        "input_tokens_details": None,
        "output_tokens_details": None,
    }
    assert decode_reply(sse(created(), completed(message("x"), usage=None))).usage == Usage()
    assert decode_reply(sse(created(), completed(message("x"), usage=bare))).usage == Usage(5, 1)


def test_a_complete_reply_is_read_like_its_stream() -> None:
    import json

    body = json.dumps(response("completed", [message("hi"), call("f", '{"a":1}')])).encode()
    stream = sse(created(), completed(message("hi"), call("f", '{"a":1}')))
    assert RESPONSES.decode_response(body) == decode_reply(stream)


@pytest.mark.parametrize("reply", [b"", b"[]", b"<html>", b"null", b'{"output":5}'])
def test_what_is_not_a_response_is_a_protocol_error(reply: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        RESPONSES.decode_response(reply)


def test_a_failed_reply_is_its_error() -> None:
    import json

    body = json.dumps(
        response("failed", error={"code": "context_length_exceeded", "message": "long"})
    ).encode()
    with pytest.raises(GatewayError) as caught:
        RESPONSES.decode_response(body)
    assert caught.value.kind == "context_overflow"
