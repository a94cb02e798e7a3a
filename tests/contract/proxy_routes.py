"""What the real proxy of the tests does with a CONNECT; proxy.py loads these into its own process."""

import os
from pathlib import Path

from proxy.http.exception import HttpRequestRejected
from proxy.http.parser import HttpParser
from proxy.http.proxy import HttpProxyBasePlugin


class Reroute(HttpProxyBasePlugin):
    """Note where the client wants to go, and lead it to the port that stands in for the whole internet, if there is one."""

    def before_upstream_connection(self, request: HttpParser) -> HttpParser:
        assert request.host is not None
        with Path(os.environ["PROXY_NOTES"]).open("a") as notes:
            notes.write(f"{request.host.decode()}:{request.port}\n")
        if port := os.environ.get("PROXY_TARGET"):
            request.host, request.port = b"127.0.0.1", int(port)
        return request


class Forbid(HttpProxyBasePlugin):
    """Refuse every host, as the rules of a company do."""

    def before_upstream_connection(self, request: HttpParser) -> HttpParser:
        raise HttpRequestRejected(status_code=403, reason=b"Forbidden")
