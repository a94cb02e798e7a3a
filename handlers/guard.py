"""Who may call: checks before any handler runs. Trust never comes from the peer's address."""

import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final

from flask import Request, request

from core.access.caller import Caller
from core.access.keys import KeyRing
from core.copilot.hosts import is_loopback
from core.errors import GatewayError
from core.settings import Settings
from handlers.record import exchange
from handlers.services import services

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
# Under this environ key a server leaves the domain that its platform serves for this gateway, not what a client says.
OWN_HOST: Final = "gateway.own_host"
# Liveness is asked by machines that hold no key; it says nothing but "ok". The login page asks for a key by itself.
OPEN_PATHS: Final = frozenset({"/healthz", "/login"})
# Nothing but a name or an address, and a port. Whoever sends more (user names, lists, paths) means to mislead.
_AUTHORITY: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^][\s@:/?#\\,]+))(?::[0-9]{0,5})?")


def check() -> None:
    """Refuse a request that may not be served. Raises `GatewayError`."""
    given = services()
    check_host(request, given.settings)
    check_origin(request, given.settings)
    if request.path.rstrip("/") in OPEN_PATHS:
        return
    if given.keys is not None:
        exchange().caller = identify(given.keys, request)
    if request.method in {"POST", "PUT", "PATCH"}:
        check_content(request)


def check_host(incoming: Request, settings: Settings) -> None:
    """Refuse foreign Host headers: a page that rebinds its own name to this address must not get in."""
    host = _host_name(incoming.headers.get("Host", ""))
    # Bound elsewhere (a key is then mandatory): rebinding needs a name, so a bare address is safe.
    by_address = not is_loopback(settings.host) and _is_address(host)
    if not (by_address or _is_ours(host, incoming, settings)):
        raise GatewayError(
            f"The host name '{host[:100]}' is not served here; add it to the setting `allowed_hosts`.",
            kind="permission",
            code="host_not_allowed",
        )


def check_origin(incoming: Request, settings: Settings) -> None:
    """Refuse requests that a foreign web page makes; one that came by an address may only ask that same address."""
    origin = incoming.headers.get("Origin")
    if origin is None:
        return
    host = _host_name(origin.partition("://")[2])
    is_same = _is_address(host) and host == _host_name(incoming.headers.get("Host", ""))
    if not (is_same or _is_ours(host, incoming, settings)):
        raise GatewayError(
            "Requests from other web pages are refused.", kind="permission", code="origin_not_allowed"
        )


def check_content(incoming: Request) -> None:
    """Refuse bodies that are not JSON: browsers send those across origins without asking first."""
    if incoming.mimetype != "application/json" and not incoming.mimetype.endswith("+json"):
        raise GatewayError(
            "Send the body with `Content-Type: application/json`.", kind="unsupported_media_type"
        )
    encoding = incoming.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        raise GatewayError(
            f"The content encoding '{encoding[:40]}' is not supported; send the body uncompressed.",
            kind="unsupported_media_type",
        )


def identify(keys: KeyRing, incoming: Request) -> Caller:
    """Return whose key the request shows. Raises `GatewayError` "authentication"."""
    callers = (keys.authenticate(key) for key in presented_keys(incoming))
    caller = next((caller for caller in callers if caller is not None), None)
    if caller is None:
        raise GatewayError(
            "Missing or wrong API key: send the gateway's key as `Authorization: Bearer` or `x-api-key`.",
            kind="authentication",
            code="invalid_api_key",
        )
    return caller


def presented_keys(incoming: Request) -> Iterable[str]:
    """Return the keys that a request shows, in either customary header."""
    scheme, _, token = incoming.headers.get("Authorization", "").partition(" ")
    candidates = (token.strip() if scheme.lower() == "bearer" else "", incoming.headers.get("x-api-key", ""))
    return [key for key in candidates if key]


def _host_name(authority: str) -> str:
    """Return the host without its port, in lower case; empty for what is no plain host."""
    match = _AUTHORITY.fullmatch(authority)
    return "" if match is None else (match[1] or match[2]).lower().rstrip(".")


def _is_ours(host: str, incoming: Request, settings: Settings) -> bool:
    own: str = incoming.environ.get(OWN_HOST, "")
    known = {settings.host.lower(), own.lower(), *(name.lower() for name in settings.allowed_hosts)}
    return bool(host) and (host in LOOPBACK_NAMES or host in known)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
