"""Flask only: the application factory; one module an endpoint."""

from flask import Flask, Response, g

from handlers import (
    chat_completions,
    count_tokens,
    embeddings,
    errors,
    guard,
    health,
    messages,
    models,
    responses,
    usage,
)
from handlers.services import EXTENSION, Services
from handlers.services import services as current

# Clients are configured with or without `/v1` in their base URL; both work.
PREFIXES = ("", "/v1")
ENDPOINTS = (chat_completions, messages, count_tokens, responses, embeddings, models, usage)


def create_app(services: Services) -> Flask:
    """Build the WSGI application on the services that a composition root made."""
    app = Flask("copilot-gateway", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = services.settings.max_body_bytes
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.url_map.strict_slashes = False
    app.extensions[EXTENSION] = services
    for prefix in PREFIXES:
        for endpoint in ENDPOINTS:
            name = f"{prefix.strip('/') or 'root'}_{endpoint.bp.name}"
            app.register_blueprint(endpoint.bp, url_prefix=prefix or None, name=name)
    app.register_blueprint(health.bp)
    app.before_request(_begin)
    app.before_request(guard.check)
    app.after_request(_finish)
    errors.install(app)
    return app


def _begin() -> None:
    g.request_id = current().new_id("req_")


def _finish(response: Response) -> Response:
    """Give every answer its id, under both vendors' names."""
    response.headers["request-id"] = response.headers["x-request-id"] = g.request_id
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
