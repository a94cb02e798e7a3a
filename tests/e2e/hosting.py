"""Run the gateway for tests: as the real command in its own process, or in this process with chosen settings."""

import json
import re
import socket
import threading
import time
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from flask import Flask
from werkzeug.serving import make_server

from core.settings import Secret, Settings
from handlers import create_app
from handlers.services import Services
from infra.local.services import build_services
from tests.emulators.copilot import DEMO_TOKEN, FakeCopilot
from tests.emulators.copilot.models import MESSAGES, entry

PATIENCE = 60
JSON = {"Content-Type": "application/json"}
# The one Claude of these tests that upstream offers on /v1/messages alone: a chat client of it needs translation.
ONLY_MESSAGES = "claude-sonnet-4.5"


def new_fake() -> FakeCopilot:
    """Return a running fake whose catalogue has a model for every cell of surfaces and dialects."""
    fake = FakeCopilot()
    fake.start()
    fake.models.append(
        entry(
            ONLY_MESSAGES, [MESSAGES], (200_000, 168_000, 64_000),
            min_thinking_budget=1024, max_thinking_budget=32_000,
        )
    )  # fmt: skip
    return fake


def environ_for(fake: FakeCopilot, data: Path, **settings: object) -> dict[str, str]:
    """Return the environment of a gateway that uses this fake and is logged in."""
    named = {
        "GITHUB_URL": fake.github_url,
        "GITHUB_API_URL": fake.api_url,
        "GITHUB_TOKEN": DEMO_TOKEN,
        "DATA_DIR": data,
        **{name.upper(): value for name, value in settings.items()},
    }
    return {f"COPILOT_GATEWAY_{name}": str(value) for name, value in named.items()}


def routes_of(app: Flask) -> list[tuple[str, str]]:
    """Return every (method, path) that the app serves, its variables filled in."""
    return [
        (method, re.sub(r"<[^>]*>", "gpt-4.1", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in sorted(rule.methods or ())
        if method not in {"HEAD", "OPTIONS"}
    ]


class Hosted:
    """The gateway's app in this process, behind Flask's development server; stops completely."""

    def __init__(self, fake: FakeCopilot, data: Path, **settings: Any) -> None:
        chosen: dict[str, Any] = {
            "github_url": fake.github_url, "github_api_url": fake.api_url, "github_token": Secret(DEMO_TOKEN),
            "data_dir": str(data),
            "commit_after": PATIENCE,  # however busy this machine is, a refusal keeps its status
            **settings,
        }  # fmt: skip
        self.services: Services = build_services(Settings(**chosen))
        self.app = create_app(self.services)
        self._server = make_server("127.0.0.1", 0, self.app, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self.services.copilot.transport.close()

    @property
    def counted(self) -> int:
        """How many requests the ledger has."""
        return sum(total.figures.requests for total in self.services.ledger.totals())

    def wait_until_counted(self, requests: int) -> None:
        """Wait until the ledger has so many requests: a client has its answer before that."""
        end = time.monotonic() + PATIENCE
        while self.counted < requests:
            assert time.monotonic() < end
            time.sleep(0.01)


@dataclass
class Answer:
    """One reply of the gateway, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Wire:
    """A client without manners: sends what it is told and reads what comes."""

    url: str
    headers: dict[str, str] = field(default_factory=dict[str, str])

    def send(
        self, method: str, path: str, body: object = None, headers: dict[str, str | None] | None = None
    ) -> Answer:
        """Send one request; a header given as None is left out, a body that is no bytes is sent as JSON."""
        reply = self.open(method, path, body, headers)
        with reply.connection, reply.response:
            return Answer(reply.response.status, reply.headers, reply.response.read())

    def post(self, path: str, body: object, **headers: str | None) -> Answer:
        return self.send(
            "POST", path, body, {name.replace("_", "-"): value for name, value in headers.items()}
        )

    def get(self, path: str, **headers: str | None) -> Answer:
        return self.send(
            "GET", path, None, {name.replace("_", "-"): value for name, value in headers.items()}
        )

    def open(
        self, method: str, path: str, body: object = None, headers: dict[str, str | None] | None = None
    ) -> "Open":
        """Send one request and return with its head; the caller reads or leaves."""
        raw = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        sent: dict[str, str | None] = {**({} if raw is None else JSON), **self.headers, **(headers or {})}
        connection = _Connection(str(urlsplit(self.url).netloc), timeout=PATIENCE)
        given = {name: value for name, value in sent.items() if value is not None}
        connection.request(method, path, raw, given)
        response = connection.getresponse()
        return Open(connection, response, {name.lower(): value for name, value in response.getheaders()})

    def raw(self, request: bytes) -> bytes:
        """Send bytes that need be no HTTP, and return what comes until the other side closes."""
        address = urlsplit(self.url)
        with socket.create_connection((str(address.hostname), address.port or 80), PATIENCE) as connection:
            connection.sendall(request)
            received = b""
            while piece := connection.recv(65_536):
                received += piece
        return received


class _Connection(HTTPConnection):
    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass
class Open:
    """A reply whose body has not been read yet."""

    connection: _Connection
    response: HTTPResponse
    headers: dict[str, str]

    @property
    def status(self) -> int:
        return self.response.status

    def until(self, end: bytes) -> bytes:
        """Read up to and with these bytes, or to the end of the body."""
        received = b""
        while not received.endswith(end) and (byte := self.response.read(1)):
            received += byte
        return received

    def rest(self) -> bytes:
        """Read to the end."""
        with self.connection, self.response:
            return self.response.read()

    def leave(self) -> None:
        """Close the connection, whatever is still to come."""
        self.response.close()
        self.connection.close()
