"""More tools than Copilot takes are refused in every cell, before upstream's own bare 400."""

import itertools
import json
from typing import Any

import pytest

from core.call import Call, Engine
from core.errors import UnsupportedFeatureError
from core.model import DialectName, Model
from core.settings import Settings
from core.surfaces import DIALECTS

NAMES: tuple[DialectName, ...] = ("chat", "messages", "responses")
SCHEMA = {"type": "object", "properties": {}}
ASK: dict[str, dict[str, Any]] = {
    "chat": {"messages": [{"role": "user", "content": "x"}]},
    "messages": {"messages": [{"role": "user", "content": "x"}], "max_tokens": 9},
    "responses": {"input": "x"},
}


def tool(surface: str, number: int, **members: Any) -> dict[str, Any]:
    name = f"f{number}"
    if surface == "chat":
        return {"type": "function", "function": {"name": name, "parameters": SCHEMA}}
    if surface == "messages":
        return {"name": name, "input_schema": SCHEMA, **members}
    return {"type": "function", "name": name, "parameters": SCHEMA, "strict": False, **members}


def prepared(surface: DialectName, upstream: DialectName, tools: list[dict[str, Any]]) -> Call:
    numbers = itertools.count()
    model = Model(id="m", dialects=(upstream,))
    engine = Engine(
        Settings(), DIALECTS, lambda: (model,), lambda: "scope", lambda: 1_700_000_000.0,
        lambda prefix: f"{prefix}{next(numbers)}",
    )  # fmt: skip
    return engine.prepare(
        DIALECTS[surface], json.dumps({"model": "m", **ASK[surface], "tools": tools}).encode()
    )


@pytest.mark.parametrize("upstream", NAMES)
@pytest.mark.parametrize("surface", NAMES)
def test_too_many_tools_are_refused_with_the_number(surface: DialectName, upstream: DialectName) -> None:
    """Reported problem 60."""
    tools = [tool(surface, number) for number in range(129)]
    with pytest.raises(UnsupportedFeatureError) as caught:
        prepared(surface, upstream, tools)
    assert "at most 128 tools, not 129" in caught.value.message
    prepared(surface, upstream, tools[:128])


@pytest.mark.parametrize(
    ("surface", "search"),
    [
        ("messages", {"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"}),
        ("responses", {"type": "tool_search", "execution": "client"}),
    ],
)
def test_tools_that_a_search_is_to_find_are_not_counted(surface: DialectName, search: dict[str, Any]) -> None:
    deferred = [tool(surface, number, defer_loading=True) for number in range(300)]
    prepared(surface, surface, [search, *deferred])
    with pytest.raises(UnsupportedFeatureError):
        prepared(surface, surface, [search, *[tool(surface, number) for number in range(300)]])
