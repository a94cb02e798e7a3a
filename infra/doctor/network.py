"""The way to GitHub and Copilot: proxy, certificates, each host by itself, the clock."""

import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

from core.copilot.failures import read_failure
from core.copilot.faults import TransportError
from core.copilot.github import GitHub
from core.copilot.headers import PRODUCT
from core.copilot.hosts import hosts_of
from core.copilot.transport import Transport, tls_context
from core.copilot.wire import proxy_address
from core.settings import Settings
from infra.cli.exits import UNREACHABLE
from infra.doctor.findings import Check, Dubious, Unasked, Wrong
from infra.doctor.remedies import BY_STATUS, from_fault
from infra.proxies import BUNDLES, ca_bundle, read_proxy
from infra.wiring import build_clients

PATIENCE: Final = 20.0  # seconds for an answer
MOST_SKEW: Final = 60.0  # seconds
HEADERS: Final = {"user-agent": PRODUCT, "accept": "application/json, text/html"}
FILTERED: Final = (
    "Something on the way, or GitHub's own rules for your region, refuses: ask whoever runs this network."
)


class Network:
    """The checks of the way; what they learn of the time is kept for the clock."""

    def __init__(self, settings: Callable[[], Settings], environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._environ = environ
        self._skew: float | None = None
        self._clients: tuple[Transport, GitHub] | None = None

    @property
    def clients(self) -> tuple[Transport, GitHub]:
        """Both HTTP clients, as `start` makes them."""
        if self._clients is None:
            self._clients = build_clients(self._settings(), self._environ)
        return self._clients

    def close(self) -> None:
        """Let the connections go."""
        if self._clients is not None:
            self._clients[0].close()

    def checks(self) -> list[Check]:
        """Return what is looked at on the way."""
        way = ("settings", "proxy", "certificates")
        return [
            Check("proxy", "Looking for a proxy", ("settings",), self.proxy),
            Check("certificates", "Reading the certificates", ("settings",), self.certificates),
            Check("github", "Reaching GitHub", way, lambda: self.reach(hosts_of(self._settings()).github)),
            Check("github api", "Reaching GitHub's API", way, lambda: self.reach(hosts_of(self._settings()).rest)),
            Check("clock", "Comparing the clocks", ("github api",), self.clock),
        ]  # fmt: skip

    def proxy(self) -> str:
        """Take the proxy's URL apart; its password is not told."""
        if not self._settings().proxy_env:
            return "proxy variables are not looked at (proxy_env is off)."
        chosen = read_proxy(self._environ)
        if not chosen.url:
            if any(self._environ.get(name) for name in ("HTTP_PROXY", "http_proxy")):
                raise Dubious("HTTP_PROXY alone is not used: GitHub speaks https.", "Set HTTPS_PROXY, too.")
            return "none."
        try:
            at = proxy_address(chosen.url)
        except TransportError as error:
            raise Wrong(f"{chosen.variable}: {error.message}.") from error
        login = ", with a user and a password" if at.authorization else ""
        return f"{chosen.variable}: {at.host}:{at.port}{login}."

    def certificates(self) -> str:
        """Read the trusted certificates."""
        bundle, variable = ca_bundle(self._environ)
        try:
            tls_context(bundle or None)
        except TransportError as error:
            raise Wrong(
                f"{bundle or 'The bundle'} cannot be read ({variable}).",
                f"Correct {variable or BUNDLES[0]} or unset it.",
            ) from error
        return f"{bundle} ({variable})." if bundle else "the usual ones."

    def reach(self, base: str) -> str:
        """Ask a host of GitHub for anything at all, without a token."""
        before = time.time()
        ticks = time.perf_counter()
        try:
            answer = self.clients[1].fetch("GET", f"{base}/", HEADERS, timeout=PATIENCE)
        except TransportError as error:
            raise from_fault(error) from error
        self._note(answer.headers.get("date", ""), (before + time.time()) / 2)
        judge(base, answer.status, answer.headers, answer.body)
        return f"{_name(base)} answers in {time.perf_counter() - ticks:.2f} s{self._way(base)}."

    def reach_copilot(self, base: str) -> str:
        """Ask Copilot's host the same, with the client that requests go through."""
        ticks = time.perf_counter()
        try:
            reply = self.clients[0].send("GET", f"{base}/_ping", HEADERS).wait(PATIENCE)
            if reply is None:
                raise Wrong(f"{_name(base)} does not answer.", BY_STATUS[504], UNREACHABLE)
            status, headers = reply.status, reply.headers
            body = reply.read_all(timeout=PATIENCE)
        except TransportError as error:
            raise from_fault(error) from error
        judge(base, status, headers, body)
        return f"{_name(base)} answers in {time.perf_counter() - ticks:.2f} s{self._way(base)}."

    def clock(self) -> str:
        """Compare this machine's clock with GitHub's."""
        if self._skew is None:
            raise Unasked("GitHub did not tell the time.")
        if abs(self._skew) > MOST_SKEW:
            way = "behind" if self._skew > 0 else "ahead"
            raise Wrong(
                f"This machine's clock is {abs(self._skew):.0f} s {way}.", "Set it (timedatectl, NTP)."
            )
        return "right."

    def _note(self, date: str, now: float) -> None:
        try:
            self._skew = parsedate_to_datetime(date).timestamp() - now
        except (ValueError, OverflowError):
            return

    def _way(self, base: str) -> str:
        chosen = read_proxy(self._environ if self._settings().proxy_env else {})
        at = urlsplit(base)
        direct = at.scheme != "https" or chosen.bypass(f"{at.hostname}:{at.port or 443}")
        return "" if not chosen.url or direct else " through the proxy"


def judge(base: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Raise what an answer to a question without a token means, where it does not come from who was asked."""
    host = urlsplit(base).hostname or ""
    failure = read_failure(status, headers, body, 0.0)
    said = failure.message.replace("Copilot answered", "it answers")
    is_page = "web page" in said
    if 300 <= status < 400:  # noqa: PLR2004 - redirects
        target = urlsplit(headers.get("location", "")).hostname or host
        if target != host:
            raise Wrong(f"{host} sends to {target}.", "Log in to this network, and try again.", UNREACHABLE)
    if status == 451:  # noqa: PLR2004 - unavailable for legal reasons
        raise Wrong(f"{host} is not served here (status 451): {said}", BY_STATUS[451], UNREACHABLE)
    if status == 403 and is_page:  # noqa: PLR2004
        raise Wrong(f"{host} is blocked (status 403): {said}.", FILTERED, UNREACHABLE)
    if status == 466:  # noqa: PLR2004 - Copilot's own: the client's version is refused
        raise Wrong(
            f"{host} refuses this client version (status 466).", "Update the gateway, or set editor_version."
        )
    if status >= 500:  # noqa: PLR2004
        raise Dubious(f"{host} answers with status {status}.", BY_STATUS[500])


def _name(base: str) -> str:
    return urlsplit(base).netloc
