"""The laws of what strangers show at the door: requests of any form, Lambda's events, ids, keys, names of models and proxies."""

import io
import json
import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

from flask import Flask

from core.access.managed_keys import ManagedKeys
from core.access.sessions import Sessions, form_token, is_form_token
from core.copilot.faults import TransportError
from core.copilot.wire import proxy_address
from core.model import Model
from core.route import resolve
from core.settings import Secret, Settings
from core.stored.archive import Archive
from handlers import create_app
from infra.aws.environ import build_environ
from infra.aws.events import NotHttpError, read_event
from infra.local.services import build_services
from infra.local.state import SqliteStateStore
from infra.proxies import bypass
from tests.fuzz.holding import tried
from tests.fuzz.hunting import Target
from tests.fuzz.mutation import Mutator
from tests.unit.aws.events import alb_event, rest_event, url_event

NOW: Final = 1_763_846_400.0
KEY: Final = "fuzz-key"
NOBODY: Final = "http://127.0.0.1:9"  # a port where nobody listens
MODELS: Final = tuple(
    Model(id=name, name=name, vendor="v", dialects=("chat",))
    for name in ("gpt-4.1", "claude-sonnet-4.5", "claude-opus-4.8", "gemini-3.8-flash", "o4-mini")
)


@cache
def app() -> Flask:
    """Return the whole gateway, logged in and without an upstream."""
    directory = tempfile.mkdtemp(prefix="fuzz-")
    settings = Settings(
        data_dir=directory, api_key=Secret(KEY), github_token=Secret("gho_" + "7" * 36), github_url=NOBODY,
        github_api_url=NOBODY, copilot_url=NOBODY, store_responses=True,
    )  # fmt: skip
    return create_app(build_services(settings))


def ask(environ: dict[str, Any]) -> None:
    """Serve a request; AssertionError when it is the gateway's own failure, or no answer at all."""
    statuses: list[str] = []
    body = app().wsgi_app(environ, lambda status, _headers, _exc=None: statuses.append(status))  # type: ignore[arg-type, return-value]  # nobody writes
    try:
        said = b"".join(body)
    finally:
        body.close()  # type: ignore[attr-defined]  # werkzeug's bodies have one
    (status,) = statuses
    assert not status.startswith("500"), f"{status} {said[:200]!r}"


def hold_event(data: bytes) -> None:
    try:
        read = read_event(json.loads(data))
        environ = build_environ(read, object(), lambda: 60.0)
    except (NotHttpError, json.JSONDecodeError, UnicodeDecodeError, RecursionError):
        return
    ask(environ)


def hold_request(data: bytes) -> None:
    """A request as a WSGI server hands it on: method, path, query, headers and body from one text each."""
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.decode("latin-1").split("\n")
    method, _, target = first.partition(" ")
    path, _, query = target.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method or "GET", "PATH_INFO": path or "/", "QUERY_STRING": query, "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "4141", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1", "wsgi.url_scheme": "http",
        "wsgi.version": (1, 0), "wsgi.input": io.BytesIO(body), "wsgi.errors": io.StringIO(), "CONTENT_LENGTH": str(len(body)),
    }  # fmt: skip
    for line in lines:
        name, _, value = line.partition(":")
        key = name.strip().upper().replace("-", "_")
        environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value.strip()
    ask(environ)


def hold_ids(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    with _state() as state:
        keys, sessions = ManagedKeys(state, lambda: NOW), Sessions(state, lambda: NOW)
        assert not keys.authenticate(text)
        assert sessions.key_name(text) is None
        assert is_form_token(text, form_token(text))
        assert not is_form_token("session", text)
        archive = Archive(state, "owner", now=lambda: NOW, ttl=9.0)
        assert (None, False) == (archive.load(text), archive.delete(text))


def hold_names(data: bytes) -> None:
    requested = data.decode("utf-8", "replace")
    found, error = tried(
        resolve, requested, MODELS, {requested[:3]: "gpt-4.1", "a": requested}, requested[:9]
    )
    assert found in MODELS or (error is not None and len(error.message) < 1000 + len(requested))


def hold_proxies(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    for line in text.split("\n"):
        with suppress(TransportError):
            assert proxy_address(line).host
    for host in ("api.githubcopilot.com:443", "[::1]:80", text[:50]):
        assert bypass(text)(host) in {True, False}


@contextmanager
def _state() -> Iterator[SqliteStateStore]:
    state = _store()
    yield state


@cache
def _store() -> SqliteStateStore:
    return SqliteStateStore(Path(tempfile.mkdtemp(prefix="fuzz-")) / "state.sqlite3", lambda: NOW)


def _from(samples: tuple[bytes, ...], *, text: bool = True) -> Callable[[random.Random], bytes]:
    def make(rng: random.Random) -> bytes:
        mutator = Mutator(rng)
        sample = rng.choice(samples)
        if rng.randrange(12) == 0:
            return mutator.noise()
        return mutator.bytes_(sample) if text or rng.randrange(4) == 0 else mutator.json(sample)

    return make


KNOWN: Final = {"x-api-key": KEY, "host": "127.0.0.1"}
BODY: Final = json.dumps({"model": "gpt-4.1", "messages": [{"role": "user", "content": "hi"}]})
EVENTS: Final = tuple(
    json.dumps(event).encode()
    for event in (
        url_event(headers=KNOWN), url_event("POST", "/v1/chat/completions", headers=KNOWN, body=BODY),
        url_event("POST", "/v1/messages", body="e30=", isBase64Encoded=True, cookies=["a=b"]),
        rest_event("POST", "/v1/embeddings", {"a": ["b"]}, body=BODY), alb_event("GET", "/login", {"a": "b"}),
    )
)  # fmt: skip
REQUESTS: Final = (
    *(f"{line}\nhost: localhost\nx-api-key: {KEY}\ncontent-type: application/json\n\n{BODY}".encode() for line in (
        "GET /", "GET /healthz", "POST /v1/chat/completions", "POST /v1/messages", "POST /messages/count_tokens", "POST /v1/responses?a=b",
        "GET /v1/responses/resp_1", "DELETE /v1/responses/resp_1", "POST /v1/embeddings", "GET /v1/models/gpt%2F4", "GET /usage", "OPTIONS /login",
    )),
    b"POST /login\nhost: [::1]:4141\norigin: http://localhost:4141\ncookie: session=abc; other\ncontent-type: application/x-www-form-urlencoded\n\nkey=fuzz-key&form=%ff",
    b"GET /dashboard\nhost: 127.0.0.1\nauthorization: Bearer fuzz-key\norigin: null\n\n",
)  # fmt: skip
IDS: Final = (
    b"cgw_" + b"A" * 43,
    b"resp_0123456789abcdef",
    b"x" * 43,
    "é\ud800".encode("utf-8", "surrogatepass"),
)
NAMES: Final = (
    b"claude-sonnet-4-5-20250929",
    b"gpt-4.1[1m]",
    b"anthropic/claude-opus-4.8:thinking",
    b"auto",
    b"o4",
)
PROXIES: Final = (
    b"http://user:p%40ss@proxy.example:3128\nhttps://[::1]:99999", b"*.example.com, 10.0.0.0/8,[::1],localhost:80 , .b",
)  # fmt: skip

DOORS: Final = (
    Target("event", _from(EVENTS, text=False), hold_event),
    Target("request-head", _from(REQUESTS), hold_request),
    Target("ids", _from(IDS), hold_ids),
    Target("names", _from(NAMES), hold_names),
    Target("proxies", _from(PROXIES), hold_proxies),
)
