"""The HTTP client against real sockets: silence, cuts, kept connections, TLS, proxies."""

import contextlib
import gzip
import os
import select
import socket
import threading
import time

import pytest

from core.copilot.faults import TransportError
from core.copilot.transport import RawReply, Transport
from tests.emulators.copilot.certificate import Certificate
from tests.listening import free_port
from tests.unit.copilot.doubles import (
    PATIENCE,
    Clock,
    Script,
    answers,
    close,
    closed_transports,
    read_request,
    scripted,
    transport,
    whole,
)
from tests.unit.copilot.tunnels import proxying, secure

__all__ = ["closed_transports"]  # a fixture that closes what `transport` opened

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
DONE = b"0\r\n\r\n"


def chunk(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(body), body)


def opened(client: Transport, url: str, body: bytes = b"{}") -> RawReply:
    reply = client.send("POST", f"{url}/x", {}, body).wait(PATIENCE)
    assert reply is not None
    return reply


def test_silence_is_none_then_the_bytes_come() -> None:
    go = threading.Event()

    def script(connection: socket.socket) -> None:
        read_request(connection)
        go.wait(PATIENCE)
        go.clear()
        connection.sendall(HEAD)
        go.wait(PATIENCE)
        connection.sendall(chunk(b"data: 1\n\n"))
        connection.sendall(DONE)

    with scripted(script) as url:
        pending = transport(Clock()).send("POST", url, {}, b"{}")
        assert pending.wait(0.01) is None
        go.set()
        reply = pending.wait(PATIENCE)
        assert reply is not None
        assert reply.read(0.01) is None
        go.set()
        assert reply.read(PATIENCE) == b"data: 1\n\n"
        assert reply.read(PATIENCE) == b""
        assert reply.read(PATIENCE) == b""


def test_half_a_chunk_header_does_not_block_or_confuse() -> None:
    go = threading.Event()

    def script(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(HEAD + b"5")
        go.wait(PATIENCE)
        connection.sendall(b"\r\nhello\r\n" + DONE)

    with scripted(script) as url:
        reply = opened(transport(Clock()), url)
        assert reply.read(0.01) is None
        go.set()
        assert reply.read(PATIENCE) == b"hello"
        assert reply.read(PATIENCE) == b""


@pytest.mark.parametrize(
    ("head", "noise"),
    [
        (HEAD + b"0\r\n", b"x-more: 1\r\n" * 4000),
        (HEAD.replace(b"\r\n\r\n", b"\r\ncontent-encoding: gzip\r\n\r\n"), chunk(gzip.compress(b"") * 2000)),
    ],
    ids=["trailers", "empty_members"],
)
def test_bytes_without_content_are_silence_however_many_come(head: bytes, noise: bytes) -> None:
    def script(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(head)
        with contextlib.suppress(OSError):  # until the reader has left
            while True:
                connection.sendall(noise)

    with scripted(script) as url:
        reply = opened(Transport(now=time.monotonic), url)
        assert [None] * 3 == [reply.read(0.05) for _ in range(3)]
        reply.close()


def test_a_body_cut_short_is_an_error_not_an_end() -> None:
    with scripted(answers(HEAD, chunk(b"data: 1\n\n"), then=close)) as url:
        reply = opened(transport(Clock()), url)
        seen = reply.read(PATIENCE)
        assert seen == b"data: 1\n\n"
        with pytest.raises(TransportError) as caught:
            reply.read(PATIENCE)
        assert caught.value.kind == "cut"
        with pytest.raises(TransportError):
            reply.read(PATIENCE)


def test_a_connection_is_used_again_after_a_whole_body() -> None:
    with scripted(_twice(whole(b"one"), whole(b"two"))) as url:
        client = transport(Clock())
        assert opened(client, url).read_all(timeout=PATIENCE) == b"one"
        assert opened(client, url).read_all(timeout=PATIENCE) == b"two"


def test_a_kept_connection_that_upstream_closed_is_replaced() -> None:
    with scripted(answers(whole(b"one"), then=close), answers(whole(b"two"))) as url:
        client = transport(Clock())
        assert opened(client, url).read_all(timeout=PATIENCE) == b"one"
        assert opened(client, url).read_all(timeout=PATIENCE) == b"two"


def test_a_kept_connection_that_dies_under_the_request_is_replaced_once() -> None:
    def dies(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(whole(b"one"))
        read_request(connection)
        close(connection)

    with scripted(dies, answers(whole(b"two"))) as url:
        client = transport(Clock())
        assert opened(client, url).read_all(timeout=PATIENCE) == b"one"
        assert opened(client, url).read_all(timeout=PATIENCE) == b"two"


def test_a_kept_connection_that_dies_within_an_answer_is_not_replaced() -> None:
    """Upstream has counted the request."""

    def dies(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(whole(b"one"))
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200")
        close(connection)

    with scripted(dies, answers(whole(b"two"))) as url:
        client = transport(Clock())
        assert opened(client, url).read_all(timeout=PATIENCE) == b"one"
        with pytest.raises(TransportError) as caught:
            opened(client, url)
    assert caught.value.kind == "cut"


def test_a_fresh_connection_that_dies_is_an_error() -> None:
    with scripted(answers(then=close)) as url, pytest.raises(TransportError) as caught:
        opened(transport(Clock()), url)
    assert caught.value.kind == "cut"


def test_an_unrepeatable_request_never_uses_a_kept_connection() -> None:
    with scripted(answers(whole(b"one")), answers(whole(b"two"))) as url:
        client = transport(Clock())
        assert opened(client, url).read_all(timeout=PATIENCE) == b"one"
        reply = client.send("POST", url, {}, b"{}", repeatable=False).wait(PATIENCE)
        assert reply is not None
        assert reply.read_all(timeout=PATIENCE) == b"two"


def test_a_connection_idle_for_long_is_not_trusted() -> None:
    clock = Clock()
    with scripted(answers(whole(b"one")), answers(whole(b"two"))) as url:
        client = transport(clock)
        assert opened(client, url).read_all(timeout=PATIENCE) == b"one"
        clock.time += 60
        assert opened(client, url).read_all(timeout=PATIENCE) == b"two"


def test_a_connection_that_upstream_gives_up_is_not_kept() -> None:
    with scripted(answers(whole(b"one", "200 OK", "connection: close")), answers(whole(b"two"))) as url:
        client = transport(Clock())
        assert opened(client, url).read_all(timeout=PATIENCE) == b"one"
        assert opened(client, url).read_all(timeout=PATIENCE) == b"two"


# As the copies of the parent's connections are collected, without a word to the other side.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
def test_a_forked_process_leaves_its_parent_s_connections_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(answers(whole(b"one")), answers(whole(b"two"))) as url:
        client = transport(Clock())
        assert opened(client, url).read_all(timeout=PATIENCE) == b"one"
        monkeypatch.setattr(os, "getpid", lambda: 0)
        assert opened(client, url).read_all(timeout=PATIENCE) == b"two"


def test_leaving_a_body_unread_closes_its_connection() -> None:
    left = threading.Event()

    def script(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(HEAD + chunk(b"data: 1\n\n"))
        if connection.recv(1) == b"":
            left.set()

    with scripted(script) as url:
        opened(transport(Clock()), url).close()
        assert left.wait(PATIENCE)


def test_an_early_refusal_is_read_though_the_body_was_not_sent() -> None:
    """A 413 comes while a large body is still on its way: what is left of it must not begin the next request."""

    def refuses(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(whole(b"Request Entity Too Large\n", "413 Too Large"))
        while connection.recv(1 << 20):
            pass

    with scripted(refuses, answers(whole(b"two"))) as url:
        client = transport(Clock())
        reply = opened(client, url, b"x" * 30_000_000)
        assert (413, b"Request Entity Too Large\n") == (reply.status, reply.read_all(timeout=PATIENCE))
        assert b"two" == opened(client, url).read_all(timeout=PATIENCE)


def test_a_large_body_arrives_whole() -> None:
    received: list[bytes] = []

    def counts(connection: socket.socket) -> None:
        received.append(read_request(connection))
        connection.sendall(whole(b"ok"))

    body = bytes(range(256)) * 40_000
    with scripted(counts) as url:
        assert opened(transport(Clock()), url, body).read_all(timeout=PATIENCE) == b"ok"
    assert received[0].partition(b"\r\n\r\n")[2] == body


def test_a_gzip_stream_is_decoded_as_it_comes() -> None:
    wire = gzip.compress(b"data: hello\n\n")
    head = HEAD[:-2] + b"content-encoding: gzip\r\n\r\n"
    with scripted(answers(head, chunk(wire[:9]), chunk(wire[9:]), DONE)) as url:
        assert opened(transport(Clock()), url).read_all(timeout=PATIENCE) == b"data: hello\n\n"


def test_a_truncated_gzip_body_is_an_error() -> None:
    head = HEAD[:-2] + b"content-encoding: gzip\r\n\r\n"
    wire = chunk(gzip.compress(b"data: hello\n\n")[:-4])
    with scripted(answers(head, wire, DONE)) as url, pytest.raises(TransportError):
        opened(transport(Clock()), url).read_all(timeout=PATIENCE)


def test_a_redirect_is_handed_over_and_not_followed() -> None:
    with scripted(answers(whole(b"", "302 Found", "location: http://127.0.0.1:1/"))) as url:
        assert opened(transport(Clock()), url).status == 302


def test_a_body_over_the_limit_is_refused() -> None:
    with scripted(answers(whole(b"x" * 1001))) as url, pytest.raises(TransportError) as caught:
        opened(transport(Clock()), url).read_all(1000, timeout=PATIENCE)
    assert caught.value.kind == "too_large"


@pytest.mark.skipif(not hasattr(select, "poll"), reason="descriptors are small numbers there")
def test_descriptors_above_select_s_limit_work() -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 1400:
        pytest.skip("too few descriptors allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1400), hard))
    held = [socket.socket() for _ in range(1100)]
    try:
        with scripted(answers(whole(b"high"))) as url:
            assert opened(transport(Clock()), url).read_all(timeout=PATIENCE) == b"high"
    finally:
        for one in held:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_refused_connection_says_so() -> None:
    with pytest.raises(TransportError, match="refused") as caught:
        transport(Clock()).send("GET", f"http://127.0.0.1:{free_port()}", {})
    assert caught.value.kind == "connect"


def test_tls_waits_in_slices_too(certificate: Certificate) -> None:
    """TLS 1.3 sends session tickets first: the socket is readable though no answer is there."""
    go = threading.Event()

    def script(connection: socket.socket) -> None:
        read_request(connection)
        go.wait(PATIENCE)
        connection.sendall(HEAD)
        for number in range(3):
            connection.sendall(chunk(b"data: %d\n\n" % number))
        connection.sendall(DONE)

    with secure(certificate, script) as url:
        pending = transport(Clock(), ca_bundle=str(certificate.path)).send("POST", url, {}, b"{}")
        for _ in range(3):
            assert pending.wait(0.01) is None
        go.set()
        reply = None
        while reply is None:
            reply = pending.wait(PATIENCE)
        assert reply.read_all(timeout=PATIENCE) == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"


def test_tls_connections_are_used_again(certificate: Certificate) -> None:
    with secure(certificate, _twice(whole(b"one"), whole(b"two"))) as url:
        client = transport(Clock(), ca_bundle=str(certificate.path))
        assert opened(client, url).read_all(timeout=PATIENCE) == b"one"
        assert opened(client, url).read_all(timeout=PATIENCE) == b"two"


def test_an_unknown_certificate_is_refused_with_a_remedy(certificate: Certificate) -> None:
    with (
        secure(certificate, answers(whole(b"one"))) as url,
        pytest.raises(TransportError, match="REQUESTS_CA_BUNDLE"),
    ):
        transport(Clock()).send("GET", url, {})


def test_a_missing_bundle_is_named() -> None:
    with pytest.raises(TransportError, match="REQUESTS_CA_BUNDLE"):
        transport(Clock(), ca_bundle="/nowhere/ca.pem").send("GET", "https://127.0.0.1:9", {})


def test_https_goes_through_the_proxy_with_its_credentials(certificate: Certificate) -> None:
    seen: list[bytes] = []
    with secure(certificate, answers(whole(b"one"))) as url, scripted(proxying(seen)) as proxy:
        proxies = {"https": proxy.replace("http://", "http://me:p%40ss@")}
        client = transport(Clock(), ca_bundle=str(certificate.path), proxies=proxies)
        assert opened(client, url).read_all(timeout=PATIENCE) == b"one"
    assert b"proxy-authorization: Basic bWU6cEBzcw==\r\n" in seen[0]


def test_a_host_named_in_no_proxy_is_reached_directly(certificate: Certificate) -> None:
    with secure(certificate, answers(whole(b"one"))) as url:
        client = transport(
            Clock(),
            ca_bundle=str(certificate.path),
            proxies={"https": "http://127.0.0.1:9"},
            bypass=lambda _host: True,
        )
        assert opened(client, url).read_all(timeout=PATIENCE) == b"one"


def test_a_proxy_that_refuses_is_told_without_its_password() -> None:
    seen: list[bytes] = []
    with scripted(proxying(seen, b"407 Proxy Authentication Required")) as proxy:
        client = transport(Clock(), proxies={"https": proxy.replace("http://", "http://me:hush@")})
        with pytest.raises(TransportError, match="407; check its user") as caught:
            client.send("GET", "https://api.github.com/", {})
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "proxy", ["socks5://127.0.0.1:1", "http://me:hush@127.0.0.1:port", "https://127.0.0.1:1"]
)
def test_a_proxy_of_another_kind_is_refused(proxy: str) -> None:
    with pytest.raises(TransportError) as caught:
        transport(Clock(), proxies={"https": proxy}).send("GET", "https://api.github.com/", {})
    assert "hush" not in str(caught.value)


def _twice(first: bytes, second: bytes) -> Script:
    def script(connection: socket.socket) -> None:
        for reply in (first, second):
            read_request(connection)
            connection.sendall(reply)

    return script


def test_ipv6_loopback_is_reached_and_named_rightly() -> None:
    seen: list[bytes] = []
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 here")
    port = listener.getsockname()[1]

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            seen.append(read_request(connection))
            connection.sendall(whole(b"six"))

    thread = threading.Thread(target=serve)
    thread.start()
    with listener:
        assert opened(transport(Clock()), f"http://[::1]:{port}").read_all(timeout=PATIENCE) == b"six"
        thread.join(PATIENCE)
    assert f"host: [::1]:{port}\r\n".encode() in seen[0]
