"""How long an answer may take: until the server's own limit, where it has one, and as long as the client is there."""

import math
from collections.abc import Callable
from typing import Final

from flask import request
from msgspec import Struct

from core.copilot.client import CopilotClient
from core.errors import GatewayError
from core.outgoing import Outgoing

SecondsLeft = Callable[[], float]
# Under this environ key a server leaves a callable that returns the seconds left for the answer's last byte, or raises
# `GatewayError` when none is left and it has its own words for that.
SECONDS_LEFT: Final = "gateway.seconds_left"
# And where it can tell: a callable that says, without writing, whether the client has left.
CLIENT_GONE: Final = "gateway.client_gone"
GLANCE: Final = 1.0  # seconds of silence after which it is seen whether the client is still there


def _stays() -> bool:
    return False


class ClientLeftError(Exception):
    """Nobody waits for the answer any more."""


class Deadline(Struct, frozen=True):
    """The end of the answer under way."""

    seconds_left: SecondsLeft
    client_gone: Callable[[], bool] = _stays

    def check(self) -> None:
        """Raise `ClientLeftError` when the client has left, `GatewayError` "timeout" when the time is over."""
        self.slice(GLANCE)

    def slice(self, seconds: float = GLANCE) -> float:
        """Return how long to wait next: `seconds`, or what is left of the time. Raises as `check` does."""
        if self.client_gone():
            raise ClientLeftError
        left = self.seconds_left()
        if left <= 0:
            raise GatewayError(
                "The time that this gateway has for one answer is over. Ask for a shorter answer, or give it more time.",
                kind="timeout",
                code="deadline",
            )
        return min(seconds, left)


def current_deadline() -> Deadline:
    """Return the deadline of the running request; the end of time where the server names none."""
    seconds_left: SecondsLeft = request.environ.get(SECONDS_LEFT, _unlimited)
    # Nobody has left where the server cannot tell.
    client_gone: Callable[[], bool] = request.environ.get(CLIENT_GONE, _stays)
    return Deadline(seconds_left, client_gone)


def ask(copilot: CopilotClient, outgoing: Outgoing) -> bytes:
    """Return upstream's whole answer to a request that is not streamed. Raises as `Deadline.check` does, and `GatewayError`."""
    deadline = current_deadline()
    pending = copilot.begin(outgoing, wanted=deadline.check)
    try:
        while (reply := pending.wait(deadline.slice())) is None:
            pass
        try:
            return reply.read_all(slices=deadline.slice)
        finally:
            reply.close()
    finally:
        pending.close()


def _unlimited() -> float:
    return math.inf
