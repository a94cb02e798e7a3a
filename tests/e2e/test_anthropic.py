"""The official anthropic SDK on /v1/messages, in front of models of every upstream dialect."""

from typing import Any

import anthropic
import pytest
from anthropic.types import MessageParam, ToolUnionParam

from tests.e2e.hosting import ONLY_MESSAGES, Wire
from tests.emulators.calling import PNG, WEATHER
from tests.emulators.copilot import FakeCopilot

# Passed through twice; translated to chat twice; translated to responses.
MODELS = ["claude-sonnet-4.6", ONLY_MESSAGES, "gpt-4.1", "gemini-3.8-flash", "gpt-5.5"]
CITIES = "What is the weather in Paris and in Rome?"
TOOL: ToolUnionParam = {"name": "get_weather", "description": "Tell the weather", "input_schema": WEATHER}
every_model = pytest.mark.parametrize("model", MODELS)


def user(content: Any) -> MessageParam:
    return {"role": "user", "content": content}


def told(message: anthropic.types.Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def streamed(claude: anthropic.Anthropic, **asked: Any) -> anthropic.types.Message:
    with claude.messages.stream(**asked) as stream:
        return stream.get_final_message()


def whole(claude: anthropic.Anthropic, **asked: Any) -> anthropic.types.Message:
    message = claude.messages.create(**asked)
    assert isinstance(message, anthropic.types.Message)
    return message


either_way = pytest.mark.parametrize("ask", [whole, streamed])


@every_model
@either_way
def test_text(claude: anthropic.Anthropic, model: str, ask: Any) -> None:
    """AC-22, AC-26, AC-27."""
    reply = ask(claude, model=model, max_tokens=100, system="Be brief.", messages=[user("[[words:9]]")])
    assert (" ".join(f"word{n}" for n in range(9)), "end_turn", None, model) == (
        told(reply), reply.stop_reason, reply.stop_sequence, reply.model,
    )  # fmt: skip
    assert reply.id.startswith("msg_")
    assert reply.usage.input_tokens > 0
    assert reply.usage.output_tokens > 0


@every_model
def test_stream_comes_in_pieces_and_its_events_fold_to_the_message(
    claude: anthropic.Anthropic, model: str
) -> None:
    with claude.messages.stream(model=model, max_tokens=100, messages=[user("[[words:9]]")]) as stream:
        pieces = [event.text for event in stream if event.type == "text"]
    assert len(pieces) > 1
    assert "".join(pieces) == " ".join(f"word{n}" for n in range(9))


@every_model
@either_way
def test_parallel_tools_and_their_results(claude: anthropic.Anthropic, model: str, ask: Any) -> None:
    """AC-02, AC-24."""
    turns = [user(CITIES)]
    first = ask(claude, model=model, max_tokens=500, messages=turns, tools=[TOOL])
    uses = [block for block in first.content if block.type == "tool_use"]
    assert ([{"city": "Paris"}, {"city": "Rome"}], "tool_use") == (
        [use.input for use in uses],
        first.stop_reason,
    )
    results = [
        {"type": "tool_result", "tool_use_id": use.id, "content": f"{n}8 degrees"}
        for n, use in enumerate(uses)
    ]
    turns += [{"role": "assistant", "content": [block.to_dict() for block in first.content]}, user(results)]
    last = ask(claude, model=model, max_tokens=500, messages=turns, tools=[TOOL])
    assert ("Result: 08 degrees Result: 18 degrees", "end_turn") == (told(last), last.stop_reason)


@every_model
def test_failed_tool_and_picture_inside_a_result_reach_the_model(
    claude: anthropic.Anthropic, model: str, fake: FakeCopilot
) -> None:
    """AC-28, AC-29."""
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    turns: Any = [
        user("Look at the screen"),
        {"role": "assistant", "content": [
            {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Rome"}},
            {"type": "tool_use", "id": "toolu_2", "name": "get_weather", "input": {"city": "Oslo"}},
        ]},
        user([
            {"type": "tool_result", "tool_use_id": "toolu_1", "is_error": True, "content": "no network"},
            {"type": "tool_result", "tool_use_id": "toolu_2", "content": [{"type": "text", "text": "seen"}, picture]},
        ]),
    ]  # fmt: skip
    reply = whole(claude, model=model, max_tokens=100, messages=turns, tools=[TOOL])
    assert "no network" in told(reply)
    assert any(word in told(reply).lower() for word in ("error", "failed")), told(reply)
    assert fake.log[-1].headers["copilot-vision-request"] == "true"
    assert PNG in fake.log[-1].body.decode()


@every_model
@either_way
def test_image(claude: anthropic.Anthropic, model: str, ask: Any) -> None:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    reply = ask(
        claude, model=model, max_tokens=100,
        messages=[user([picture, {"type": "text", "text": "What is this?"}])],
    )  # fmt: skip
    assert "I see 1 file(s): image/png" in told(reply)


def thinking(model: str) -> Any:
    return {
        "model": model,
        "max_tokens": 4096,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "tools": [TOOL],
    }


@pytest.mark.parametrize("model", ["claude-sonnet-4.6", ONLY_MESSAGES, "gemini-3.8-flash", "gpt-5.5"])
@either_way
def test_thinking_goes_back_with_its_signature_over_several_turns(
    claude: anthropic.Anthropic, model: str, fake: FakeCopilot, ask: Any
) -> None:
    """AC-07, AC-31: the fake refuses thinking that it did not sign."""
    fake.set_modes("gemini-3.8-flash", **{"chat_requires_opaque": True, "reasoning_text+opaque": True})
    fake.set_modes("gpt-5.5", resp_encrypted_check=True)
    turns = [
        user(
            '[[think:first city]] [[tool:get_weather {"city": "Oslo"}]] [[then]] '
            '[[think:second city]] [[tool:get_weather {"city": "Rome"}]] [[then]] [[think:enough]] [[say:done]]'
        )
    ]
    for thought in ("first city", "second city"):
        message = ask(claude, messages=turns, **thinking(model))
        [thinks, use] = message.content
        assert ("thinking", thought, "tool_use") == (thinks.type, thinks.thinking, use.type)
        assert thinks.signature
        turns.append({"role": "assistant", "content": [block.to_dict() for block in message.content]})
        turns.append(user([{"type": "tool_result", "tool_use_id": use.id, "content": "cold"}]))
    assert told(ask(claude, messages=turns, **thinking(model))) == "done"


MIXED = ["claude-sonnet-4.6", "gemini-3.8-flash", "gpt-5.5", "gpt-4.1", ONLY_MESSAGES, "claude-opus-4.8"]


@pytest.mark.parametrize("shift", range(len(MIXED)))
def test_session_may_switch_models_in_the_middle(
    claude: anthropic.Anthropic, shift: int, fake: FakeCopilot
) -> None:
    """AC-31, AC-60: foreign signatures are kept from upstream."""
    fake.set_modes("gemini-3.8-flash", **{"reasoning_text+opaque": True})
    fake.set_modes("gpt-5.5", resp_encrypted_check=True)
    models = [*MIXED[shift:], *MIXED[:shift]]
    turns: list[Any] = [user('[[think:hm]] [[tool:get_weather {"city": "Oslo"}]]' + " [[then]] [[think:hm]] [[tool:get_weather]]" * 4 + " [[then]] [[say:done]]")]  # fmt: skip
    for model in models[:-1]:
        asked: Any = thinking(model)
        if model == "claude-opus-4.8":
            asked["thinking"] = {"type": "adaptive"}
        message = whole(claude, messages=turns, **asked)
        [use] = [block for block in message.content if block.type == "tool_use"]
        turns.append({"role": "assistant", "content": [block.to_dict() for block in message.content]})
        turns.append(user([{"type": "tool_result", "tool_use_id": use.id, "content": "cold"}]))
    asked = thinking(models[-1]) | (
        {"thinking": {"type": "adaptive"}} if models[-1] == "claude-opus-4.8" else {}
    )
    assert told(whole(claude, messages=turns, **asked)) == "done"


@every_model
@either_way
def test_output_limit(claude: anthropic.Anthropic, model: str, ask: Any) -> None:
    reply = ask(claude, model=model, max_tokens=16, messages=[user("[[words:40]]")])
    assert reply.stop_reason == "max_tokens"


def test_stop_sequence_is_named_where_upstream_names_it(claude: anthropic.Anthropic) -> None:
    """AC-25."""
    asked: Any = {"max_tokens": 99, "messages": [user("[[say:one STOP two]]")], "stop_sequences": ["STOP"]}
    native = whole(claude, model="claude-sonnet-4.6", **asked)
    bridged = whole(claude, model="gpt-4.1", **asked)
    assert ("stop_sequence", "STOP", "end_turn") == (
        native.stop_reason,
        native.stop_sequence,
        bridged.stop_reason,
    )
    assert told(native).strip() == told(bridged).strip() == "one"


@every_model
def test_structured_output(claude: anthropic.Anthropic, model: str) -> None:
    """AC-43."""
    schema = {
        "type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"], "additionalProperties": False,
    }  # fmt: skip
    reply = whole(
        claude, model=model, max_tokens=100, messages=[user("Describe Ada, 36 years")],
        output_config={"format": {"type": "json_schema", "schema": schema}},
    )  # fmt: skip
    assert told(reply).startswith("{")
    assert '"age"' in told(reply)


@pytest.mark.parametrize(
    ("model", "source"),
    [("claude-sonnet-4.6", "upstream"), ("gpt-4.1", "estimate"), ("gpt-5.5", "estimate")],
)
def test_tokens_are_counted(claude: anthropic.Anthropic, model: str, source: str) -> None:
    """AC-52."""
    raw = claude.messages.with_raw_response.count_tokens(
        model=model, system="Be brief.", messages=[user("hello there, how are you?")], tools=[TOOL]
    )
    assert (source, True) == (raw.headers["x-gateway-count"], 10 < raw.parse().input_tokens < 1000)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"max_tokens": 100, "stream": True, "temperature": 1, "metadata": {"user_id": "u"}, "stop_sequences": ["x"]},
        {"thinking": {"type": "enabled", "budget_tokens": 1024}, "output_config": {"effort": "low"}},
    ],
    ids=["least", "as for an answer", "thinking"],
)  # fmt: skip
def test_upstream_counts_whatever_else_the_request_says(gateway: Wire, more: dict[str, Any]) -> None:
    """AC-52: the counting endpoint refuses the members that only an answer needs."""
    body = {"model": "claude-sonnet-4.6", "messages": [user("hi")], **more}
    counted = gateway.post("/v1/messages/count_tokens", body)
    assert (200, "upstream") == (counted.status, counted.headers["x-gateway-count"])


def test_tokens_are_estimated_when_upstream_does_not_count(
    claude: anthropic.Anthropic, fake: FakeCopilot
) -> None:
    """AC-52."""
    fake.state.count_tokens_known = False
    raw = claude.messages.with_raw_response.count_tokens(model="claude-sonnet-4.6", messages=[user("hi")])
    assert ("estimate", True) == (raw.headers["x-gateway-count"], raw.parse().input_tokens > 1)


def test_models_are_listed_in_pages_and_retrieved(claude: anthropic.Anthropic) -> None:
    """AC-53."""
    ids = [model.id for model in claude.models.list(limit=4)]
    assert {"claude-sonnet-4.6", "gpt-4.1", "gpt-5.5"} <= set(ids)
    assert len(ids) == len(set(ids))
    one = claude.models.retrieve("claude-sonnet-4.6")
    assert ("claude-sonnet-4.6", "model") == (one.id, one.type)


# The SDK warns of ids that Anthropic itself has retired.
deprecations_aside = pytest.mark.filterwarnings("ignore:The model:DeprecationWarning")


@deprecations_aside
@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("claude-sonnet-4-6-20260217", "claude-sonnet-4.6"),
        ("claude-sonnet-4-6", "claude-sonnet-4.6"),
        ("claude-sonnet-4-5-20250929", ONLY_MESSAGES),
        ("claude-opus-4-8[1m]", "claude-opus-4.8"),
        ("claude-haiku-4-5-20251001", "claude-haiku-4.5"),
        ("opus", "claude-opus-4.8"),
        ("sonnet", "claude-sonnet-5"),
    ],
)
def test_spellings_of_an_id_find_their_model_and_are_echoed(
    claude: anthropic.Anthropic, asked: str, meant: str
) -> None:
    """AC-27, AC-47."""
    raw = claude.messages.with_raw_response.create(model=asked, max_tokens=50, messages=[user("hello")])
    assert (asked, meant) == (raw.parse().model, raw.headers["x-gateway-model"])


@deprecations_aside
@pytest.mark.parametrize(
    "asked", ["claude-opus-4-1-20250805", "claude-opus-5", "claude-3-7-sonnet-20250219", "gpt-4"]
)
def test_no_id_falls_to_another_version(claude: anthropic.Anthropic, asked: str) -> None:
    """AC-47."""
    with pytest.raises(anthropic.NotFoundError) as caught:
        claude.messages.create(model=asked, max_tokens=50, messages=[user("hello")])
    assert "Nearest: " in caught.value.message


@anthropic.beta_tool
def get_weather(city: str) -> str:
    """Tell the weather.

    Args:
        city: The city.
    """
    return f"{city}: cold"


@every_model
def test_tool_runner_falls_back_from_threads_to_whole_histories(
    claude: anthropic.Anthropic, model: str, fake: FakeCopilot
) -> None:
    runner = claude.beta.messages.tool_runner(
        model=model, max_tokens=500, tools=[get_weather], messages=[{"role": "user", "content": CITIES}]
    )
    last = runner.until_done()
    texts = [block.text for block in last.content if block.type == "text"]
    assert ["Result: Paris: cold Result: Rome: cold"] == texts
    assert not [entry for entry in fake.log if b'"thread"' in entry.body]


HELLO = [user("hello")]


@pytest.mark.parametrize(
    ("status", "body", "raised", "kind"),
    [
        (400, {"message": "messages: bad"}, anthropic.BadRequestError, "invalid_request_error"),
        (402, {"error": {"message": "no quota", "code": "quota_exceeded"}}, anthropic.PaymentRequiredError, "billing_error"),
        (403, {"error": {"message": "Terms of Service"}}, anthropic.PermissionDeniedError, "permission_error"),
        (413, "Request Entity Too Large\n", anthropic.RequestTooLargeError, "request_too_large"),
        (429, {"error": {"message": "slow"}}, anthropic.RateLimitError, "rate_limit_error"),
        (500, "<html><title>Unicorn!</title></html>", anthropic.InternalServerError, "api_error"),
        (503, "busy", anthropic.OverloadedError, "overloaded_error"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("model", ["claude-sonnet-4.6", "gpt-4.1", "gpt-5.5"])
@either_way
def test_refusals_raise_the_sdks_exceptions(
    *, claude: anthropic.Anthropic, fake: FakeCopilot, ask: Any, model: str, status: int, body: object,
    raised: type[anthropic.APIStatusError], kind: str,
) -> None:  # fmt: skip
    """AC-48, AC-49, AC-50."""
    for path in ("/chat/completions", "/v1/messages", "/responses"):
        fake.force("POST", path, status, body, times=0)
    with pytest.raises(raised) as caught:
        ask(claude, model=model, max_tokens=50, messages=HELLO)
    shown: Any = caught.value.body
    assert ("error", kind) == (shown["type"], shown["error"]["type"])
    assert "<html" not in shown["error"]["message"]
    assert caught.value.request_id


def test_rate_limit_is_waited_out_and_retried_by_the_sdk(gateway: Wire, fake: FakeCopilot) -> None:
    """AC-63."""
    fake.force("POST", "/v1/messages", 429, {"error": {"message": "slow"}}, headers={"retry-after": "0"})
    with anthropic.Anthropic(api_key="local", base_url=gateway.url, max_retries=2) as client:
        raw = client.messages.with_raw_response.create(
            model="claude-sonnet-4.6", max_tokens=50, messages=HELLO
        )
    assert (1, 2) == (raw.retries_taken, len(fake.requests("/v1/messages")))
