"""Which proxy the environment means, and which hosts need none."""

import pytest

from core.copilot.faults import TransportError
from core.copilot.wire import Proxy, proxy_address
from infra.proxies import bypass, ca_bundle, read_proxy

PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, ("", "")),
        ({"HTTPS_PROXY": PROXY}, (PROXY, "HTTPS_PROXY")),
        ({"https_proxy": PROXY}, (PROXY, "https_proxy")),
        ({"ALL_PROXY": PROXY}, (PROXY, "ALL_PROXY")),
        ({"HTTP_PROXY": PROXY}, ("", "")),
        ({"ALL_PROXY": "socks5://proxy.example", "HTTPS_PROXY": PROXY}, (PROXY, "HTTPS_PROXY")),
        ({"HTTPS_PROXY": "http://other.example", "https_proxy": PROXY}, (PROXY, "https_proxy")),
        ({"HTTPS_PROXY": PROXY, "https_proxy": ""}, ("", "")),
        ({"HTTPS_PROXY": " "}, ("", "")),
    ],
)
def test_the_proxy_for_https_is_the_first_that_is_set(
    environ: dict[str, str], expected: tuple[str, str]
) -> None:
    assert expected == read_proxy(environ)[:2]


@pytest.mark.parametrize(
    ("no_proxy", "authority", "direct"),
    [
        ("", "api.github.com:443", False),
        ("*", "api.github.com:443", True),
        ("corp.example, *", "api.github.com:443", True),
        ("github.com", "github.com:443", True),
        ("github.com", "api.github.com:443", True),
        (".github.com", "api.github.com:443", True),
        (".github.com", "github.com:443", True),
        ("*.github.com", "api.github.com:443", True),
        ("API.GitHub.com", "api.github.com:443", True),
        (" corp.example , github.com ,", "api.github.com:443", True),
        ("hub.com", "github.com:443", False),
        ("api.github.com", "github.com:443", False),
        ("github.com:443", "api.github.com:443", True),
        ("github.com:8443", "api.github.com:443", False),
        ("127.0.0.1", "127.0.0.1:8000", True),
        ("127.0.0.1:8000", "127.0.0.1:8000", True),
        ("127.0.0.1:9000", "127.0.0.1:8000", False),
        ("10.0.0.0/8", "10.1.2.3:443", True),
        ("10.0.0.0/8", "11.1.2.3:443", False),
        ("10.1.2.3/8", "10.9.9.9:443", True),
        ("10.0.0.0/8", "api.github.com:443", False),
        ("fd00::/8", "[fd00::1]:443", True),
        ("::1", "[::1]:443", True),
        ("[::1]", "[::1]:443", True),
        ("[::1]:443", "[::1]:443", True),
        ("10.0.0.0/99,nonsense/", "10.1.2.3:443", False),
        (".", "api.github.com:443", False),
    ],
)
def test_no_proxy_is_understood_as_other_programs_do(no_proxy: str, authority: str, *, direct: bool) -> None:
    assert direct == bypass(no_proxy)(authority)
    assert direct == read_proxy({"HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy}).bypass(authority)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, ("", "")),
        ({"SSL_CERT_FILE": "/a.pem"}, ("/a.pem", "SSL_CERT_FILE")),
        ({"SSL_CERT_FILE": "/a.pem", "REQUESTS_CA_BUNDLE": "/b.pem"}, ("/b.pem", "REQUESTS_CA_BUNDLE")),
        ({"SSL_CERT_FILE": "/a.pem", "REQUESTS_CA_BUNDLE": ""}, ("/a.pem", "SSL_CERT_FILE")),
    ],
)
def test_the_bundle_of_certificates_is_the_first_that_is_set(
    environ: dict[str, str], expected: tuple[str, str]
) -> None:
    assert expected == ca_bundle(environ)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://proxy.example:3128", Proxy("proxy.example", 3128, "")),
        ("proxy.example:3128", Proxy("proxy.example", 3128, "")),
        ("proxy.example", Proxy("proxy.example", 80, "")),
        ("http://proxy.example/", Proxy("proxy.example", 80, "")),
        ("http://[::1]:3128", Proxy("::1", 3128, "")),
        ("http://me:a%3Ab@proxy.example", Proxy("proxy.example", 80, "Basic bWU6YTpi")),
        ("http://me:a@b@proxy.example", Proxy("proxy.example", 80, "Basic bWU6YUBi")),
    ],
)
def test_a_proxys_url_is_taken_apart(url: str, expected: Proxy) -> None:
    assert expected == proxy_address(url)


@pytest.mark.parametrize(
    "url",
    [
        "socks5://me:hush@proxy.example",
        "https://me:hush@proxy.example",
        "http://me:hu#sh@proxy.example",
        "http://me:hu/sh@proxy.example",
        "http://me:hush@proxy.example:port",
        "http://me:hush@",
        "http://proxy.example/hush",
    ],
)
def test_an_unusable_proxy_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(TransportError) as caught:
        proxy_address(url)
    assert ("connect", "proxy_url") == (caught.value.kind, caught.value.obstacle)
    assert "hu" not in caught.value.message
    assert "HTTPS_PROXY" in caught.value.message or "percent-encode" in caught.value.message


def test_the_choice_never_shows_the_password() -> None:
    assert "hush" not in repr(read_proxy({"HTTPS_PROXY": "http://me:hush@proxy.example"}))
