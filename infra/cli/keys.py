"""`copilot-gateway keys`: make, list, limit, replace and revoke the keys that clients send."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click
from msgspec import Struct

from core.access.caller import UNLIMITED, Limits
from core.access.managed_keys import CACHE_LIFE, KeyNameError, ManagedKeys
from core.ledger.figures import Figures
from core.ledger.ledger import Ledger
from core.ports import StateStore
from core.settings import Settings
from infra.cli.console import plain, result, say
from infra.cli.exits import CommandError
from infra.cli.key_limits import Change, describe, limit_options
from infra.cli.options import json_option, print_json, settings
from infra.cli.stage import Place, stage_options, stage_state

UNITS: Final = {"m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 7 * 86_400.0}


class Use(Struct, frozen=True):
    """What a key has used today (UTC)."""

    requests: int = 0
    tokens: int = 0
    credits: float = 0.0


class Listed(Struct, frozen=True, kw_only=True):
    """A key as `keys list --json` shows it. Times are unix seconds."""

    name: str
    created_at: float
    expires_at: float | None
    expired: bool
    last_used_at: float | None
    limits: Limits
    today: Use


def _seconds(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    """Read a time as people write it: `90d` are ninety days."""
    if value is None:
        return None
    match = re.fullmatch(r"([0-9]{1,5})([mhdw])", value)
    if match is None or int(match[1]) == 0:
        raise click.BadParameter("a time is a number with m, h, d or w behind it, as 12h or 90d")
    return int(match[1]) * UNITS[match[2]]


@click.group("keys")
def command() -> None:
    """Make, list, limit, replace and revoke keys for clients.

    A key is shown once and kept as a hash. Once there is one, the gateway asks every client for a key. A key without limits
    is the owner's; one with limits may ask models within them, and do nothing else.
    """


@command.command("create")
@click.argument("name")
@click.option(
    "--expires",
    callback=_seconds,
    metavar="TIME",
    help="For how long it is good: 12h, 90d, 8w.  [until it is revoked]",
)
@limit_options
@stage_options
def create(*, name: str, expires: float | None, change: Change | None, place: Place) -> None:
    """Make a key for NAME and print it, this once."""
    current, state = _store(place)
    keys = ManagedKeys(state, time.time)
    is_first = not keys.list()
    limits = UNLIMITED if change is None else change(UNLIMITED)
    ends = None if expires is None else time.time() + expires
    _print(name, named(lambda: keys.create(name, ends, limits)))
    if limits != UNLIMITED:
        say(f"Its limits: {describe(limits)}.")
    if is_first and not place.stage and not current.api_key:
        say("From its next start on, the gateway on this machine asks every client for a key.")


@command.command("list")
@json_option
@stage_options
def show(*, as_json: bool, place: Place) -> None:
    """List the keys: names, times, limits and today's use, never a key."""
    _, state = _store(place)
    found = listed(ManagedKeys(state, time.time), used_today(state), time.time())
    if as_json:
        print_json(found)
        return
    if not found:
        say("There are no keys. Make one: copilot-gateway keys create NAME")
    for line in lines(found):
        result().print(plain(line), markup=False, soft_wrap=True)


@command.command("limit")
@click.argument("name")
@limit_options
@stage_options
def limit(*, name: str, change: Change | None, place: Place) -> None:
    """Change the limits of the key of NAME; what is not named stays as it is.

    0 takes a number away, `--surface any` and `--model any` take those limits away.
    """
    if change is None:
        raise click.UsageError("Say which limit: copilot-gateway keys limit --help lists them.")
    _, state = _store(place)
    limits = named(lambda: ManagedKeys(state, time.time).limit(name, change))
    if limits is None:
        raise _unknown(name)
    say(f"The key {name}: {describe(limits) or 'no limits'}. {_notices()}")


@command.command("rotate")
@click.argument("name")
@click.option(
    "--grace",
    callback=_seconds,
    metavar="TIME",
    help="For how long the old key stays good, as 1h.  [not at all]",
)
@stage_options
def rotate(*, name: str, grace: float | None, place: Place) -> None:
    """Make a new key for NAME in place of the old one, with the same limits, and print it, this once."""
    _, state = _store(place)
    clear = named(lambda: ManagedKeys(state, time.time).rotate(name, grace or 0.0))
    if clear is None:
        raise _unknown(name)
    _print(name, clear)
    say(
        "The old one is worthless. " + _notices()
        if grace is None
        else "The old one is good for that time yet."
    )


@command.command("revoke")
@click.argument("name")
@stage_options
def revoke(*, name: str, place: Place) -> None:
    """Make the key of NAME worthless."""
    _, state = _store(place)
    if not named(lambda: ManagedKeys(state, time.time).revoke(name)):
        raise _unknown(name)
    say(f"The key {name} is revoked. {_notices()}")


def listed(keys: ManagedKeys, used: Mapping[str, Use], now: float) -> list[Listed]:
    """Return the keys as they are shown. Raises StoreError."""
    last = keys.last_used()
    return [
        Listed(
            name=key.name,
            created_at=key.created_at,
            expires_at=key.expires_at,
            expired=not key.lives(now),
            last_used_at=last.get(key.name),
            limits=key.limits,
            today=used.get(key.name, Use()),
        )
        for key in keys.list()
    ]


def used_today(state: StateStore) -> dict[str, Use]:
    """Return today's use by key's name. Raises StoreError."""
    sums: dict[str, Figures] = {}
    for row in Ledger(state, time.time, time.monotonic).days(time.time()):
        sums.setdefault(row.key, Figures()).add(row.figures)
    return {
        name: Use(figures.requests, figures.input_tokens + figures.output_tokens, round(figures.credits, 6))
        for name, figures in sums.items()
    }


def lines(keys: Sequence[Listed]) -> list[str]:
    """Return a line for each key, and one more for what limits it and what it has used today."""
    width = max([len(key.name) for key in keys], default=0) + 2
    shown: list[str] = []
    for key in keys:
        used = "never used" if key.last_used_at is None else f"last used {_day(key.last_used_at)}"
        shown.append(f"{key.name:<{width}}made {_day(key.created_at)}  {_end(key)}  {used}")
        if detail := "  ".join(part for part in (_limits(key), _today(key.today)) if part):
            shown.append(" " * width + detail)
    return shown


def local_keys(current: Settings) -> ManagedKeys:
    """Return the keys of the gateway on this machine."""
    return ManagedKeys(_local_state(current), time.time)


def _local_state(current: Settings) -> StateStore:
    from infra.local.state import STATE_FILE, SqliteStateStore  # noqa: PLC0415 - not needed for a stage

    return SqliteStateStore(Path(current.data_dir) / STATE_FILE, time.time)


def _store(place: Place) -> tuple[Settings, StateStore]:
    current = settings({})
    return current, stage_state(place) if place.stage else _local_state(current)


def named(act: Callable[[], Any]) -> Any:
    """Do what may be refused for a key's name, or because another command is at the keys. Raises CommandError."""
    try:
        return act()
    except KeyNameError as error:
        raise CommandError(str(error)) from error


def _print(name: str, clear: str) -> None:
    say(f"The key {name}. It is shown only now; clients send it as `Authorization: Bearer` or `x-api-key`:")
    click.echo(clear)


def _unknown(name: str) -> CommandError:
    return CommandError(f"There is no key named {name}. See: copilot-gateway keys list")


def _notices() -> str:
    return f"A gateway that runs notices within {CACHE_LIFE:g} seconds."


def _limits(key: Listed) -> str:
    return f"limits: {words}" if (words := describe(key.limits)) else ""


def _today(used: Use) -> str:
    if not used.requests:
        return ""
    plural = "" if used.requests == 1 else "s"
    return f"today: {used.requests:,} request{plural}, {used.tokens:,} tokens, {used.credits:,.2f} credits"


def _end(key: Listed) -> str:
    if key.expires_at is None:
        return "good until it is revoked"
    return f"{'EXPIRED on' if key.expired else 'good until'} {_day(key.expires_at)}"


def _day(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))
