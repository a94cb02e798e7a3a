"""The fake Copilot, which knows what the real one refuses, accepts every request that was repaired or built."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from core.canonical import Message, Request, Thinking
from core.dialect import Target
from core.dialects.messages import MESSAGES
from core.model import Model
from tests.emulators.calling import PNG, Caller
from tests.emulators.copilot import FakeCopilot
from tests.unit.dialects.messages.strategies import requests

SONNET = Model(
    id="claude-sonnet-4.6", max_output=64_000, adaptive_thinking=True, thinking_budget=(1024, 32_000), prefill=False,
    efforts=("low", "medium", "high", "max"),
)  # fmt: skip
OPUS = Model(
    id="claude-opus-4.8",
    max_output=64_000,
    adaptive_thinking=True,
    prefill=False,
    mid_system=True,
    sampling=False,
)

few = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

marks = st.sampled_from(
    [
        {},
        {},
        {"cache_control": {"type": "ephemeral"}},
        {"cache_control": {"type": "ephemeral", "scope": "global", "ttl": "1h"}},
    ]
)
words = st.sampled_from(["hello", "x \n", " ", "", "<system-reminder>r</system-reminder>"])
ids = st.sampled_from(["a", "b", "f:0"])
texts = st.builds(lambda text, mark: {"type": "text", "text": text, **mark}, words, marks)
images = st.just({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}})
notes = st.just(
    {"type": "document", "title": "T", "source": {"type": "text", "media_type": "text/plain", "data": "d"}}
)
references = st.just({"type": "tool_reference", "tool_name": "x"})
parts = st.lists(st.one_of(texts, images, notes, references), max_size=2)
results = st.builds(
    lambda call, content, mark: {"type": "tool_result", "tool_use_id": call, "content": content, **mark},
    ids,
    parts,
    marks,
)
calls = st.builds(
    lambda call, mark: {"type": "tool_use", "id": call, "name": "x", "input": {}, **mark}, ids, marks
)
stale = st.just({"type": "thinking", "thinking": "t", "signature": ""})
lead = {"type": "text", "text": "go"}
turns = st.one_of(
    st.lists(st.one_of(texts, results, images, notes), max_size=3).map(
        lambda blocks: {"role": "user", "content": [*blocks, lead]}
    ),
    st.lists(
        st.one_of(texts, calls, stale), max_size=3, unique_by=lambda block: block.get("id", str(block))
    ).map(lambda blocks: {"role": "assistant", "content": blocks}),
    words.map(lambda text: {"role": "system", "content": text}),
)
members = st.fixed_dictionaries(
    {},
    optional={
        "system": st.sampled_from(
            [
                "",
                "s",
                [{"type": "text", "text": "x-anthropic-billing-header: a"}],
                [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "scope": "g"}}],
            ]
        ),
        "thinking": st.sampled_from(
            [
                {"type": "enabled", "budget_tokens": 90_000, "display": "updates"},
                {"type": "adaptive"},
                {"type": "disabled"},
            ]
        ),
        "output_config": st.sampled_from([{"effort": "xhigh"}, {"effort": "low", "odd": 1}]),
        "temperature": st.sampled_from([0.3, 1]),
        "top_p": st.just(0.9),
        "max_tokens": st.sampled_from([None, 900, 5000, 10**6]),
        "context_management": st.just({"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}),
        "cache_control": st.just({"type": "ephemeral"}),
        "inference_geo": st.just("eu"),
    },
)
TOOLS = [
    {
        "name": "x",
        "input_schema": {"$schema": "u", "type": "object"},
        "defer_loading": True,
        "eager_input_streaming": True,
    }
]


@pytest.fixture(scope="module")
def caller() -> Iterator[Caller]:
    with FakeCopilot() as fake:
        yield Caller(fake)


def accepted(caller: Caller, body: bytes, betas: tuple[str, ...]) -> str:
    answer = caller.post(
        "/v1/messages", body, anthropic_beta=",".join(betas) or None, Copilot_Vision_Request="true"
    )
    return "" if answer.status == 200 else f"{answer.text} for {body.decode()}"


@pytest.mark.parametrize("model", [SONNET, OPUS], ids=lambda model: model.id)
@few
@given(history=st.lists(turns, max_size=5), extra=members)
def test_every_repaired_request_is_accepted(
    caller: Caller, model: Model, history: list[Any], extra: dict[str, Any]
) -> None:
    """AC-46, AC-55, AC-57, AC-58, AC-60, AC-62."""
    first = {"role": "user", "content": "hi"}
    body = {
        "model": model.id,
        "messages": [first, *history, {"role": "user", "content": "and?"}],
        "tools": TOOLS,
        "stream": True,
        **extra,
    }
    encoded = MESSAGES.relay_request(json.dumps(body).encode(), Target(model), ("claude-code-20250219",))
    assert accepted(caller, encoded.body, encoded.betas) == ""


def without_thinking(request: Request) -> Request:
    """Signatures of the strategies are not genuine; the fake would say so."""
    turns = [
        Message(turn.role, tuple(block for block in turn.content if not isinstance(block, Thinking)))
        for turn in request.messages
    ]
    return structs.replace(request, messages=tuple(turns))


@pytest.mark.parametrize("model", [SONNET, OPUS], ids=lambda model: model.id)
@few
@given(asked=requests().map(without_thinking))
def test_every_built_request_is_accepted(caller: Caller, model: Model, asked: Request) -> None:
    encoded = MESSAGES.encode_request(asked, Target(model))
    assert accepted(caller, encoded.body.replace(b"iVBORw0KGgo=", PNG.encode()), encoded.betas) == ""
