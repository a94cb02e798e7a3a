"""Wait until the person has logged the deployed gateway in to GitHub, at its own page."""

import http.client
import time
import webbrowser
from typing import Final

from infra import smoke
from infra.cli import exits
from infra.cli.console import people, say, warn
from infra.cli.stage import Place

PAUSE: Final = 2.0  # seconds between two questions
WARM_UP: Final = 60.0  # seconds that a new deployment may need until it answers
PATIENCE: Final = 900.0  # seconds, the life of a code


def wait_for_login(gateway: smoke.Smoke, place: Place, *, browser: bool) -> None:
    """Return once the gateway has a login that works, or something is wrong that the checks will tell.

    Raises CommandError `LOGIN` when nobody logs in.
    """
    began = time.monotonic()
    reply = _reply(gateway)
    while reply is None and time.monotonic() - began < WARM_UP:
        time.sleep(PAUSE)
        reply = _reply(gateway)
    if reply is None or not _wants_login(reply):
        return
    page = f"{gateway.url}/login"
    say(f"Now log in to GitHub: open {page} and give your API key.", "bold")
    if browser and not _open(page):
        warn("No browser could be opened; open the page yourself.")
    with people().status("Waiting for the login (Ctrl-C stops waiting; the gateway stays)"):
        while reply is None or _wants_login(reply):
            if time.monotonic() - began > PATIENCE:
                raise exits.CommandError(
                    f"Nobody has logged in. Do it later at {page}, or with `copilot-gateway auth {place.flags()}`; then "
                    f"`copilot-gateway smoke {place.flags()}`.",
                    exits.LOGIN,
                )
            time.sleep(PAUSE)
            reply = _reply(gateway)
    say("Logged in.", "green")


def _reply(gateway: smoke.Smoke) -> smoke.Reply | None:
    """Return what the gateway says; None while it does not answer, or AWS in its place, as for a new function."""
    try:
        reply = gateway.models_reply()
    except (OSError, http.client.HTTPException):
        return None
    return reply if reply.is_ours() else None


def _wants_login(reply: smoke.Reply) -> bool:
    return reply.code() == "no_login"


def _open(page: str) -> bool:
    try:
        return webbrowser.open(page)
    except webbrowser.Error:
        return False
