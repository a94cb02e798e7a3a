"""Serve the gateway from this process: waitress for use, Werkzeug for development."""

import contextlib
import errno
import gc
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Generator
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from infra.local.patience import Patience

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from infra.local.channel import Allowance

# Under this environ key an app finds a callable that says, without yielding, that the client has left.
CLIENT_GONE: Final = "gateway.client_gone"
HEADER_CEILING: Final = 64 * 1024
# A client slower than the model stops the model's stream here instead of filling memory.
UNSENT_CEILING: Final = 1024 * 1024
BACKLOG: Final = 1024
# Objects made, and not yet thrown away, between two collections of the youngest; Python's own figure is 700.
YOUNG: Final = 5_000
MAX_PORT: Final = 65_535
MAX_BODY: Final = 32 * 1024 * 1024
OPTIONS: Final[dict[str, Any]] = {
    "ident": None,
    "asyncore_use_poll": True,
    "cleanup_interval": 1,  # seconds between two looks at slow clients
    "recv_bytes": 64 * 1024,
    # Keep reading while a reply is under way: that is how a client's leaving is seen.
    "channel_request_lookahead": 1,
    "max_request_header_size": HEADER_CEILING,
    "max_request_body_size": sys.maxsize,  # the door measures bodies
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
    allowance: "Allowance | None" = None,
    patience: Patience | None = None,
    chore: Callable[[], object] | None = None,
    on_ready: Callable[[int], None] | None = None,
) -> None:
    """Serve `app` until SIGINT or SIGTERM, then give open replies five seconds, and end those that are not over with an error.

    host: a name or an IPv4 or IPv6 address. port: 0 lets the system choose.
    threads: how many replies may be prepared at once; streams under way need none.
    allowance: says by a request's head how much of a body is read, MAX_BODY without it; the app answers what is refused.
    patience: how slow clients may be.
    chore: what is done about once a second, whether anybody asks or not; never twice at a time.
    on_ready: called with the bound port once connections are accepted.
    Raises ListenError. Signals are handled only when called in the main thread.
    """
    # Imported here: `--dev` and the other commands do without it.
    from infra.local.channel import House  # noqa: PLC0415
    from infra.local.doorkeeper import DoorServer  # noqa: PLC0415

    # It warns of waiting requests and, at the end, of unfinished threads: neither is the reader's concern.
    logging.getLogger("waitress").setLevel(logging.ERROR)
    house = House(
        patience=patience or Patience(),
        max_body_bytes=MAX_BODY,
        allowance=allowance,
        now=time.monotonic,
        chore=chore,
    )
    with listening(host, port) as listener:
        server = DoorServer(app, listener, house, threads, **OPTIONS)
        with _stopped_by_signals(server.stop):
            try:
                _settle()
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
        with _stopped_by_signals(_leave):
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


def _leave() -> None:
    raise _Stopped(0)


def _settle() -> None:
    """Spare the collector what stays for good, and let it look for cycles less often: requests leave few behind."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 5, 10)


def _claim(listener: socket.socket) -> None:
    """Let a restart reuse the port at once, yet never share it with a live server."""
    if os.name == "nt":
        # SO_REUSEADDR means sharing there.
        listener.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_EXCLUSIVEADDRUSE"), 1)  # noqa: B009
    else:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


@contextlib.contextmanager
def _stopped_by_signals(stop: Callable[[], None]) -> Generator[None]:
    """Call `stop` on the first SIGINT or SIGTERM, where this thread may handle signals; it may raise `_Stopped`.

    From then on they do what the system does with them: a second one ends the process at once.
    """
    before: dict[signal.Signals, Any] = {}

    def handle(_number: int, _frame: FrameType | None) -> None:
        for number in before:
            signal.signal(number, signal.SIG_DFL)
        stop()

    with contextlib.suppress(ValueError):  # not the main thread
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, handle)
    try:
        with contextlib.suppress(_Stopped):
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
