"""GET and POST /login: GitHub's device login from any browser, for whoever holds one of the gateway's keys."""

import math
from typing import Final

from flask import Blueprint, Response

from core.copilot.device_login import DeviceLogin
from core.copilot.pending_login import LoginProgress, PendingLogin
from core.ports import StoreError
from core.settings import Secret
from handlers.account import account_in_words
from handlers.pages import page
from handlers.services import services
from handlers.sign_in import about, ask_key, submit, visit

bp = Blueprint("login", __name__)

PURPOSE: Final = "This page connects the gateway to a GitHub account."


@bp.get("/login")
def show() -> Response:
    """Show where the login stands; while one is under way, this is also what asks GitHub."""
    return visit(PURPOSE, _status)


@bp.post("/login")
def act() -> Response:
    """Do what a button says."""
    return submit(PURPOSE, _status, _done)


@bp.errorhandler(StoreError)
def on_store_error(error: StoreError) -> Response:
    """Say what is wrong with a store; nothing else can be shown without it."""
    return ask_key(PURPOSE, str(error), 503)


def _done(action: str) -> str | None:
    match action:
        case "start":
            _pending().start()
        case "cancel":
            _pending().cancel()
        case _:
            return None
    return ""


def _status(opened: str, error: str = "", status: int = 200) -> Response:
    progress = _pending().look()
    view = "idle" if progress is None else progress.phase
    return page(
        "login.html",
        status,
        view=view,
        error=error,
        progress=progress,
        fixed=bool(services().settings.github_token),
        account=account_in_words() if view in {"idle", "granted"} else "",
        refresh=_pause(progress),
        minutes=_minutes(progress),
        **about(opened),
    )


def _pause(progress: LoginProgress | None) -> int:
    """Return after how many seconds the page shall look again: a little more than GitHub asks for. 0: never."""
    return math.ceil(progress.pause) + 1 if progress is not None and progress.phase == "waiting" else 0


def _minutes(progress: LoginProgress | None) -> str:
    left = 0 if progress is None else math.ceil((progress.expires_at - services().now()) / 60)
    return "one more minute" if left <= 1 else f"{left} more minutes"


def _pending() -> PendingLogin:
    given = services()
    login = DeviceLogin(given.settings, given.github, now=given.now)
    return PendingLogin(login, given.state, _accept, now=given.now, new_id=given.new_id)


def _accept(github_token: Secret) -> None:
    """Use a new login, whose account may have other models than the last one. Raises StoreError."""
    services().copilot.tokens.accept(github_token)
    services().catalogue.forget()
