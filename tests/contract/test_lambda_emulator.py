"""The Runtime API emulator refuses what AWS might refuse."""

import base64
import json
import socket
from collections.abc import Iterator

import pytest

from tests.emulators.runtime_api import Invocation, RuntimeApi
from tests.emulators.runtime_api.wire import chunk

HEAD = {
    "Lambda-Runtime-Function-Response-Mode": "streaming",
    "Content-Type": "application/vnd.awslambda.http-integration-response",
    "Transfer-Encoding": "chunked",
    "Trailer": "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body",
}
PRELUDE = b'{"statusCode":200,"headers":{},"cookies":[]}'
NULS = bytes(8)
ERROR = base64.b64encode(b'{"errorMessage":"m","errorType":"t","stackTrace":[]}').decode()


@pytest.fixture
def api() -> Iterator[RuntimeApi]:
    with RuntimeApi() as api:
        yield api


def said(api: RuntimeApi, request: bytes) -> tuple[int, bytes]:
    """Send bytes over a connection of their own and return the status and body of what comes back."""
    host, _, port = api.address.partition(":")
    with socket.create_connection((host, int(port)), 60) as connection:
        connection.sendall(request)
        received = b""
        while piece := connection.recv(65_536):
            received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def request(method: str, target: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    lines = [f"{method} /2018-06-01/runtime/{target} HTTP/1.1", "Host: a", "Connection: close"]
    return (
        "\r\n".join([*lines, *(f"{name}: {value}" for name, value in headers.items()), "", ""]).encode()
        + body
    )


def taken(api: RuntimeApi) -> Invocation:
    """Invoke the function, and be the function that takes the event."""
    invocation = api.invoke({"hello": 1})
    assert (200, b'{"hello": 1}') == said(api, request("GET", "invocation/next", {}))
    return invocation


def posted(api: RuntimeApi, invocation: Invocation, body: bytes, **changes: str) -> int:
    headers = (
        HEAD
        | {"Lambda-Runtime-Invocation-Id": invocation.echo}
        | {name.replace("_", "-"): value for name, value in changes.items()}
    )
    return said(api, request("POST", f"invocation/{invocation.id}/response", headers, body))[0]


def test_prelude_and_nuls_may_be_cut_anywhere(api: RuntimeApi) -> None:
    invocation = taken(api)
    wire = PRELUDE + NULS + b"body"
    body = b"".join(chunk(wire[at : at + 1]) for at in range(len(wire))) + b"0\r\n\r\n"
    assert 202 == posted(api, invocation, body)
    assert (200, b"body", "answered") == (invocation.status, invocation.body(), invocation.outcome)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"Lambda_Runtime_Function_Response_Mode": "Streaming"}, "InvalidResponseMode"),
        ({"Lambda_Runtime_Function_Response_Mode": "buffered"}, "InvalidResponseMode"),
        ({"Content_Type": "application/json"}, "InvalidContentType"),
        ({"Content_Length": "3"}, "InvalidTransferEncoding"),
        ({"Trailer": "Other"}, "InvalidTrailer"),
        ({"Lambda_Runtime_Invocation_Id": "another"}, "InvalidInvocationID"),
    ],
)
def test_wrong_head_is_refused(api: RuntimeApi, changes: dict[str, str], fault: str) -> None:
    assert 400 == posted(api, taken(api), chunk(PRELUDE + NULS) + b"0\r\n\r\n", **changes)
    assert api.faults[0].startswith(fault)


@pytest.mark.parametrize(
    "body",
    [
        PRELUDE,
        PRELUDE + bytes(7),
        b"no json" + NULS,
        b"[]" + NULS,
        b'{"headers":{}}' + NULS,
        b'{"statusCode":200,"headers":{"a":1}}' + NULS,
        b'{"statusCode":200,"headers":{"a":["b"]}}' + NULS,
        b'{"statusCode":200,"headers":{"Transfer-Encoding":"chunked"}}' + NULS,
    ],
)
def test_wrong_prelude_is_refused(api: RuntimeApi, body: bytes) -> None:
    invocation = taken(api)
    assert 400 == posted(api, invocation, chunk(body) + b"0\r\n\r\n")
    assert ("truncated", True) == (invocation.outcome, api.faults[0].startswith("InvalidPrelude"))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (ERROR, 202),
        ("{}", 400),
        (json.dumps({"errorMessage": "m"}), 400),
        (base64.b64encode(b"[]").decode(), 400),
    ],
)
def test_error_trailer_is_base64_of_an_error(api: RuntimeApi, body: str, status: int) -> None:
    trailers = f"Lambda-Runtime-Function-Error-Type: t\r\nLambda-Runtime-Function-Error-Body: {body}\r\n\r\n"
    wire = chunk(PRELUDE + NULS) + b"0\r\n" + trailers.encode()
    assert status == posted(api, taken(api), wire)


def test_unknown_and_answered_invocations_are_refused(api: RuntimeApi) -> None:
    invocation = taken(api)
    wire = chunk(PRELUDE + NULS) + b"0\r\n\r\n"
    assert [202, 400] == [posted(api, invocation, wire) for _ in range(2)]


def test_connection_that_breaks_truncates_the_answer(api: RuntimeApi) -> None:
    invocation = taken(api)
    host, _, port = api.address.partition(":")
    headers = HEAD | {"Lambda-Runtime-Invocation-Id": invocation.echo}
    with socket.create_connection((host, int(port)), 60) as connection:
        target = f"invocation/{invocation.id}/response"
        connection.sendall(request("POST", target, headers, chunk(PRELUDE + NULS + b"half")))
        assert b"half" == next(invocation.pieces())
    assert invocation.wait_over()
    assert "truncated" == invocation.outcome
