"""What can go wrong on a connection, before it becomes an error that a client sees."""

from typing import Literal

FaultKind = Literal[
    "connect",  # no connection: name, refusal, proxy, certificate
    "timeout",  # no connection in time, or a whole fetch took too long
    "cut",  # the connection died before the answer was complete
    "protocol",  # the answer is not legal HTTP
    "too_large",  # the answer is longer than its reader allows
]


class TransportError(Exception):
    """A failed exchange with a server. The message names no token and no header value."""

    def __init__(self, kind: FaultKind, message: str) -> None:
        super().__init__(message)
        self.kind: FaultKind = kind
        self.message = message
