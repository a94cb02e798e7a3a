"""The Runtime API (version 2018-06-01): hands events out and takes answers in while they are being made.

Modelled on what AWS's own implementation does and on its Node.js runtime's client; stricter, because nothing that AWS
might refuse may pass here. Whatever is refused stands in `faults`.
"""

import base64
import json
import queue
import socket
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any, Final, Self

from tests.emulators.runtime_api.invocation import Invocation, RefusedError
from tests.emulators.runtime_api.wire import (
    BrokenError,
    Reader,
    Request,
    read_body,
    read_chunks,
    read_fields,
    read_head,
    reply,
)
from tests.listening import Listening

BASE: Final = "/2018-06-01/runtime/"
CONTENT_TYPE: Final = "application/vnd.awslambda.http-integration-response"
ERROR_TYPE, ERROR_BODY = "lambda-runtime-function-error-type", "lambda-runtime-function-error-body"
MODE: Final = "lambda-runtime-function-response-mode"
OK: Final = b'{"status":"OK"}\n'
TURN: Final = 0.02


class RuntimeApi(Listening):
    """`calls` holds the runtime's calls in order; `init_errors` what it reported."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.calls: list[str] = []
        self.init_errors: list[dict[str, Any]] = []
        self.init_failed = threading.Event()
        self._waiting: queue.Queue[Invocation] = queue.Queue()
        self._open: dict[str, Invocation] = {}
        self._stopped = threading.Event()

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        super().__exit__()

    def invoke(
        self, event: object, seconds: float = 60.0, mercy: float = 0.0, *, echo: bool = True
    ) -> Invocation:
        """Put an event up for the next `next`; `echo`: with an id that must come back with the answer."""
        invocation_id = str(uuid.uuid4()) if echo else ""
        invocation = Invocation(str(uuid.uuid4()), json.dumps(event).encode(), seconds, mercy, invocation_id)
        self._waiting.put(invocation)
        return invocation

    def runtime_ended(self, *, never_began: bool) -> bool:
        """Say that the process is gone; return whether events wait for another.

        What it had in hand gets no answer, nor does what waited for one that never began.
        """
        for invocation in list(self._open.values()):
            self._finish(invocation, "crashed")
        while never_began and not self._waiting.empty():
            self._waiting.get().finish("crashed")
        return not self._waiting.empty()

    def serve(self, connection: socket.socket) -> None:
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            reader, number = Reader(connection), 0
            try:
                while not self._stopped.is_set():
                    if not self._turn(reader):
                        continue
                    request = read_head(reader)
                    connection.sendall(self._answer(reader, request, number))
                    number += 1
                    if request.headers.get("connection", "").lower() == "close":
                        return
            except (BrokenError, OSError):
                return

    def _turn(self, reader: Reader) -> bool:
        """Wait a little for bytes, so that stopping is noticed; raises BrokenError at the end of the connection."""
        if reader.is_over():
            raise BrokenError("closed")
        return reader.wait(TURN)

    def _answer(self, reader: Reader, request: Request, number: int) -> bytes:
        call = request.target.removeprefix(BASE)
        self.calls.append(call)
        try:
            if request.method == "GET":
                return (
                    self._gets[call](self, reader) if call in self._gets else self._refuse("NotFound", call)
                )
            kind, _, rest = call.partition("/")
            if kind == "invocation":
                invoke_id, _, what = rest.partition("/")
                return self._result(reader, request, invoke_id, what, number)
            body = json.loads(read_body(reader, request))
            if call == "init/error":
                self.init_errors.append(body)
                self.init_failed.set()
            return reply(202, OK)
        except RefusedError as refused:
            return self._refuse(refused.kind, refused.message)

    def _refuse(self, kind: str, message: str) -> bytes:
        self.faults.append(f"{kind}: {message}")
        return reply(400, json.dumps({"errorType": kind, "errorMessage": message}).encode())

    def _next(self, reader: Reader) -> bytes:
        if self._open:
            raise RefusedError("InvalidState", "the invocation before has no answer yet")
        while True:
            if self._stopped.is_set() or reader.is_over():
                raise BrokenError("nobody waits any more")
            try:
                invocation = self._waiting.get(timeout=TURN)
                break
            except queue.Empty:
                continue
        self._open[invocation.id] = invocation
        invocation.taken.set()
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": invocation.id,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + invocation.seconds) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-central-1:123456789012:function:gateway",
            "Lambda-Runtime-Trace-Id": "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0",
        }
        if invocation.echo:
            headers["Lambda-Runtime-Invocation-Id"] = invocation.echo
        return reply(200, invocation.event, headers)

    def _restore(self, _reader: Reader) -> bytes:
        return reply(200, b"")

    _gets: Final[dict[str, Callable[[Self, Reader], bytes]]] = {
        "invocation/next": _next,
        "restore/next": _restore,
    }  # type: ignore[misc]

    def _result(self, reader: Reader, request: Request, invoke_id: str, what: str, number: int) -> bytes:
        invocation = self._open.get(invoke_id)
        if invocation is None:
            raise RefusedError("InvalidRequestID", invoke_id)
        if request.headers.get("lambda-runtime-invocation-id", "") != invocation.echo:
            raise RefusedError("InvalidInvocationID", "the invocation id did not come back")
        if what == "error":
            invocation.error = json.loads(read_body(reader, request))
            self._finish(invocation, "error")
            return reply(202, OK)
        if MODE in request.headers:
            return self._stream(reader, request, invocation, number)
        invocation.result = json.loads(read_body(reader, request))
        self._finish(invocation, "answered")
        return reply(202, OK)

    def _stream(self, reader: Reader, request: Request, invocation: Invocation, number: int) -> bytes:
        try:
            check_stream_head(request, number)
            for piece in read_chunks(reader):
                invocation.feed(piece)
            invocation.begun_whole()
            trailers = dict(read_fields(reader))
            if trailers:
                invocation.error = read_trailers(trailers)
        except (BrokenError, RefusedError):
            self._finish(invocation, "truncated")
            raise
        left = invocation.client_left()  # asked first: with the answer's end the front closes the connection
        self._finish(invocation, "failed" if trailers else "answered")
        if left:
            return reply(
                400,
                b'{"errorType":"TruncatedHTTPRequest","errorMessage":"HTTP request detected as truncated"}',
            )
        return reply(202, OK)

    def _finish(self, invocation: Invocation, outcome: Any) -> None:
        self._open.pop(invocation.id, None)
        invocation.finish(outcome)


def check_stream_head(request: Request, number: int) -> None:
    """Refuse the head of a streaming post that is not as the Runtime API wants it."""
    headers = request.headers
    declared = {name.strip().lower() for name in headers.get("trailer", "").split(",")}
    checks = {
        "ResponseMode": headers[MODE] == "streaming",
        "ContentType": headers.get("content-type") == CONTENT_TYPE,
        "TransferEncoding": headers.get("transfer-encoding") == "chunked" and "content-length" not in headers,
        "Trailer": declared == {ERROR_TYPE, ERROR_BODY},
        "Connection": number == 0,
    }
    for name, holds in checks.items():
        if not holds:
            raise RefusedError(f"Invalid{name}", str(headers))


def read_trailers(trailers: dict[str, str]) -> dict[str, Any]:
    """Read the error trailers. Raises RefusedError."""
    try:
        body = json.loads(base64.b64decode(trailers[ERROR_BODY], validate=True))
    except (ValueError, KeyError) as error:
        raise RefusedError("InvalidTrailer", str(trailers)) from error
    if not isinstance(body, dict) or set(body) != {"errorMessage", "errorType", "stackTrace"}:
        raise RefusedError("InvalidTrailer", str(body))
    return {"type": trailers.get(ERROR_TYPE), **body}
