"""TOML and YAML, edited by libraries that keep comments and order. They are imported by no other command."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from io import StringIO
from typing import Any, Final, cast

from infra.clients.paths import MISSING, Entry, FormatError, Place, Step, nested, spell

MOST_COLUMNS: Final = 1_000_000  # no line is folded
BYTE_ORDER_MARK: Final = "\N{ZERO WIDTH NO-BREAK SPACE}"


class TreeDocument:
    """A file as a tree of mappings and lists that knows how it was written."""

    def __init__(self, text: str) -> None:
        """The libraries end lines as Unix does, and one does not know the byte order mark: both are kept here."""
        self._mark = BYTE_ORDER_MARK if text.startswith(BYTE_ORDER_MARK) else ""
        self._is_windows = 0 < text.count("\n") == text.count("\r\n")
        text = text.removeprefix(BYTE_ORDER_MARK)
        self._tree = self._parse(text.replace("\r\n", "\n") if self._is_windows else text)

    @property
    def text(self) -> str:
        """The file with all edits."""
        text = self._mark + self._written()
        return text.replace("\n", "\r\n") if self._is_windows else text

    def find(self, place: Place) -> Any:
        """Return the value that stands there, or MISSING."""
        found = self._tree
        for step in place:
            index = _index(found, step)
            if index is None:
                return MISSING
            found = found[index]
        return plain(found)

    def set(self, place: Place, value: object) -> None:
        """Put the value there; what leads to it is made. Raises FormatError where something else is in the way."""
        node = self._tree
        for depth, step in enumerate(place):
            if not isinstance(node, list if isinstance(step, Entry) else dict):
                raise FormatError(f"{spell(place[:depth]) or 'the file'} is not what its program reads there")
            index, rest = _index(node, step), place[depth + 1 :]
            if index is None or not rest:
                _put(node, step, index, self._made(node, rest, value))
                return
            node = _item(node, index)

    def delete(self, place: Place) -> None:
        """Take the value out; nothing happens when there is none."""
        node = self._tree
        for step in place[:-1]:
            index = _index(node, step)
            if index is None:
                return
            node = node[index]
        index = _index(node, place[-1])
        if index is not None:
            del node[index]

    def _parse(self, text: str) -> Any:
        """Return the tree. Raises FormatError."""
        raise NotImplementedError

    def _written(self) -> str:
        """Return the text of the tree."""
        raise NotImplementedError

    def _made(self, node: Any, rest: Place, value: object) -> Any:
        """Return the value inside what leads to it, as it is written below the node."""
        del node
        return nested(rest, value)


class TomlDocument(TreeDocument):
    """A TOML file."""

    def _parse(self, text: str) -> Any:
        self._tomlkit: Any = import_module("tomlkit")
        errors: Any = import_module("tomlkit.exceptions")
        try:
            return self._tomlkit.parse(text)
        except (errors.TOMLKitError, RecursionError) as error:
            raise FormatError(f"it is not valid TOML: {error}") from None

    def _written(self) -> str:
        return str(self._tomlkit.dumps(self._tree))

    def _made(self, node: Any, rest: Place, value: object) -> Any:
        """Return tables with headers; one that only leads to others needs none of its own."""
        whole = nested(rest, value)
        if isinstance(whole, dict) and self._has_no_headers(node):
            inline = self._tomlkit.inline_table()
            inline.update(whole)
            return inline
        made = value
        if isinstance(value, dict):
            made = self._tomlkit.table()
            made.update(value)
        for step in reversed(rest):
            outer = self._tomlkit.table(is_super_table=isinstance(value, dict))
            outer[step] = made
            made = outer
        return made

    def _has_no_headers(self, node: Any) -> bool:
        """Say whether the members stand in braces or under dotted keys: what follows a header there would belong to it."""
        items: Any = self._tomlkit.items
        if isinstance(node, items.InlineTable):
            return True
        return isinstance(node, items.Table) and any(key and key.is_dotted() for key, _ in node.value.body)


class YamlDocument(TreeDocument):
    """A YAML file."""

    def _parse(self, text: str) -> Any:
        self._library: Any = import_module("ruamel.yaml")
        errors: Any = import_module("ruamel.yaml.error")
        guess: Any = import_module("ruamel.yaml.util")
        self._yaml: Any = self._library.YAML()
        self._yaml.preserve_quotes = True
        self._yaml.width = MOST_COLUMNS
        try:
            tree: Any = self._yaml.load(text)
            _, indent, offset = guess.load_yaml_guess_indent(text) if tree else (None, None, None)
        except (errors.YAMLError, ValueError, RecursionError) as error:
            raise FormatError(f"it is not valid YAML: {' '.join(str(error).split())}") from None
        if offset:
            self._yaml.indent(mapping=2, sequence=indent or offset + 2, offset=offset)
        # A file of nothing but comments has no tree that they could hang on.
        self._lead = "" if tree is not None else text
        return tree

    def _written(self) -> str:
        if self._tree is None:
            return self._lead
        out = StringIO()
        self._yaml.dump(self._tree, out)
        return self._lead + out.getvalue()

    def set(self, place: Place, value: object) -> None:
        """Put the value there; an empty file becomes what the place asks for."""
        if self._tree is None:
            comments = self._library.comments
            self._tree = comments.CommentedSeq() if isinstance(place[0], Entry) else comments.CommentedMap()
        super().set(place, value)


def plain(value: Any) -> Any:
    """Return the value as Python's own kinds, without the library's memory of how it was written."""
    if isinstance(value, dict):
        members = cast("Mapping[Any, Any]", value)
        return {str(name): plain(member) for name, member in members.items()}
    if isinstance(value, list):
        items = cast("Sequence[Any]", value)
        return [plain(item) for item in items]
    unwrap = getattr(value, "unwrap", None)
    if unwrap is not None:
        return unwrap()
    return next((kind(value) for kind in (bool, int, float, str) if isinstance(value, kind)), value)


def _index(node: Any, step: Step) -> Any:
    """Return the key or the position of what the step leads to, or None."""
    if isinstance(step, str):
        return step if isinstance(node, dict) and step in node else None
    items = cast("Sequence[Any]", node if isinstance(node, list) else ())
    for position, item in enumerate(items):
        if isinstance(item, dict) and _item(item, step.key) == step.value:
            return position
    return None


def _item(node: Any, index: Any) -> Any:
    found: Any = node
    return found[index] if not isinstance(node, dict) or index in node else None


def _put(node: Any, step: Step, index: Any, value: Any) -> None:
    if isinstance(step, Entry) and index is None:
        node.append(value)
    else:
        node[step if index is None else index] = value
