"""GitHub's REST client against real sockets: limits, redirects, cookies, certificates, proxies, and what it may say."""

import gzip
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from itertools import count

import pytest

from core.copilot.faults import TransportError
from core.copilot.github import Answer, GitHub
from tests.emulators.copilot.certificate import Certificate
from tests.listening import free_port
from tests.unit.copilot.doubles import PATIENCE, Clock, Script, answers, close, read_request, scripted, whole
from tests.unit.copilot.tunnels import proxying, secure

SECRET = "gho_canary"
HEADERS = {"authorization": f"token {SECRET}", "user-agent": "x"}
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
GZIPPED = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n"


def fetch(url: str, github: GitHub | None = None, **more: int) -> Answer:
    return (github or GitHub(now=Clock())).fetch("GET", url, HEADERS, timeout=PATIENCE, **more)


def fault(url: str, github: GitHub | None = None, **more: int) -> TransportError:
    with pytest.raises(TransportError) as caught:
        fetch(url, github, **more)
    assert SECRET not in f"{caught.value}{caught.value.__cause__}"
    return caught.value


def served(script: Script, **more: int) -> TransportError:
    with scripted(script) as url:
        return fault(url, **more)


def test_the_whole_reply_comes_with_lower_case_names() -> None:
    with scripted(answers(whole(b"{}", "201 Created", "X-GitHub-Request-Id: AB:1"))) as url:
        expected = Answer(201, {"x-github-request-id": "AB:1", "content-length": "2"}, b"{}")
        assert fetch(url) == expected


def test_only_the_headers_that_were_given_are_sent() -> None:
    seen: list[bytes] = []

    def script(connection: socket.socket) -> None:
        seen.append(read_request(connection))
        connection.sendall(whole(b"ok"))

    with scripted(script) as url:
        GitHub(now=Clock()).fetch("POST", f"{url}/a?b=c", HEADERS, b"x=1", timeout=PATIENCE)
    head, _, body = seen[0].partition(b"\r\n\r\n")
    request, *lines = head.lower().split(b"\r\n")
    names = sorted(line.partition(b":")[0] for line in lines)
    assert (b"post /a?b=c http/1.1", b"x=1") == (request, body)
    assert names == [b"accept-encoding", b"authorization", b"content-length", b"host", b"user-agent"]
    assert b"accept-encoding: identity" in lines


def test_neither_netrc_nor_the_environment_has_a_say(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password hush\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    seen: list[bytes] = []

    def script(connection: socket.socket) -> None:
        seen.append(read_request(connection))
        connection.sendall(whole(b"ok"))

    with scripted(script) as url:
        assert fetch(url).body == b"ok"
    assert f"authorization: token {SECRET}".encode() in seen[0].lower()


def test_no_cookie_is_kept_and_no_connection_either() -> None:
    seen: list[bytes] = []

    def script(connection: socket.socket) -> None:
        seen.append(read_request(connection))
        connection.sendall(whole(b"ok", "200 OK", "set-cookie: a=b; path=/"))

    with scripted(script, script) as url:
        github = GitHub(now=Clock())
        assert [fetch(url, github).body, fetch(url, github).body] == [b"ok", b"ok"]
    assert b"cookie" not in seen[1].lower()


def test_a_redirect_is_handed_over_and_its_body_still_has_a_limit() -> None:
    head = "302 Found", "location: http://127.0.0.1:1/"
    with scripted(answers(whole(b"moved", *head))) as url:
        assert (302, b"moved") == (fetch(url).status, b"moved")
    assert served(answers(whole(b"x" * 1001, *head)), limit=1000).kind == "too_large"


@pytest.mark.parametrize(
    "reply",
    [whole(b"x" * 1001), CHUNKED + b"3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n", GZIPPED + gzip.compress(b"\0" * (30 << 20), mtime=0)],
    ids=["length", "chunked", "bomb"],
)  # fmt: skip
def test_a_body_over_the_limit_is_refused(reply: bytes) -> None:
    assert served(answers(reply, then=close), limit=1000).kind == "too_large"


def test_a_body_at_the_limit_is_read() -> None:
    with scripted(answers(whole(b"x" * 1000))) as url:
        assert len(fetch(url, limit=1000).body) == 1000


def test_a_compressed_reply_is_undone() -> None:
    with scripted(answers(GZIPPED + gzip.compress(b"{}", mtime=0), then=close)) as url:
        assert fetch(url).body == b"{}"


@pytest.mark.parametrize(
    "sent", [b"", b"HTTP/1.1 200 OK\r\n", whole(b"xy")[:-1]], ids=["none", "head", "body"]
)
def test_silence_has_an_end(sent: bytes) -> None:
    go = threading.Event()
    with scripted(answers(sent, then=lambda _connection: go.wait(PATIENCE) and None)) as url:
        with pytest.raises(TransportError) as caught:
            GitHub(now=Clock()).fetch("GET", url, {}, timeout=0.05)
        go.set()
    assert caught.value.kind == "timeout"


def test_a_body_that_drips_has_an_end() -> None:
    def drips(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
        while True:
            connection.sendall(b"x")

    ticks = count()
    with scripted(drips) as url:
        assert fault(url, GitHub(now=lambda: float(next(ticks)))).kind == "timeout"


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (answers(then=close), "cut"),
        (answers(whole(b"whole")[:-1], then=close), "cut"),
        (answers(CHUNKED, b"5\r\nhel", then=close), "cut"),
        (answers(CHUNKED, b"zz\r\nhello", then=close), "cut"),
        (answers(b"SSH-2.0-OpenSSH\r\n\r\n", then=close), "protocol"),
        (answers(b"HTTP/1.1 200 OK\r\n" + b"x" * 70_000, then=close), "protocol"),
        (answers(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n", then=close), "protocol"),
        (answers(GZIPPED, b"no gzip at all", then=close), "protocol"),
    ],
    ids=["silent", "short", "half chunk", "chunk size", "ssh", "long line", "many headers", "gzip"],
)  # fmt: skip
def test_every_broken_answer_has_its_kind(script: Script, kind: str) -> None:
    assert served(script).kind == kind


def test_a_refused_connection_says_so() -> None:
    error = fault(f"http://127.0.0.1:{free_port()}")
    assert ("connect", "cannot connect to 127.0.0.1: the connection was refused") == (error.kind, str(error))


@pytest.mark.parametrize("host", ["x" * 64 + ".example", "a..b"])
def test_an_impossible_host_is_a_fault_like_any_other(host: str) -> None:
    assert fault(f"https://{host}").kind in {"connect", "protocol"}


@pytest.mark.parametrize("value", ["token gho_canary\r\nx: y", "gho_canary\u20ac"])
def test_a_header_that_http_forbids_is_not_sent_and_not_shown(value: str) -> None:
    with scripted(answers(whole(b"ok"))) as url, pytest.raises(TransportError) as caught:
        GitHub(now=Clock()).fetch("GET", url, {"authorization": value}, timeout=PATIENCE)
    assert ("protocol", False) == (caught.value.kind, SECRET in f"{caught.value!r}{caught.value.__cause__!r}")


def test_a_chosen_bundle_is_trusted(certificate: Certificate) -> None:
    with secure(certificate, answers(whole(b"one"))) as url:
        assert fetch(url, GitHub(now=Clock(), ca_bundle=str(certificate.path))).body == b"one"


def test_an_unknown_certificate_is_refused_with_a_remedy(certificate: Certificate) -> None:
    with secure(certificate, answers(whole(b"one"))) as url:
        error = fault(url)
    assert ("connect", True) == (error.kind, "set REQUESTS_CA_BUNDLE" in str(error))


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_an_unreadable_bundle_is_named(
    content: str | None, tmp_path_factory: pytest.TempPathFactory, certificate: Certificate
) -> None:
    bundle = tmp_path_factory.mktemp("ca") / "ca.pem"
    if content is not None:
        bundle.write_text(content)
    with secure(certificate, answers(whole(b"one"))) as url:
        error = fault(url, GitHub(now=Clock(), ca_bundle=str(bundle)))
    assert str(error) == "the certificate bundle cannot be read (REQUESTS_CA_BUNDLE)"


def through(
    proxy: str, certificate: Certificate, bypass: Callable[[str], bool] = lambda _host: False
) -> GitHub:
    return GitHub(now=Clock(), ca_bundle=str(certificate.path), proxies={"https": proxy}, bypass=bypass)


@pytest.mark.parametrize(
    ("user", "sent"),
    [("", None), ("me:p%40ss@", b"bWU6cEBzcw=="), ("me@", b"bWU6"), ("me:%E2%82%AC@", b"bWU64oKs")],
)
def test_https_goes_through_the_proxy_with_its_credentials(
    certificate: Certificate, user: str, sent: bytes | None
) -> None:
    seen: list[bytes] = []
    with secure(certificate, answers(whole(b"one"))) as url, scripted(proxying(seen)) as proxy:
        assert fetch(url, through(proxy.replace("http://", f"http://{user}"), certificate)).body == b"one"
    assert seen[0].startswith(b"CONNECT 127.0.0.1:")
    assert SECRET.encode() not in seen[0]
    assert (sent is not None) == (b"proxy-authorization" in seen[0].lower())
    assert sent is None or b"Basic " + sent in seen[0]


def test_a_host_named_in_no_proxy_is_reached_directly(certificate: Certificate) -> None:
    with secure(certificate, answers(whole(b"one"))) as url:
        assert fetch(url, through("http://127.0.0.1:9", certificate, lambda _host: True)).body == b"one"


def test_plain_http_goes_through_no_proxy() -> None:
    with scripted(answers(whole(b"one"))) as url:
        assert fetch(url, GitHub(now=Clock(), proxies={"https": "http://127.0.0.1:9"})).body == b"one"


def test_a_proxy_that_refuses_is_told_without_its_password(certificate: Certificate) -> None:
    with scripted(proxying([], b"407 Proxy Authentication Required")) as proxy:
        github = through(proxy.replace("http://", "http://me:hush@"), certificate)
        error = fault("https://api.github.com/", github)
    assert str(error) == "the proxy refused the tunnel (407; check its user and password)"


def test_a_proxy_that_is_not_there_is_told_without_its_password(certificate: Certificate) -> None:
    error = fault("https://api.github.com/", through(f"http://me:hush@127.0.0.1:{free_port()}", certificate))
    assert str(error) == "cannot connect to api.github.com through the proxy: the connection was refused"


@pytest.mark.parametrize(
    "proxy", ["socks5://127.0.0.1:1", "http://me:hush@127.0.0.1:port", "https://127.0.0.1:1"]
)
def test_a_proxy_of_another_kind_is_refused(certificate: Certificate, proxy: str) -> None:
    error = fault("https://api.github.com/", through(proxy, certificate))
    assert ("connect", False) == (error.kind, "hush" in str(error))


def test_requests_is_imported_by_the_first_call_only() -> None:
    program = (
        "import sys, infra.local.services, infra.cli.session\n"
        "assert not {'requests', 'urllib3', 'charset_normalizer'} & set(sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
