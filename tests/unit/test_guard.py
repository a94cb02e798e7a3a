"""The guard's judgement of host names and keys, without a server."""

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from core.errors import GatewayError
from core.settings import Settings
from handlers.guard import check_content, check_host, check_origin, presented_keys

LOCAL = Settings()
BOUND_TO_ALL = Settings(host="0.0.0.0")  # noqa: S104 - how it is judged is the point
NAMED = Settings(host="0.0.0.0", allowed_hosts=("Gateway.Example",))  # noqa: S104


def request(**headers: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(
        EnvironBuilder(method="POST", path="/v1/messages", headers=list(named.items())).get_environ()
    )


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


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1", "https://[::1]:1"])
def test_pages_of_this_machine_may_ask(origin: str) -> None:
    check_origin(request(Origin=origin), LOCAL)


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "",
        "file://",
        "http://[",
        "http://[::1",
        "localhost",
        "//localhost",
        "http://localhost.evil.example/",
        "http://localhost@evil.example",
        "http://evil.example@localhost",
    ],
)
def test_foreign_pages_may_not(origin: str) -> None:
    with pytest.raises(GatewayError) as caught:
        check_origin(request(Origin=origin), LOCAL)
    assert "origin_not_allowed" == caught.value.code


def test_page_of_a_bare_address_may_ask_only_the_gateway_at_that_address() -> None:
    """A hostile page may be served from an address as well as from a name."""
    check_origin(request(Host="192.0.2.7:4141", Origin="http://192.0.2.7:4141"), BOUND_TO_ALL)
    with pytest.raises(GatewayError) as caught:
        check_origin(request(Host="192.0.2.7:4141", Origin="http://203.0.113.9"), BOUND_TO_ALL)
    assert "origin_not_allowed" == caught.value.code


@pytest.mark.parametrize(
    "kind",
    ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.x+json"],
)
def test_json_is_taken_under_its_names(kind: str) -> None:
    check_content(request(Content_Type=kind))


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
