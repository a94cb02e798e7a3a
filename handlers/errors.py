"""Errors leave in the envelope of the surface that was called."""

import logging
from typing import Final

from flask import Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from core.dialect import Dialect
from core.errors import ErrorKind, GatewayError
from core.exchange import CLIENT_LEFT
from core.ports import StoreError
from core.surfaces import surface_named
from handlers.deadline import ClientLeftError
from handlers.record import exchange, note_error
from handlers.reply import JSON

log = logging.getLogger("gateway")

KIND_OF_STATUS: Final[dict[int, ErrorKind]] = {
    400: "invalid_request",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    413: "request_too_large",
    415: "unsupported_media_type",
    417: "invalid_request",
    431: "invalid_request",
}
# Retrying these soon only costs; both vendors' SDKs obey `x-should-retry`.
FINAL_KINDS: Final = frozenset({"quota_exceeded", "login_required", "permission"})
LONGEST_RETRY_AFTER: Final = 300
UNAUTHORIZED: Final = 401
CLOSED_REQUEST: Final = 499  # what proxies log for a client that went before its answer


def install(app: Flask) -> None:
    """Register the error handlers."""
    app.register_error_handler(GatewayError, render)
    app.register_error_handler(HTTPException, _on_http_exception)
    app.register_error_handler(StoreError, _on_store_error)
    app.register_error_handler(ClientLeftError, _on_client_left)
    app.register_error_handler(Exception, _on_defect)


def surface() -> Dialect:
    """Return the dialect whose envelope the caller of this path expects."""
    first = request.path.strip("/").removeprefix("v1/").partition("/")[0]
    if first == "models" and "anthropic-version" in request.headers:
        first = "messages"
    return surface_named(first)


def render(error: GatewayError) -> Response:
    """Render an error in the surface's envelope."""
    encoded = surface().encode_error(error)
    note_error(exchange(), error)
    headers: dict[str, str] = {}
    if encoded.status == UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"  # HTTP asks for it
    if error.retry_after is not None:
        headers["retry-after"] = str(error.retry_after)
    if error.kind in FINAL_KINDS or (error.retry_after or 0) > LONGEST_RETRY_AFTER:
        headers["x-should-retry"] = "false"
    if error.upstream_request_id:
        headers["x-github-request-id"] = error.upstream_request_id
    return Response(encoded.body, encoded.status, headers=headers, mimetype=JSON)


def _on_http_exception(error: HTTPException) -> Response:
    status = error.code or 500
    kind = KIND_OF_STATUS.get(status, "invalid_request" if status < 500 else "internal")  # noqa: PLR2004 - 5xx
    message = {
        404: f"There is no route {request.path[:200]}.",
        405: f"{request.method} is not allowed on {request.path[:200]}.",
        413: "The request body is larger than this gateway accepts.",
    }.get(status, error.description or error.name)
    response = render(GatewayError(message, kind=kind, status=status))
    if isinstance(error, MethodNotAllowed) and error.valid_methods:  # HTTP asks for Allow
        response.headers["Allow"] = ", ".join(sorted(_methods_of(request.path) or error.valid_methods))
    return response


def _methods_of(path: str) -> set[str]:
    """Return what a route of just this path takes: `/responses/input_tokens` is no id of a response."""
    rules = [rule for rule in current_app.url_map.iter_rules() if rule.rule == path.rstrip("/")]
    return {method for rule in rules for method in rule.methods or ()}


def _on_store_error(error: StoreError) -> Response:
    return render(GatewayError(str(error), kind="overloaded", code="store_unavailable"))


def _on_client_left(_error: ClientLeftError) -> Response:
    exchange().error = CLIENT_LEFT
    return Response(status=CLOSED_REQUEST)  # which nobody reads


def _on_defect(error: Exception) -> Response:
    log.error("request.crashed", exc_info=error)
    return render(GatewayError("The gateway failed; its log says why.", kind="internal"))
