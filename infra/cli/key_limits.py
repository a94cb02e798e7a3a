"""The limits of a key as options of a command, and as words."""

import math
import re
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Final

import click
from msgspec.structs import asdict, fields, replace

from core.access.caller import Limits
from core.access.scope import SURFACES

Change = Callable[[Limits], Limits]

ANY: Final = "any"
MOST_AT_ONCE: Final = 50  # slots are tried one after the other
LARGEST: Final = 10**12
_NAMES: Final = tuple(field.name for field in fields(Limits))
_PATTERN: Final = re.compile(r"[\x21-\x7e]{1,100}")
_WORDS: Final = (
    ("per_minute", "requests a minute"),
    ("per_day", "requests a day"),
    ("at_once", "at once"),
    ("tokens_per_day", "tokens a day"),
    ("credits_per_day", "credits a day"),
)


def _models(_context: click.Context, _parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    if not all(_PATTERN.fullmatch(pattern) for pattern in value):
        raise click.BadParameter("a model is an id, with * for any text, as 'claude-*'")
    return tuple("*" if pattern == ANY else pattern for pattern in value)


def _credits(_context: click.Context, _parameter: click.Parameter, value: float | None) -> float | None:
    """Refuse what is no number: click's range lets nan pass, and a key that is kept without its limit is an owner's."""
    if value is not None and math.isnan(value):
        raise click.BadParameter("a number of credits, 0 or more")
    return value


_OPTIONS: Final = (
    click.option(
        "--surface", "surfaces", multiple=True, type=click.Choice([*SURFACES, ANY]),
        help="An API that the key may use; give it several times for several.  [any]",
    ),
    click.option(
        "--model", "models", multiple=True, metavar="PATTERN", callback=_models,
        help="Models that the key may use, as 'claude-*'; several times for several.  [any]",
    ),
    click.option(
        "--per-minute", type=click.IntRange(0, LARGEST), metavar="N", help="Requests in one minute; 0: any number."
    ),
    click.option(
        "--per-day", type=click.IntRange(0, LARGEST), metavar="N", help="Requests in one day (UTC); 0: any number."
    ),
    click.option(
        "--at-once", type=click.IntRange(0, MOST_AT_ONCE), metavar="N",
        help=f"Requests under way at once, up to {MOST_AT_ONCE}; 0: any number.",
    ),
    click.option(
        "--tokens-per-day", type=click.IntRange(0, LARGEST), metavar="N",
        help="Tokens in one day, input and output together; 0: any number.",
    ),
    click.option(
        "--credits-per-day", type=click.FloatRange(0, LARGEST), metavar="X", callback=_credits,
        help="Copilot's AI credits in one day; 0: any number.",
    ),
)  # fmt: skip


def limit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the command gets as `change` what makes new limits of old ones, or None when no option was given."""

    @wraps(command)
    def with_change(**given: Any) -> Any:
        chosen = {name: given.pop(name) for name in _NAMES}
        return command(change=_change(chosen), **given)

    wrapped: Callable[..., Any] = with_change
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


def _change(chosen: Mapping[str, Any]) -> Change | None:
    fresh: dict[str, Any] = {name: value or None for name, value in chosen.items() if value is not None}
    for name, everything in (("surfaces", ANY), ("models", "*")):
        named = fresh.pop(name)
        if named:
            fresh[name] = () if everything in named else tuple(dict.fromkeys(named))
    if not fresh:
        return None

    def change(limits: Limits) -> Limits:
        return replace(limits, **fresh)

    return change


def describe(limits: Limits) -> str:
    """Return the limits in words; empty where there are none."""
    found = asdict(limits)
    parts = [", ".join(found[name]) for name in ("surfaces", "models") if found[name]]
    parts += [f"{found[name]:,} {words}" for name, words in _WORDS if found[name] is not None]
    return "; ".join(parts)
