"""How long an answer may take, where the server says so: the gateway then ends it itself, before it is cut."""

import math
from collections.abc import Callable
from typing import Final

from flask import request
from msgspec import Struct

from core.errors import GatewayError

SecondsLeft = Callable[[], float]
# Under this environ key a server leaves a callable that returns the seconds left for the answer's last byte.
SECONDS_LEFT: Final = "gateway.seconds_left"


class Deadline(Struct, frozen=True):
    """The end of the answer under way."""

    seconds_left: SecondsLeft

    def slice(self, seconds: float) -> float:
        """Return how long to wait next: `seconds`, or what is left of the time. Raises `GatewayError` "timeout"."""
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
    return Deadline(seconds_left)


def _unlimited() -> float:
    return math.inf
