"""`copilot-gateway debug`: what a bug report should hold, and nothing secret."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, cast

import click
import msgspec

from core.copilot.headers import VERSION
from core.ports import StoreError
from core.redaction import redact
from core.settings import Secret, Settings
from infra.cli.console import plain, say, warn
from infra.cli.exits import CommandError
from infra.cli.options import json_option, print_json, settings
from infra.cli.session import Session
from infra.settings import FILE_NAME

LIBRARIES: Final = ("click", "flask", "msgspec", "rich", "waitress", "werkzeug")
PROXY_VARIABLES: Final = ("HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")


@click.group("debug", invoke_without_command=True)
@json_option
@click.pass_context
def command(context: click.Context, *, as_json: bool) -> None:
    """Show versions and paths for a bug report; no secret is among them.

    `debug replay` plays an exchange that `start --capture` has kept.
    """
    if context.invoked_subcommand is not None:
        return
    told = report(settings({}))
    if as_json:
        print_json(told)
        return
    for name, value in told.items():
        click.echo(redact(f"{name}: {_text(value)}"))


@command.command("replay")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--show", is_flag=True, help="Print the answer, too.")
def replay_command(*, file: Path, show: bool) -> None:
    """Play a captured exchange through this gateway, and compare the answers.

    Copilot's captured answer comes from a server on this machine; nothing is asked of GitHub. Ends with exit code 1 when
    the answers differ.
    """
    from infra.capture.reading import CaptureError, read_capture  # noqa: PLC0415 - only this command needs Flask
    from infra.capture.replay import replay  # noqa: PLC0415

    try:
        capture = read_capture(file)
        result = replay(capture)
    except CaptureError as error:
        raise CommandError(str(error)) from error
    if show:
        click.echo(plain(redact(result.body.decode("utf-8", "replace"))))
    for line in result.difference:
        click.echo(plain(redact(line)))
    for missing in result.missing:
        warn(f"This gateway asks for {missing}, which is not in the capture.")
    if result.difference:
        raise CommandError(
            f"The answers differ (captured with version {capture.gateway}, played with {VERSION})."
        )
    say("The answer is the captured one.", "green")


def report(current: Settings) -> dict[str, object]:
    """Return what to tell about this installation; whether a token is there, never the token."""
    file = Path(current.data_dir) / FILE_NAME
    return {
        "version": VERSION,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": platform.platform(),
        "machine": platform.machine(),
        "libraries": {name: found for name in LIBRARIES if (found := _installed(name))},
        "data_dir": current.data_dir,
        "config_file": str(file) if file.exists() else None,
        "token": _token_source(current),
        "changed_settings": _changed(current),
        "proxy_variables": [
            name for name in PROXY_VARIABLES if os.environ.get(name) or os.environ.get(name.lower())
        ],
    }


def _token_source(current: Settings) -> str:
    try:
        return Session(current).token_source()
    except StoreError as error:
        return f"unreadable: {error}"


def _changed(current: Settings) -> dict[str, object]:
    """Return the settings that differ from their defaults, secrets as `(set)`."""
    values = {name: getattr(current, name) for name in current.__struct_fields__ if name != "data_dir"}
    defaults = msgspec.structs.asdict(Settings())
    return {
        name: "(set)" if isinstance(value, Secret) else value
        for name, value in values.items()
        if value != defaults[name]
    }


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _text(value: object) -> str:
    match value:
        case dict():
            members = cast("dict[str, object]", value)
            return ", ".join(f"{name} {text}" for name, text in members.items()) or "none"
        case list():
            return ", ".join(str(item) for item in cast("list[object]", value)) or "none"
        case _:
            return "none" if value is None else str(value)
