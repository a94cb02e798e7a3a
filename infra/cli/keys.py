"""`copilot-gateway keys`: make, list and revoke the keys that clients send."""

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from core.access.managed_keys import CACHE_LIFE, KeyNameError, ManagedKey, ManagedKeys
from core.settings import Settings
from infra.cli.console import plain, result, say
from infra.cli.exits import CommandError
from infra.cli.options import json_option, print_json, settings
from infra.cli.stage import Place, stage_options, stage_state

UNITS: Final = {"m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 7 * 86_400.0}


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
    """Make, list and revoke keys for clients.

    A key is shown once and kept as a hash. Once there is one, the gateway asks every client for a key.
    """


@command.command("create")
@click.argument("name")
@click.option(
    "--expires",
    callback=_seconds,
    metavar="TIME",
    help="For how long it is good: 12h, 90d, 8w.  [until it is revoked]",
)
@stage_options
def create(*, name: str, expires: float | None, place: Place) -> None:
    """Make a key for NAME and print it, this once."""
    current, keys = _keys(place)
    is_first = not keys.list()
    try:
        clear = keys.create(name, None if expires is None else time.time() + expires)
    except KeyNameError as error:
        raise CommandError(str(error)) from error
    say(f"The key {name}. It is shown only now; clients send it as `Authorization: Bearer` or `x-api-key`:")
    click.echo(clear)
    if is_first and not place.stage and not current.api_key:
        say("From its next start on, the gateway on this machine asks every client for a key.")


@command.command("list")
@json_option
@stage_options
def show(*, as_json: bool, place: Place) -> None:
    """List the keys: names and times, never a key."""
    _, keys = _keys(place)
    listed = keys.list()
    if as_json:
        print_json(listed)
        return
    if not listed:
        say("There are no keys. Make one: copilot-gateway keys create NAME")
    for line in lines(listed, time.time()):
        result().print(plain(line), markup=False, soft_wrap=True)


@command.command("revoke")
@click.argument("name")
@stage_options
def revoke(*, name: str, place: Place) -> None:
    """Make the key of NAME worthless."""
    _, keys = _keys(place)
    if not keys.revoke(name):
        raise CommandError(f"There is no key named {name}. See: copilot-gateway keys list")
    say(f"The key {name} is revoked; a gateway that runs notices within {CACHE_LIFE:g} seconds.")


def lines(keys: Sequence[ManagedKey], now: float) -> list[str]:
    """Return a line for each key."""
    width = max([len(key.name) for key in keys], default=0) + 2
    return [f"{key.name:<{width}}made {_day(key.created_at)}  {_end(key, now)}" for key in keys]


def local_keys(current: Settings) -> ManagedKeys:
    """Return the keys of the gateway on this machine."""
    from infra.local.state import STATE_FILE, SqliteStateStore  # noqa: PLC0415 - not needed for a stage

    return ManagedKeys(SqliteStateStore(Path(current.data_dir) / STATE_FILE, time.time), time.time)


def _keys(place: Place) -> tuple[Settings, ManagedKeys]:
    current = settings({})
    if not place.stage:
        return current, local_keys(current)
    return current, ManagedKeys(stage_state(place), time.time)


def _end(key: ManagedKey, now: float) -> str:
    if key.expires_at is None:
        return "good until it is revoked"
    return f"{'good until' if key.lives(now) else 'EXPIRED on'} {_day(key.expires_at)}"


def _day(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))
