"""The request that a lane sends upstream: what the engine decides, before the client adds tokens and headers."""

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from core.errors import GatewayError

Initiator = Literal["user", "agent"]


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
