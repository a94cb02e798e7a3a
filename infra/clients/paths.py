"""Where a value stands in a settings file, and what can be wrong with such a file."""

from typing import Final, NamedTuple, TypeAlias


class Entry(NamedTuple):
    """The item of a list whose member `key` has this value."""

    key: str
    value: str


Step: TypeAlias = str | Entry
Place: TypeAlias = tuple[Step, ...]


class Missing:
    """The type of MISSING."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()


class FormatError(Exception):
    """A file is not what its format demands, or not of the shape that its program reads."""


def spell(place: Place) -> str:
    """Return the place as people read it: `models[name=x].apiBase`."""
    text = ""
    for step in place:
        text += f"[{step.key}={step.value}]" if isinstance(step, Entry) else f".{step}"
    return text.removeprefix(".")


def nested(place: Place, value: object) -> object:
    """Return the value inside the objects and lists that lead to it."""
    for step in reversed(place):
        value = [value] if isinstance(step, Entry) else {step: value}
    return value
