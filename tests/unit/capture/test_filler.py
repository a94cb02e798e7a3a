"""Captured bodies lose their words and nothing else."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.capture.filler import fill, fill_json

GOLDEN = Path(__file__).parents[2] / "golden"
STREAMS = sorted(GOLDEN.rglob("*.sse"))[::7]

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def shape(value: Any) -> Any:
    match value:
        case dict():
            return [shape(item) for item in value.values()]
        case list():
            return [shape(item) for item in value]
        case str():
            return ""
        case _:
            return type(value)


def test_words_go_and_the_structure_stays() -> None:
    body = (
        '{"model": "gpt-5", "messages": [{"role": "user", "content": "Grüße, 字 \\u00fc 42!\\n"}], "temperature": 0.7,'
        ' "tools": [{"type": "function", "function": {"name": "read", "description": "Read it", "parameters":'
        ' {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}}}]}'
    )
    assert fill_json(body) == (
        '{"model": "gpt-5", "messages": [{"role": "user", "content": "xxééx, 字 \\u00e9 11!\\n"}], "temperature": 0.7,'
        ' "tools": [{"type": "function", "function": {"name": "read", "description": "xxxx xx", "parameters":'
        ' {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}}}]}'
    )


def test_what_a_tool_gets_is_text_throughout_and_stays_json_within_json() -> None:
    call = {
        "type": "tool_use",
        "id": "toolu_1",
        "name": "pay",
        "input": {"name": "Ann", "iban": [12.5, True, None]},
    }
    filled = json.loads(fill_json(json.dumps(call)))
    assert filled == call | {"input": {"xxxx": "xxx", "xxxx": [11.1, True, None]}}  # noqa: F601 - as the body has it
    arguments = json.dumps({"arguments": json.dumps({"cmd": 'echo "ü"\n', "n": 42, "ok": True})})
    inner = json.loads(json.loads(fill_json(arguments))["arguments"])
    assert inner == {"xxx": 'xxxx "é"\n', "x": 11, "xx": True}


def test_an_image_stays_one_by_its_form() -> None:
    filled = json.loads(fill_json('{"url": "data:image/png;base64,iVBORw0KGgo="}'))
    assert filled == {"url": "data:image/png;base64,xxxxxx1XXxx=".replace("X", "x")}


@given(JSON_VALUES)
def test_any_json_keeps_its_size_and_shape(value: Any) -> None:
    body = json.dumps({"content": value}, ensure_ascii=False).encode("utf-8", "surrogatepass")
    try:
        body.decode()
    except UnicodeDecodeError:
        body = json.dumps({"content": value}).encode()
    filled = fill(body, "application/json")
    assert len(filled) == len(body)
    assert filled == fill(filled, "application/json")
    assert shape(json.loads(filled)) == shape(json.loads(body)) or "input" in body.decode()


@given(st.binary(max_size=300), st.sampled_from(["application/json", "text/event-stream", "text/plain", ""]))
def test_any_bytes_keep_their_size(body: bytes, media_type: str) -> None:
    filled = fill(body, media_type)
    assert len(filled) == len(body)
    assert filled == fill(filled, media_type)


@given(st.text(alphabet="abcdefghijklm ,.", min_size=1))
def test_no_word_survives_a_cut(text: str) -> None:
    for end in range(len(text) + 12):
        cut = f'{{"content": "{text}"}}'[:end]
        assert not re.search("[abcdefghijklm]", fill_json(cut).replace("content"[: max(end - 2, 0)], "", 1))


@pytest.mark.parametrize("stream", STREAMS, ids=lambda path: f"{path.parent.parent.name}-{path.parent.name}")
def test_a_stream_stays_a_stream(stream: Path) -> None:
    body = stream.read_bytes()
    filled = fill(body, "text/event-stream")
    assert len(filled) == len(body)
    assert [line.partition(b":")[0] for line in filled.split(b"\n")] == [
        line.partition(b":")[0] for line in body.split(b"\n")
    ]
