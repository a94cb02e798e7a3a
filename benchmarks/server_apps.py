"""The application that the server benchmark measures, and each server's way of serving it."""

# ruff: noqa: PLC0415 -- each server is imported only where it runs

from __future__ import annotations

import re
import signal
import socket
import socketserver
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

THREADS = 256
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"' + b"y" * 100 + b'"}}]}\n\n'
CLOSED: dict[str, float] = {}


def relayed(port: int, count: int, gap: float) -> Iterator[bytes]:
    with socket.create_connection(("127.0.0.1", port)) as upstream:
        upstream.sendall(stream_request(count, gap))
        upstream.recv(len(BARE_HEAD), socket.MSG_WAITALL)
        while piece := upstream.recv(65536):
            yield piece


def made(count: int, gap: float, key: str) -> Iterator[bytes]:
    try:
        for _ in range(count):
            if gap:
                time.sleep(gap)
            yield EVENT
    finally:
        CLOSED[key] = time.monotonic()


def make_app() -> Callable[..., Iterable[bytes]]:
    from flask import Flask, Response, request

    app = Flask(__name__)

    @app.get("/stream")
    def stream() -> Response:
        count, gap = int(request.args["n"]), float(request.args.get("gap", 0))
        events = made(count, gap, request.args.get("key", ""))
        return Response(events, mimetype="text/event-stream")

    @app.get("/relay")
    def relay() -> Response:
        port, count, gap = int(request.args["port"]), int(request.args["n"]), float(request.args["gap"])
        return Response(relayed(port, count, gap), mimetype="text/event-stream")

    @app.get("/closed")
    def closed() -> str:
        return str(CLOSED.get(request.args["key"], ""))

    @app.post("/echo")
    def echo() -> dict[str, int]:
        return {"length": len(request.get_data())}

    @app.get("/")
    def root() -> str:
        return "ok"

    return app.wsgi_app


BARE_HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


class BareHandler(socketserver.BaseRequestHandler):
    """The floor: a thread a connection, the same bytes, no HTTP parsing worth the name."""

    def handle(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while head := self.request.recv(65536):
            found = re.search(rb"n=(\d+)&gap=([\d.]+)", head)
            if found is None:
                self.request.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                continue
            self.request.sendall(BARE_HEAD)
            for _ in range(int(found[1])):
                time.sleep(float(found[2])) if float(found[2]) else None
                event = EVENT.replace(b"y" * 20, b"@%019.6f" % time.monotonic(), 1)
                self.request.sendall(b"%x\r\n%b\r\n" % (len(event), event))
            self.request.sendall(b"0\r\n\r\n")
            return


def serve_bare(host: str, port: int) -> None:
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    socketserver.ThreadingTCPServer.request_queue_size = 1024
    socketserver.ThreadingTCPServer.daemon_threads = True
    socketserver.ThreadingTCPServer((host, port), BareHandler).serve_forever()


def serve_werkzeug(host: str, port: int) -> None:
    import logging

    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    make_server(host, port, make_app(), threaded=True).serve_forever()


def serve_waitress(host: str, port: int) -> None:
    from waitress import serve

    serve(
        make_app(),
        host=host,
        port=port,
        threads=THREADS,
        channel_request_lookahead=1,
        connection_limit=1000,
        asyncore_use_poll=True,
        _quiet=True,
    )


def serve_gunicorn(host: str, port: int) -> None:
    from gunicorn.app.base import BaseApplication

    options = {
        "bind": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        "worker_class": "gthread",
        "threads": THREADS,
        "loglevel": "warning",
    }

    class Embedded(BaseApplication):
        def load_config(self) -> None:
            for name, value in options.items():
                self.cfg.set(name, value)

        def load(self) -> Callable[..., Iterable[bytes]]:
            return make_app()

    Embedded().run()


def serve_granian(host: str, port: int) -> None:
    from granian import Granian

    sys.path.insert(0, str(Path(__file__).parent))
    Granian(
        "server_apps:make_app",
        factory=True,
        address=host,
        port=port,
        interface="wsgi",
        blocking_threads=THREADS,
        log_enabled=False,
    ).serve()


def serve_cheroot(host: str, port: int) -> None:
    from cheroot.wsgi import Server

    server = Server((host, port), make_app(), numthreads=THREADS, request_queue_size=1024)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        server.start()
    finally:
        server.stop()


def serve_ours(host: str, port: int) -> None:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from infra.local.server import serve

    serve(make_app(), host, port, threads=THREADS)


SERVERS: dict[str, Callable[[str, int], None]] = {
    "bare": serve_bare,
    "werkzeug": serve_werkzeug,
    "waitress": serve_waitress,
    "gunicorn": serve_gunicorn,
    "granian": serve_granian,
    "cheroot": serve_cheroot,
    "ours": serve_ours,
}


def stream_request(count: int, gap: float = 0, key: str = "") -> bytes:
    return f"GET /stream?n={count}&gap={gap}&key={key} HTTP/1.1\r\nhost: a\r\n\r\n".encode()


def relay_request(upstream: int, count: int, gap: float = 0) -> bytes:
    return f"GET /relay?port={upstream}&n={count}&gap={gap} HTTP/1.1\r\nhost: a\r\n\r\n".encode()


if __name__ == "__main__":
    SERVERS[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
