"""The proxy that this machine's environment names, and the hosts that are reached without it."""

import ipaddress
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

# The first that is set; the small letters go first, as in curl and in Python's own library. What is set to nothing
# switches the capitals off.
_VARIABLES: Final = ("https_proxy", "all_proxy")
_EXCEPTIONS: Final = "no_proxy"
BUNDLES: Final = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")


class ProxyChoice(NamedTuple):
    """url: as it was given, password included; empty for none. variable: where it stands. bypass: takes `host:port`."""

    url: str
    variable: str
    bypass: Callable[[str], bool]

    def __repr__(self) -> str:
        return f"ProxyChoice({self.variable or 'none'})"  # the URL may hold a password


def read_proxy(environ: Mapping[str, str]) -> ProxyChoice:
    """Return the proxy for https (plain http stays on this machine): HTTPS_PROXY, else ALL_PROXY; and NO_PROXY."""
    for name in _VARIABLES:
        variable, url = _found(name, environ)
        if url:
            return ProxyChoice(url, variable, bypass(_found(_EXCEPTIONS, environ)[1]))
    return ProxyChoice("", "", bypass(""))


def bypass(no_proxy: str) -> Callable[[str], bool]:
    """Return what says whether a `host:port` is reached directly.

    An entry is `*`, a name (with all names below it; a dot or `*.` in front changes nothing), either of them with a
    port, an address, or a network (`10.0.0.0/8`, `fd00::/8`), as in curl, `requests` and Python's own library.
    """
    entries = [entry.strip().lower() for entry in no_proxy.split(",") if entry.strip()]
    networks = [network for entry in entries if (network := _network(entry)) is not None]
    names = [entry.removeprefix("*").lstrip(".") for entry in entries]

    def bypassed(authority: str) -> bool:
        whole = authority.lower()
        host = whole.rpartition(":")[0].strip("[]")
        if "*" in entries or any(_is_below(at, name) for name in names if name for at in (host, whole)):
            return True
        address = _address(host)
        return address is not None and any(address in network for network in networks)

    return bypassed


def ca_bundle(environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the file or folder of trusted certificates and the variable that names it; two empty texts: the usual."""
    return next(((environ[name], name) for name in BUNDLES if environ.get(name)), ("", ""))


def _found(name: str, environ: Mapping[str, str]) -> tuple[str, str]:
    variable = name if name in environ else name.upper()
    return variable, environ.get(variable, "").strip()


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(entry.replace("[", "").replace("]", ""), strict=False)
    except ValueError:
        return None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_below(host: str, name: str) -> bool:
    return host == name or host.endswith("." + name)
