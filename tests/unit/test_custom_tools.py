"""Free-text tools travel as JSON functions and come back as they were."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.canonical import Tool
from core.custom_tools import unwrap_input, wrap_input, wrap_tool


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(codec="utf-8")))
def test_text_survives_wrapping(text: str) -> None:
    assert unwrap_input(wrap_input(text)) == text


@pytest.mark.parametrize(
    "text", ["", "{", '{"other":1}', "[]", '{"input":3}', "*** Begin Patch", "[" * 100_000]
)
def test_text_that_was_never_wrapped_comes_back_as_it_is(text: str) -> None:
    assert unwrap_input(text) == text


def test_a_function_tool_is_not_wrapped() -> None:
    tool = Tool(name="x")
    assert wrap_tool(tool) is tool


@pytest.mark.parametrize("grammar", [None, b"{}", b"[]", b'{"type":"text"}'])
def test_a_custom_tool_without_a_grammar_keeps_its_description(grammar: bytes | None) -> None:
    wrapped = wrap_tool(Tool(name="x", description="Patch.", custom=True, grammar=grammar))
    assert (wrapped.description, wrapped.custom, wrapped.grammar) == ("Patch.", False, None)
    assert json.loads(wrapped.parameters)["properties"]["input"]["type"] == "string"
