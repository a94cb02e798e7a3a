"""What is on this machine: the program, the settings, the data directory, the port, who may call."""

import http.client
import os
import platform
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec

from core.access.managed_keys import ManagedKey, ManagedKeys
from core.copilot.headers import VERSION
from core.copilot.hosts import is_loopback
from core.settings import Settings
from infra.doctor.findings import Check, Dubious, Wrong
from infra.local import private
from infra.local.server import ListenError, listening
from infra.local.state import STATE_FILE, SqliteStateStore
from infra.settings import ANY_ADDRESS, FILE_NAME, SettingsError, check_exposure, load_settings

LEAST_SPACE: Final = 50 * 1024 * 1024  # bytes: less is soon gone
PATIENCE: Final = 5.0  # seconds, for a neighbour on this machine
SHARED: Final = "Run `chmod 700 {}`, or set COPILOT_GATEWAY_DATA_DIR to a directory of your own."
DAMAGED: Final = "Move {} away together with its -wal and -shm files; the next start makes a new one (keys must be made anew)."


class Machine:
    """The checks that need no network. `settings` is there once they could be read."""

    def __init__(self, flags: Mapping[str, object], environ: Mapping[str, str]) -> None:
        self._flags, self._environ = flags, environ
        self._settings: Settings | None = None

    @property
    def settings(self) -> Settings:
        """The settings in force; the checks that use them need `settings`."""
        if self._settings is None:
            self._settings = load_settings(self._flags, self._environ)
        return self._settings

    def checks(self) -> list[Check]:
        """Return what is looked at before any network."""
        return [
            Check("program", "Looking at this machine", (), self.program),
            Check("settings", "Reading the settings", (), self.read_settings),
            Check("directory", "Looking at the data directory", ("settings",), self.directory),
            Check("state", "Reading the state", ("settings", "directory"), self.state),
        ]

    def later_checks(self) -> list[Check]:
        """Return what is looked at last."""
        return [
            Check("port", "Trying the port", ("settings",), self.port),
            Check("keys", "Looking at the keys", ("settings", "directory", "state"), self.keys),
            Check("privacy", "Looking at what is kept", ("settings",), self.privacy),
        ]

    def program(self) -> str:
        """Say which versions run."""
        python = f"{platform.python_implementation()} {platform.python_version()}"
        return f"Copilot Gateway {VERSION} on {python}, {platform.system()} {platform.machine()}."

    def read_settings(self) -> str:
        """Read them; a name that does not exist and a file that others may read are refused there."""
        try:
            current = self.settings
        except SettingsError as error:
            raise Wrong(str(error)) from error
        file = Path(current.data_dir) / FILE_NAME
        plain = msgspec.structs.asdict(Settings(data_dir=current.data_dir))
        changed = [name for name, value in msgspec.structs.asdict(current).items() if value != plain[name]]
        names = f"changed: {', '.join(sorted(changed))}" if changed else "nothing is changed"
        return f"{file if file.exists() else 'no config.toml'}; {names}."

    def directory(self) -> str:
        """Look at the directory of login and state: whose, writable, with some space left."""
        at = Path(self.settings.data_dir)
        if not at.exists():
            return f"{at} is made when it is needed."
        mode = at.stat().st_mode & 0o777
        if os.name != "nt" and mode & 0o022:
            raise Wrong(f"Other users may write to {at} (mode {mode:03o}).", SHARED.format(at))
        try:
            with tempfile.TemporaryFile(dir=at):
                pass
        except OSError as error:
            raise Wrong(
                f"{at} cannot be written: {error.strerror}.", "Check its owner, the disk and its free space."
            ) from error
        free = shutil.disk_usage(at).free
        if free < LEAST_SPACE:
            raise Dubious(f"Only {free // 1024**2} MB are free at {at}.", "Free some space.")
        return f"{at}, {free // 1024**3} GB free."

    def state(self) -> str:
        """Open the SQLite file, take and give back a lease, and let SQLite look through it."""
        path = Path(self.settings.data_dir) / STATE_FILE
        if not path.exists():
            return f"{STATE_FILE} is made at the first start."
        private.make_private(path)
        store = SqliteStateStore(path, time.time, patience=PATIENCE)
        try:
            store.claim("doctor", "doctor", "doctor", expires_at=time.time() + PATIENCE)
            store.release("doctor", "doctor", "doctor")
        finally:
            store.close()
        said = _quick_check(path)
        if said != "ok":
            raise Wrong(f"{path} is damaged: {said}.", DAMAGED.format(path))
        return f"{STATE_FILE} can be read and written ({path.stat().st_size // 1024} KB)."

    def port(self) -> str:
        """Try to listen; where somebody does already, ask who it is."""
        host, port = self.settings.host, self.settings.port
        if port == 0:
            return f"any free port of {host}."
        try:
            with listening(host, port):
                return f"{host} port {port} is free."
        except ListenError as error:
            neighbour = self._neighbour(ANY_ADDRESS.get(host, host), port)
            if neighbour is None:
                raise Wrong(
                    f"{error}.", "Choose another with --port or COPILOT_GATEWAY_PORT; 0 takes a free one."
                ) from error
            return neighbour

    def keys(self) -> str:
        """Say who may call, and refuse what `start` would."""
        listed = self._listed()
        try:
            check_exposure(self.settings, lambda: bool(listed))
        except SettingsError as error:
            raise Wrong(str(error)) from error
        dead = sum(not key.lives(time.time()) for key in listed)
        count = len(listed) + bool(self.settings.api_key)
        if not count:
            return f"no keys: everybody on this machine may call {self.settings.host}."
        if not is_loopback(self.settings.host):
            raise Dubious(
                f"{count} keys; other machines reach {self.settings.host}, and the connection is not encrypted.",
                "Put something that speaks TLS in front.",
            )
        return f"{count} keys" + (f", {dead} of them expired." if dead else ".")

    def privacy(self) -> str:
        """Name the settings that keep or show more than usual."""
        current = self.settings
        if current.show_token:
            raise Dubious(
                "show_token prints the tokens at every start.", "Switch it off when you have seen them."
            )
        if current.store_responses:
            days = current.store_ttl / 86_400
            raise Dubious(
                f"store_responses keeps prompts and answers in {STATE_FILE} for {days:g} days.",
                "Switch it off unless your clients use previous_response_id.",
            )
        return "no prompt or answer is kept."

    def _listed(self) -> list[ManagedKey]:
        path = Path(self.settings.data_dir) / STATE_FILE
        if not path.exists():
            return []
        return ManagedKeys(SqliteStateStore(path, time.time, patience=PATIENCE), time.time).list()

    def _neighbour(self, host: str, port: int) -> str | None:
        """Say what the gateway that listens there already is like, or None when it is no gateway."""
        try:
            status, healthy, _ = _get(host, port, "/healthz", "")
            if (status, healthy.strip()) != (200, b"ok"):
                return None
            status, _, ours = _get(host, port, "/v1/models", self.settings.api_key)
        except (OSError, http.client.HTTPException):
            return None
        if not ours:
            return None
        if status == http.client.UNAUTHORIZED:
            if self.settings.api_key:
                raise Dubious(
                    f"A gateway runs on {host} port {port}, but refuses this api_key.", "Restart it."
                )
            return f"a gateway runs on {host} port {port} and asks for a key."
        if status != http.client.OK:
            raise Dubious(
                f"A gateway runs on {host} port {port}, but lists no models (status {status}).",
                "Its log says why; restart it.",
            )
        return f"a gateway runs on {host} port {port} and answers."


def _quick_check(path: Path) -> str:
    try:
        connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=PATIENCE)
        try:
            return str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        finally:
            connection.close()
    except sqlite3.Error as error:
        return str(error)


def _get(host: str, port: int, path: str, key: str) -> tuple[int, bytes, bool]:
    """Return status, the beginning of the body, and whether a gateway of ours answered."""
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
    try:
        connection.request("GET", path, headers={"authorization": f"Bearer {key}"} if key else {})
        reply = connection.getresponse()
        return reply.status, reply.read(1024), reply.getheader("x-request-id") is not None
    finally:
        connection.close()
