"""JSON with comments, edited in place: every byte that is not ours stays, comments and trailing commas too."""

import json
import re
from typing import Any, Final, NamedTuple

from infra.clients.paths import MISSING, Entry, FormatError, Place, Step, nested, spell

GAP: Final = re.compile(r"(?:\s+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
WORD: Final = re.compile(r"[-+.\w]+")
# What may follow a value in its line and belongs to it: blanks and a comment.
REMARK: Final = re.compile(r"[ \t]*(?://[^\r\n]*|/\*[^\r\n]*?\*/[ \t]*(?=\r?\n))?")
INDENT: Final = re.compile(r"[\[{][^\n]*\n([ \t]+)\S")
CLOSING: Final = {"{": "}", "[": "]"}
MOST_DEPTH: Final = 200


class Node(NamedTuple):
    """A value where it stands in the text; members of an object have keys, items of a list have none."""

    start: int
    end: int
    opening: str  # "{", "[", or empty for a plain value
    children: tuple["Child", ...] = ()


class Child(NamedTuple):
    """One member or item. start: where it begins, with its key."""

    key: str | None
    start: int
    node: Node


class JsoncDocument:
    """One file. Every edit is a splice of the text, which is then read anew."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._root = _parse(text)

    def find(self, place: Place) -> Any:
        """Return the value that stands there, or MISSING."""
        node: Node | None = self._root
        for step in place:
            node = None if node is None else self._child(node, step)
        return MISSING if node is None else self._value(node)

    def set(self, place: Place, value: object) -> None:
        """Put the value there; what leads to it is made. Raises FormatError where something else is in the way."""
        if self._root is None:
            empty = "[]" if isinstance(place[0], Entry) else "{}"
            self._replace(len(self.text), len(self.text), empty + self._newline())
        node = self._root
        for depth, step in enumerate(place):
            assert node is not None  # noqa: S101 - made above
            if node.opening != ("[" if isinstance(step, Entry) else "{"):
                raise FormatError(f"{spell(place[:depth]) or 'the file'} is not what its program reads there")
            child = self._child(node, step)
            if child is None:
                self._insert(node, step, nested(place[depth + 1 :], value))
                return
            node = child
        assert node is not None  # noqa: S101 - as above
        self._replace(node.start, node.end, self._render(value, self._line_indent(node.start)))

    def delete(self, place: Place) -> None:
        """Take the value out, with its line; nothing happens when there is none."""
        node = self._root
        for step in place[:-1]:
            node = None if node is None else self._child(node, step)
        found = None if node is None else self._child(node, place[-1])
        if node is None or found is None:
            return
        index = next(i for i, child in enumerate(node.children) if child.node is found)
        self._cut(node, index)

    def _cut(self, node: Node, index: int) -> None:
        child = node.children[index]
        start, end = child.start, child.node.end
        comma = self._comma(end)
        if comma is not None:
            end = comma
        elif index:
            before = node.children[index - 1].node.end
            ours = self._comma(before)
            if ours is not None:
                self._replace(ours - 1, ours, "")
                self._cut(_same(self._root, node.start), index)
                return
        line = self.text.rfind("\n", 0, start) + 1
        if not self.text[line:start].strip():
            start = line
            end = REMARK.match(self.text, end).end()  # type: ignore[union-attr]  # matches the empty text, too
            rest = re.compile(r"\r?\n").match(self.text, end)
            end = rest.end() if rest else end
        self._replace(start, end, "")
        if len(node.children) == 1 and (left := _same(self._root, node.start)):
            inside = self.text[left.start + 1 : left.end - 1]
            if not inside.strip():
                self._replace(left.start + 1, left.end - 1, "")

    def _insert(self, node: Node, step: Step, value: object) -> None:
        text, newline = self.text, self._newline()
        key = "" if isinstance(step, Entry) else json.dumps(step, ensure_ascii=False) + ": "
        outer = self._line_indent(node.start)
        if not node.children:
            inner = outer + self._unit()
            made = f"{newline}{inner}{key}{self._render(value, inner)}"
            rest = text[node.start + 1 : node.end - 1]
            made += "" if "\n" in rest else newline + outer
            self._replace(
                node.start + 1,
                node.start + 1 if "\n" in rest else node.end - 1,
                made + rest.strip(" ") * ("\n" not in rest),
            )
            return
        last = node.children[-1].node.end
        comma = self._comma(last)
        if "\n" not in text[node.start : node.end]:
            at = comma or last
            made = f"{key}{json.dumps(value, ensure_ascii=False)}"
            self._replace(at, at, f" {made}," if comma else f", {made}")
            return
        inner = self._line_indent(node.children[-1].start)
        made = f"{newline}{inner}{key}{self._render(value, inner)}"
        if comma is None:
            self._replace(last, last, ",")
            at, tail = last + 1, ""
        else:
            at, tail = comma, ","
        at = REMARK.match(self.text, at).end()  # type: ignore[union-attr]  # matches the empty text, too
        self._replace(at, at, made + tail)

    def _replace(self, start: int, end: int, made: str) -> None:
        self.text = self.text[:start] + made + self.text[end:]
        self._root = _parse(self.text)

    def _comma(self, at: int) -> int | None:
        """Return the position after the comma that follows, if one does."""
        at = _skip(self.text, at)
        return at + 1 if self.text.startswith(",", at) else None

    def _child(self, node: Node, step: Step) -> Node | None:
        for child in reversed(node.children):  # of two members with one key, programs read the last
            if isinstance(step, Entry):
                value = self._value(child.node)
                if isinstance(value, dict) and value.get(step.key) == step.value:  # pyright: ignore[reportUnknownMemberType]
                    return child.node
            elif child.key == step:
                return child.node
        return None

    def _value(self, node: Node) -> Any:
        if node.opening == "{":
            return {child.key: self._value(child.node) for child in node.children}
        if node.opening == "[":
            return [self._value(child.node) for child in node.children]
        return json.loads(self.text[node.start : node.end])

    def _render(self, value: object, indent: str) -> str:
        lines = json.dumps(value, ensure_ascii=False, indent=self._unit()).split("\n")
        return (self._newline() + indent).join(lines)

    def _line_indent(self, at: int) -> str:
        line = self.text.rfind("\n", 0, at) + 1
        return re.compile(r"[ \t]*").match(self.text, line)[0]  # type: ignore[index]  # matches the empty text, too

    def _unit(self) -> str:
        found = INDENT.search(self.text)
        return found[1] if found else "  "

    def _newline(self) -> str:
        return "\r\n" if "\r\n" in self.text else "\n"


def _same(root: Node | None, start: int) -> Node:
    """Return the object or list that begins there."""
    todo = [root] if root else []
    while todo:
        node = todo.pop()
        if node.start == start and node.opening:
            return node
        todo += [child.node for child in node.children]
    raise AssertionError("it was there a moment ago")


def _parse(text: str) -> Node | None:
    """Return the value of the text, None when it holds none. Raises FormatError."""
    start = _skip(text, 1 if text.startswith("\N{ZERO WIDTH NO-BREAK SPACE}") else 0)
    if start == len(text):
        return None
    node = _node(text, start, 0)
    if _skip(text, node.end) != len(text):
        raise _error(text, _skip(text, node.end))
    return node


def _node(text: str, at: int, depth: int) -> Node:
    opening = text[at : at + 1]
    if opening in CLOSING and depth < MOST_DEPTH:
        return _container(text, at, depth)
    found = STRING.match(text, at) or WORD.match(text, at)
    try:
        if found is None:
            raise _error(text, at)
        json.loads(found[0])
    except ValueError:
        raise _error(text, at) from None
    return Node(at, found.end(), "")


def _container(text: str, start: int, depth: int) -> Node:
    opening, children, at = text[start], list[Child](), _skip(text, start + 1)
    while not text.startswith(CLOSING[opening], at):
        first, key = at, None
        if opening == "{":
            key, at = _key(text, at)
        node = _node(text, at, depth + 1)
        children.append(Child(key, first, node))
        at = _skip(text, node.end)
        if text.startswith(",", at):
            at = _skip(text, at + 1)
        elif not text.startswith(CLOSING[opening], at):
            raise _error(text, at)
    return Node(start, at + 1, opening, tuple(children))


def _key(text: str, at: int) -> tuple[str, int]:
    """Return a member's key, and where its value begins."""
    found = STRING.match(text, at)
    colon = _skip(text, found.end()) if found else at
    if found is None or not text.startswith(":", colon):
        raise _error(text, at)
    try:
        return str(json.loads(found[0])), _skip(text, colon + 1)
    except ValueError:
        raise _error(text, at) from None


def _skip(text: str, at: int) -> int:
    """Return where the next thing begins, after blanks and comments."""
    found = GAP.match(text, at)
    return found.end() if found else at


def _error(text: str, at: int) -> FormatError:
    return FormatError(f"it is not valid JSON (line {text.count(chr(10), 0, at) + 1})")
