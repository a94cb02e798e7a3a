"""A function URL: real HTTP in, an event to the function, and its answer out while it is being made."""

import base64
import contextlib
import queue
import socket
import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import unquote

from tests.emulators.runtime_api.invocation import Invocation
from tests.emulators.runtime_api.wire import (
    PATIENCE,
    BrokenError,
    Reader,
    Request,
    chunk,
    read_body,
    read_head,
    reply,
)
from tests.listening import Listening

DOMAIN: Final = "abcdefgh.lambda-url.eu-central-1.on.aws"
LARGEST_BODY: Final = 6 * 1024 * 1024
TEXTS: Final = (
    "text/",
    "application/json",
    "application/javascript",
    "application/xml",
    "application/x-www-form-urlencoded",
)
NO_BODY: Final = frozenset({204, 304})


class FunctionUrl(Listening):
    """Calls `invoke(event)` for each request; `timed_out` when an answer takes too long."""

    def __init__(self, invoke: Callable[[Any], Invocation], timed_out: Callable[[Invocation], None]) -> None:
        super().__init__()
        self._invoke, self._timed_out = invoke, timed_out

    def serve(self, connection: socket.socket) -> None:
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            reader = Reader(connection)
            try:
                request = read_head(reader)
                body = read_body(reader, request)
                if len(body) > LARGEST_BODY:
                    connection.sendall(
                        reply(413, b'{"Message":"Request must be smaller than 6291456 bytes"}')
                    )
                    return
                self._relay(connection, reader, request, self._invoke(event_of(request, body)))
            except (BrokenError, OSError):
                return

    def _relay(
        self, connection: socket.socket, reader: Reader, request: Request, invocation: Invocation
    ) -> None:
        invocation.client_left = reader.is_over
        invocation.taken.wait(PATIENCE)  # the start of a process is not the function's time
        limit = invocation.seconds + invocation.mercy
        until = time.monotonic() + limit
        if not invocation.wait_begun(limit):
            self._timed_out(invocation)
        if not invocation.streamed:
            connection.sendall(whole_answer(invocation))
            return
        bare = request.method == "HEAD" or invocation.status in NO_BODY
        self._send(connection, invocation, head(invocation, bare=bare))
        try:
            for piece in invocation.pieces(max(until - time.monotonic(), 0.01)):
                if not bare:
                    self._send(connection, invocation, chunk(piece))
        except queue.Empty:
            self._timed_out(invocation)
        if not bare and invocation.outcome in {"answered", "failed"}:
            self._send(connection, invocation, b"0\r\n\r\n")

    def _send(self, connection: socket.socket, invocation: Invocation, content: bytes) -> None:
        """Send while the client is there; the function is not told when it has left, and runs on."""
        if not invocation.client_left():
            with contextlib.suppress(OSError):
                connection.sendall(content)


def event_of(request: Request, body: bytes) -> dict[str, Any]:
    """Return the event, payload format 2.0, that AWS makes of a request."""
    path, _, query = request.target.partition("?")
    headers = dict(request.headers) | {
        "x-forwarded-proto": "https",
        "x-forwarded-port": "443",
        "x-forwarded-for": "203.0.113.7",
    }
    cookies = [cookie.strip() for cookie in headers.pop("cookie", "").split(";") if cookie.strip()]
    encoded = not headers.get("content-type", "").startswith(TEXTS)
    event: dict[str, Any] = {
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query, "headers": headers,
        "requestContext": {
            "accountId": "anonymous", "apiId": "abcdefgh", "domainName": DOMAIN, "domainPrefix": "abcdefgh",
            "http": {
                "method": request.method, "path": unquote(path), "protocol": "HTTP/1.1", "sourceIp": "203.0.113.7",
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": "e1506fd5-9e7b-434f-bd42-4f8fa224b599", "routeKey": "$default", "stage": "$default",
            "time": "12/Mar/2020:19:03:58 +0000", "timeEpoch": 1583348638390,
        },
        "isBase64Encoded": bool(body) and encoded,
    }  # fmt: skip
    if cookies:
        event["cookies"] = cookies
    if body:
        event["body"] = base64.b64encode(body).decode() if encoded else body.decode()
    return event


def head(invocation: Invocation, *, bare: bool) -> bytes:
    lines = [f"HTTP/1.1 {invocation.status} Said", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in invocation.headers.items()]
    lines += [f"Set-Cookie: {cookie}" for cookie in invocation.cookies]
    lines += [] if bare else ["Transfer-Encoding: chunked"]
    return "\r\n".join([*lines, "", ""]).encode()


def whole_answer(invocation: Invocation) -> bytes:
    """Return the answer of a function that did not stream."""
    if invocation.outcome != "answered":
        return reply(502, b'{"Message":"Internal Server Error"}')
    result = invocation.result
    body = base64.b64decode(result["body"]) if result["isBase64Encoded"] else result["body"].encode()
    headers = {name: value for name, value in result["headers"].items() if name.lower() != "content-length"}
    return reply(result["statusCode"], body, headers)
