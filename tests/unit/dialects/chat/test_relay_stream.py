"""Chat streams that pass through."""

import json
from typing import Any

import pytest

from core.canonical import Usage
from core.dialects.chat import CHAT
from core.errors import GatewayError
from tests.grammar.chat import ChatCall, ChatReply, check_chat_stream
from tests.unit.dialects.chat.wire import (
    DONE,
    SIZES,
    call,
    calls,
    chunk,
    echo,
    event,
    finish,
    relayed,
    split,
    text,
    usage,
)

ROLE = chunk({"role": "assistant", "content": ""})
WEATHER = ChatCall("a", "function", "weather", '{"city":"Rome"}')
TIME = ChatCall("b", "function", "time", '{"zone":1}')


def passed(*events: bytes, done: bool = True, asked: bool = False) -> ChatReply:
    stream = b"".join(events) + (DONE if done else b"")
    whole = relayed(stream, echo(include_usage=asked))
    for size in SIZES:
        assert whole == relayed(stream, echo(include_usage=asked), size)
        assert whole == relayed(stream.replace(b"\n", b"\r\n"), echo(include_usage=asked), size)
    return check_chat_stream(whole)


def clean(choice: dict[str, Any], **members: Any) -> bytes:
    ready = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": None, **choice}
    frame = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 5, "model": "asked"}
    return event({**frame, "choices": [ready], "usage": None, **members})


CLEAN = [
    clean({"delta": {"role": "assistant", "content": "", "refusal": None}}),
    clean({"delta": {"content": "Hi \u2028 ä"}}),
    b": keep-alive\n\n",
    clean({"delta": {"tool_calls": [call(0, "", call_id="a", name="f")]}}),
    clean({"delta": {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}}),
    clean({"finish_reason": "tool_calls"}),
    clean({}, choices=[], usage=usage()),
    DONE,
]


@pytest.mark.parametrize("size", SIZES)
def test_a_clean_stream_is_forwarded_byte_for_byte(size: int | None) -> None:
    stream = b"".join(CLEAN)
    assert stream == relayed(stream, echo(include_usage=True), size)


def test_only_the_model_is_replaced() -> None:
    """AC-27."""
    stream = b"".join(CLEAN)
    theirs = stream.replace(b'"model":"asked"', b'"model":"gpt-4.1-2025"')
    assert stream == relayed(theirs, echo(include_usage=True))
    spaced = stream.replace(b'"model":"asked"', b'"model": "gpt-4.1-2025"')
    assert check_chat_stream(stream) == check_chat_stream(relayed(spaced, echo(include_usage=True)))


def test_a_model_name_inside_the_text_stays() -> None:
    said = 'say "model":"upstream-1" and {"model":"upstream-1"}'
    assert said == passed(ROLE, text(said), finish()).text


def test_a_usage_chunk_that_was_not_asked_for_is_kept_for_the_ledger() -> None:
    """AC-01."""
    stream = b"".join([ROLE, text("Hi"), finish(), event({"choices": [], "usage": usage()}), DONE])
    relay = CHAT.relay(echo())
    assert check_chat_stream(relay.feed(stream) + relay.close()).usage is None
    assert Usage(100, 7, 40) == relay.usage
    assert relay.done
    told = passed(ROLE, text("Hi"), finish(), event({"choices": [], "usage": usage()}), asked=True)
    assert usage() == told.usage


@pytest.mark.parametrize("choices", [{"choices": None}, {}])
def test_a_usage_chunk_lists_no_choices_whatever_upstream_wrote(choices: dict[str, Any]) -> None:
    """Upstream's may be null or absent; openai's SDKs walk over them."""
    told = event({"id": "chatcmpl-1", **choices, "usage": usage()})
    stream = relayed(ROLE + text("Hi") + finish() + told + DONE, echo(include_usage=True))
    assert usage() == check_chat_stream(stream).usage
    assert [] == json.loads(stream.split(b"\n\n")[-3].removeprefix(b"data: "))["choices"]


def test_copilots_price_is_counted() -> None:
    relay = CHAT.relay(echo())
    relay.feed(ROLE + finish(usage=usage(), copilot_usage={"total_nano_aiu": 12}))
    assert Usage(100, 7, 40, nano_credits=12) == relay.usage


def test_what_the_first_chunks_lack_is_filled_in() -> None:
    """AC-10."""
    first = event({"choices": [], "created": 0, "id": "", "prompt_filter_results": [{"prompt_index": 0}]})
    bare = event({"choices": [{"delta": {"content": "Hi"}}]})
    empty = event(
        {
            "id": "",
            "object": "",
            "created": 0,
            "model": "",
            "choices": [{"index": 0, "delta": {"content": "!"}}],
        }
    )
    told = passed(first, bare, empty, event({"choices": [{"delta": {}, "finish_reason": "stop"}]}))
    assert ("Hi!", "chatcmpl-9", "asked") == (told.text, told.id, told.model)


def test_the_role_is_said_once_and_first() -> None:
    again = chunk({"role": "assistant", "content": "b"})
    assert passed(text("a"), again, chunk({"role": None, "content": "c"}), finish()).text == "abc"


def test_an_id_that_changes_is_held_constant() -> None:
    assert passed(ROLE, text("a", id="other"), finish(id="third")).id == "chatcmpl-1"


def test_all_choices_are_one() -> None:
    """AC-04."""
    weather = call(0, '{"city":"Rome"}', call_id="a", name="weather")
    told = passed(chunk({"content": "Look."}, {"tool_calls": [weather]}, usage=usage()), finish("tool_calls"))
    assert ("Look.", [WEATHER], "tool_calls") == (told.text, told.calls, told.finish_reason)
    split = passed(
        chunk({"content": "Look."}, finish="tool_calls"),
        calls(weather, finish="tool_calls"),
        finish("tool_calls"),
    )
    assert ("Look.", [WEATHER], "tool_calls") == (split.text, split.calls, split.finish_reason)


@pytest.mark.parametrize("first", [0, 1, None])
def test_calls_are_numbered_from_zero_and_named_once(first: int | None) -> None:
    """AC-14."""
    second = None if first is None else first
    told = passed(
        ROLE,
        calls(call(first, '{"city"', call_id="a", name="weather")),
        calls(call(first, ':"Rome"}', call_id="a", name="weather")),
        calls(call(second, '{"zone"', call_id="b", name="time")),
        calls(call(second, ":1}", call_id="b")),
        finish("stop"),
    )
    assert ([WEATHER, TIME], "tool_calls") == (told.calls, told.finish_reason)


def test_nulls_in_later_pieces_are_not_forwarded() -> None:
    """As some backends send them: openai-python would forget that the call is one of a function."""
    begun = calls(call(0, '{"city"', call_id="a", name="weather"))
    null = {"index": 0, "id": None, "type": None, "function": {"name": None, "arguments": ':"Rome"}'}}
    relay = CHAT.relay(echo())
    assert b'"type": null' not in relay.feed(ROLE + begun + calls(null)).replace(b'":null', b'": null')
    assert [WEATHER] == passed(ROLE, begun, calls(null), finish("tool_calls")).calls


def custom(index: int | None, text: str, **members: Any) -> dict[str, Any]:
    name = {"name": "patch"} if members else {}
    return {"index": index, **members, "custom": {**name, "input": text}}


@pytest.mark.parametrize("first", [0, 1, None])
def test_the_call_of_a_custom_tool_is_free_text(first: int | None) -> None:
    begun = calls(custom(first, "", id="a", type="custom"))
    rest = [calls(custom(first, "*** Begin")), calls(custom(first, " Patch"))]
    told = passed(ROLE, begun, *rest, finish("stop"))
    assert ([ChatCall("a", "custom", "patch", "*** Begin Patch")], "tool_calls") == (
        told.calls,
        told.finish_reason,
    )


def test_interleaved_calls_stay_interleaved() -> None:
    """AC-02."""
    told = passed(
        ROLE,
        calls(call(0, '{"city"', call_id="a", name="weather"), call(1, '{"zone"', call_id="b", name="time")),
        calls(call(0, ':"Rome"}'), call(1, ":1}")),
        finish("tool_calls"),
    )
    assert [WEATHER, TIME] == told.calls


def test_a_call_is_told_once_id_and_name_are_known() -> None:
    """AC-11, AC-18."""
    told = passed(
        ROLE,
        calls(call(0, call_id="a")),
        calls(call(0, '{"city":"Rome"}', name="weather")),
        calls(call(1, name="time")),
        finish("tool_calls"),
    )
    assert (WEATHER, "time", "{}") == (told.calls[0], told.calls[1].name, told.calls[1].arguments)
    assert told.calls[1].id.startswith("call_")


def test_one_finish_and_what_comes_late_is_told_before_it() -> None:
    """AC-09."""
    told = passed(
        ROLE,
        chunk({"content": "Hi"}, finish="stop"),
        finish("stop"),
        event({"choices": [], "usage": usage()}),
        chunk({"reasoning_text": "late", "reasoning_opaque": "sig"}),
        finish("length"),
        asked=True,
    )
    assert ("Hi", "late", "sig", "length") == (told.text, told.thinking, told.opaque, told.finish_reason)
    assert usage() == told.usage


def test_done_is_always_said() -> None:
    assert passed(ROLE, text("Hi"), finish(), done=False).finish_reason == "stop"


def test_a_stream_that_is_done_without_a_reason_gets_one() -> None:
    """AC-05."""
    assert passed(ROLE, text("Hi")).finish_reason == "stop"
    assert passed(calls(call(0, "{}", call_id="a", name="f"))).finish_reason == "tool_calls"
    assert passed(chunk({"function_call": {"name": "f", "arguments": "{}"}})).finish_reason == "function_call"


@pytest.mark.parametrize("word", ["odd", "refusal", "model_context_window_exceeded"])
def test_unknown_finish_reasons_are_put_right(word: str) -> None:
    """AC-12."""
    expected = {"odd": "stop", "refusal": "content_filter", "model_context_window_exceeded": "length"}
    assert expected[word] == passed(ROLE, text("Hi"), finish(word)).finish_reason


@pytest.mark.parametrize(
    ("events", "kind"),
    [
        ([ROLE, text("Hi")], "upstream"),
        ([], "upstream"),
        ([DONE], "upstream"),
        ([ROLE, finish("error"), DONE], "upstream"),
        (
            [ROLE, text("Hi"), event({"error": {"message": "m", "code": "model_overloaded"}}), DONE],
            "overloaded",
        ),
        ([ROLE, event({"copilot_errors": [{"code": "rate_limited"}]})], "rate_limit"),
        ([ROLE, b'{"error":{"message":"m","code":"overloaded"}}'], "overloaded"),
        ([ROLE, b"data: junk\n\n"], "upstream"),
        ([ROLE, text("\u00e4", odd="\u00e4").replace(b"\xc3\xa4", b"\xc3")], "upstream"),
        ([ROLE, calls(call(0, "{", call_id="a", name="f")), finish("tool_calls"), DONE], "upstream"),
        ([ROLE, calls(call(0, "{}", call_id="a")), finish("tool_calls"), DONE], "upstream"),
    ],
)
@pytest.mark.parametrize("size", SIZES)
def test_a_failed_stream_ends_with_one_error(events: list[bytes], kind: str, size: int | None) -> None:
    """AC-05, AC-08, AC-19."""
    stream = b"".join(events)
    relay = CHAT.relay(echo())
    said, failure = b"", GatewayError("none", kind="internal")
    try:
        for piece in split(stream, size):
            said += relay.feed(piece)
        said += relay.close()
    except GatewayError as error:
        failure = error
    assert kind == failure.kind
    said += relay.error(failure)
    assert check_chat_stream(said).error is not None
    assert (b"", True) == (relay.error(failure), relay.done)


def test_a_call_that_the_limit_cut_is_told_as_far_as_it_came() -> None:
    """AC-19."""
    told = passed(ROLE, calls(call(0, '{"ci', call_id="a", name="f")), finish("length"))
    assert ('{"ci', "length") == (told.calls[0].arguments, told.finish_reason)


def test_nothing_follows_the_end() -> None:
    """AC-56."""
    relay = CHAT.relay(echo())
    relay.feed(ROLE + text("Hi") + finish() + DONE)
    assert b"" == relay.feed(DONE + text("late") + b"data: junk\n\n") + relay.close()


def test_thinking_keeps_its_names() -> None:
    """AC-07."""
    stream = relayed(
        ROLE + chunk({"reasoning_text": "Hm"}) + chunk({"reasoning_opaque": "sig"}) + finish() + DONE, echo()
    )
    deltas = [json.loads(line[6:])["choices"][0]["delta"] for line in stream.split(b"\n\n")[1:3]]
    assert [{"reasoning_text": "Hm"}, {"reasoning_opaque": "sig"}] == deltas


def test_a_failure_is_told_with_the_bytes_that_bring_it() -> None:
    """Upstream may say nothing more for minutes."""
    relay = CHAT.relay(echo())
    with pytest.raises(GatewayError, match="busy"):
        relay.feed(event({"error": {"message": "busy", "code": "overloaded"}}))
