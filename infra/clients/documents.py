"""Settings files by their form, and the text that a set-up makes of one."""

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from msgspec import UNSET, Struct, UnsetType

from infra.clients.jsonc import JsoncDocument
from infra.clients.paths import MISSING, FormatError, Place, spell
from infra.clients.plan import Form, Setting
from infra.clients.trees import TomlDocument, YamlDocument


class Document(Protocol):
    """A file that is edited: what is not ours stays as it is."""

    @property
    def text(self) -> str: ...  # noqa: D102 - the file with all edits

    def find(self, place: Place) -> Any: ...  # noqa: D102 - the value, or MISSING

    def set(self, place: Place, value: object) -> None: ...  # noqa: D102 - raises FormatError

    def delete(self, place: Place) -> None: ...  # noqa: D102 - nothing happens when there is none


class TextDocument:
    """A file that is one value."""

    def __init__(self, text: str) -> None:
        self.text = text

    def find(self, place: Place) -> Any:
        """Return the text."""
        del place
        return self.text or MISSING

    def set(self, place: Place, value: object) -> None:
        """Replace the text."""
        del place
        self.text = str(value)

    def delete(self, place: Place) -> None:
        """Empty the file."""
        del place
        self.text = ""


FORMS: Final[dict[Form, Callable[[str], Document]]] = {
    "json": JsoncDocument,
    "toml": TomlDocument,
    "yaml": YamlDocument,
    "text": TextDocument,
}


class Written(Struct, frozen=True):
    """One value that was put into a file. before: what stood there; UNSET: nothing."""

    place: Place
    value: Any
    before: Any = UNSET
    made: int = 0  # how many steps of the place led nowhere before


def apply(text: str, form: Form, settings: Sequence[Setting]) -> tuple[str, list[Written]]:
    """Return the text with the settings in it, and what each of them replaced. Raises FormatError."""
    document = FORMS[form](text)
    written: list[Written] = []
    for setting in settings:
        before = document.find(setting.place)
        if before == setting.value or (setting.if_missing and before is not MISSING):
            continue
        made = _missing_steps(document, setting.place)
        document.set(setting.place, setting.value)
        written.append(Written(setting.place, setting.value, UNSET if before is MISSING else before, made))
    _check(FORMS[form](document.text), written)
    return document.text, written


def _check(document: Document, written: Sequence[Written]) -> None:
    """Refuse a text that does not say what was put into it. Raises FormatError."""
    for item in written:
        if document.find(item.place) != item.value:
            raise FormatError(
                f"{spell(item.place)} has no place in it as it is written; make the change there yourself"
            )


def take_out(text: str, form: Form, written: Sequence[Written]) -> tuple[str, list[Place]]:
    """Return the text without what was put in, and the places that were changed since and are left alone."""
    document = FORMS[form](text)
    left: list[Place] = []
    for item in reversed(written):
        if document.find(item.place) != item.value:
            if document.find(item.place) is not MISSING:
                left.append(item.place)
            continue
        if not isinstance(item.before, UnsetType):
            document.set(item.place, item.before)
            continue
        document.delete(item.place)
        _drop_empty(document, item)
    return document.text, left


def _missing_steps(document: Document, place: Place) -> int:
    return sum(document.find(place[: n + 1]) is MISSING for n in range(len(place)))


def _drop_empty(document: Document, item: Written) -> None:
    """Take out what was made only to lead to the value."""
    for depth in range(1, item.made):
        place = item.place[: len(item.place) - depth]
        if not place or document.find(place) not in ({}, []):
            return
        document.delete(place)
