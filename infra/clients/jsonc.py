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
# What may follow an opening bracket in its line.
OPENING_REMARK: Final = re.compile(r"(?:[ \t]*/\*[^\r\n]*?\*/)*(?:[ \t]*//[^\r\n]*)?")
INDENT: Final = re.compile(r"[\[{][^\n]*\n([ \t]+)\S")
INDENTED: Final = re.compile(r"[ \t]*")
NEWLINE: Final = re.compile(r"\r?\n")
BLANK: Final = re.compile(r"\s*")
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
        """Take out one child, the comma that is then one too many, and its line if nothing else stands in it."""
        text, child = self.text, node.children[index]
        start, end = child.start, child.node.end
        comma_after = self._comma(end)
        comma_before = self._comma(node.children[index - 1].node.end) if index else None
        end = comma_after or end
        line = text.rfind("\n", 0, start) + 1
        if not text[line:start].strip():
            start, end = line, _line_end(text, end)
        elif comma_after is None and comma_before is not None:
            start = comma_before
        text = text[:start] + text[end:]
        if comma_after is None and comma_before is not None:
            text = text[: comma_before - 1] + text[comma_before:]
        if len(node.children) == 1:
            text = _closed(text, node.start)
        self._replace(0, len(self.text), text)

    def _insert(self, node: Node, step: Step, value: object) -> None:
        key = "" if isinstance(step, Entry) else json.dumps(step, ensure_ascii=False) + ": "
        if not node.children:
            self._insert_first(node, key, value)
            return
        last = node.children[-1]
        comma = self._comma(last.node.end)
        if "\n" not in self.text[node.start : node.end]:
            made = f"{key}{json.dumps(value, ensure_ascii=False)}"
            self._replace(
                comma or last.node.end, comma or last.node.end, f" {made}," if comma else f", {made}"
            )
            return
        indent = self._line_indent(last.start)
        made = f"{self._newline()}{indent}{key}{self._render(value, indent)}"
        at = comma or last.node.end
        remark = REMARK.match(self.text, at)
        between = remark[0] if remark else ""
        self._replace(at, at + len(between), f"{between}{made}," if comma else f",{between}{made}")

    def _insert_first(self, node: Node, key: str, value: object) -> None:
        outer = self._line_indent(node.start)
        inner = outer + self._unit()
        made = f"{self._newline()}{inner}{key}{self._render(value, inner)}"
        remark = OPENING_REMARK.match(self.text, node.start + 1, node.end - 1)
        start = remark.end() if remark else node.start + 1
        rest = self.text[start : node.end - 1]
        tail = rest if "\n" in rest else f"{rest.strip()}{self._newline()}{outer}"
        self._replace(start, node.end - 1, made + tail)

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
        found = INDENTED.match(self.text, line)
        return found[0] if found else ""

    def _unit(self) -> str:
        found = INDENT.search(self.text)
        return found[1] if found else "  "

    def _newline(self) -> str:
        return "\r\n" if "\r\n" in self.text else "\n"


def _line_end(text: str, at: int) -> int:
    """Return where the next line begins, if nothing but a comment is left in this one."""
    remark = REMARK.match(text, at)
    at = remark.end() if remark else at
    newline = NEWLINE.match(text, at)
    return newline.end() if newline else at


def _closed(text: str, start: int) -> str:
    """Return the text with the object or list that begins there closed at once, if it is empty."""
    blank = BLANK.match(text, start + 1)
    at = blank.end() if blank else start + 1
    return text[: start + 1] + text[at:] if text[at : at + 1] in CLOSING.values() else text


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
