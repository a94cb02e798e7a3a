"""The wire shapes of a request for Copilot's chat, and the notes that are taken while one is written."""

from typing import Final, Literal

from msgspec import UNSET, Raw, Struct, UnsetType

from core.canonical import CacheBreakpoint, Image
from core.dialect import Target
from core.dialects.chat.schema import OutCall
from core.errors import UnsupportedFeatureError
from core.model import Model

MOST_BREAKPOINTS: Final = 4
# What models that take no sampling parameters refuse.
SAMPLING: Final = ("temperature", "top_p", "frequency_penalty", "presence_penalty")


class Ephemeral(Struct, frozen=True):
    """Copilot's cache mark on a message."""

    type: Literal["ephemeral"] = "ephemeral"


class TextPart(Struct, frozen=True):
    """Text among parts."""

    text: str
    type: Literal["text"] = "text"


class ImageUrl(Struct, frozen=True):
    """A `data:` or http URL."""

    url: str
    detail: str | UnsetType = UNSET


class ImagePart(Struct, frozen=True):
    """An image among parts."""

    image_url: ImageUrl
    type: Literal["image_url"] = "image_url"


Part = TextPart | ImagePart | Raw


class Turn(Struct, kw_only=True):
    """One message."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str | list[Part] | None
    name: str | UnsetType = UNSET
    tool_call_id: str | UnsetType = UNSET
    tool_calls: list[OutCall] | UnsetType = UNSET
    reasoning_text: str | UnsetType = UNSET
    reasoning_opaque: str | UnsetType = UNSET
    copilot_cache_control: Ephemeral | UnsetType = UNSET


class Notes:
    """What was lost and repaired on the way, each named once, in order; and whom it is written for."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.claude = is_claude(target.model)
        self.call_ids: dict[str, str] = {}  # numbered ones, where the model wants them
        self._losses: dict[str, None] = {}
        self._repairs: dict[str, None] = {}

    def lose(self, name: str) -> None:
        """Note that a knob or a decoration was left out."""
        self._losses[name] = None

    def repair(self, name: str) -> None:
        """Note that something had to be put right."""
        self._repairs[name] = None

    @property
    def losses(self) -> tuple[str, ...]:
        """The losses' names."""
        return tuple(self._losses)

    @property
    def repairs(self) -> tuple[str, ...]:
        """The repairs' names."""
        return tuple(self._repairs)

    def mark(self, cache: CacheBreakpoint | None) -> Ephemeral | UnsetType:
        """Return the cache mark of a message. Other vendors' models cache by themselves and need none."""
        return Ephemeral() if cache is not None and self.claude else UNSET

    def image(self, image: Image) -> ImagePart:
        """Write an image. Raises `UnsupportedFeatureError` for a model that sees none."""
        if self.target.model.vision is False:
            raise UnsupportedFeatureError(f"{self.target.model.id} cannot see images", param="messages")
        url = image.url or f"data:{image.media_type};base64,{image.base64}"
        return ImagePart(ImageUrl(url, image.detail or UNSET))


def is_claude(model: Model) -> bool:
    """Tell whether Copilot serves the model from an Anthropic backend, which has rules of its own on this path."""
    return model.vendor == "Anthropic" or "claude" in model.id or "claude" in model.family


def thin_breakpoints(turns: list[Turn]) -> bool:
    """Keep the first cache mark (the instructions) and the last ones; return whether there were too many (AC-62)."""
    marked = [turn for turn in turns if turn.copilot_cache_control is not UNSET]
    for turn in marked[1 : len(marked) - MOST_BREAKPOINTS + 1]:
        turn.copilot_cache_control = UNSET
    return len(marked) > MOST_BREAKPOINTS
