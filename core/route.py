"""Routing: which model an id means, and which lane joins the client's surface to that model."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from core.dialect import Dialect
from core.errors import GatewayError, InvalidRequestError
from core.model import DialectName, Kind, Model

# Which upstream dialect to take when the client's own is not offered.
PREFERENCE: Final[tuple[DialectName, ...]] = ("messages", "chat", "responses")

_VARIANT: Final = re.compile(r"\[([^\]]*)\]$")
_DATE: Final = re.compile(r"[-@](\d{8}|\d{4}-\d{2}-\d{2})(-v\d+(:\d+)?)?$")
# Amazon's names for Anthropic's models: `us.anthropic.claude-opus-4-8-20260101-v1:0`.
_AMAZON: Final = re.compile(r"(?:[a-z-]+\.)?anthropic\.(.+?)(?:-v\d+(?::\d+)?)?")
_SEPARATOR: Final = re.compile(r"[-._]")
_FAMILIES: Final = frozenset({"opus", "sonnet", "haiku", "fable"})
NEAREST: Final = 3
LAST_RESORT: Final[DialectName] = "chat"


class Spelling(Struct, frozen=True):
    """An id taken apart: `claude-3-7-sonnet` and `claude-sonnet-3.7` are both (claude, sonnet) at (3, 7)."""

    words: frozenset[str]
    version: tuple[int, ...]


class Lane(Struct, frozen=True):
    """How one request travels. `requested` is the id that the client asked for and will read back."""

    surface: Dialect
    upstream: Dialect
    model: Model
    requested: str

    @property
    def passes_through(self) -> bool:
        """Whether the upstream speaks the client's own dialect."""
        return self.surface.name == self.upstream.name


def spelling(model_id: str) -> Spelling:
    """Take an id apart, without date, variant suffix and vendor prefix; 5.0 is 5."""
    name = _VARIANT.sub("", model_id.lower().rsplit("/", 1)[-1])
    if (named := _AMAZON.fullmatch(name)) is not None:
        name = named[1]
    name = _DATE.sub("", name).removesuffix("-latest")
    parts = [part for part in _SEPARATOR.split(name) if part]
    words = frozenset(part for part in parts if not part.isdecimal())
    if words & _FAMILIES:
        words |= {"claude"}
    version = [int(part) for part in parts if part.isdecimal() and part.isascii()]
    while len(version) > 1 and not version[-1]:
        version.pop()
    return Spelling(words, tuple(version))


def resolve(
    requested: str,
    models: Sequence[Model],
    aliases: Mapping[str, str],
    small_model: str = "",
    kind: Kind = "chat",
) -> Model:
    """Return the model that an id means.

    Exact id first; then spelling, date and `[1m]`-like suffix put aside; then the user's aliases; a bare family name
    means its newest version. Never another version than the one named. Raises `GatewayError` "not_found" with the
    three nearest ids of this kind.
    """
    by_id = {model.id: model for model in models}
    found = by_id.get(requested) or _by_variant(requested, by_id) or _by_spelling(requested, models)
    if found is None:
        target = aliases.get(requested) or aliases.get(requested.lower())
        found = by_id.get(target) or _by_spelling(target, models) if target else None
    if found is None and small_model and "haiku" in requested.lower():
        found = by_id.get(small_model)
    if found is None:
        raise unknown_model(requested, models, kind)
    return found


def unknown_model(requested: str, models: Iterable[Model], kind: Kind) -> GatewayError:
    """Build the 404 that names the nearest ids of a kind."""
    nearest = nearest_ids(requested, [model.id for model in models if model.kind == kind])
    hint = f" Nearest: {', '.join(nearest)}." if nearest else ""
    shown = requested if len(requested) <= 100 else requested[:100] + "…"  # noqa: PLR2004 - one readable line
    return GatewayError(
        f"The model '{shown}' does not exist or is not in your Copilot plan.{hint}",
        kind="not_found",
        param="$.model",
        code="model_not_found",
    )


def nearest_ids(requested: str, ids: Sequence[str]) -> list[str]:
    """Return the three ids most like the requested one: those of its family first, then by letters."""
    from difflib import SequenceMatcher  # noqa: PLC0415 - only an error needs it

    asked = spelling(requested)

    def likeness(model_id: str) -> tuple[int, float]:
        letters = SequenceMatcher(None, requested.lower()[:100], model_id.lower()).ratio()
        return len(asked.words & spelling(model_id).words), letters

    return sorted(ids, key=likeness, reverse=True)[:NEAREST]


def plan(surface: Dialect, requested: str, model: Model, dialects: Mapping[DialectName, Dialect]) -> Lane:
    """Choose the lane. Raises `GatewayError` when the model is no chat model or a policy forbids it."""
    if model.kind != "chat":
        raise InvalidRequestError(
            f"'{model.id}' is an {model.kind} model; it cannot answer on this route.", param="$.model"
        )
    if model.policy != "enabled":
        raise GatewayError(
            f"The model '{model.id}' is not enabled for your account (policy: {model.policy}). "
            "Enable it in GitHub's Copilot settings, or ask your organisation's administrator.",
            kind="permission",
            param="$.model",
            code="model_disabled_by_policy",
        )
    if surface.name in model.dialects:
        return Lane(surface, surface, model, requested)
    offered: list[DialectName] = [name for name in PREFERENCE if name in model.dialects]
    return Lane(surface, dialects[offered[0] if offered else LAST_RESORT], model, requested)


def _by_variant(requested: str, by_id: Mapping[str, Model]) -> Model | None:
    """Match `x[1m]` to an entry `x-1m`, where upstream lists one."""
    variant = _VARIANT.search(requested)
    return by_id.get(f"{requested[: variant.start()]}-{variant.group(1)}".lower()) if variant else None


def _by_spelling(requested: str, models: Sequence[Model]) -> Model | None:
    asked = spelling(requested)
    if not asked.words:
        return None
    same_family = [(spelling(model.id), model) for model in models]
    matches = [(known, model) for known, model in same_family if known.words == asked.words]
    if asked.version:
        matches = [(known, model) for known, model in matches if known.version == asked.version]
    elif not asked.words & _FAMILIES:
        matches = [(known, model) for known, model in matches if not known.version]
    if not matches:
        return None
    return max(
        matches, key=lambda match: (match[1].policy == "enabled", not match[1].preview, match[0].version)
    )[1]
