"""The request that a lane sends upstream: what the engine decides, before the client adds tokens and headers."""

import re
from collections.abc import Callable
from typing import Final, Literal

from msgspec import Struct

from core.errors import GatewayError

Initiator = Literal["user", "agent"]
# Clients put their own remarks beside a tool's result in this tag: no human wrote them.
_OPENING: Final = "<system-reminder>"
_CLOSING: Final = "</system-reminder>"
_WORD: Final = re.compile(r"\S")


class Outgoing(Struct, frozen=True, kw_only=True):
    """One POST to Copilot.

    path: below the API host, `/chat/completions`.
    initiator: who asked for this turn, judged from the client's last item only.
    betas: `anthropic-beta` values that survived the allow list.
    headers: further headers, lower case (auto mode's session token).
    repeatable: False when a second attempt could do harm.
    renewal: asked once when upstream refuses the request: the headers to send it again with, or None.
    """

    path: str
    body: bytes
    stream: bool = False
    initiator: Initiator = "user"
    vision: bool = False
    betas: tuple[str, ...] = ()
    headers: dict[str, str] = {}
    repeatable: bool = True
    renewal: Callable[[GatewayError], dict[str, str] | None] | None = None


def without_reminders(text: str) -> str:
    """Return what a text says after its reminders; one pass, as the text comes from outside."""
    said, at = text.strip(), 0
    while said.startswith(_OPENING, at):
        end = said.find(_CLOSING, at)
        if end < 0:
            break
        more = _WORD.search(said, end + len(_CLOSING))
        at = len(said) if more is None else more.start()
    return said[at:]
