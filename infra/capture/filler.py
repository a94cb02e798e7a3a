"""Bodies without their words: every letter becomes `x`, every digit `1`, and nothing changes its place or its size.

The structure stays: member names, roles, types, ids, names of models and tools, numbers outside of texts, the borders of
events. What a model passes to a tool is text throughout, its members' names too. An error's message stays: it is what a
report is about. Filling what is filled changes nothing.
"""

import re
from typing import Final

# Members whose texts are the protocol's own, or names.
_KEPT: Final = frozenset({
    "type", "role", "object", "status", "event", "code", "param", "message", "phase", "finish_reason",
    "reason", "stop_reason", "id", "call_id", "tool_call_id", "tool_use_id", "item_id", "response_id",
    "model", "name", "previous_response_id", "stop", "stop_sequence", "stop_sequences", "required",
    "media_type", "service_tier", "detail", "effort", "verbosity", "include", "tool_choice",
    "encoding_format", "truncation", "obfuscation",
})  # fmt: skip
# Texts that say nothing of anybody, wherever they stand.
_WORDS: Final = frozenset({"auto", "none", "any", "all", "ephemeral", "5m", "1h", "concise", "detailed"})
# Members with a tool's input, or with whatever a client likes.
_CONTENT: Final = frozenset({"input", "metadata", "arguments"})

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
# An escape stays one, also of JSON within JSON, as do JSON's own words and what makes a URL one.
_PART: Final = re.compile(
    r"(?P<escaped>\\\\u[0-9A-Fa-f]{4}|\\u[0-9A-Fa-f]{4})|(?P<kept>\\\\[bfnrt]|\\.|\b(?:true|false|null)\b"
    r"|data:[a-z0-9/+.-]+;base64,|https?://)|(?P<letter>[A-Za-z])|(?P<digit>[0-9])|(?P<wide>[^\x00-\x7f])",
    re.DOTALL,
)
_WIDE: Final = {1: "x", 2: "\u00e9", 3: "\u5b57", 4: "\U0001f600"}


def fill(body: bytes, media_type: str) -> bytes:
    """Return a body of the same size without its words. media_type: of the body, as its header has it."""
    text = body.decode("utf-8", "surrogateescape")
    if "event-stream" in media_type:
        filled = "".join(map(_fill_line, text.splitlines(keepends=True)))
    elif text.lstrip()[:1] in {"{", "["}:
        filled = fill_json(text)
    else:
        filled = fill_text(text)
    return filled.encode("utf-8", "surrogateescape")


def fill_text(text: str) -> str:
    """Return text of the same size and shape."""
    return _PART.sub(_filler, text)


def fill_json(text: str) -> str:
    """Return JSON, whole or cut off, without the words in it."""
    walk = _Walk()
    return _TOKEN.sub(lambda match: walk.pass_by(match[0]), text)


class _Walk:
    """Goes through JSON token by token.

    `_frames` are the objects and lists around the place, each with its name: that of the member that holds it. `_key`
    is the member whose value comes next, None where a name comes next or the place is in a list. `_depth` counts the
    frames around the first one that is content; 0: none is.
    """

    def __init__(self) -> None:
        self._frames: list[tuple[str, str]] = []
        self._key: str | None = None
        self._depth = 0

    def pass_by(self, token: str) -> str:
        """Take the next token and return what stands there afterwards."""
        match token[0]:
            case "{" | "[":
                self._enter(token)
            case "}" | "]":
                self._leave()
            case ",":
                self._key = None
            case ":":
                pass
            case '"':
                return self._string(token)
            case _:
                return _PART.sub(_filler, token) if self._depth else token
        return token

    def _enter(self, bracket: str) -> None:
        name = self._name()
        self._frames.append((bracket, name))
        if not self._depth and bracket == "{" and self._key in _CONTENT:
            self._depth = len(self._frames)
        self._key = None

    def _leave(self) -> None:
        if self._frames:
            if self._depth == len(self._frames):
                self._depth = 0
            self._frames.pop()
        self._key = None

    def _name(self) -> str:
        """Return the name of the member whose value comes next; in a list, the list's."""
        if self._key is not None:
            return self._key
        return self._frames[-1][1] if self._frames and self._frames[-1][0] == "[" else ""

    def _string(self, token: str) -> str:
        inner = token[1:].removesuffix('"')
        if self._frames and self._frames[-1][0] == "{" and self._key is None:
            self._key = inner
            return _PART.sub(_filler, token) if self._depth else token
        is_kept = not self._depth and (self._name() in _KEPT or inner in _WORDS)
        return token if is_kept else _PART.sub(_filler, token)


def _fill_line(line: str) -> str:
    field, colon, value = line.partition(":")
    if field == "data" and value.strip() != "[DONE]":
        return field + colon + (fill_json(value) if value.lstrip()[:1] in {"{", "["} else fill_text(value))
    return line if field in {"data", "event", "id", "retry", ""} else fill_text(line)


def _filler(match: re.Match[str]) -> str:
    found = match[0]
    match match.lastgroup:
        case "escaped":
            return found[:-4] + "00e9"
        case "letter":
            return "x"
        case "digit":
            return "1"
        case "wide":
            return _WIDE[len(found.encode("utf-8", "surrogateescape"))]
        case _:
            return found
