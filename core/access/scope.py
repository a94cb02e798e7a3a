"""Which surfaces and models a key may use."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Final

from core.access.caller import Caller, Limits
from core.errors import GatewayError
from core.model import Model

SURFACES: Final = ("chat", "responses", "messages", "count_tokens", "embeddings")
# Who may ask a model may count the tokens of what it would ask.
INCLUDED: Final[Mapping[str, frozenset[str]]] = {"count_tokens": frozenset({"messages", "responses"})}


def check_surface(caller: Caller, surface: str) -> None:
    """Raise GatewayError `permission` when the key may not use this surface."""
    if not _has_surface(caller.limits, surface):
        raise GatewayError(
            f"The key {caller.name} may not use {surface}; it may use {', '.join(caller.limits.surfaces)}.",
            kind="permission",
            code="surface_not_allowed",
        )


def check_model(caller: Caller, model_id: str, meant: str = "") -> None:
    """Raise GatewayError `permission` when the key may not use this model.

    meant: another name by which the client may have been allowed it (`auto`, which becomes one model or another).
    """
    patterns = caller.limits.models
    if not (_matches(patterns, model_id) or (meant and _matches(patterns, meant))):
        raise GatewayError(
            f"The key {caller.name} may not use the model {model_id}; it may use {', '.join(patterns)}.",
            kind="permission",
            code="model_not_allowed",
        )


def may_use(limits: Limits, model: Model) -> bool:
    """Say whether a key may use this model on any surface."""
    surfaces = ("embeddings",) if model.kind == "embeddings" else ("chat", "responses", "messages")
    return _matches(limits.models, model.id) and any(_has_surface(limits, surface) for surface in surfaces)


def _has_surface(limits: Limits, surface: str) -> bool:
    allowed = limits.surfaces
    return not allowed or surface in allowed or not INCLUDED.get(surface, frozenset()).isdisjoint(allowed)


def _matches(patterns: tuple[str, ...], model_id: str) -> bool:
    return not patterns or any(fnmatchcase(model_id.lower(), pattern.lower()) for pattern in patterns)
