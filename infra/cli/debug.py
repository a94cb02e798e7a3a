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
from infra.cli.options import json_option, print_json, settings
from infra.cli.session import Session
from infra.settings import FILE_NAME

LIBRARIES: Final = ("click", "flask", "msgspec", "rich", "waitress", "werkzeug")
PROXY_VARIABLES: Final = ("HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")


@click.command("debug")
@json_option
def command(*, as_json: bool) -> None:
    """Show versions and paths for a bug report; no secret is among them."""
    told = report(settings({}))
    if as_json:
        print_json(told)
        return
    for name, value in told.items():
        click.echo(redact(f"{name}: {_text(value)}"))


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
