"""Fill a JSON schema with sensible values read from a prompt."""

import re
from typing import Any, Final

from tests.emulators.copilot.shapes import Obj, items, members, objects, string

MAX_DEPTH: Final = 12
PLACE: Final = re.compile(r"\b(?:in|for|at|of|near)\s+((?:[A-ZÀ-Þ][\w'-]*)(?:[ ](?:[A-ZÀ-Þ][\w'-]*))*)")
MORE_PLACES: Final = re.compile(
    r"(?:\band|,|&)\s+(?:(?:in|for|at)\s+)?([A-ZÀ-Þ][\w'-]*(?:[ ][A-ZÀ-Þ][\w'-]*)*)"
)
ARITHMETIC: Final = re.compile(r"(?<!\w)[(\d][\d .()]*(?:[-+*/x×^%][ ]*[(\d-][\d .()]*)+(?<=[\d)])")
NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?")
QUOTED: Final = re.compile(r"`([^`]+)`|\"([^\"]+)\"|'([^']+)'")
PATH: Final = re.compile(r"(?:~|\.{0,2})/[\w./-]*\w|\b[\w-]+(?:/[\w.-]+)*\.[A-Za-z]\w{0,5}\b")
URL: Final = re.compile(r"https?://[^\s\"'`<>]+")
BY_NAME: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("path|file", PATH),
    ("url|uri|link", URL),
    ("expression|formula|calculation|equation", ARITHMETIC),
)
PLACES: Final = re.compile("city|location|place|town|country|region", re.IGNORECASE)


def places(prompt: str) -> list[str]:
    """Return the places a prompt names, in order ("in Paris and in Rome")."""
    first = PLACE.search(prompt)
    if first is None:
        return []
    rest = prompt[first.end() :]
    found = [first[1], *MORE_PLACES.findall(rest), *PLACE.findall(rest)]
    return list(dict.fromkeys(found))


def quoted(prompt: str) -> str:
    """Return the first quoted or back-quoted text, or ""."""
    match = QUOTED.search(prompt)
    return next((group for group in match.groups() if group), "") if match else ""


class Filler:
    """Fills one schema; numbers in the prompt are used up from left to right."""

    def __init__(self, root: Obj, prompt: str, place: str | None = None) -> None:
        self._root, self._prompt, self._place = root, prompt, place
        self._numbers = NUMBER.findall(prompt)

    def fill(self) -> Any:
        """Return a value that fits the schema."""
        return self._value(self._root, "", 0)

    def _value(self, schema: Obj, name: str, depth: int) -> Any:
        schema = self._resolved(schema)
        if depth > MAX_DEPTH:
            return None
        if "const" in schema:
            return schema["const"]
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            return self._choice(schema["enum"])
        kind = schema.get("type")
        kinds = [k for k in items(kind) if k != "null"]
        kind = kinds[0] if kinds else kind
        return self._of_kind(
            string(kind) or ("object" if "properties" in schema else "string"), schema, name, depth
        )

    def _of_kind(self, kind: str, schema: Obj, name: str, depth: int) -> Any:
        match kind:
            case "object":
                return self._object(schema, depth)
            case "array":
                least = schema.get("minItems")
                count = least if isinstance(least, int) and 1 <= least <= 20 else 1
                return [self._value(members(schema.get("items")), name, depth + 1) for _ in range(count)]
            case "integer":
                return int(float(self._number()))
            case "number":
                return float(self._number())
            case "boolean":
                return True
            case "null":
                return None
            case _:
                return self._text(name)

    def _object(self, schema: Obj, depth: int) -> Obj:
        properties = members(schema.get("properties"))
        required = [n for n in items(schema.get("required")) if isinstance(n, str)]
        return {
            n: self._value(members(properties.get(n)), n, depth + 1) for n in required or list(properties)[:1]
        }

    def _resolved(self, schema: Obj) -> Obj:
        for _ in range(MAX_DEPTH):
            reference = string(schema.get("$ref"))
            branches = [b for k in ("anyOf", "oneOf", "allOf") for b in objects(schema.get(k))]
            if reference.startswith("#"):
                schema = self._referenced(reference)
            elif branches and "type" not in schema:
                schema = next((b for b in branches if b.get("type") != "null"), branches[0])
            else:
                return schema
        return {}

    def _referenced(self, reference: str) -> Obj:
        target: Obj = self._root
        for part in reference.split("/")[1:]:
            target = members(target.get(part))
        return target

    def _choice(self, options: list[Any]) -> Any:
        words = self._prompt.lower()
        return next((o for o in options if isinstance(o, str) and o.lower() in words), options[0])

    def _number(self) -> str:
        return self._numbers.pop(0) if self._numbers else "1"

    def _text(self, name: str) -> str:
        if PLACES.search(name):
            return self._place or next(iter(places(self._prompt)), "Paris")
        for names, pattern in BY_NAME:
            if re.search(names, name, re.IGNORECASE) and (match := pattern.search(self._prompt)):
                return match[0].strip()
        if name.lower() == "description":
            return "What the user asked for"
        return quoted(self._prompt) or " ".join(self._prompt.split())[:200] or "text"
