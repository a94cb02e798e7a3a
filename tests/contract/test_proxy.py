"""The whole gateway behind a real forward proxy that wants a password, with certificates of a private authority."""

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.contract.proxying import (
    TRACES,
    Authority,
    Proxy,
    running_proxy,
    secure_fake,
    secure_upstream,
)
from tests.e2e.cli_driver import Started, environment, run
from tests.e2e.hosting import Wire
from tests.e2e.upstream import Step, Upstream
from tests.emulators.copilot import DEMO_TOKEN, FakeCopilot

CHAT = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "hello"}]}
HELLO = {"choices": [{"index": 0, "delta": {"content": "Hello"}, "finish_reason": None}], "id": "1"}
STOP = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "id": "1"}


def event(body: object) -> bytes:
    return b"data: " + json.dumps(body).encode() + b"\n\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def fake(authority: Authority) -> Iterator[FakeCopilot]:
    with secure_fake(authority) as fake:
        yield fake


@pytest.fixture(scope="module")
def upstream(authority: Authority) -> Iterator[Upstream]:
    with secure_upstream(authority) as upstream:
        yield upstream


@pytest.fixture
def internet(fake: FakeCopilot, tmp_path: Path) -> Iterator[Proxy]:
    """A proxy behind which every host is the fake."""
    with running_proxy(tmp_path, target=port_of(fake)) as proxy:
        yield proxy


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    """A proxy that leads where it is asked to."""
    with running_proxy(tmp_path) as proxy:
        yield proxy


Start = Callable[[dict[str, str]], Started]


@pytest.fixture
def start() -> Iterator[Start]:
    """Return what runs `copilot-gateway start` for the length of the test."""
    with ExitStack() as stack:

        def started(environ: dict[str, str]) -> Started:
            program = Started(environ)
            stack.callback(program.stop, signal.SIGKILL)
            assert program.is_ready(), "\n".join(program.said)
            return program

        yield started


def port_of(fake: FakeCopilot) -> int:
    port = urlsplit(fake.api_url).port
    assert port is not None
    return port


def behind(url: str, authority: Authority, tmp_path: Path, **settings: object) -> dict[str, str]:
    """Return the environment of a gateway that knows GitHub's real names and this proxy."""
    kept = {name: value for name, value in environment(tmp_path, _Nowhere()).items() if "GITHUB" not in name}
    named = {"GITHUB_TOKEN": DEMO_TOKEN, **{name.upper(): str(value) for name, value in settings.items()}}
    return {
        **kept, "HTTPS_PROXY": url, "REQUESTS_CA_BUNDLE": str(authority.path),
        **{f"COPILOT_GATEWAY_{name}": value for name, value in named.items()},
    }  # fmt: skip


class _Nowhere:
    github_url = api_url = ""


@pytest.fixture
def scripted(
    proxy: Proxy, authority: Authority, tmp_path: Path, fake: FakeCopilot, upstream: Upstream
) -> dict[str, str]:
    """The environment of a gateway that reaches the scripted upstream through the proxy, and pings at once."""
    return behind(
        proxy.url(), authority, tmp_path, copilot_url=upstream.url, github_api_url=fake.api_url,
        commit_after=0.05, heartbeat=0.05, connect_timeout=60,
    )  # fmt: skip


def silent_about_the_password(*texts: str) -> bool:
    return not any(trace in text for text in texts for trace in TRACES)


def test_both_clients_reach_every_host_by_its_name_through_the_proxy(
    internet: Proxy, authority: Authority, tmp_path: Path, start: Start
) -> None:
    program = start(behind(internet.url(), authority, tmp_path))
    gateway = Wire(program.url())
    whole = gateway.post("/v1/chat/completions", CHAT)
    streamed = gateway.post("/v1/chat/completions", {**CHAT, "stream": True})
    assert [200, 200] == [whole.status, streamed.status], (whole.text, program.said)
    assert streamed.text.endswith("data: [DONE]\n\n")
    assert {"api.github.com:443", "api.individual.githubcopilot.com:443"} == internet.asked()
    assert silent_about_the_password(*program.said)


def test_the_login_goes_through_the_proxy(
    internet: Proxy, authority: Authority, tmp_path: Path, fake: FakeCopilot
) -> None:
    fake.state.auto_approve = True
    code = fake.state.open_device()
    fake.force(
        "POST", "/login/device/code", 200,
        {
            "device_code": code.device_code, "user_code": code.user_code, "expires_in": 900, "interval": 1,
            "verification_uri": "https://github.com/login/device",
        },
    )  # fmt: skip
    told = run(behind(internet.url(), authority, tmp_path, github_token=""), "auth")
    assert (0, {"github.com:443"}) == (told.returncode, internet.asked())
    assert silent_about_the_password(told.stdout, told.stderr)


@pytest.mark.parametrize(
    ("variables", "proxied"),
    [
        ({}, True),
        ({"NO_PROXY": "corp.example"}, True),
        ({"NO_PROXY": "*"}, False),
        ({"NO_PROXY": "127.0.0.1"}, False),
        ({"NO_PROXY": "127.0.0.0/8"}, False),
        ({"NO_PROXY": "127.0.0.1:PORT"}, False),
        ({"no_proxy": "127.0.0.1:1"}, True),
        ({"COPILOT_GATEWAY_PROXY_ENV": "false"}, False),
    ],
)
def test_what_no_proxy_names_is_reached_directly_by_both_clients(
    internet: Proxy,
    authority: Authority,
    tmp_path: Path,
    fake: FakeCopilot,
    variables: dict[str, str],
    *,
    proxied: bool,
) -> None:
    environ = behind(
        internet.url(), authority, tmp_path, github_api_url=fake.api_url, copilot_url=fake.api_url
    )
    port = str(port_of(fake))
    told = run(
        environ | {name: value.replace("PORT", port) for name, value in variables.items()}, "models", "--json"
    )
    assert (0, proxied) == (told.returncode, bool(internet.asked())), told.stderr


@pytest.mark.parametrize("variable", ["https_proxy", "ALL_PROXY"])
def test_other_spellings_of_the_variable_work(
    internet: Proxy, authority: Authority, tmp_path: Path, variable: str
) -> None:
    environ = behind("", authority, tmp_path) | {variable: internet.url()}
    if variable == "ALL_PROXY":
        del environ["HTTPS_PROXY"]
    assert run(environ, "models").returncode == 0


def test_pings_and_pieces_pass_the_proxy_as_they_come(
    scripted: dict[str, str], upstream: Upstream, start: Start
) -> None:
    program = start(scripted)
    exchange = upstream.stream(event(HELLO), Step.HOLD, event(STOP), b"data: [DONE]\n\n")
    reply = Wire(program.url()).open("POST", "/v1/chat/completions", {**CHAT, "stream": True})
    assert "Hello" in reply.until(b"Hello").decode()
    assert reply.until(b"\n\n:").endswith(b":")  # a comment is the heartbeat of this surface
    exchange.release()
    assert reply.rest().endswith(b"data: [DONE]\n\n")


def test_a_client_that_leaves_is_felt_behind_the_proxy(
    scripted: dict[str, str], upstream: Upstream, start: Start
) -> None:
    program = start(scripted)
    exchange = upstream.stream(event(HELLO), Step.WATCH)
    reply = Wire(program.url()).open("POST", "/v1/chat/completions", {**CHAT, "stream": True})
    reply.until(b"Hello")
    reply.leave()
    assert exchange.wait_until_left()


def last_event(text: str) -> dict[str, Any]:
    """Return the last event before the end, comments left out."""
    events = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: {")]
    found: dict[str, Any] = json.loads(events[-1])
    return found


def test_a_proxy_that_dies_in_the_middle_ends_the_stream_with_an_error_and_refuses_the_next(
    proxy: Proxy, scripted: dict[str, str], upstream: Upstream, start: Start
) -> None:
    program = start(scripted)
    exchange = upstream.stream(event(HELLO), Step.WATCH)
    gateway = Wire(program.url())
    reply = gateway.open("POST", "/v1/chat/completions", {**CHAT, "stream": True})
    reply.until(b"Hello")
    proxy.kill()
    assert "in the middle of the answer" in last_event(reply.rest().decode())["error"]["message"]
    assert exchange.wait_until_left()
    refused = gateway.post("/v1/chat/completions", CHAT)
    assert (502, True) == (refused.status, "through the proxy: the connection was refused" in refused.text)
    assert silent_about_the_password(refused.text, *program.said)


@pytest.mark.parametrize("stage", ["token exchange", "request"])
def test_a_wrong_password_is_named_by_both_clients(
    proxy: Proxy, authority: Authority, tmp_path: Path, fake: FakeCopilot, stage: str
) -> None:
    environ = behind(proxy.url("me:wr%40ng@"), authority, tmp_path, copilot_url="https://127.0.0.1:9")
    direct = {"COPILOT_GATEWAY_IDENTITY": "direct"} if stage == "request" else {}
    told = run(environ | direct, "models")
    assert (4, "") == (told.returncode, told.stdout)
    assert "the proxy refused the tunnel (407; check its user and password)" in told.stderr
    assert not any(trace in told.stderr for trace in ("wr@ng", "wr%40ng", "bWU6d3JAbmc"))


def test_a_proxy_whose_rules_forbid_github_is_named(authority: Authority, tmp_path: Path) -> None:
    with running_proxy(tmp_path, plugin="Forbid") as proxy:
        told = run(behind(proxy.url(), authority, tmp_path), "models")
    assert told.returncode == 4
    assert "the proxy refused the tunnel (403; its rules forbid this host)" in told.stderr


def test_a_proxy_that_reaches_nobody_is_named(authority: Authority, tmp_path: Path) -> None:
    with running_proxy(tmp_path, target=9) as proxy:
        told = run(behind(proxy.url(), authority, tmp_path), "models")
    assert told.returncode == 4
    assert "the proxy refused the tunnel (502; it cannot reach the host)" in told.stderr


@pytest.mark.parametrize("url", ["socks5://me:hu%40sh@127.0.0.1:1080", "https://me:hu%40sh@127.0.0.1:1080"])
def test_a_proxy_of_another_kind_is_refused_with_the_remedy(
    authority: Authority, tmp_path: Path, url: str
) -> None:
    told = run(behind(url, authority, tmp_path), "models")
    assert (4, True) == (told.returncode, "only http:// proxies are supported" in told.stderr)
    assert silent_about_the_password(told.stderr)


@pytest.mark.parametrize("bundle", ["none", "file", "folder", "SSL_CERT_FILE", "missing"])
def test_certificates_come_from_where_the_variables_say(
    internet: Proxy, authority: Authority, tmp_path: Path, bundle: str
) -> None:
    environ = behind(internet.url(), authority, tmp_path)
    path = environ.pop("REQUESTS_CA_BUNDLE")
    chosen = {
        "none": {},
        "file": {"REQUESTS_CA_BUNDLE": path},
        "folder": {"REQUESTS_CA_BUNDLE": hashed_folder(authority, tmp_path)},
        "SSL_CERT_FILE": {"SSL_CERT_FILE": path},
        "missing": {"REQUESTS_CA_BUNDLE": "/nowhere.pem"},
    }[bundle]
    told = run(environ | chosen, "models")
    failures = {"none": "behind a company proxy, set REQUESTS_CA_BUNDLE", "missing": "bundle cannot be read"}
    assert (4 if bundle in failures else 0) == told.returncode, told.stderr
    assert failures.get(bundle, "") in told.stderr


def hashed_folder(authority: Authority, tmp_path: Path) -> str:
    """Return a folder of certificates as OpenSSL looks them up: named by the hash of the subject."""
    named = subprocess.run(
        ["openssl", "x509", "-hash", "-noout", "-in", str(authority.path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    folder = tmp_path / "certificates"
    folder.mkdir()
    (folder / f"{named.stdout.strip()}.0").write_bytes(authority.path.read_bytes())
    return str(folder)
