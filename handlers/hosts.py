"""By which names this gateway may be called: a page that rebinds its own name to this address must not get in."""

import re
from ipaddress import ip_address
from typing import Final

from flask import Request

from core.copilot.hosts import is_loopback
from core.errors import GatewayError
from core.settings import Settings

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
# Under this environ key a server leaves the domain that its platform serves for this gateway, not what a client says.
OWN_HOST: Final = "gateway.own_host"
# Nothing but a name or an address, and a port. Whoever sends more (user names, lists, paths) means to mislead.
AUTHORITY: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^][\s@:/?#\\,]+))(?::([0-9]{0,5}))?")


def check_host(incoming: Request, settings: Settings) -> None:
    """Refuse foreign Host headers. Raises `GatewayError`."""
    host = host_name(incoming.headers.get("Host", ""))
    if host in LOOPBACK_NAMES or is_own_name(host, incoming, settings):
        return
    # Bound elsewhere (a key is then mandatory): rebinding needs a name, so a bare address is safe.
    if is_loopback(settings.host) or not _is_address(host):
        raise GatewayError(
            f"The host name '{host[:100]}' is not served here; add it to the setting `allowed_hosts`.",
            kind="permission",
            code="host_not_allowed",
        )


def host_name(authority: str) -> str:
    """Return the host without its port, in lower case; empty for what is no plain host."""
    match = AUTHORITY.fullmatch(authority)
    return "" if match is None else (match[1] or match[2]).lower().rstrip(".")


def is_own_name(host: str, incoming: Request, settings: Settings) -> bool:
    """Say whether the operator or the platform gave the gateway this name."""
    own: str = incoming.environ.get(OWN_HOST, "")
    known = {settings.host.lower(), own.lower(), *(name.lower() for name in settings.allowed_hosts)}
    return bool(host) and host in known


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
