"""Who may call: what is judged by a request's head, before its body is read. Trust never comes from the peer's address."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from flask import Request, Response, request
from werkzeug.datastructures import Headers

from core.access.caller import Caller
from core.access.keys import KeyRing
from core.errors import ErrorKind, GatewayError
from handlers.hosts import check_host
from handlers.origins import check_origin, preflight, share
from handlers.record import exchange
from handlers.scope import check_surface
from handlers.services import Services, services

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# Under these environ keys a server leaves what it found wrong, for an answer in the surface's envelope: (status, words)
# for what is no proper request, and True where it read no body because `body_allowance` said so.
FAULT: Final = "gateway.fault"
WITHHELD: Final = "gateway.body_withheld"
# Liveness is asked by machines that hold no key; it says nothing but "ok". What the API looks like is
# public. The pages ask for a key by themselves.
OPEN_PATHS: Final = frozenset({"/healthz", "", "/dashboard", "/login", "/openapi.json"})
# The largest body that anybody may send without a key: a form.
LARGEST_FORM: Final = 8 * 1024
FAULTS: Final[dict[int, ErrorKind]] = {408: "timeout", 413: "request_too_large", 500: "internal"}
# For every answer, where it does not say otherwise, as pages do: nothing in it is for a browser to run, frame, guess, keep or
# pass on.
DEFENCES: Final = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


def check() -> Response | None:
    """Refuse a request that may not be served, or answer a browser's question. Raises `GatewayError`."""
    fault = request.environ.get(FAULT)
    if fault is not None:
        status, words = fault
        raise GatewayError(
            f"The request was not read: {words}.", kind=FAULTS.get(status, "invalid_request"), status=status
        )
    given = services()
    check_host(request, given.settings)
    check_origin(request, given)
    if (answer := preflight(request, given)) is not None:
        return answer
    asked = exchange()
    asked.caller = judge(request, given)
    check_surface(asked)
    if WITHHELD in request.environ and request.routing_exception is None:
        # The judge changed its mind between the head and now: a store that failed, a key that was made just now.
        raise GatewayError("The request was not read; send it again.", kind="overloaded", retry_after=1)
    return None


def body_allowance(given: Services) -> Callable[["WSGIEnvironment"], int]:
    """Return what says by a request's head how many bytes of body it may send; 0 where it is refused.

    A server that asks this first reads nothing of what nobody may send; it then calls the app without the body, which
    refuses in the surface's envelope.
    """

    def allow(environ: "WSGIEnvironment") -> int:
        incoming = Request(environ)
        try:
            check_host(incoming, given.settings)
            check_origin(incoming, given)
            judge(incoming, given)
        except GatewayError:
            return 0
        return body_limit(incoming, given)

    return allow


def judge(incoming: Request, given: Services) -> Caller:
    """Return who calls, when the head says nothing that forbids it. Raises `GatewayError`."""
    caller = Caller()
    if not _is_open(incoming):
        if given.keys is not None:
            caller = identify(given.keys, incoming)
        # A path or a method that does not exist is told as that, whatever the body is.
        if incoming.method in {"POST", "PUT", "PATCH"} and incoming.routing_exception is None:
            check_content(incoming)
    if (incoming.content_length or 0) > body_limit(incoming, given):
        raise GatewayError("The request body is larger than this gateway accepts.", kind="request_too_large")
    return caller


def body_limit(incoming: Request, given: Services) -> int:
    """Return how large the body may be, in bytes."""
    largest = given.settings.max_body_bytes
    return min(LARGEST_FORM, largest) if _is_open(incoming) else largest


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


def defend(headers: Headers, given: Services) -> None:
    """Give an answer the headers that keep browsers from making something else of it."""
    said = {name for name, _ in headers}
    headers.extend({name: value for name, value in DEFENCES.items() if name not in said})
    share(headers, request, given)


def _is_open(incoming: Request) -> bool:
    return incoming.path.rstrip("/") in OPEN_PATHS
