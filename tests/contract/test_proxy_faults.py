"""Which obstacle both clients see behind and before a proxy: words and remedies follow from it."""

import datetime as dt
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.copilot.faults import TransportError
from core.copilot.github import GitHub
from core.copilot.transport import Transport
from tests.contract.proxying import Authority
from tests.listening import free_port
from tests.unit.copilot.doubles import PATIENCE, Clock, answers, read_request, scripted, whole
from tests.unit.copilot.tunnels import proxying

Ask = Callable[..., TransportError]
DAY = dt.timedelta(days=1)
NOW = dt.datetime.now(dt.UTC)


def ask_github(url: str, *, patience: float = PATIENCE, **options: object) -> TransportError:
    with pytest.raises(TransportError) as caught:
        GitHub(now=Clock(), connect_timeout=patience, **options).fetch("GET", url, {}, timeout=PATIENCE)  # type: ignore[arg-type]
    return caught.value


def ask_copilot(url: str, *, patience: float = PATIENCE, **options: object) -> TransportError:
    with pytest.raises(TransportError) as caught:
        Transport(now=Clock(), connect_timeout=patience, **options).send("GET", url, {}).wait(PATIENCE)  # type: ignore[arg-type]
    return caught.value


@pytest.fixture(params=[ask_github, ask_copilot], ids=["github", "copilot"])
def ask(request: pytest.FixtureRequest) -> Ask:
    chosen: Ask = request.param
    return chosen


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("authority"))


@contextmanager
def certified(context: ssl.SSLContext) -> Iterator[str]:
    """A server with this certificate."""

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as tls:
            answers(whole(b"one"))(tls)

    with scripted(serve) as url:
        yield url.replace("http:", "https:")


@pytest.mark.parametrize(
    ("name", "more", "expected"),
    [
        ("other.example", {}, ("identity", "its certificate is for another")),
        ("127.0.0.1", {"not_after": NOW - DAY}, ("clock", "its certificate has expired (is this machine's clock")),
        ("127.0.0.1", {"not_before": NOW + DAY}, ("clock", "its certificate is not valid yet")),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_certificate_is_named(
    ask: Ask, authority: Authority, name: str, more: dict[str, object], expected: tuple[str, str]
) -> None:
    with certified(authority.server_context(name, **more)) as url:
        error = ask(url, ca_bundle=str(authority.path))
    obstacle, words = expected
    assert ("connect", obstacle) == (error.kind, error.obstacle)
    assert words in error.message


def test_an_authority_that_nobody_here_trusts_is_named(ask: Ask, authority: Authority) -> None:
    with certified(authority.server_context()) as url:
        error = ask(url)
    assert ("connect", "certificate") == (error.kind, error.obstacle)
    assert "REQUESTS_CA_BUNDLE" in error.message


def test_a_server_without_tls_is_named(ask: Ask) -> None:
    def script(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(whole(b"", "400 Bad Request"))

    with scripted(script) as url:
        error = ask(url.replace("http:", "https:"))
    assert ("connect", "handshake") == (error.kind, error.obstacle)


def test_a_bundle_that_is_missing_is_named(ask: Ask, tmp_path: Path) -> None:
    with scripted(answers(whole(b"one"))) as url:
        error = ask(url.replace("http:", "https:"), ca_bundle=str(tmp_path / "nothing.pem"))
    assert ("connect", "bundle") == (error.kind, error.obstacle)


def test_nobody_listening_is_named(ask: Ask) -> None:
    error = ask(f"https://127.0.0.1:{free_port()}")
    assert ("connect", "network") == (error.kind, error.obstacle)


def test_a_name_that_does_not_exist_is_named(ask: Ask) -> None:
    error = ask("https://no-such-host.invalid")
    assert ("connect", "name") == (error.kind, error.obstacle)
    assert "cannot be resolved" in error.message


@pytest.mark.parametrize(
    ("status", "obstacle", "hint"),
    [
        (b"403 Forbidden", "proxy_rules", "403; its rules forbid this host"),
        (b"407 Proxy Authentication Required", "proxy_login", "407; check its user and password"),
        (b"502 Bad Gateway", "proxy", "502; it cannot reach the host"),
        (b"503 Service Unavailable", "proxy", "503; it cannot reach the host"),
        (b"418 Teapot", "proxy", "(418)"),
    ],
)
def test_what_a_proxy_answers_is_named(ask: Ask, status: bytes, obstacle: str, hint: str) -> None:
    with scripted(proxying([], status)) as proxy:
        error = ask("https://api.github.com", proxies={"https": proxy})
    assert ("connect", obstacle) == (error.kind, error.obstacle)
    assert hint in error.message


@pytest.mark.parametrize("name", ["no-such-proxy.invalid", "127.0.0.1"])
def test_a_proxy_that_is_not_there_is_not_taken_for_the_server(ask: Ask, name: str) -> None:
    error = ask("https://api.github.com", proxies={"https": f"http://me:hush@{name}:{free_port()}"})
    assert ("connect", "proxy") == (error.kind, error.obstacle)
    assert "hush" not in error.message


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 Connection esta", b"SSH-2.0-OpenSSH\r\n\r\n"])
def test_something_that_is_no_proxy_is_refused(ask: Ask, said: bytes) -> None:
    def script(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(said)
        connection.shutdown(socket.SHUT_RDWR)

    with scripted(script) as proxy:
        error = ask("https://api.github.com", proxies={"https": proxy})
    assert error.kind in {"connect", "cut", "protocol"}


def test_a_proxy_that_drips_does_not_hold_the_connection_open() -> None:
    """The limit is for the whole answer to CONNECT, not for each byte of it."""

    def script(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        connection.settimeout(0.02)
        while True:
            try:
                if not connection.recv(1):
                    return
            except TimeoutError:
                connection.sendall(b"x")

    with scripted(script) as proxy:
        error = ask_copilot("https://api.github.com", patience=0.3, proxies={"https": proxy})
    assert ("timeout", "proxy") == (error.kind, error.obstacle)
