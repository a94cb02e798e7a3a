"""What the pages with forms have in common: they ask for a key, open a session, and do what a form of that session says."""

from collections.abc import Callable
from typing import Final, Protocol

from flask import Response, request

from core.access.caller import Caller
from core.access.sessions import form_token, is_form_token
from core.errors import GatewayError
from handlers.browser import session, sessions, with_session, without_session
from handlers.guard import LARGEST_FORM
from handlers.pages import page
from handlers.services import services

SIGNED_IN: Final = "signed-in"
LOST_COOKIE: Final = (
    "The browser did not keep the session. Beyond this machine it needs https, and cookies must be allowed."
)
NO_KEY: Final = "This is not a key of this gateway, or it is revoked or expired."
GUESTS_KEY: Final = "This key has limits: it may ask models, and no more. Sign in with a key that has none."
STALE: Final = "This page was out of date; nothing was done. Try again."


class Show(Protocol):
    """Renders a page for a session."""

    def __call__(self, opened: str, error: str = "", status: int = 200) -> Response:
        """Return the page. opened: the session."""
        ...


def visit(purpose: str, show: Show) -> Response:
    """Show a page, or ask for a key where one is needed. purpose: what the page is for, in a sentence."""
    opened = session()
    if opened is not None:
        return show(opened)
    if services().keys is not None:
        return ask_key(purpose, LOST_COOKIE if SIGNED_IN in request.args else "")
    # No key is asked on this machine, but the forms still need a session to belong to.
    opened = sessions().open("")
    return with_session(show(opened), opened)


def submit(purpose: str, show: Show, act: Callable[[str], str | None], query: str = "now") -> Response:
    """Do what a button says, then lead to the page anew; a failure is shown at once.

    act: does an action of the page, and returns what went wrong; None for an action that it does not know. May raise
    GatewayError. query: of the page that is shown then.
    """
    request.max_content_length = LARGEST_FORM
    action = request.form.get("action", "")
    if action == "sign-in":
        return _signed_in(purpose, request.form.get("key", "").strip(), query)
    opened = session()
    if opened is None:
        return ask_key(purpose, STALE, 403)
    if not is_form_token(opened, request.form.get("token", "")):
        return show(opened, STALE, 403)
    if action == "sign-out":
        sessions().close(opened)
        return without_session(back(query))
    try:
        wrong = act(action)
    except GatewayError as error:
        return show(opened, error.message, error.status)
    if wrong is None:
        return show(opened, STALE, 400)
    return show(opened, wrong, 409) if wrong else back(query)


def ask_key(purpose: str, error: str = "", status: int = 200) -> Response:
    """Return the page that asks for a key."""
    return page("sign-in.html", status, purpose=purpose, error=error)


def about(opened: str) -> dict[str, object]:
    """Return what every page of a session shows: whose it is, and what its forms carry."""
    return {"token": form_token(opened), "key_name": sessions().key_name(opened) or ""}


def back(query: str) -> Response:
    """Lead to this same page by GET. Relative, for an API Gateway puts its stage before the path."""
    return Response(status=303, headers={"Location": f"?{query}", "Cache-Control": "no-store"})


def _signed_in(purpose: str, key: str, query: str) -> Response:
    ring = services().keys
    caller = Caller() if ring is None else ring.authenticate(key)
    if caller is None:
        return ask_key(purpose, NO_KEY, 403)
    if not caller.is_owner:
        return ask_key(purpose, GUESTS_KEY, 403)
    opened = sessions().open(caller.name, caller.expires_at)
    return with_session(back(f"{SIGNED_IN}&{query}"), opened)
