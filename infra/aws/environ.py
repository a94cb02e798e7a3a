"""From an HTTP event to the WSGI environ: aws-wsgi's builder, and what it gets wrong put right."""

from collections.abc import Callable
from typing import Any, Final, cast
from urllib.parse import unquote_to_bytes

import awsgi  # type: ignore[import-untyped]  # publishes no types

from handlers.deadline import SECONDS_LEFT, SecondsLeft
from handlers.hosts import OWN_HOST
from infra.aws.events import HttpEvent

_awsgi_environ = cast("Callable[[dict[str, object], object], dict[str, Any]]", awsgi.environ)  # pyright: ignore[reportUnknownMemberType]
# aws-wsgi writes these beside CONTENT_TYPE and CONTENT_LENGTH, or for its own use. The body is whole, however it
# travelled, and Werkzeug reads none where a transfer encoding is named.
_STRAY: Final = ("HTTP", "HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING")
_SCHEMES: Final = {"http": "80", "https": "443"}


def build_environ(event: HttpEvent, context: object, seconds_left: SecondsLeft) -> dict[str, Any]:
    """Return the environ of PEP 3333 for an event.

    context: Lambda's; kept under `awsgi.context`. seconds_left: how long the answer may still take.

    aws-wsgi 0.2.7 knows API Gateway's first payload format, so that is what it is shown. Corrected: paths decoded to
    bytes, repeated and encoded query names, the peer's address, scheme and port where no header names them, headers
    that do not belong.
    """
    shown: dict[str, object] = {
        "httpMethod": event.method,
        "path": event.path,
        "queryStringParameters": None,
        "headers": {name: _latin(value) for name, value in event.headers.items()},
        "body": event.body,
    }
    environ = _awsgi_environ(shown, context)
    for name in _STRAY:
        environ.pop(name, None)
    scheme = event.headers.get("x-forwarded-proto", "").rpartition(",")[2].strip().lower()
    scheme = scheme if scheme in _SCHEMES else "https"
    # A load balancer's own health check names no host. Browsers always do, so that it can be nobody's trick.
    host = event.headers.get("host") or event.host or "localhost"
    environ |= {
        "SCRIPT_NAME": _latin(event.prefix),
        "PATH_INFO": unquote_to_bytes(event.path.encode(errors="surrogatepass")).decode("latin-1"),
        "QUERY_STRING": event.query,
        "REMOTE_ADDR": event.peer,
        "SERVER_NAME": host.partition(":")[0] or "localhost",
        "SERVER_PORT": _port(event.headers.get("x-forwarded-port", "")) or _SCHEMES[scheme],
        "HTTP_HOST": _latin(host),
        "wsgi.url_scheme": scheme,
        OWN_HOST: event.host,
        SECONDS_LEFT: seconds_left,
    }
    return environ


def _port(text: str) -> str:
    return text if text.isascii() and text.isdigit() else ""


def _latin(text: str) -> str:
    """Return text as PEP 3333 wants it: each byte of its UTF-8 as one character."""
    return text if text.isascii() else text.encode(errors="surrogatepass").decode("latin-1")
