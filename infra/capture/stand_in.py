"""A server on this machine that gives Copilot's captured answers, in the pieces in which they came."""

import contextlib
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

import msgspec

from infra.capture.reading import Capture, Part

_HOP: Final = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding"}
)
_SESSION: Final = "/models/session"


class StandIn:
    """Answers each request by the next captured one of the same path. `missing`: what was asked and is not captured."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self._left = list(capture.calls)
        self._lock = threading.Lock()
        self.missing: list[str] = []
        self.url = ""

    def answer(self, method: str, path: str) -> Part | None:
        """Return the reply to send; None where the connection broke before there was one."""
        with self._lock:
            call = next((call for call in self._left if (call.method, call.path) == (method, path)), None)
            if call is not None:
                self._left.remove(call)
                return self._capture.replies.get(call.call)
            if path == _SESSION:
                return self._session()
            self.missing.append(f"{method} {path}")
        return Part(status=503, pieces=[b"not captured"])

    def _session(self) -> Part:
        """Return a session of Auto mode for the model that answered; the captured one was opened earlier."""
        model = self._capture.reply.headers.get("x-gateway-model", "")
        session = {"session_token": "replayed", "selected_model": model, "available_models": [model]}
        return Part(status=200, pieces=[msgspec.json.encode(session)])


@contextlib.contextmanager
def standing_in(capture: Capture) -> Generator[StandIn]:
    """Serve the capture on a free port of this machine."""
    stand_in = StandIn(capture)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(stand_in))
    server.daemon_threads = True
    server.block_on_close = False
    stand_in.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield stand_in
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(stand_in: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", "0")))
            self._serve()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            pass

        def _serve(self) -> None:
            self.close_connection = True
            reply = stand_in.answer(self.command, self.path)
            if reply is None:
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                if name not in _HOP and value.isprintable():
                    self.send_header(name, value)
            self.send_header("transfer-encoding", "chunked")
            self.send_header("connection", "close")
            self.end_headers()
            for piece in reply.pieces:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                self.wfile.flush()
            if not reply.failure:  # else the answer breaks off here, as it did
                self.wfile.write(b"0\r\n\r\n")

    return Handler
