"""GitHub's own REST calls: device login, token exchange, usage. Rare and small, so each has its own connection."""

from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from core.copilot.wire import Origin, proxy_address

_DEFAULT_LIMIT: Final = 4 * 1024 * 1024


class Answer(Struct, frozen=True):
    """A whole small reply; header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class GitHub:
    """Exchanges one small request for its whole reply; shared by all threads, keeps nothing between two calls.

    `ca_bundle`, `proxies` and `bypass` mean what they mean to `Transport`.
    """

    def __init__(
        self,
        *,
        now: Callable[[], float],
        connect_timeout: float = 10.0,
        ca_bundle: str | None = None,
        proxies: Mapping[str, str] | None = None,
        bypass: Callable[[str], bool] = lambda _host: False,
    ) -> None:
        self._now = now
        self._connect_timeout = connect_timeout
        self._ca_bundle = ca_bundle
        self._proxy = (proxies or {}).get("https") or None
        self._bypass = bypass

    def fetch(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        timeout: float,
        limit: int = _DEFAULT_LIMIT,
    ) -> Answer:
        """Ask and read the whole reply; a redirect is handed over, not followed.

        Raises TransportError, also when the body is over `limit` bytes or still not there after `timeout` seconds; no
        single silence is waited out for longer than `timeout` either.
        """
        # A warm process that holds a token never gets here, and so never pays for the import.
        from core.copilot.session import Session, receive, send  # noqa: PLC0415

        deadline = self._now() + timeout
        proxied = bool(self._proxy) and url.startswith("https:") and not self._bypass(_authority(url))
        proxy = proxy_address(self._proxy) if self._proxy and proxied else None
        patience = (min(self._connect_timeout, timeout), timeout)
        with (
            Session(self._ca_bundle, proxy) as session,
            send(session, method, url, headers, body, timeout=patience) as response,
        ):
            received = receive(response, limit, is_late=lambda: self._now() > deadline)
            lowered = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status_code, lowered, received)


def _authority(url: str) -> str:
    at = urlsplit(url)
    return Origin(at.scheme, at.hostname or "", at.port or 443).full_authority
