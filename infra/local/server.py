"""Serve the gateway from this process: waitress for use, Werkzeug for development."""

import contextlib
import errno
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Generator, Iterable
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from waitress.server import BaseWSGIServer

# Under this environ key an app finds a callable that says, without yielding, that the client has left.
CLIENT_GONE: Final = "gateway.client_gone"
HEADER_CEILING: Final = 64 * 1024
# A client slower than the model stops the model's stream here instead of filling memory.
UNSENT_CEILING: Final = 1024 * 1024
# select() on Windows ends at 512 sockets.
CONNECTIONS: Final = 500 if sys.platform == "win32" else 2048
BACKLOG: Final = 1024
MAX_PORT: Final = 65_535
OPTIONS: Final[dict[str, Any]] = {
    "ident": None,
    "connection_limit": CONNECTIONS,
    "asyncore_use_poll": True,
    # Keep reading while a reply is under way: that is how a client's leaving is seen.
    "channel_request_lookahead": 1,
    "max_request_header_size": HEADER_CEILING,
    # Overflow would put prompts and replies into temporary files.
    "inbuf_overflow": sys.maxsize,
    "outbuf_overflow": sys.maxsize,
    "outbuf_high_watermark": UNSENT_CEILING,
    "clear_untrusted_proxy_headers": True,
}
REASONS: Final[dict[int, str]] = {
    errno.EADDRINUSE: "the port is in use; stop what listens there or choose another port",
    errno.EACCES: "not permitted; ports below 1024 need privileges",
    errno.EADDRNOTAVAIL: "this machine has no such address",
}


class ListenError(OSError):
    """The server cannot listen on the host and port it was given; the text says why and what to do."""


class _Stopped(SystemExit):
    """A signal asked the server to end."""


def serve(
    app: "WSGIApplication",
    host: str,
    port: int,
    *,
    threads: int = 256,
    max_body_bytes: int = 32 * 1024 * 1024,
    on_ready: Callable[[int], None] | None = None,
) -> None:
    """Serve `app` until SIGINT or SIGTERM, then give open replies five seconds to end.

    host: a name or an IPv4 or IPv6 address. port: 0 lets the system choose.
    threads: how many replies may be open at once; a further request waits for a free thread.
    max_body_bytes: the app's own limit; bodies of up to twice that reach the app, for a 413 in the client's dialect.
    on_ready: called with the bound port once connections are accepted.
    Raises ListenError. Signals are handled only when called in the main thread.
    """
    # Imported here: `--dev` and the other commands do without it.
    from waitress.server import create_server  # noqa: PLC0415

    from infra.local.strict_http import StrictChannel  # noqa: PLC0415

    # It warns of waiting requests and, at the end, of unfinished threads: neither is the reader's concern.
    logging.getLogger("waitress").setLevel(logging.ERROR)
    with listening(host, port) as listener:
        made = create_server(
            _with_client_gone(app),
            sockets=[listener],
            threads=threads,
            max_request_body_size=2 * max_body_bytes,
            **OPTIONS,
        )
        server = cast("BaseWSGIServer", made)  # one socket makes one server
        server.channel_class = StrictChannel
        with _stopped_by_signals():
            try:
                if on_ready is not None:
                    on_ready(listener.getsockname()[1])
                server.run()
            finally:
                server.close()


def serve_dev(
    app: "WSGIApplication",
    host: str,
    port: int,
    *,
    on_ready: Callable[[int], None] | None = None,
) -> None:
    """Serve `app` with Werkzeug's development server, a thread a request; the rest as `serve`."""
    from werkzeug.serving import make_server  # noqa: PLC0415

    with listening(host, port) as listener:
        # Given a socket, Werkzeug does not end the process by itself when the port is taken.
        server = make_server(host, port, app, threaded=True, fd=listener.fileno())
        with _stopped_by_signals():
            try:
                if on_ready is not None:
                    on_ready(listener.getsockname()[1])
                server.serve_forever()
            finally:
                server.server_close()


@contextlib.contextmanager
def listening(host: str, port: int) -> Generator[socket.socket]:
    """Yield a socket that listens on host and port, and close it afterwards. Raises ListenError."""
    if not 0 <= port <= MAX_PORT:  # getaddrinfo takes it modulo 65536
        raise ListenError(f"cannot listen on {host} port {port}: ports end at {MAX_PORT}")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise ListenError(f"cannot listen on {host} port {port}: {error}") from error
    with listener:
        try:
            _claim(listener)
            listener.bind(address)
            listener.listen(BACKLOG)
        except OSError as error:
            reason = REASONS.get(error.errno or 0, error.strerror or str(error))
            raise ListenError(f"cannot listen on {host} port {port}: {reason}") from error
        yield listener


def _claim(listener: socket.socket) -> None:
    """Let a restart reuse the port at once, yet never share it with a live server."""
    if os.name == "nt":
        # SO_REUSEADDR means sharing there.
        listener.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_EXCLUSIVEADDRUSE"), 1)  # noqa: B009
    else:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


def _with_client_gone(app: "WSGIApplication") -> "WSGIApplication":
    def wrapped(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        environ[CLIENT_GONE] = environ["waitress.client_disconnected"]
        return app(environ, start_response)

    return wrapped


@contextlib.contextmanager
def _stopped_by_signals() -> Generator[None]:
    """Turn the first SIGINT or SIGTERM into the end of the block, where this thread may handle signals.

    From then on they do what the system does with them: a second one ends the process at once.
    """
    before: dict[signal.Signals, Any] = {}

    def stop(_number: int, _frame: FrameType | None) -> None:
        for number in before:
            signal.signal(number, signal.SIG_DFL)
        raise _Stopped(0)

    with contextlib.suppress(ValueError):  # not the main thread
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, stop)
    try:
        with contextlib.suppress(_Stopped):
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
