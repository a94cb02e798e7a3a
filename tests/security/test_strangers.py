"""Attacks over the network by who holds no key, or watches: weaknesses 4, 5, 6, 8, 12, 17, 20 and 22."""

import ast
import hmac
import json
import socket
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import msgspec
import pytest

from core.access.keys import KeyCheck
from core.copilot.headers import VERSION
from core.openapi.document import document
from core.settings import Secret, Settings
from handlers import create_app
from infra.aws.app import handler_for
from infra.aws.services import build_services as build_on_aws
from tests.e2e.asking import PATH, SURFACES, ask, error_of
from tests.e2e.browser import FORM
from tests.e2e.cli_driver import environment, run
from tests.e2e.hosting import Hosted, Wire
from tests.emulators.copilot import FakeCopilot
from tests.security.attacks import KEY, OPEN, PEERS, ROOT, routes, spent
from tests.unit.aws.events import url_event

BEYOND = ["0.0.0.0", "::", "192.0.2.1"]  # noqa: S104 - what must be refused


@pytest.mark.parametrize("host", BEYOND)
def test_weakness_04_nobody_listens_beyond_this_machine_without_a_key(
    fake: FakeCopilot, tmp_path: Path, host: str
) -> None:
    """Row 04."""
    told = run(environment(tmp_path, fake), "start", "--port", "0", "--host", host, "--allow-plain-http")
    assert (2, True) == (told.returncode, "keys create" in told.stderr)


def test_weakness_04_nobody_is_let_in_by_a_proxy_without_a_key(fake: FakeCopilot, tmp_path: Path) -> None:
    """Row 04: who gives the gateway a public name has a proxy pass the world on to loopback."""
    public = {"COPILOT_GATEWAY_ALLOWED_HOSTS": "ai.example"}
    told = run(environment(tmp_path, fake) | public, "start", "--port", "0")
    assert (2, True) == (told.returncode, "keys create" in told.stderr)
    with Hosted(fake, tmp_path / "served", allowed_hosts=("ai.example",)) as served:
        assert 401 == Wire(served.url).get("/v1/models", Host="ai.example").status


@pytest.mark.parametrize("shown", [{}, {"authorization": "Bearer x"}, {"x-api-key": "any text"}])
def test_weakness_04_a_function_without_any_key_lets_nobody_in(shown: dict[str, str]) -> None:
    """Row 04: on Lambda there is no open door, also before the first key was made."""
    names = {"COPILOT_GATEWAY_TABLE": "none", "COPILOT_GATEWAY_SECRET": "none"}
    app = create_app(build_on_aws(Settings(), names))
    context = SimpleNamespace(aws_request_id="1", get_remaining_time_in_millis=lambda: 60_000)
    event = url_event("POST", PATH["messages"], headers=shown, body=json.dumps({"model": "gpt-4.1"}))
    answer = handler_for(app)(event, context)
    assert isinstance(answer, dict)
    assert 401 == answer["statusCode"]
    error_of("messages", answer["body"].encode())


SPOOFED = {
    "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "localhost", "X-Forwarded-Proto": "https", "X-Real-IP": "127.0.0.1",
    "Forwarded": "for=127.0.0.1;host=localhost", "X-Client-IP": "127.0.0.1", "True-Client-IP": "127.0.0.1",
    "CF-Connecting-IP": "127.0.0.1", "X-Original-URL": "/healthz", "X-Rewrite-URL": "/healthz", "X-HTTP-Method-Override": "GET",
}  # fmt: skip


def test_weakness_05_no_route_is_open_to_who_says_or_is_on_this_machine(
    locked: Wire, fake: FakeCopilot
) -> None:
    """Row 05: these requests do come from loopback, and say so, too."""
    for method, path in [*routes(), ("GET", "/nowhere")]:
        if path in OPEN:
            continue
        body = {"model": "gpt-4.1"} if method == "POST" else None
        for headers in ({}, dict(SPOOFED)):
            assert 401 == locked.send(method, path, body, headers).status, (method, path)
    assert not fake.log


@pytest.mark.parametrize("path", ["/healthz/../v1/models", "/healthz/..%2fv1/models", "//v1/models", "/v1//models", "/healthz%2f..%2fmodels", "/healthz;/v1/models", "/healthz/v1/models", "/login/../usage", "/login/usage", "/%2e%2e/usage", "/HEALTHZ", "/v1/healthz", "/v1/login"])  # fmt: skip
def test_weakness_05_no_spelling_of_a_path_gets_around_the_key(locked: Wire, path: str) -> None:
    """Row 05: what is open is compared with the path that is served."""
    assert 401 == locked.get(path).status


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("key", ["", "x", KEY[:-1], KEY + "x", KEY.upper(), f" {KEY} x", "cgw_" + "0" * 43, "\xff", "x" * 50_000, f"{KEY}, {KEY}"])  # fmt: skip
def test_weakness_04_a_wrong_key_is_refused_in_the_surfaces_words(
    locked: Wire, surface: str, key: str
) -> None:
    """Row 04."""
    for headers in ({"Authorization": f"Bearer {key}"}, {"x-api-key": key}):
        answer = locked.send("POST", PATH[surface], ask(surface, "gpt-4.1", "hi"), dict(headers))
        assert 401 == answer.status
        error_of(surface, answer.body)
        assert KEY not in answer.text


@pytest.mark.parametrize("expect", [b"", b"Expect: 100-continue\r\n"])
@pytest.mark.parametrize("surface", SURFACES)
def test_weakness_04_no_body_is_read_of_who_has_no_key(locked: Wire, surface: str, expect: bytes) -> None:
    """Rows 04 and 14: the answer comes although the body never does, and nobody is told to go on."""
    head = f"POST {PATH[surface]} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 900000\r\n"
    received = locked.raw(head.encode() + expect + b"\r\n")
    assert received.startswith(b"HTTP/1.1 401 ")
    error_of(surface, received.partition(b"\r\n\r\n")[2])


def test_weakness_06_there_is_no_admin_route_and_no_process_to_start(
    gateway: Wire, fake: FakeCopilot
) -> None:
    """Row 06."""
    for path in PEERS:
        for method in ("GET", "POST", "PUT", "DELETE"):
            assert gateway.send(method, path, {} if method in {"POST", "PUT"} else None).status in {
                404,
                405,
            }, path
    assert not fake.log
    starters = {"subprocess", "pty", "multiprocessing", "code", "runpy"}
    for path in [*(ROOT / "core").rglob("*.py"), *(ROOT / "handlers").rglob("*.py")]:
        imported = {
            name.name.partition(".")[0]
            if isinstance(node, ast.Import)
            else str(node.module).partition(".")[0]
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in node.names
        }
        assert set() == imported & starters, path


def test_weakness_08_a_gateway_listens_on_this_machine_alone(gateway: Wire) -> None:
    """Row 08: nobody said where."""
    address = urlsplit(gateway.url)
    assert "127.0.0.1" == address.hostname
    others = [
        "127.0.0.2",
        *{found[4][0] for found in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)},
    ]
    for other in others:
        if other != "127.0.0.1":
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((str(other), address.port or 0), timeout=10)


def test_weakness_12_a_stranger_cannot_log_another_account_in_or_ask_who_is(
    locked: Wire, fake: FakeCopilot
) -> None:
    """Row 12."""
    for action in ("start", "cancel", "sign-out", "sign-in", "approve"):
        for form in (f"action={action}", f"action={action}&key=wrong", f"action={action}&token={'0' * 64}"):
            answer = locked.send(
                "POST", "/login", form.encode(), {"Content-Type": FORM, "Cookie": "gateway-session=x"}
            )
            assert 403 == answer.status, form
    assert "Logged in to GitHub as" not in locked.get("/login").text
    assert [] == spent(fake)
    assert not fake.log


def test_weakness_17_keys_are_compared_as_hashes_and_in_constant_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Row 17: whatever is shown, what is compared has one length and nothing of the key's text."""
    compared: list[tuple[bytes, bytes]] = []
    compare = hmac.compare_digest

    def spy(a: bytes, b: bytes) -> bool:
        compared.append((a, b))
        return compare(a, b)

    monkeypatch.setattr(hmac, "compare_digest", spy)
    ring = KeyCheck(Secret(KEY))
    shown = [KEY, KEY[:-1], "", "x" * 10_000, "\ud800"]
    assert [True, False, False, False, False] == [ring.authenticate(key) is not None for key in shown]
    assert 5 == len(compared)
    assert {32} == {len(side) for pair in compared for side in pair}


def test_weakness_20_liveness_says_ok_and_nothing_else(
    locked: Wire, gateway: Wire, fake: FakeCopilot
) -> None:
    """Row 20: no version, no login, no work upstream; and everything else asks for the key."""
    for wire in (locked, gateway):
        answer = wire.get("/healthz?verbose=1")
        assert (200, b"ok\n") == (answer.status, answer.body)
        assert not {"server", "via", "x-powered-by", "x-gateway-model"} & answer.headers.keys()
    assert not fake.log
    for path in (
        "/usage",
        "/v1/models",
        "/v1/",
        "/health",
        "/status",
        "/metrics",
        "/version",
    ):
        assert 401 == locked.get(path).status, path
    # The description is as public as the source, and the same everywhere: no version, no models, no settings.
    for wire in (locked, gateway):
        told = wire.get("/openapi.json")
        assert (200, msgspec.json.encode(document(wire.url))) == (told.status, told.body)
        assert VERSION.encode() not in told.body
    assert not fake.log


@pytest.mark.parametrize("host", BEYOND)
def test_weakness_22_nobody_listens_beyond_this_machine_without_a_word_about_tls(
    fake: FakeCopilot, tmp_path: Path, host: str
) -> None:
    """Row 22: a key alone could be read on the way."""
    environ = environment(tmp_path, fake) | {"COPILOT_GATEWAY_API_KEY": KEY}
    told = run(environ, "start", "--port", "0", "--host", host)
    assert (2, True, False) == (told.returncode, "--allow-plain-http" in told.stderr, KEY in told.stderr)


def test_weakness_22_on_aws_the_only_fronts_speak_tls() -> None:
    """Row 22: function URLs and REST APIs have no plain HTTP; a listener of another kind would show here."""
    templates = "".join(path.read_text() for path in sorted((ROOT / "infra" / "aws").glob("*.yml")))
    assert [] == [word for word in ("Protocol: HTTP\n", "LoadBalancer", "HttpApi") if word in templates]
    assert "infra.aws.services" in (ROOT / "infra/aws/app.py").read_text()
