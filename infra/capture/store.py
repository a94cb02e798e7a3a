"""Recordings as files: one an exchange, private, and only so many of them."""

import contextlib
import re
import time
from pathlib import Path
from typing import Any, Final

import msgspec
from flask import Flask

from core.copilot.headers import VERSION
from core.errors import GatewayError
from core.settings import Settings
from handlers.services import Services
from infra.capture.recording import Item, Recording
from infra.capture.taps import CapturedApp, tap
from infra.local.private import create, ensure_directory

MOST: Final = 100  # files; the oldest go
_NAME: Final = re.compile(r"[0-9]{8}T[0-9]{6}-[A-Za-z0-9_]+\.jsonl")
# What decides how a request is understood; none of them is a secret.
STEERING: Final = ("aliases", "small_model", "auto", "web_search_model", "upstream_count_tokens")


class CaptureStore:
    """Keeps recordings in a directory of their own. Raises StoreError when it cannot be made private."""

    def __init__(self, directory: Path, services: Services) -> None:
        ensure_directory(directory)
        self._directory = directory
        self._services = services

    def keep(self, recording: Recording, request_id: str) -> None:
        """Write one exchange. Raises OSError."""
        moment = time.gmtime()
        name = re.sub(r"[^A-Za-z0-9_]", "", request_id) or "request"
        path = self._directory / f"{time.strftime('%Y%m%dT%H%M%S', moment)}-{name}.jsonl"
        about = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", moment), **_about(self._services)}
        lines = recording.lines(about, self._services.settings.capture_bodies)
        with open(create(path), "wb") as file:  # noqa: PTH123 - a descriptor that is new and private
            file.write(b"\n".join([*lines, b""]))
        self._make_room()

    def _make_room(self) -> None:
        kept = sorted(path for path in self._directory.iterdir() if _NAME.fullmatch(path.name))
        for path in kept[:-MOST]:
            with contextlib.suppress(FileNotFoundError):  # another process was quicker
                path.unlink()


def install(app: Flask, services: Services) -> Path:
    """Capture every exchange of this app from now on, and return where to. Raises StoreError."""
    directory = Path(services.settings.capture_dir).expanduser().absolute()
    store = CaptureStore(directory, services)
    app.wsgi_app = CapturedApp(app.wsgi_app, store.keep)  # type: ignore[method-assign]  # Flask's own place for it
    tap(services.copilot.transport)
    return directory


def steering(settings: Settings) -> dict[str, Any]:
    """Return the settings that a replay needs."""
    return {name: getattr(settings, name) for name in STEERING}


def _about(services: Services) -> Item:
    try:
        scope, models = services.engine.scope(), tuple(services.engine.models())
    except GatewayError:
        scope, models = "", ()
    return {
        "gateway": VERSION,
        "scope": scope,
        "settings": steering(services.settings),
        "models": msgspec.to_builtins(models),
    }
