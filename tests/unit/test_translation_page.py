"""docs/translation.md names every loss and every repair that the code can put into a response header."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "translation.md").read_text()

# How the code names them: a function that is given the name, a list that it is added to, a constant that holds it.
TAKES = {"lose": 0, "repair": 0, "note": 0, "_note": 1, "rule": 0}
LISTS = {"losses", "repairs", "_losses", "_repairs"}
CONSTANTS = {"KNOBS", "UNSAYABLE", "SAMPLING", "STRIPPED", "LOSS", "REROUTED", "LONG_NAMES"}


def texts(node: ast.expr) -> Iterator[str]:
    for found in ast.walk(node):
        if isinstance(found, ast.Constant) and isinstance(found.value, str):
            yield found.value


def names_in(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from named_by(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id in CONSTANTS for target in targets):
                yield from texts(node.value)


def named_by(call: ast.Call) -> Iterator[str]:
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    place = TAKES.get(name)
    if place is not None and len(call.args) > place and isinstance(call.args[place], ast.Constant):
        yield from texts(call.args[place])
    if not isinstance(function, ast.Attribute) or not call.args:
        return
    holder = function.value
    held = holder.attr if isinstance(holder, ast.Attribute) else getattr(holder, "id", "")
    if name in {"append", "extend"} and held in LISTS and isinstance(call.args[0], ast.Constant):
        yield from texts(call.args[0])
    if held == "refused" and name == "drop" and isinstance(call.args[0], ast.Constant):
        yield from texts(call.args[0])
    if held == "refused" and name == "drop_inner":
        yield ".".join(text for argument in call.args for text in texts(argument))


def names() -> set[str]:
    rooms = [ROOT / "core" / name for name in ("dialects", "names.py", "web_search.py", "stored")]
    files = [path for room in rooms for path in ([room] if room.is_file() else sorted(room.rglob("*.py")))]
    found = {name for path in files for name in names_in(ast.parse(path.read_text()))}
    return {name for name in found if name and " " not in name}


def test_names_are_found() -> None:
    assert {
        "thinking",
        "orphan_tool_use",
        "top_k",
        "refused_beta",
        "tools.web_search",
        "long_names",
    } <= names()


@pytest.mark.parametrize("name", sorted(names()))
def test_every_loss_and_repair_is_on_the_page(name: str) -> None:
    assert f"`{name}`" in PAGE


def test_every_cell_has_a_section() -> None:
    dialects = ("Chat Completions", "Messages", "Responses")
    for surface in dialects:
        for upstream in dialects:
            title = (
                f"{surface} passed through" if surface == upstream else f"{surface} client, {upstream} model"
            )
            assert f"### {title}\n" in PAGE
