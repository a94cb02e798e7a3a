"""The gateway's own work without processes or a network: what upstream would answer lies in its sockets already."""

from __future__ import annotations

import io
import json
import pickle
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.lanes import LANES, LIMIT, MODEL, ONLY_MESSAGES, Lane
from core.copilot.transport import Transport
from core.copilot.wire import Connection, Origin
from core.dialect import StreamRelay
from core.settings import Secret, Settings
from core.surfaces import DIALECTS
from handlers import create_app
from infra.local.services import build_services
from tests.e2e.asking import PATH, UPSTREAM_PATH, ask
from tests.emulators.copilot.models import catalogue

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\nx-github-request-id: FAKE\r\ncontent-length: %d\r\n\r\n"
EVENTS = 1000


class Answers(msgspec.Struct):
    """What upstream says in one dialect: a long stream, event by event, a short stream, and a short complete answer."""

    events: list[bytes]
    stream: bytes
    plain: bytes


class Canned(Transport):
    """A transport whose connections hold their answer before they are asked."""

    def __init__(self, answers: Mapping[str, Answers]) -> None:
        super().__init__(now=lambda: 0.0)
        self._answers = {path: answers[name] for name, path in UPSTREAM_PATH.items()}
        self._models = json.dumps({"data": [*catalogue(), ONLY_MESSAGES]}).encode()
        self._other: socket.socket | None = None
        self._ready = b""

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"", **how: Any) -> Any:
        path = "/" + url.split("/", 3)[3]
        if path == "/models":
            self._ready = HEAD % (b"application/json", len(self._models)) + self._models
        else:
            said, kind = self._answers[path], b"application/json"
            content = said.plain
            if b'"stream":true' in body.replace(b" ", b""):
                content, kind = said.stream, b"text/event-stream"
            self._ready = HEAD % (kind, len(content)) + content
        return super().send(method, url, headers, body, **how)

    def take(self, origin: Origin, *, fresh: bool) -> Connection:
        del fresh
        if self._other is not None:
            self._other.close()
        ours, self._other = socket.socketpair()
        self._other.sendall(self._ready)
        return Connection(origin, ours)

    def give_back(self, connection: Connection) -> None:
        connection.close()


class Inside:
    """The application on canned answers."""

    def __init__(self, answers: Mapping[str, Answers], home: Path) -> None:
        settings = Settings(
            github_token=Secret("gho_bench"), copilot_url="http://127.0.0.1:1", identity="direct", client_id="bench",
            data_dir=str(home),
        )  # fmt: skip
        services = build_services(settings)
        services.copilot.transport = Canned(answers)
        self._answers = answers
        self._engine = services.engine
        self._app = create_app(services)

    def relay(self, lane: Lane) -> StreamRelay:
        """What turns upstream's stream into the client's."""
        body = json.dumps(asked(lane, stream=True)).encode()
        return self._engine.prepare(DIALECTS[lane.surface], body).relay()

    def translate(self, lane: Lane) -> int:
        """Feed a long stream, an event at a time; return the bytes that came out."""
        relay = self.relay(lane)
        size = sum(len(relay.feed(event)) for event in self._answers[lane.upstream].events)
        return size + len(relay.close())

    def request(self, lane: Lane, *, stream: bool) -> bytes:
        """Answer one request."""
        body = json.dumps(asked(lane, stream=stream)).encode()
        environ = {
            "REQUEST_METHOD": "POST", "PATH_INFO": PATH[lane.surface], "SCRIPT_NAME": "", "QUERY_STRING": "",
            "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body),
            "wsgi.url_scheme": "http", "wsgi.errors": sys.stderr, "wsgi.version": (1, 0), "wsgi.multithread": True,
            "wsgi.multiprocess": False, "wsgi.run_once": False, "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "4141",
            "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "127.0.0.1:4141", "REMOTE_ADDR": "127.0.0.1",
            "HTTP_USER_AGENT": "bench", "HTTP_ACCEPT": "*/*", "HTTP_AUTHORIZATION": "Bearer anything",
        }  # fmt: skip
        status: list[str] = []
        reply: Any = self._app(environ, lambda line, _headers, *_: status.append(line))
        try:
            said = b"".join(reply)
        finally:
            reply.close()
        assert status == ["200 OK"], (status, said)
        return said


def asked(lane: Lane, *, stream: bool) -> dict[str, Any]:
    return ask(lane.surface, MODEL[lane.upstream], "[[words:10]]", stream=stream, limit=LIMIT)


def record(words: int = EVENTS) -> dict[str, Answers]:
    """Ask the fake Copilot what it would say in each dialect."""
    # What counts instructions does without the driver.
    import asyncio  # noqa: PLC0415

    from benchmarks.load import together  # noqa: PLC0415
    from benchmarks.processes import Fake  # noqa: PLC0415

    fake, found = Fake(), {}
    try:
        for name, path in UPSTREAM_PATH.items():
            lane, target = Lane(name, name), fake.target(path)

            def said(count: int, *, stream: bool, lane: Lane = lane, target: Any = target) -> bytes:
                [heard] = asyncio.run(together(target, lane.request(target, count, stream=stream), 1))
                lane.check(target, heard, count, stream=stream)
                return heard.body

            events = [event + b"\n\n" for event in said(words, stream=True).split(b"\n\n") if event]
            found[name] = Answers(events, said(10, stream=True), said(10, stream=False))
    finally:
        fake.stop()
    return found


def cases(inside: Inside) -> dict[str, Callable[[], object]]:
    """What is counted and timed: each lane's stream of a thousand events, and whole requests."""
    found: dict[str, Callable[[], object]] = {}
    for lane in LANES:
        found[f"stream, {lane.name}"] = lambda lane=lane: inside.translate(lane)
    for lane in (Lane("chat", "chat"), Lane("messages", "chat"), Lane("messages", "responses")):
        found[f"request, {lane.name}"] = lambda lane=lane: inside.request(lane, stream=False)
        found[f"streamed request, {lane.name}"] = lambda lane=lane: inside.request(lane, stream=True)
    return found


def opened(answers: Mapping[str, Answers], *, warm: int = 2) -> dict[str, Callable[[], object]]:
    """The cases of a fresh application, each run before: caches are filled."""
    home = Path(tempfile.mkdtemp(prefix="bench-"))
    found = cases(Inside(answers, home))
    for run in found.values():
        for _ in range(warm):
            run()
    return found


def stored(answers: Mapping[str, Answers], path: Path) -> None:
    path.write_bytes(pickle.dumps({name: msgspec.structs.asdict(each) for name, each in answers.items()}))


def loaded(path: Path) -> dict[str, Answers]:
    return {name: Answers(**each) for name, each in pickle.loads(path.read_bytes()).items()}
