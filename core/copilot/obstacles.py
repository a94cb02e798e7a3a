"""Why there is no connection, in words, with the obstacle that a remedy follows from."""

import socket
import ssl
from typing import Final

from core.copilot.faults import Obstacle, TransportError

# OpenSSL's X509_V_ERR_* codes that say more than "not trusted".
_VERIFY: Final[dict[int, tuple[Obstacle, str]]] = {
    9: ("clock", "its certificate is not valid yet (is this machine's clock right?)"),
    10: ("clock", "its certificate has expired (is this machine's clock right?)"),
    62: ("identity", "its certificate is for another name (something on the way answers in its place)"),
    64: ("identity", "its certificate is for another address (something on the way answers in its place)"),
}
_UNTRUSTED: Final = "its certificate is not trusted here (behind a company proxy, set REQUESTS_CA_BUNDLE)"
# The first that fits. What has words here is also looked for among the causes that `requests` wraps up.
_REASONS: Final[tuple[tuple[type[OSError], Obstacle, str], ...]] = (
    (ssl.SSLCertVerificationError, "certificate", _UNTRUSTED),
    (ssl.SSLError, "handshake", "the TLS handshake failed"),
    (socket.gaierror, "name", "its name cannot be resolved (is the network up?)"),
    (ConnectionRefusedError, "network", "the connection was refused"),
)
TOLD: Final[tuple[type[OSError], ...]] = (*(kind for kind, _, _ in _REASONS), TimeoutError)
_NO_PROXY_NAME: Final = "the proxy's name cannot be resolved"
# Behind the proxy's status: which obstacle, and what to look at.
_REFUSALS: Final[dict[str, tuple[Obstacle, str]]] = {
    "403": ("proxy_rules", "; its rules forbid this host"),
    "407": ("proxy_login", "; check its user and password"),
    "502": ("proxy", "; it cannot reach the host"),
    "503": ("proxy", "; it cannot reach the host"),
    "504": ("proxy", "; it cannot reach the host"),
}


def connect_fault(host: str, error: OSError | UnicodeError, *, proxied: bool) -> TransportError:
    """Say why there is no connection to `host`; before TLS, the one who does not answer is the proxy."""
    by_way = " through the proxy" if proxied else ""
    if isinstance(error, TimeoutError):
        late = f"{host} did not accept a connection{by_way} in time"
        return TransportError("timeout", late, "proxy" if proxied else "network")
    obstacle, reason = _reason(error)
    if proxied and obstacle in {"name", "network"}:
        reason = _NO_PROXY_NAME if obstacle == "name" else reason
        obstacle = "proxy"
    return TransportError("connect", f"cannot connect to {host}{by_way}: {reason}", obstacle)


def tunnel_refused(status: str) -> TransportError:
    """Build the error for a proxy that answered CONNECT with this status (empty: with none)."""
    obstacle, hint = _REFUSALS.get(status, ("proxy", ""))
    return TransportError(
        "connect", f"the proxy refused the tunnel ({status or 'no HTTP status'}{hint})", obstacle
    )


def _reason(error: OSError | UnicodeError) -> tuple[Obstacle, str]:
    for kind, obstacle, reason in _REASONS:
        if isinstance(error, kind):
            return _VERIFY.get(getattr(error, "verify_code", 0), (obstacle, reason))
    return "network", getattr(error, "strerror", None) or "network error"
