"""`requests`, held to one exchange: nothing is followed, kept or read from the environment; faults have one name each."""

import http.client
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, cast
from urllib.parse import SplitResult, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse, exceptions

from core.copilot.faults import FaultKind, TransportError
from core.copilot.obstacles import TOLD, connect_fault, tunnel_refused
from core.copilot.transport import tls_context
from core.copilot.wire import Proxy

_STEP: Final = 65_536  # most bytes at once; urllib3 2.6 is the first to keep to it for compressed bodies too
_FAULTS: Final = (requests.RequestException, exceptions.HTTPError, OSError, UnicodeError)
_TUNNEL: Final = re.compile(r"Tunnel connection failed: ([0-9]{3})")
_UNCONNECTED: Final = (
    exceptions.NewConnectionError,
    exceptions.ConnectTimeoutError,
    exceptions.SSLError,
    exceptions.ProxyError,
)
# The first that fits the error or one of its causes; nothing of these: the connection broke.
_KINDS: Final[tuple[tuple[tuple[type[Exception], ...], FaultKind], ...]] = (
    ((exceptions.ReadTimeoutError, TimeoutError), "timeout"),
    ((http.client.RemoteDisconnected, http.client.IncompleteRead), "cut"),
    ((http.client.HTTPException, exceptions.DecodeError, ValueError), "protocol"),
)
_HEAD: Final[dict[FaultKind, str]] = {
    "timeout": "the server did not answer in time",
    "cut": "the connection broke before an answer came",
    "protocol": "the request or its answer is not legal HTTP",
}
_BODY: Final[dict[FaultKind, str]] = {
    "timeout": "the answer stopped in the middle",
    "cut": "the connection broke in the middle of the answer",
    "protocol": "the answer is damaged",
}


class Session(requests.Session):
    """Speaks to one server, once.

    Used once because GitHub is asked every half hour at most: a connection kept that long is dead after a laptop's
    sleep or a Lambda's freeze, and would cost the whole timeout to find out. No cookie outlives it either.
    """

    def __init__(self, ca_bundle: str | None, proxy: Proxy | None) -> None:
        super().__init__()
        self.trust_env = False
        self.headers.clear()
        self.verify = ca_bundle or True
        if proxy is not None:
            host = f"[{proxy.host}]" if ":" in proxy.host else proxy.host
            self.proxies = {"https": f"http://{host}:{proxy.port}"}
            self.mount("https://", _ProxyAdapter(proxy.authorization))

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Hide where a redirect leads: else its whole body is read, of whatever length, though it is not followed."""
        del resp


class _ProxyAdapter(HTTPAdapter):
    """Carries the proxy's credentials beside its URL, so that no message about the URL can show them."""

    def __init__(self, authorization: str) -> None:
        super().__init__()
        self._authorization = authorization

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        """Return the credentials, encoded as the way to Copilot encodes them."""
        del proxy
        return {"Proxy-Authorization": self._authorization} if self._authorization else {}


def send(
    session: Session,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    timeout: tuple[float, float],
) -> requests.Response:
    """Send and wait for the head, with limits for connecting and for silence; raises TransportError."""
    try:
        return session.request(
            method,
            url,
            headers=headers,
            data=body or None,
            timeout=timeout,
            stream=True,
            allow_redirects=False,
        )
    except _FAULTS as error:
        bundle = session.verify if isinstance(session.verify, str) else None
        # Without the cause: what `requests` says of a header or a URL quotes it.
        raise _fault(error, urlsplit(url), bundle, proxied=bool(session.proxies)) from None


def receive(response: requests.Response, limit: int, *, is_late: Callable[[], bool]) -> bytes:
    """Read the whole body as it arrives; raises TransportError when it is broken, too long or too late."""
    raw = cast("HTTPResponse", response.raw)
    parts: list[bytes] = []
    size = 0
    try:
        while part := raw.read1(_STEP, decode_content=True):
            parts.append(part)
            size += len(part)
            if size > limit:
                raise TransportError("too_large", f"the answer is longer than {limit} bytes")
            if is_late():
                raise TransportError("timeout", "the answer stopped in the middle")
    except _FAULTS as error:
        raise _broken(list(_causes(error)), _BODY) from None
    return b"".join(parts)


def _fault(error: BaseException, at: SplitResult, ca_bundle: str | None, *, proxied: bool) -> TransportError:
    if at.scheme == "https":
        tls_context(ca_bundle)  # `requests` blames the server for a bundle that it cannot read
    causes = list(_causes(error))
    if refused := next((found for cause in causes if (found := _TUNNEL.search(str(cause)))), None):
        return tunnel_refused(refused[1])
    if any(isinstance(cause, _UNCONNECTED) for cause in causes):
        told = (cause for cause in causes if isinstance(cause, TOLD))
        return connect_fault(at.hostname or "", next(told, OSError()), proxied=proxied)
    return _broken(causes, _HEAD)


def _broken(causes: list[BaseException], words: dict[FaultKind, str]) -> TransportError:
    for kinds, kind in _KINDS:
        if any(isinstance(cause, kinds) for cause in causes):
            return TransportError(kind, words[kind])
    return TransportError("cut", words["cut"])


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and all that it stands for, nearest first."""
    pending: list[BaseException | None] = [error]
    seen: set[int] = set()
    for one in pending:
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield one
            pending += [one.__cause__, one.__context__]
