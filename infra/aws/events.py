"""What Lambda is called with: function URL, HTTP API, REST API and load balancer events, read into one shape."""

from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, cast
from urllib.parse import quote, unquote, urlencode

from msgspec import Struct

Source = Literal["url", "http", "rest", "alb"]
# These hand a stream on. Nothing in an invocation says whether they were told to, so that is the function's own setting.
STREAMING: Final[frozenset[Source]] = frozenset({"url", "rest"})
# What stands in a query as it is; all else beyond ASCII's letters and digits is escaped.
_QUERY_SAFE: Final = "!#$&'()*+,/:;=?@[]%~^|`{}<>\"\\"


class NotHttpError(ValueError):
    """The event is no HTTP request: a schedule, or a test from the console."""


class HttpEvent(Struct, frozen=True, kw_only=True):
    """One HTTP request.

    path: as it came, percent-encoded or raw. query: encoded. headers: names as they came, values joined.
    peer: the caller's address as AWS saw it. host: the domain that AWS serves for this function ("" for a load
    balancer). prefix: the stage that a REST API took off the path ("/prod"). multi_value: a load balancer wants
    every header of the answer as a list.
    """

    source: Source
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    peer: str
    host: str = ""
    prefix: str = ""
    multi_value: bool = False


def read_event(event: object) -> HttpEvent:
    """Read an event of any of the four sources. Raises `NotHttpError`."""
    if not isinstance(event, dict):
        raise NotHttpError("This function answers HTTP requests; the event is none.")
    given = cast("dict[str, Any]", event)
    context = _table(given.get("requestContext"))
    return _READERS[_source(given, context)](given, context)


def _source(event: Mapping[str, Any], context: Mapping[str, Any]) -> Source:
    if _table(context.get("http")).get("method"):
        # Only a function URL streams; its domain is AWS's own, while an HTTP API may have any.
        return "url" if ".lambda-url." in _domain(event, context) else "http"
    if not event.get("httpMethod"):
        raise NotHttpError("This function answers HTTP requests; the event has no method.")
    return "alb" if "elb" in context else "rest"


def _read_v2(event: Mapping[str, Any], context: Mapping[str, Any]) -> HttpEvent:
    """Read payload format 2.0: function URLs and HTTP APIs."""
    http = _table(context["http"])
    headers = _headers(_table(event.get("headers")), {})
    cookies = [_text(cookie) for cookie in _items(event.get("cookies"))]
    if cookies:
        headers["cookie"] = "; ".join(cookies)
    # An HTTP API leaves the name of its stage on the path, unless that is `$default`, as a function URL's.
    path, stage = _text(event.get("rawPath")), _text(context.get("stage"))
    prefix = f"/{stage}" if stage and f"{path}/".startswith(f"/{stage}/") else ""
    return HttpEvent(
        source=_source(event, context),
        method=_text(http["method"]),
        path=path.removeprefix(prefix) or "/",
        query=_ascii(_text(event.get("rawQueryString"))),
        headers=headers,
        body=_body(event),
        peer=_text(http.get("sourceIp")),
        host=_domain(event, context),
        prefix=prefix,
    )


def _read_rest(event: Mapping[str, Any], context: Mapping[str, Any]) -> HttpEvent:
    """Read payload format 1.0 of a REST API: query values are decoded, the path lacks the stage.

    It does have the base path of a custom domain, which only the matched resource tells from the rest.
    """
    given = _text(event.get("path")) or "/"
    whole = _text(context.get("path"))
    stage = whole.removesuffix(given).rstrip("/") if whole.endswith(given) else ""
    base = _base_path(given, _resource(event))
    return HttpEvent(
        source="rest",
        method=_text(event["httpMethod"]),
        path=given.removeprefix(base) or "/",
        query=urlencode(_pairs(event), errors="surrogatepass"),
        headers=_headers(_table(event.get("headers")), _table(event.get("multiValueHeaders"))),
        body=_body(event),
        peer=_text(_table(context.get("identity")).get("sourceIp")),
        host=_domain(event, context),
        prefix=stage + base,
    )


def _resource(event: Mapping[str, Any]) -> str:
    """Return the path that API Gateway matched, decoded: the resource with the caller's words for its parameters."""
    filled = _text(event.get("resource"))
    for name, value in _table(event.get("pathParameters")).items():
        filled = filled.replace(f"{{{name}}}", _text(value)).replace(f"{{{name}+}}", _text(value))
    return unquote(filled)


def _base_path(path: str, resource: str) -> str:
    """Return what stands before the resource in a path, "" where they do not fit together."""
    shown, own = unquote(path).rstrip("/"), resource.rstrip("/")
    before = shown.removesuffix(own)
    return before if resource and shown.endswith(own) and path.startswith(before) else ""


def _read_alb(event: Mapping[str, Any], _context: Mapping[str, Any]) -> HttpEvent:
    """Read a load balancer's event: the query is still encoded."""
    headers = _headers(_table(event.get("headers")), _table(event.get("multiValueHeaders")))
    # The balancer appends the address that it saw; what stands before is the caller's word.
    peer = headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    return HttpEvent(
        source="alb",
        method=_text(event["httpMethod"]),
        path=_text(event.get("path")) or "/",
        query="&".join(f"{_ascii(name)}={_ascii(value)}" for name, value in _pairs(event)),
        headers=headers,
        body=_body(event),
        peer=peer,
        multi_value="multiValueHeaders" in event,
    )


_READERS: Final[dict[Source, Callable[[Mapping[str, Any], Mapping[str, Any]], HttpEvent]]] = {
    "url": _read_v2,
    "http": _read_v2,
    "rest": _read_rest,
    "alb": _read_alb,
}


def _domain(event: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    """Return the domain that AWS serves for this function, by which it finds it: what the Host header says, too."""
    headers = _headers(_table(event.get("headers")), {})
    return _text(context.get("domainName")) or headers.get("host", "").partition(":")[0]


def _headers(single: Mapping[str, Any], multiple: Mapping[str, Any]) -> dict[str, str]:
    """Join what came several times. A name with an underscore would pass for the one with a hyphen: it is left out."""
    headers = {name.lower(): _text(value) for name, value in single.items()}
    for name, values in multiple.items():
        separator = "; " if name.lower() == "cookie" else ", "
        headers[name.lower()] = separator.join(map(_text, _items(values)))
    return {name: value for name, value in headers.items() if "_" not in name}


def _pairs(event: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return every pair of a query, repeated names too; either table may be null or missing."""
    multiple = _table(event.get("multiValueQueryStringParameters"))
    if multiple:
        return [(name, _text(value)) for name, values in multiple.items() for value in _items(values)]
    return [(name, _text(value)) for name, value in _table(event.get("queryStringParameters")).items()]


def _body(event: Mapping[str, Any]) -> bytes:
    # Half a surrogate pair stays visible as such: whoever reads the body as JSON refuses it.
    body = _text(event.get("body")).encode(errors="surrogatepass")
    try:
        return b64decode(body) if event.get("isBase64Encoded") else body
    except ValueError:
        raise NotHttpError("The event's body is not the base64 that it says it is.") from None


def _ascii(text: str) -> str:
    return quote(text, safe=_QUERY_SAFE, errors="surrogatepass")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _items(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def _table(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
