"""The whole document, put together from its parts."""

from typing import Any, Final

import msgspec

from core.openapi import chat, errors, figures, messages, responses
from core.openapi.operations import ROUTES
from core.openapi.pages import PAGES

# Of this description, not of what runs: who holds no key must not learn that (docs/security.md, row 20).
VERSION: Final = "1"
ABOUT: Final = """\
One person's own endpoint in front of a GitHub Copilot subscription: every model in the dialect of every client.

Every path that begins with `/v1` is there without it as well (`x-also-at`). Requests may hold members that are not named
here: they are handed on, or listed in `x-gateway-losses` where the model cannot be told. Errors have the envelope of the
surface that was called. A path that does not exist is answered 404, another method 405, in the same envelope.
"""
SECURITY: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key of this gateway."},
    "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "The same key."},
}


def document(server: str) -> dict[str, Any]:
    """Return the OpenAPI document. server: the address at which the gateway was reached, without a slash at its end."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Copilot Gateway",
            "version": VERSION,
            "description": ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": server, "description": "This gateway"}],
        # A gateway for this machine alone may ask no key.
        "security": [{"bearer": []}, {"apiKey": []}],
        "paths": paths(),
        "components": {
            "schemas": schemas(),
            "responses": errors.responses(),
            "headers": errors.HEADERS,
            "securitySchemes": SECURITY,
        },
    }


def encode(server: str) -> bytes:
    """Return the document as JSON."""
    return msgspec.json.encode(document(server))


def paths() -> dict[str, Any]:
    """Return every path, with its other spellings under `x-also-at`."""
    found: dict[str, Any] = {}
    for route in ROUTES:
        item = found.setdefault(route.path, {})
        item[route.method] = route.operation()
        if route.also:
            item["x-also-at"] = list(route.also)
    return {**found, **PAGES}


def schemas() -> dict[str, Any]:
    """Return every named schema."""
    return {
        **errors.SCHEMAS,
        **chat.SCHEMAS,
        **messages.SCHEMAS,
        **responses.SCHEMAS,
        **figures.SCHEMAS,
        **figures.ledger_schemas(),
    }
