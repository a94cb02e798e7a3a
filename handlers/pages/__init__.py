"""Pages for people: one stylesheet, next to no script, nothing from elsewhere."""

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flask import Response, request

from core.notice import NOTICE

if TYPE_CHECKING:
    from jinja2 import Environment

HERE: Final = Path(__file__).parent


def page(name: str, status: int = 200, /, *, refresh: int = 0, **facts: object) -> Response:
    """Render a page; `facts` are what its template names. It is never cached, framed or sent abroad.

    refresh: seconds after which the page looks again by itself, with or without scripts; 0: never.
    """
    common = {"style": _read("page.css"), "script": _read("page.js"), "notice": NOTICE, "refresh": refresh}
    body = _templates().get_template(name).render(root=request.script_root, **common, **facts)
    return Response(body, status, headers=_headers(live=refresh > 0), mimetype="text/html")


def _headers(*, live: bool) -> dict[str, str]:
    script = f"script-src {_digest('page.js')}; connect-src 'self'; " if live else ""
    policy = (
        f"default-src 'none'; style-src {_digest('page.css')}; {script}form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        # `no-referrer` would make browsers send `Origin: null` with our own forms.
        "Referrer-Policy": "same-origin",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
    }


@cache
def _templates() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - clients never see a page
    from markupsafe import Markup  # noqa: PLC0415

    from handlers.pages.words import FILTERS  # noqa: PLC0415

    made = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    made.filters |= {"raw": Markup, **FILTERS}
    made.globals |= {"say_count": FILTERS["brief"], "say_credits": FILTERS["credits"]}
    return made


@cache
def _digest(name: str) -> str:
    digest = hashlib.sha256(_read(name).encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


@cache
def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")
