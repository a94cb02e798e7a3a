"""The pages for people: HTML in, HTML out, and no part of the API."""

from typing import Any, Final

from core.openapi.errors import headers
from core.openapi.shapes import Schema, members, text

HTML: Final = "text/html"


def _shown(description: str) -> Schema:
    return {"description": description, "headers": headers({}), "content": {HTML: {"schema": text()}}}


def _form(*fields: str) -> Schema:
    schema = members(**{field: text() for field in fields})
    return {"content": {"application/x-www-form-urlencoded": {"schema": schema}}}


def _page(name: str, summary: str, **more: Any) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": summary,
        "description": "Asks for a key by itself, and keeps a session in a cookie.",
        "tags": ["Pages"],
        "security": [],
        "responses": {
            "200": _shown("The page."),
            "403": _shown("Refused, in words; or in JSON, where the Host or Origin header is foreign."),
        },
        **more,
    }


def _act(name: str, *fields: str) -> dict[str, Any]:
    return _page(name, "What a button of the page does", requestBody=_form("action", "token", *fields))


PAGES: Final[dict[str, Any]] = {
    "/": {"get": _page("showStatus", "How it stands, and how clients are set up")},
    "/dashboard": {
        "get": _page("showDashboard", "Quota, credits and requests, over time"),
        "post": _act("actOnDashboard"),
    },
    "/login": {
        "get": _page("showLogin", "GitHub's device login, from any browser"),
        "post": _act("actOnLogin", "key"),
    },
}
