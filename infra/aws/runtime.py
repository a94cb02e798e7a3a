"""AWS's own runtime loop with a client that streams: how a result is posted is all that is ours.

AWS's Python runtime sends one complete body; its Runtime API, which Node.js streams through, takes a chunked one from
anybody. So the loop stays AWS's (pinned in the zip: events, context, logs, X-Ray, init errors, SnapStart hooks) and one
method of its client is overridden. When `awslambdaric` learns to stream, `native_streaming` says so in a test: this
module, `entry` and `bootstrap` can then go, and `app.handler` hand its answer to AWS's way.

A client that leaves is invisible here: writes go on succeeding until the answer ends, and AWS bills them. That is why
every answer ends by a deadline of its own (see `app`).
"""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# awslambdaric publishes no types.

import http.client
import inspect
import logging
import socket
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final, cast
from urllib.parse import quote

import msgspec
from awslambdaric.lambda_runtime_client import LambdaRuntimeClient  # type: ignore[import-untyped]
from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller  # type: ignore[import-untyped]

from infra.aws.stream import Answer, prelude

log = logging.getLogger("gateway")

INTEGRATION_RESPONSE: Final = "application/vnd.awslambda.http-integration-response"
ACCEPTED: Final = 202
# Seconds for the last bytes and the platform's reply, once the answer's own time is over.
GRACE: Final = 2.0
ERROR_TYPE: Final = "Runtime.StreamError"
_ERROR: Final[dict[str, object]] = {
    "errorMessage": "The stream failed; the log says why.",
    "errorType": ERROR_TYPE,
    "stackTrace": [],
}
_FAILED: Final = b"Lambda-Runtime-Function-Error-Type: %b\r\nLambda-Runtime-Function-Error-Body: %b\r\n" % (
    ERROR_TYPE.encode(),
    b64encode(msgspec.json.encode(_ERROR)),
)


class StreamableEvent(dict[str, Any]):
    """An event whose answer may be a stream: whoever called for it knows how to post one."""

    takes_stream = True


class StreamingMarshaller(LambdaMarshaller):  # type: ignore[misc]  # its package publishes no types
    """Marks events as streamable, and lets an `Answer` pass as it is."""

    def unmarshal_request(self, request: object, content_type: str = "application/json") -> object:
        """Read an event."""
        event: object = super().unmarshal_request(request, content_type)
        return StreamableEvent(cast("dict[str, Any]", event)) if isinstance(event, dict) else event

    def marshal_response(self, response: object) -> Any:
        """Return what is to be posted, and its content type."""
        if isinstance(response, Answer):
            return response, INTEGRATION_RESPONSE
        return super().marshal_response(response)


class StreamingClient(LambdaRuntimeClient):  # type: ignore[misc]  # its package publishes no types
    """AWS's client; answers are posted chunk by chunk."""

    marshaller = StreamingMarshaller()

    def post_invocation_result(
        self,
        invoke_id: str,
        result_data: object,
        content_type: str = "application/json",
        invocation_id: str | None = None,
    ) -> None:
        """Post an answer as it comes; anything else as AWS does."""
        if not isinstance(result_data, Answer):
            super().post_invocation_result(invoke_id, result_data, content_type, invocation_id)
            return
        # Neither may end the process, which is to serve the next invocation.
        try:
            with closing(result_data):
                post(self.lambda_runtime_address, invoke_id, result_data, invocation_id)
        except OSError as error:  # the platform has ended the invocation
            log.warning("lambda.post_failed reason=%r", str(error))
        except Exception:
            log.exception("lambda.close_crashed")


def post(address: str, invoke_id: str, answer: Answer, invocation_id: str | None = None) -> None:
    """Post one answer over a connection of its own.

    address: host:port of the Runtime API. invocation_id: what came with the event, to be sent back. A body that fails
    half-way ends with the Runtime API's error trailers. Raises OSError when the connection breaks.
    """
    host, _, port = address.partition(":")
    with socket.create_connection((host, int(port or 80)), timeout=_patience(answer)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # The prelude and the first chunk travel together.
        connection.sendall(_head(address, invoke_id, invocation_id) + _chunk(prelude(answer) + answer.first))
        for piece in _framed(answer):
            connection.settimeout(_patience(answer))
            connection.sendall(piece)
        _hear(connection)


def native_streaming() -> bool:
    """Say whether the installed `awslambdaric` has a streaming of its own, which would replace this module."""
    return any("stream" in name.lower() for name in dir(LambdaRuntimeClient))


def check_seam() -> None:
    """Raise RuntimeError when the installed `awslambdaric` lacks the seam that this module is fitted to."""
    expected = list(inspect.signature(StreamingClient.post_invocation_result).parameters)
    found = list(inspect.signature(LambdaRuntimeClient.post_invocation_result).parameters)
    if expected != found or not hasattr(LambdaRuntimeClient, "marshaller"):
        raise RuntimeError(
            "infra/aws/runtime.py does not fit this version of awslambdaric: pin the one it was tested with."
        )


def _head(address: str, invoke_id: str, invocation_id: str | None) -> bytes:
    lines = [
        f"POST /2018-06-01/runtime/invocation/{quote(invoke_id, safe='')}/response HTTP/1.1",
        f"Host: {address}",
        "Connection: close",
        f"Content-Type: {INTEGRATION_RESPONSE}",
        "Lambda-Runtime-Function-Response-Mode: streaming",
        "Transfer-Encoding: chunked",
        "Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body",
    ]
    if invocation_id:
        lines.append(f"Lambda-Runtime-Invocation-Id: {invocation_id}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _framed(answer: Answer) -> Iterator[bytes]:
    """Yield the rest of the body as chunks, then the end: with the error trailers where the body fails."""
    try:
        for chunk in answer.rest():
            yield _chunk(chunk)
    except Exception:
        log.exception("lambda.stream_crashed")
        yield b"0\r\n%b\r\n" % _FAILED
    else:
        yield b"0\r\n\r\n"


def _chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


def _hear(connection: socket.socket) -> None:
    """Read what the platform says of the answer; that a client has left is learned here, and only here."""
    reply = http.client.HTTPResponse(connection, method="POST")
    try:
        reply.begin()
        said = reply.read(4096)
    except http.client.HTTPException as error:
        raise ConnectionError(repr(error)) from error
    if reply.status != ACCEPTED:
        log.info("lambda.answer_cut status=%d said=%r", reply.status, said[:300])


def _patience(answer: Answer) -> float:
    """Return how long one send may block: a client that stops reading must not hold the function to its end."""
    return max(answer.seconds_left(), 0.0) + GRACE
