"""A request as the brain sees it, whichever dialect it came in."""

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Final

from tests.emulators.copilot.shapes import Obj

_DATA_URL: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;[^,;]+)*),(.*)", re.DOTALL)
IMAGE_TOKENS: Final = 800
PNG: Final = b"\x89PNG\r\n\x1a\n"


@dataclass(slots=True)
class Picture:
    """An image or document: media type, size in bytes, width x height when it is a PNG."""

    media_type: str
    size: int
    pixels: str = ""


@dataclass(slots=True)
class ToolResult:
    """What a tool gave back."""

    call_id: str
    text: str
    is_error: bool = False


@dataclass(slots=True)
class Turn:
    """One message."""

    role: str  # user, assistant, tool
    text: str = ""
    pictures: list[Picture] = field(default_factory=list[Picture])
    results: list[ToolResult] = field(default_factory=list[ToolResult])
    calls: int = 0


@dataclass(slots=True)
class Tool:
    """A tool on offer."""

    name: str
    description: str
    schema: Obj
    custom: bool = False
    namespace: str = ""


@dataclass(slots=True)
class Segment:
    """A piece of the prompt in wire order; `mark` says that a cached prefix may end here."""

    text: str
    tokens: int
    mark: bool = True
    hour: bool = False


@dataclass(slots=True)
class Conversation:
    """Everything a reply depends on."""

    model: str
    turns: list[Turn] = field(default_factory=list[Turn])
    tools: list[Tool] = field(default_factory=list[Tool])
    tool_choice: str = "auto"  # auto, none, required, or a tool's name
    parallel: bool = True
    thinking: bool = False
    show_thinking: bool = True
    schema: Obj | None = None
    any_json: bool = False
    max_tokens: int | None = None
    stop: list[str] = field(default_factory=list[str])
    segments: list[Segment] = field(default_factory=list[Segment])

    def add_segment(self, text: str, pictures: int = 0, *, mark: bool = True, hour: bool = False) -> None:
        """Note a piece of the prompt for counting and caching."""
        self.segments.append(Segment(text, tokens_in(text) + 4 + pictures * IMAGE_TOKENS, mark, hour))

    @property
    def prompt_tokens(self) -> int:
        """Return the size of the prompt in tokens."""
        return 3 + sum(segment.tokens for segment in self.segments)


def tokens_in(text: str) -> int:
    """Estimate tokens: four characters each."""
    return (len(text) + 3) // 4


def picture_from_url(url: str) -> Picture | None:
    """Read a data URL; None when it is an address elsewhere."""
    match = _DATA_URL.match(url)
    if match is None:
        return None
    return picture_from_base64(match[1] or "text/plain", match[3])


def picture_from_base64(media_type: str, encoded: str) -> Picture:
    """Read base64; what is no base64 has size -1."""
    try:
        size = len(base64.b64decode(encoded, validate=True))
        head = base64.b64decode(encoded[:64] if len(encoded) > 64 else encoded)
    except (binascii.Error, ValueError):
        return Picture(media_type, -1)
    pixels = ""
    if head.startswith(PNG) and len(head) >= 24:
        pixels = f"{int.from_bytes(head[16:20], 'big')}x{int.from_bytes(head[20:24], 'big')}"
    return Picture(media_type, size, pixels)


@dataclass(slots=True)
class Call:
    """A tool call the brain makes: arguments are members, or a text for a custom tool."""

    name: str
    arguments: Obj | str
    custom: bool = False
    namespace: str = ""


@dataclass(slots=True)
class Answer:
    """What the brain says."""

    thinking: str = ""
    text: str = ""
    calls: list[Call] = field(default_factory=list[Call])
    stop: str = "stop"  # stop, length, tool, stop_sequence, refusal
    stop_sequence: str | None = None
    stamped: bool = False

    @property
    def deltas(self) -> list[str]:
        """Return the text in the pieces a stream carries: a word and its white space each."""
        return re.findall(r"\S+\s*|^\s+", self.text)


@dataclass(slots=True)
class Usage:
    """Tokens used; `prompt` counts everything, cached or not."""

    prompt: int
    output: int
    reasoning: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_hour: int = 0


def output_tokens(answer: Answer, argument_texts: list[str]) -> int:
    """Count output: a token a word, arguments by length."""
    return max(1, len(answer.deltas) + sum(tokens_in(text) + 6 for text in argument_texts))
