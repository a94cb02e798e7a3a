"""GET and POST /login: GitHub's device login from any browser, for whoever holds one of the gateway's keys."""

import math
from typing import Final

from flask import Blueprint, Response, request

from core.access.caller import Caller
from core.access.sessions import form_token, is_form_token
from core.copilot.device_login import DeviceLogin
from core.copilot.pending_login import LoginProgress, PendingLogin
from core.errors import GatewayError
from core.ports import StoreError
from handlers.browser import session, sessions, with_session, without_session
from handlers.guard import LARGEST_FORM
from handlers.pages import page
from handlers.services import services

bp = Blueprint("login", __name__)

SIGNED_IN: Final = "signed-in"
LOST_COOKIE: Final = (
    "The browser did not keep the session. Beyond this machine it needs https, and cookies must be allowed."
)
NO_KEY: Final = "This is not a key of this gateway, or it is revoked or expired."
GUESTS_KEY: Final = "This key has limits: it may ask models, and no more. Sign in with a key that has none."
STALE: Final = "This page was out of date; nothing was done. Try again."


@bp.get("/login")
def show() -> Response:
    """Show where the login stands; while one is under way, this is also what asks GitHub."""
    opened = session()
    if opened is not None:
        return _status(opened)
    if services().keys is not None:
        return _sign_in(LOST_COOKIE if SIGNED_IN in request.args else "")
    # No key is asked on this machine, but the forms still need a session to belong to.
    opened = sessions().open("")
    return with_session(_status(opened), opened)


@bp.post("/login")
def act() -> Response:
    """Do what a button says, then show the page anew. A failure is shown at once."""
    request.max_content_length = LARGEST_FORM
    action = request.form.get("action", "")
    if action == "sign-in":
        return _signed_in(request.form.get("key", "").strip())
    opened = session()
    if opened is None:
        return _sign_in(STALE, 403)
    if not is_form_token(opened, request.form.get("token", "")):
        return _status(opened, STALE, 403)
    try:
        return _done(action, opened)
    except GatewayError as error:
        return _status(opened, error.message, error.status)


@bp.errorhandler(StoreError)
def on_store_error(error: StoreError) -> Response:
    """Say what is wrong with a store; nothing else can be shown without it."""
    return _sign_in(str(error), 503)


def _done(action: str, opened: str) -> Response:
    match action:
        case "start":
            _pending().start()
        case "cancel":
            _pending().cancel()
        case "sign-out":
            sessions().close(opened)
            return without_session(_back())
        case _:
            return _status(opened, STALE, 400)
    return _back()


def _signed_in(key: str) -> Response:
    ring = services().keys
    caller = Caller() if ring is None else ring.authenticate(key)
    if caller is None:
        return _sign_in(NO_KEY, 403)
    if not caller.is_owner:
        return _sign_in(GUESTS_KEY, 403)
    return with_session(_back(SIGNED_IN), sessions().open(caller.name, caller.expires_at))


def _back(query: str = "now") -> Response:
    """Lead to this same page by GET. Relative, for an API Gateway puts its stage before the path."""
    return Response(status=303, headers={"Location": f"?{query}", "Cache-Control": "no-store"})


def _sign_in(error: str = "", status: int = 200) -> Response:
    return page("login.html", status, view="sign-in", error=error)


def _status(opened: str, error: str = "", status: int = 200) -> Response:
    progress = _pending().look()
    view = "idle" if progress is None else progress.phase
    return page(
        "login.html",
        status,
        view=view,
        error=error,
        progress=progress,
        token=form_token(opened),
        key_name=sessions().key_name(opened),
        fixed=bool(services().settings.github_token),
        account=_account() if view in {"idle", "granted"} else "",
        refresh=_pause(progress),
        minutes=_minutes(progress),
    )


def _pause(progress: LoginProgress | None) -> int:
    """Return after how many seconds the page shall look again: a little more than GitHub asks for. 0: never."""
    return math.ceil(progress.pause) + 1 if progress is not None and progress.phase == "waiting" else 0


def _minutes(progress: LoginProgress | None) -> str:
    left = 0 if progress is None else math.ceil((progress.expires_at - services().now()) / 60)
    return "one more minute" if left <= 1 else f"{left} more minutes"


def _account() -> str:
    """Say who is logged in, and whether Copilot takes the login."""
    given = services()
    try:
        given.copilot.tokens.current()
        quota = given.quota()
    except GatewayError as error:
        if error.code == "no_login":
            return "Nobody is logged in to GitHub yet."
        return f"A GitHub login is kept, but it does not work: {error.message}"
    plan = f" (plan {quota.plan})" if quota.plan else ""
    return f"Logged in to GitHub as {quota.login or 'an unnamed account'}{plan}; Copilot accepts it."


def _pending() -> PendingLogin:
    given = services()
    login = DeviceLogin(given.settings, given.github, now=given.now)
    return PendingLogin(login, given.state, given.copilot.tokens.accept, now=given.now, new_id=given.new_id)
