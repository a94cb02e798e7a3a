"""What can go wrong on a connection, before it becomes an error that a client sees."""

from typing import Literal

FaultKind = Literal[
    "connect",  # no connection: name, refusal, proxy, certificate
    "timeout",  # no connection in time, or a whole fetch took too long
    "cut",  # the connection died before the answer was complete
    "protocol",  # the answer is not legal HTTP
    "too_large",  # the answer is longer than its reader allows
]
# What stands between this machine and the server, where that is known: each has a remedy of its own.
Obstacle = Literal[
    "name",  # the server's name cannot be resolved
    "network",  # nobody accepts a connection there
    "certificate",  # signed by nobody whom this machine trusts
    "clock",  # the certificate's time is over or has not come
    "identity",  # the certificate is for another name
    "handshake",  # no TLS is spoken there, or no version in common
    "bundle",  # our own file of trusted certificates cannot be read
    "proxy",  # the proxy cannot be reached, or reaches nobody
    "proxy_login",  # the proxy wants a user and password
    "proxy_rules",  # the proxy forbids this host
    "proxy_url",  # the proxy's URL cannot be used
]


class TransportError(Exception):
    """A failed exchange with a server. The message names no token and no header value."""

    def __init__(self, kind: FaultKind, message: str, obstacle: Obstacle | None = None) -> None:
        super().__init__(message)
        self.kind: FaultKind = kind
        self.message = message
        self.obstacle: Obstacle | None = obstacle
