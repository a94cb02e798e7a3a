"""Pages for people: one stylesheet, no script, nothing from elsewhere."""

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flask import Response

from core.notice import NOTICE

if TYPE_CHECKING:
    from jinja2 import Environment

HERE: Final = Path(__file__).parent


def page(name: str, status: int = 200, /, **facts: object) -> Response:
    """Render a page; `facts` are what its template names. It is never cached, framed or sent abroad."""
    style = _style()
    body = _templates().get_template(name).render(style=style, notice=NOTICE, **facts)
    return Response(body, status, headers=_headers(style), mimetype="text/html")


def _headers(style: str) -> dict[str, str]:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
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
    from jinja2 import Environment, FileSystemLoader  # noqa: PLC0415 - clients never see a page
    from markupsafe import Markup  # noqa: PLC0415

    made = Environment(loader=FileSystemLoader(HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    made.filters["css"] = Markup
    return made


@cache
def _style() -> str:
    return (HERE / "page.css").read_text(encoding="utf-8")
