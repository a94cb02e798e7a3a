"""The guard's judgement of host names and keys, without a server."""

from types import SimpleNamespace
from typing import cast

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from core.errors import GatewayError
from core.settings import Settings
from handlers.guard import check_content, presented_keys
from handlers.hosts import check_host
from handlers.origins import check_origin
from handlers.services import Services

LOCAL = Settings()
BOUND_TO_ALL = Settings(host="0.0.0.0")  # noqa: S104 - how it is judged is the point
NAMED = Settings(host="0.0.0.0", allowed_hosts=("Gateway.Example",))  # noqa: S104


def request(**headers: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(
        EnvironBuilder(method="POST", path="/v1/messages", headers=list(named.items())).get_environ()
    )


def given(settings: Settings, *, keyed: bool) -> Services:
    """Return as much of the services as the rule about origins reads."""
    return cast("Services", SimpleNamespace(settings=settings, keys=object() if keyed else None))


def allows_host(name: str, settings: Settings) -> bool:
    try:
        check_host(request(Host=name), settings)
    except GatewayError as error:
        return error.code != "host_not_allowed"
    return True


@pytest.mark.parametrize(
    "name", ["localhost", "localhost:4141", "127.0.0.1:4141", "[::1]", "[::1]:4141", "LocalHost."]
)
def test_names_of_this_machine_are_always_served(name: str) -> None:
    assert all(allows_host(name, settings) for settings in (LOCAL, BOUND_TO_ALL, NAMED))


@pytest.mark.parametrize(
    "name",
    [
        "evil.example",
        "",
        "evil@localhost",
        "localhost@evil.example",
        "[",
        "[::1",
        ":",
        "a b",
        "localhost.evil.example",
        # What two Host headers become.
        "localhost, evil.example",
        "localhost:4141, evil.example",
        "localhost:evil",
        "localhost/evil",
        "localhost?evil",
        "localhost#evil",
        "localhost\\evil",
        "[::1]evil",
        "::1",
    ],
)
def test_other_names_are_served_nowhere(name: str) -> None:
    assert not any(allows_host(name, settings) for settings in (LOCAL, BOUND_TO_ALL, NAMED))


def test_bare_address_is_served_only_when_bound_beyond_this_machine() -> None:
    """Rebinding needs a name, and a key is mandatory there."""
    shown = [allows_host("192.0.2.7:4141", settings) for settings in (LOCAL, BOUND_TO_ALL)]
    assert [False, True] == shown


def test_configured_name_is_served_in_any_case() -> None:
    assert [True, False] == [allows_host("GATEWAY.example:443", settings) for settings in (NAMED, LOCAL)]


# Origins


def allows(settings: Settings = LOCAL, *, keyed: bool = True, method: str = "POST", **headers: str) -> bool:
    """Say whether a page may ask; the gateway is called localhost:4141 unless the headers say otherwise."""
    asked = request(**{"Host": "localhost:4141", **headers})
    asked.method = method
    try:
        check_origin(asked, given(settings, keyed=keyed))
    except GatewayError as error:
        return error.code != "origin_not_allowed"
    return True


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:4141", "http://localhost:4141"),
        ("127.0.0.1:4141", "http://127.0.0.1:4141"),
        ("[::1]:4141", "http://[::1]:4141"),
        ("LOCALHOST:4141", "http://localhost:4141"),
        ("localhost", "http://localhost"),
        ("localhost:80", "http://localhost"),
        ("gateway.example", "https://gateway.example"),
        ("gateway.example:443", "https://gateway.example"),
        ("192.0.2.7:4141", "http://192.0.2.7:4141"),
        # A proxy that speaks TLS and says its own Host.
        ("127.0.0.1:4141", "https://gateway.example"),
    ],
)
def test_pages_of_the_gateway_may_ask_it(host: str, origin: str) -> None:
    assert allows(NAMED, Host=host, Origin=origin)


FOREIGN = [
    "https://evil.example",
    # Another program on this machine may serve a hostile page, too: rows 1, 3 and 7.
    "http://localhost:3000",
    "http://localhost",
    "http://127.0.0.1:4141",
    "http://[::1]:4141",
    "http://gateway.example:3000",
    "https://gateway.example:3000",
    "http://gateway.example",
    "null",
    "",
    "file://",
    "app://localhost:4141",
    "http://[",
    "http://[::1",
    "localhost:4141",
    "//localhost:4141",
    "http://localhost:4141/",
    "http://localhost:4141.evil.example",
    "http://localhost:4141@evil.example",
    "http://evil.example@localhost:4141",
    "http://localhost:4141, http://evil.example",
    "HTTP://localhost:4141",
]


@pytest.mark.parametrize("origin", FOREIGN)
@pytest.mark.parametrize("settings", [LOCAL, BOUND_TO_ALL, NAMED])
def test_pages_from_elsewhere_may_not(settings: Settings, origin: str) -> None:
    assert not allows(settings, Origin=origin)


def test_page_of_a_bare_address_may_ask_only_the_gateway_at_that_address() -> None:
    """A hostile page may be served from an address as well as from a name."""
    assert not allows(BOUND_TO_ALL, Host="192.0.2.7:4141", Origin="http://203.0.113.9:4141")


@pytest.mark.parametrize(
    "origin", ["https://app.example", "app://obsidian.md", "file://", "http://localhost:3000"]
)
def test_named_origins_may_ask_and_only_exactly_they(origin: str) -> None:
    named = Settings(allowed_origins=(origin,))
    assert allows(named, Origin=origin)
    assert not any(
        allows(named, Origin=other) for other in (origin + "x", origin + ":81", "https://evil.example")
    )


def test_an_opaque_origin_counts_as_named_only_where_a_key_is_asked() -> None:
    """Every sandboxed page says `null`, wherever it comes from."""
    named = Settings(allowed_origins=("null",))
    assert [True, False] == [allows(named, keyed=keyed, Origin="null") for keyed in (True, False)]


@pytest.mark.parametrize(
    ("method", "fetch", "allowed"),
    [
        ("GET", {}, True),
        ("GET", {"Site": "none", "Mode": "navigate", "Dest": "document"}, True),
        ("GET", {"Site": "same-origin", "Mode": "cors", "Dest": "empty"}, True),
        # A link from elsewhere.
        ("GET", {"Site": "cross-site", "Mode": "navigate", "Dest": "document"}, True),
        ("GET", {"Site": "cross-site", "Mode": "no-cors", "Dest": "image"}, False),
        ("GET", {"Site": "same-site", "Mode": "no-cors", "Dest": "script"}, False),
        ("GET", {"Site": "cross-site", "Mode": "navigate", "Dest": "iframe"}, False),
        ("POST", {"Site": "cross-site", "Mode": "navigate", "Dest": "document"}, False),
    ],
)
def test_what_browsers_say_of_requests_without_origin_counts(
    method: str, fetch: dict[str, str], *, allowed: bool
) -> None:
    """A page's images, scripts and frames carry no Origin."""
    headers = {f"Sec_Fetch_{name}": value for name, value in fetch.items()}
    assert allowed is allows(method=method, **headers)


@pytest.mark.parametrize(
    "kind",
    ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.x+json"],
)
def test_json_is_taken_under_its_names(kind: str) -> None:
    check_content(request(Content_Type=kind))


@pytest.mark.parametrize("encoding", ["", "identity", "Identity "])
def test_a_body_as_it_is_may_say_so(encoding: str) -> None:
    check_content(request(Content_Type="application/json", Content_Encoding=encoding))


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/jsonp",
        "text/json; application/json",
    ],
)
def test_what_browsers_send_across_origins_is_not(kind: str) -> None:
    with pytest.raises(GatewayError) as caught:
        check_content(request(Content_Type=kind))
    assert "unsupported_media_type" == caught.value.kind


@pytest.mark.parametrize(
    ("headers", "keys"),
    [
        ({}, []),
        ({"Authorization": "Bearer a"}, ["a"]),
        ({"Authorization": "bearer   a "}, ["a"]),
        ({"Authorization": "Basic a"}, []),
        ({"Authorization": "Bearer"}, []),
        ({"x_api_key": "b"}, ["b"]),
        ({"Authorization": "Bearer a", "x_api_key": "b"}, ["a", "b"]),
    ],
)
def test_keys_are_read_from_both_headers(headers: dict[str, str], keys: list[str]) -> None:
    assert keys == list(presented_keys(request(**headers)))
