"""A gateway in a process of its own that tells every finished record over a socket, and waits for a nod after each."""

import json
import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from core.exchange import Exchange
from handlers import create_app
from handlers.guard import body_allowance
from handlers.services import Services
from infra.aws.app import handler_for
from infra.local.server import serve, serve_dev
from infra.local.services import build_services
from infra.settings import load_settings
from tests.listening import Listening

ROOT = Path(__file__).parents[2]
PATIENCE = 60
ADDRESS = "RECORDS_AT"


class Records(Listening):
    """The listening end. `hold` makes observers wait until `nod`."""

    def __init__(self) -> None:
        super().__init__()
        self._told: queue.Queue[dict[str, Any]] = queue.Queue()
        self._nods = threading.Event()
        self._nods.set()

    def __exit__(self, *_: object) -> None:
        self._nods.set()
        super().__exit__()

    def next(self) -> dict[str, Any]:
        """Return the next record."""
        return self._told.get(timeout=PATIENCE)

    def hold(self) -> None:
        """Let observers wait."""
        self._nods.clear()

    def nod(self) -> None:
        """Let them go on."""
        self._nods.set()

    def serve(self, connection: socket.socket) -> None:
        # The process may be ended while it waits for the nod.
        with suppress(OSError), connection, connection.makefile("rb") as lines:
            for line in lines:
                self._told.put(json.loads(line))
                self._nods.wait(PATIENCE)
                connection.sendall(b"!")


def tell(done: Exchange) -> None:
    """Tell a record and wait for the nod; an observer."""
    host, _, port = os.environ[ADDRESS].partition(":")
    told = {name: getattr(done, name) for name in done.__struct_fields__ if name not in {"leaving", "wanted"}}
    with socket.create_connection((host, int(port)), PATIENCE) as connection:
        connection.sendall(msgspec.json.encode(told) + b"\n")
        connection.recv(1)


def stumble(_: Exchange) -> None:
    """Fail; an observer that must keep no other from being told."""
    raise RuntimeError("a defect")


def services() -> Services:
    """Return the services that this process' environment describes, with two more observers."""
    given = build_services(load_settings({}, os.environ, known_elsewhere=["STREAMING"]))
    return msgspec.structs.replace(given, observers=(*given.observers, stumble, tell))


@contextmanager
def serving(server: str, environ: Mapping[str, str]) -> Iterator[str]:
    """Run this module with one of our servers and yield the gateway's URL. server: `serve` or `serve_dev`."""
    command = [sys.executable, "-W", "error", "-m", "tests.contract.recording", server]
    with subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **environ}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()
            process.wait(PATIENCE)


def __getattr__(name: str) -> object:
    if name != "handler":  # of a Lambda function
        raise AttributeError(name)
    return handler_for(create_app(services()))


def main(server: str) -> None:
    """Serve until a signal comes; the first line printed is the port."""
    given = services()
    app = create_app(given)

    def on_ready(port: int) -> None:
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()

    if server == "serve":
        serve(app, "127.0.0.1", 0, allowance=body_allowance(given), on_ready=on_ready)
    else:
        serve_dev(app, "127.0.0.1", 0, on_ready=on_ready)


if __name__ == "__main__":
    main(sys.argv[1])
