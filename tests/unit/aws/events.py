"""Events as AWS documents them."""

from typing import Any

URL_DOMAIN = "abc.lambda-url.eu-central-1.on.aws"
API_DOMAIN = "abc.execute-api.eu-central-1.amazonaws.com"
HEADERS = {
    "host": URL_DOMAIN,
    "content-type": "application/json",
    "x-forwarded-proto": "https",
    "x-forwarded-port": "443",
}


def url_event(
    method: str = "GET", path: str = "/", query: str = "", headers: dict[str, str] | None = None, **more: Any
) -> dict[str, Any]:
    """A function URL's, payload format 2.0."""
    http = {
        "method": method,
        "path": path,
        "protocol": "HTTP/1.1",
        "sourceIp": "203.0.113.7",
        "userAgent": "a",
    }
    return {
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query,
        "headers": HEADERS | (headers or {}),
        "requestContext": {"domainName": URL_DOMAIN, "http": http, "stage": "$default"},
        "isBase64Encoded": False,
        **more,
    }  # fmt: skip


def rest_event(
    method: str = "GET", path: str = "/", query: dict[str, list[str]] | None = None,
    headers: dict[str, list[str]] | None = None, **more: Any,
) -> dict[str, Any]:  # fmt: skip
    """A REST API's, payload format 1.0."""
    multiple = {name: [value] for name, value in HEADERS.items()} | {"host": [API_DOMAIN]} | (headers or {})
    return {
        "httpMethod": method, "path": path, "resource": "/{proxy+}", "body": None, "isBase64Encoded": False,
        "headers": {name: values[-1] for name, values in multiple.items()}, "multiValueHeaders": multiple,
        "queryStringParameters": {name: values[-1] for name, values in query.items()} if query else None,
        "multiValueQueryStringParameters": query or None,
        "requestContext": {
            "domainName": API_DOMAIN, "identity": {"sourceIp": "203.0.113.7"}, "path": f"/prod{path}", "stage": "prod",
        },
        **more,
    }  # fmt: skip


def alb_event(
    method: str = "GET", path: str = "/", query: dict[str, str] | None = None,
    headers: dict[str, str] | None = None, **more: Any,
) -> dict[str, Any]:  # fmt: skip
    """A load balancer's; its query stays encoded."""
    single = HEADERS | {"host": "lb.example", "x-forwarded-for": "1.2.3.4, 203.0.113.7"} | (headers or {})
    if "multiValueHeaders" in more:  # it is the one or the other
        single = {}
    return {
        "requestContext": {"elb": {"targetGroupArn": "arn"}}, "httpMethod": method, "path": path,
        "queryStringParameters": query or {}, "headers": single, "body": "", "isBase64Encoded": False, **more,
    }  # fmt: skip
