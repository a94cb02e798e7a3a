"""Who sits at the browser: the session cookie of the pages for people."""

from typing import Final

from flask import Response, request

from core.access.sessions import LIFE, Sessions
from core.copilot.hosts import is_loopback
from handlers.services import services

PLAIN: Final = "gateway-session"
# With this prefix, a browser takes the cookie over https only, and from this very host.
STRICT: Final = "__Host-gateway-session"


def sessions() -> Sessions:
    """Return the sessions in the state store."""
    given = services()
    return Sessions(given.state, given.now, given.settings.api_key)


def session() -> str | None:
    """Return the live session that the browser shows, if any. Raises StoreError."""
    shown = request.cookies.get(_cookie(), "")
    name = sessions().key_name(shown)
    # A session from before there were keys ends with the first one.
    is_live = name is not None and (bool(name) or services().keys is None)
    return shown if is_live else None


def with_session(response: Response, opened: str) -> Response:
    """Give the browser a session; no script and no other site gets at it."""
    response.set_cookie(
        _cookie(),
        opened,
        max_age=int(LIFE),
        path="/",
        secure=not is_local(),
        httponly=True,
        samesite="Strict",
    )
    return response


def without_session(response: Response) -> Response:
    """Take the session from the browser."""
    response.delete_cookie(_cookie(), path="/", secure=not is_local(), httponly=True, samesite="Strict")
    return response


def _cookie() -> str:
    return PLAIN if is_local() else STRICT


def is_local() -> bool:
    """Say whether the browser reached us by a name of its own machine, where cookies need no https."""
    host, _, port = request.host.rpartition(":")
    return is_loopback(host if host and port.isdigit() else request.host)
