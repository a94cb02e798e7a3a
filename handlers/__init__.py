"""Flask only: the application factory; one module an endpoint."""

from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from flask import Flask, Response

from handlers import (
    chat_completions,
    count_tokens,
    dashboard,
    embeddings,
    errors,
    guard,
    health,
    login,
    messages,
    metrics,
    models,
    openapi,
    record,
    responses,
    status,
    usage,
)
from handlers.services import EXTENSION, Services, services

# Clients are configured with or without `/v1` in their base URL; both work.
PREFIXES = ("", "/v1")
ENDPOINTS = (chat_completions, messages, count_tokens, responses, embeddings, models, usage)
UNVERSIONED = (health, status, dashboard, login, metrics, openapi)
# Where each endpoint is a function of its own, some serve another one, too: the one that gets what no other has a path for
# describes the API, and the dashboard is the page that the front page leads to.
BESIDE = {"health": "openapi", "dashboard": "status"}


class _App(Flask):
    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function: none here is a coroutine, which Flask would look for at every call."""
        return func


def create_app(services: Services, only: str | None = None) -> Flask:
    """Build the WSGI application on the services that a composition root made.

    only: the name of the one endpoint module that is served; None serves all.
    """
    app = _App("copilot-gateway", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = services.settings.max_body_bytes
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False  # a redirect would lose the body
    app.extensions[EXTENSION] = services
    for prefix in PREFIXES:
        for endpoint in _chosen(ENDPOINTS, only):
            name = f"{prefix.strip('/') or 'root'}_{endpoint.bp.name}"
            app.register_blueprint(endpoint.bp, url_prefix=prefix or None, name=name)
    for endpoint in _chosen(UNVERSIONED, only):
        app.register_blueprint(endpoint.bp)
    app.before_request(record.begin)
    app.before_request(guard.check)
    app.after_request(_finish)
    errors.install(app)
    return app


def _chosen(endpoints: Iterable[ModuleType], only: str | None) -> list[ModuleType]:
    chosen = {f"handlers.{only}", f"handlers.{BESIDE.get(only or '', only)}"}
    return [each for each in endpoints if only is None or each.__name__ in chosen]


def _finish(response: Response) -> Response:
    given = services()
    guard.defend(response.headers, given)
    return record.close_with(response, given)
