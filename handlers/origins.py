"""Which pages in a browser may ask: our own, and those that the operator named by their exact origin."""

import re
from typing import Final

from flask import Request, Response
from werkzeug.datastructures import Headers

from core.errors import GatewayError
from handlers.hosts import AUTHORITY, is_own_name
from handlers.services import Services

# An app's page that has no origin of its own says this; but so does every page in a sandbox, wherever it comes from.
OPAQUE: Final = "null"
_ORIGIN: Final = re.compile(r"(https?)://(.+)")
_PORTS: Final = {"http": "80", "https": "443"}
_METHODS: Final = "GET, POST, DELETE"
_FIELDS: Final = re.compile(r"[A-Za-z0-9, -]{1,2000}")
_SHOWN: Final = (
    "request-id, retry-after, x-request-id, x-should-retry, x-gateway-model, x-gateway-upstream, x-gateway-initiator, "
    "x-gateway-losses, x-gateway-repairs, x-gateway-count, x-gateway-input-tokens, x-gateway-cached-tokens, "
    "x-gateway-output-tokens, x-gateway-credits, x-github-request-id"
)
_LIFE: Final = "600"  # seconds for which a browser remembers the answer to its question


def check_origin(incoming: Request, given: Services) -> None:
    """Refuse what a foreign page asks for, also in ways that carry no Origin. Raises `GatewayError`."""
    origin = incoming.headers.get("Origin")
    allowed = is_site_own(incoming) if origin is None else is_own(origin, incoming, given)
    if not (allowed or is_named(origin, given)):
        raise GatewayError(
            "Requests from other web pages are refused; the setting `allowed_origins` names exceptions.",
            kind="permission",
            code="origin_not_allowed",
        )


def is_own(origin: str, incoming: Request, given: Services) -> bool:
    """Say whether the page came from this gateway: from the host and port that it now asks.

    Behind a proxy that speaks TLS and says another Host, its public name has to be among the names of the gateway.
    """
    match = _ORIGIN.fullmatch(origin)
    if match is None:
        return False
    scheme, name, port = match[1], *_split(match[2])
    if not name:
        return False
    if (name, port or _PORTS[scheme]) == _with_port(incoming.headers.get("Host", ""), scheme):
        return True
    return scheme == "https" and not port and is_own_name(name, incoming, given.settings)


def is_named(origin: str | None, given: Services) -> bool:
    """Say whether the operator named this origin. `null` counts only where a key is asked as well."""
    return origin in given.settings.allowed_origins and (origin != OPAQUE or given.keys is not None)


def is_site_own(incoming: Request) -> bool:
    """Say whether a request without Origin is no foreign page's: not its image, script or frame, say. Links may lead here.

    Browsers send `Sec-Fetch-Site`, and no page can change it; other clients send nothing.
    """
    if incoming.headers.get("Sec-Fetch-Site") not in {"cross-site", "same-site"}:
        return True
    follows_link = (
        incoming.headers.get("Sec-Fetch-Mode") == "navigate"
        and incoming.headers.get("Sec-Fetch-Dest") == "document"
    )
    return follows_link and incoming.method == "GET"


def preflight(incoming: Request, given: Services) -> Response | None:
    """Answer a named origin's question whether it may ask; None where this is none. No answer ever speaks of cookies."""
    if incoming.method != "OPTIONS" or "Access-Control-Request-Method" not in incoming.headers:
        return None
    if not is_named(incoming.headers.get("Origin"), given):
        return None
    fields = incoming.headers.get("Access-Control-Request-Headers", "")
    headers = {"Access-Control-Allow-Methods": _METHODS, "Access-Control-Max-Age": _LIFE}
    if _FIELDS.fullmatch(fields):
        headers["Access-Control-Allow-Headers"] = fields
    if incoming.headers.get("Access-Control-Request-Private-Network") == "true":
        headers["Access-Control-Allow-Private-Network"] = "true"
    return Response(status=204, headers=headers)


def share(headers: Headers, incoming: Request, given: Services) -> None:
    """Let a named origin's page read the answer; caches learn that others may not."""
    if not given.settings.allowed_origins:
        return
    headers.add("Vary", "Origin")
    origin = incoming.headers.get("Origin")
    if origin is not None and is_named(origin, given):
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = _SHOWN


def _split(authority: str) -> tuple[str, str]:
    match = AUTHORITY.fullmatch(authority)
    return ("", "") if match is None else ((match[1] or match[2]).lower().rstrip("."), match[3] or "")


def _with_port(authority: str, scheme: str) -> tuple[str, str]:
    name, port = _split(authority)
    return name, port or _PORTS[scheme]
