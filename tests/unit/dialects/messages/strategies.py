"""Hypothesis strategies over what Messages can say, shared by this folder's laws."""

import json

from hypothesis import strategies as st

from core.canonical import (
    CacheBreakpoint,
    Document,
    Image,
    Message,
    Opaque,
    OutputFormat,
    Reasoning,
    Reply,
    Request,
    SearchResult,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolResult,
    ToolUse,
    Usage,
)
from core.dialect import Echo
from core.model import Model

words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(
    lambda text: text.strip() == text
)
names = st.text("abcdefgXYZ_-019", min_size=1, max_size=20)
call_ids = st.one_of(names, st.text(st.characters(codec="utf-8"), max_size=12))
arguments = st.dictionaries(words, st.one_of(words, st.integers(-9, 9)), max_size=3).map(json.dumps)
opaques = words.map(lambda value: Opaque("messages", "s" + value))
marks = st.one_of(st.none(), st.sampled_from([CacheBreakpoint(), CacheBreakpoint("1h")]))

texts = st.builds(Text, words)
thinking = st.one_of(
    st.builds(Thinking, words, opaques),
    st.builds(Thinking, st.just(""), opaques, redacted=st.just(value=True)),
)
images = st.builds(Image, media_type=st.just("image/png"), base64=st.just("iVBORw0KGgo="))
pdfs = st.builds(
    Document,
    media_type=st.just("application/pdf"),
    base64=st.just("JVBERi0="),
    title=st.one_of(st.none(), words),
    citations=st.booleans(),
)
found = st.builds(SearchResult, source=words, title=words, content=st.tuples(texts), citations=st.booleans())
calls = st.builds(ToolUse, call_ids, names, arguments)

reply_blocks = st.one_of(texts, thinking, calls)
usages = st.builds(
    lambda fresh, read, written, out: Usage(fresh + read + written, out, read, written),
    *[st.integers(0, 10**6)] * 4,
)
replies = st.builds(
    Reply,
    id=names.map(lambda name: f"msg_{name}"),
    model=st.just("m"),
    content=st.lists(reply_blocks, max_size=4).map(tuple),
    stop_reason=st.sampled_from(["end_turn", "max_tokens", "stop_sequence", "refusal", "pause_turn"]),
    usage=usages,
)

results = st.lists(st.one_of(texts, images, found), max_size=2).map(tuple)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """A legal conversation: turns alternate, calls have ids of their own and are answered at once, marks are never more than four."""
    used: set[str] = set()
    messages = [Message("user", (Text(draw(words), cache=CacheBreakpoint()),))]
    for _ in range(draw(st.integers(0, 3))):
        drawn = draw(st.lists(calls, max_size=2, unique_by=lambda call: call.call_id))
        calls_here = [call for call in drawn if call.call_id not in used]
        used.update(call.call_id for call in calls_here)
        said = draw(st.lists(texts, min_size=1, max_size=2))
        messages.append(Message("assistant", (*draw(st.lists(thinking, max_size=1)), *said, *calls_here)))
        answers = [
            ToolResult(call.call_id, draw(results), is_error=draw(st.sampled_from([None, True, False])))
            for call in calls_here
        ]
        more = draw(st.lists(st.one_of(texts, images, pdfs, found), min_size=1, max_size=2))
        messages.append(Message("user", (*answers, *more)))
    system = draw(st.lists(st.builds(Text, words, cache=marks), max_size=2))
    lead = (Message("system", tuple(system)),) if system else ()
    thinks = draw(st.booleans())
    tools = draw(st.lists(st.builds(Tool, name=names, description=st.one_of(st.none(), words)), max_size=2))
    return Request(
        model="m",
        messages=(*lead, *messages),
        stream=True,
        tools=tuple(tools),
        tool_choice=draw(st.sampled_from([None, ToolChoice("auto"), ToolChoice("none")])) if tools else None,
        max_output=draw(st.integers(2000, 9000)),
        temperature=draw(st.sampled_from([None, 1.0] if thinks else [None, 0.0, 0.5])),
        stop=tuple(draw(st.lists(words, max_size=2))),
        reasoning=draw(
            st.sampled_from(
                [Reasoning("adaptive", None, "low", "auto"), Reasoning("adaptive", None, None, "auto")]
                if thinks
                else [None, Reasoning("off")]
            )
        ),
        format=draw(st.sampled_from([None, OutputFormat("json_schema", schema=b'{"type":"object"}')])),
        user=draw(st.one_of(st.none(), words)),
    )


MODEL = Model(
    id="m",
    max_output=64_000,
    adaptive_thinking=True,
    thinking_budget=(1024, 32_000),
    efforts=("low", "medium", "high"),
)


def echo(**members: object) -> Echo:
    """What the tests' replies repeat."""
    return Echo(
        **{"id": "1", "model": "asked", "created": 0, "new_id": lambda prefix: prefix + "new", **members}
    )  # type: ignore[arg-type]


def pieces(wire: bytes, size: int | None) -> list[bytes]:
    """Cut a stream."""
    return [wire] if size is None else [wire[at : at + size] for at in range(0, len(wire), size)]
