"""Which hosts belong to this account, and which of them may see a bearer token."""

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from core.errors import GatewayError
from core.settings import Settings

GENERIC_COPILOT: Final = "https://api.githubcopilot.com"
_COPILOT_SUFFIX: Final = ".githubcopilot.com"

# Nothing but scheme, ASCII host, port and a plain path: no userinfo, query, fragment, escape or backslash.
_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[::1\]|[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*)/?",
    re.ASCII | re.IGNORECASE,
)
# A data-residency tenant has one label below ghe.com; its API names are accepted for it.
_TENANT: Final = re.compile(
    r"(?:https://)?(?:api\.|copilot-api\.)?(?P<name>[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)\.ghe\.com/?", re.ASCII
)


class Hosts(Struct, frozen=True, kw_only=True):
    """Base URLs without a trailing slash.

    github: device login. rest: token exchange and usage. copilot: used when the token reply names no host.
    configured: the operator's own Copilot URL, which always wins; empty when unset. tenant: `acme.ghe.com` or empty.
    """

    github: str
    rest: str
    copilot: str
    configured: str = ""
    tenant: str = ""


class _Url(Struct, frozen=True):
    scheme: str
    host: str
    port: int | None
    path: str

    @property
    def text(self) -> str:
        return f"{self.scheme}://{self.host}{'' if self.port is None else f':{self.port}'}{self.path}"


def hosts_of(settings: Settings) -> Hosts:
    """Derive every base URL from the settings; raises GatewayError `permission` for an unsafe one."""
    tenant = _tenant(settings.enterprise_host)
    plain = Settings()
    github, rest = settings.github_url, settings.github_api_url
    if tenant:
        github = f"https://{tenant}" if github == plain.github_url else github
        rest = f"https://api.{tenant}" if rest == plain.github_api_url else rest
    configured = _checked(settings.copilot_url, "copilot_url") if settings.copilot_url else ""
    return Hosts(
        github=_checked(github, "github_url"),
        rest=_checked(rest, "github_api_url"),
        copilot=configured or (f"https://copilot-api.{tenant}" if tenant else GENERIC_COPILOT),
        configured=configured,
        tenant=tenant,
    )


def copilot_base(hosts: Hosts, named: str | None) -> str:
    """Return the Copilot URL to use, given the one that the token reply named (untrusted).

    Only `*.githubcopilot.com` and the tenant's own hosts may receive the bearer; anything else raises GatewayError.
    Loopback is accepted only when GitHub's API is itself configured there (a local stand-in).
    """
    if hosts.configured:
        return hosts.configured
    if not named:
        return hosts.copilot
    url = _parsed(named)
    if url is None or url.path or not (_is_copilot(url, hosts.tenant) or _is_local_pair(url, hosts.rest)):
        raise GatewayError(
            "GitHub's token reply names a Copilot host that is not on the allow list, so the token was not sent. "
            "If the host is right, set copilot_url to it.",
            kind="upstream",
            code="host_refused",
        )
    return url.text


def stand_in(settings: Settings) -> str | None:
    """Return the URL of an upstream on this machine, as `make demo` uses, or None for the real one."""
    upstreams = (settings.copilot_url, settings.github_api_url)
    return next((url for url in upstreams if is_loopback(urlsplit(url).hostname or "")), None)


def is_loopback(host: str) -> bool:
    """Say whether a host name or address means this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _is_copilot(url: _Url, tenant: str) -> bool:
    known = url.host.endswith(_COPILOT_SUFFIX) or (bool(tenant) and url.host.endswith("." + tenant))
    return known and url.scheme == "https" and url.port in {None, 443}


def _is_local_pair(url: _Url, rest: str) -> bool:
    at = _parsed(rest)
    return at is not None and is_loopback(at.host) and is_loopback(url.host)


def _parsed(text: str) -> _Url | None:
    match = _URL.fullmatch(text)
    if match is None or ".." in match["host"]:
        return None
    port = int(match["port"]) if match["port"] else None
    if port is not None and not 0 < port < 65536:  # noqa: PLR2004 - the range of TCP ports
        return None
    return _Url(match["scheme"].lower(), match["host"].lower(), port, match["path"])


def _checked(text: str, setting: str) -> str:
    url = _parsed(text)
    if url is None:
        raise GatewayError(
            f"The setting {setting} must be a plain https URL without user, query or fragment.",
            kind="permission",
            code="bad_setting",
        )
    if url.scheme != "https" and not is_loopback(url.host):
        raise GatewayError(
            f"The setting {setting} must use https: tokens travel there. Plain http is for loopback only.",
            kind="permission",
            code="bad_setting",
        )
    return url.text


def _tenant(text: str) -> str:
    if not text:
        return ""
    match = _TENANT.fullmatch(text.strip().lower())
    if match is None:
        raise GatewayError(
            "The setting enterprise_host must be the name of a GHE.com tenant, such as acme.ghe.com.",
            kind="permission",
            code="bad_setting",
        )
    return f"{match['name']}.ghe.com"
