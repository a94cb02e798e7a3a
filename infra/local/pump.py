"""Streams that wait together: one thread forwards what upstream sends, for any number of clients.

A thread for each stream would wake up for every event and fight the others for the interpreter's lock; that cost ten
times as much as the work itself. So a worker opens the stream and hands it over here, and a worker ends it.
"""

import contextlib
import logging
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from waitress.task import WSGITask

from handlers.stream import PUMP, Stream

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger("gateway")

# Seconds between two looks at the streams that are silent, or whose client reads too slowly.
GLANCE: Final = 0.25
LAST_CHUNK: Final = b"0\r\n\r\n"
# The fields by which waitress says how an answer ends, and which it adds where they are missing.
HEEDED: Final = frozenset({"content-length", "connection", "date", "server"})


class Outlet(Protocol):
    """A connection to a client, as the pump sees it. held: what goes out with the next piece."""

    connected: bool
    held: bytes

    @property
    def is_full(self) -> bool:
        """Whether so much is unsent that nothing more shall be read for this client."""
        ...

    def push(self, chunk: bytes) -> None:
        """Send at once what the connection takes, the rest soon."""
        ...

    def resume(self, task: "PumpedTask") -> None:
        """Have the request ended by a worker."""
        ...


class HandedOver(BaseException):
    """A worker is done with a stream before the stream is."""

    def __init__(self, task: "PumpedTask") -> None:
        super().__init__()
        self.task = task


class PumpedTask(WSGITask):
    """A call of the app whose answer may go on without a worker.

    `stream` is what the app has offered; `is_over` is set when the pump is done with it.
    """

    stream: Stream | None = None
    is_over = False
    _body: Iterable[bytes] = ()

    def get_environment(self) -> "WSGIEnvironment":
        """Return the environ with the place where a stream is offered."""
        environ: dict[str, Any] = super().get_environment()
        environ[PUMP] = self.offer
        return environ

    def offer(self, stream: Stream) -> None:
        """Take note of a stream that can be pumped once its upstream is open."""
        self.stream = stream

    def service(self) -> None:
        """Call the app; where the pump has answered already, say that this was all."""
        if not self.is_over:
            super().service()
        elif self.chunked_response:
            cast("Outlet", self.channel).push(LAST_CHUNK)

    def set_close_on_finish(self) -> None:
        """Keep the connection after an answer in chunks: waitress closes it where no length was said."""
        if not self.chunked_response:
            super().set_close_on_finish()

    def watch(self, body: Iterable[bytes]) -> Iterable[bytes]:
        """Return the app's answer so that its stream is handed over as soon as that can be."""
        self._body = body
        return body if self.stream is None else _Watched(self, body)

    def build_response_header(self) -> bytes:
        """Return the head. waitress sees only the fields that it goes by: it spells each name anew, and sorts them all."""
        fields = cast("list[tuple[str, str]]", self.response_headers)
        self.response_headers = [field for field in fields if field[0].lower() in HEEDED]
        others = "".join(f"{name}: {value}\r\n" for name, value in fields if name.lower() not in HEEDED)
        return super().build_response_header()[:-2] + others.encode("latin-1") + b"\r\n"

    def head(self) -> bytes:
        """Return the answer's head, once."""
        if self.wrote_header:
            return b""
        self.wrote_header = True
        return self.build_response_header()

    def write(self, data: bytes) -> None:
        """Write a piece of the answer; the first one leaves together with the head."""
        outlet = cast("Outlet", self.channel)
        if data and self.complete:
            outlet.held = self.head()
        super().write(data)
        if outlet.held:  # the answer has no body
            outlet.push(b"")

    def say(self, piece: bytes) -> None:
        """Send a piece of the stream, and the head before the first one."""
        wire = self.head() + self.framed(piece)
        if wire:
            cast("Outlet", self.channel).push(wire)

    def framed(self, piece: bytes) -> bytes:
        """Return a piece of the answer as it goes on the wire."""
        if not piece or not self.chunked_response:
            return piece
        return b"%x\r\n%b\r\n" % (len(piece), piece)

    def cut(self) -> None:
        """Leave the answer without its last chunk and close the connection: so the client sees that more was to come."""
        self.chunked_response, self.close_on_finish = False, True

    def end(self) -> None:
        """Close the app's answer. Its callbacks come before the answer's last bytes: the client may ask again then."""
        close: Callable[[], None] | None = getattr(self._body, "close", None)
        if close is not None:
            close()


class _Watched:
    """An answer that a worker iterates over until it can be handed over; then the pump closes it, not the worker."""

    def __init__(self, task: PumpedTask, body: Iterable[bytes]) -> None:
        self._task = task
        self._pieces = iter(body)
        self._handed = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        stream = self._task.stream
        if stream is not None and stream.fileno() is not None:
            self._handed = True
            raise HandedOver(self._task)
        return next(self._pieces)

    def close(self) -> None:
        if not self._handed:
            self._task.end()


def watched(app: "WSGIApplication") -> "WSGIApplication":
    """Return the app with its answers watched for streams that can be handed over."""

    def call(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        body = app(environ, start_response)
        task = cast("PumpedTask", environ[PUMP].__self__)
        return task.watch(body)

    return call


class _Flow:
    """One stream under way.

    `spoke` is when it last said something or was last found silent; `number` its registered socket, or -1.
    """

    __slots__ = ("number", "outlet", "spoke", "stream", "task")

    def __init__(self, task: PumpedTask, spoke: float) -> None:
        self.task = task
        self.outlet = cast("Outlet", task.channel)
        self.stream = cast("Stream", task.stream)
        self.spoke = spoke
        self.number = -1


class Pump:
    """The thread, which begins with the first stream, and its streams.

    Only the thread touches `_flows` and the selector, and makes the `_bell` by which others wake it after they put tasks
    into `_new`. `_count` is how many streams were taken and not yet `ended`. ticks: seconds of a clock that never goes back.
    """

    def __init__(self, ticks: Callable[[], float]) -> None:
        self._ticks = ticks
        self._new: deque[PumpedTask] = deque()
        self._flows: set[_Flow] = set()
        self._thread = threading.Thread(target=self._run, name="pump", daemon=True)
        self._bell: socket.socket | None = None
        self._closed = self._finishing = False
        self._count = 0
        self._counted = threading.Condition()

    def take(self, task: PumpedTask) -> None:
        """Go on with a task's stream. What came with upstream's head is said here: it need not wait for another thread.

        Raises RuntimeError when the system gives no thread. The stream counts even then, until it has `ended`.
        """
        with self._counted:
            self._count += 1
            if self._thread.ident is None:
                self._thread.start()
        task.say(cast("Stream", task.stream).advance())
        self._new.append(task)
        self.ring()

    def ended(self) -> None:
        """Take note that the last byte of a stream was sent."""
        with self._counted:
            self._count -= 1
            self._counted.notify_all()

    def ring(self) -> None:
        """Have the thread look at its streams now."""
        if self._bell is not None:
            with contextlib.suppress(OSError):  # it has been rung often enough, or is closed
                self._bell.send(b"!")

    def drain(self, timeout: float) -> bool:
        """Wait for the end of all streams; return whether it came within so many seconds."""
        with self._counted:
            return self._counted.wait_for(lambda: not self._count, timeout)

    def finish(self) -> None:
        """Have every stream say its last words: their time is over, which `quiet` finds."""
        self._finishing = True
        self.ring()

    def close(self) -> None:
        """End the thread."""
        self._closed = True
        self.ring()

    # The thread

    def _run(self) -> None:
        while not self._closed:
            try:
                self._serve()
            except Exception:
                log.exception("pump.crashed")
                time.sleep(GLANCE)  # it may be for long: no file is left, say

    def _serve(self) -> None:
        """Forward streams, with a new bell and a new selector: the ones before may be why it crashed."""
        for flow in self._flows:
            flow.number = -1
        listener, bell = socket.socketpair()
        with listener, bell, selectors.DefaultSelector() as selector:
            bell.setblocking(False)  # noqa: FBT003 - the standard library's signature
            selector.register(listener, selectors.EVENT_READ)
            self._bell = bell
            self.ring()  # for those who found none
            glance_at = 0.0
            while not self._closed:
                is_rung = self._serve_ready(selector, listener)
                now = self._ticks()
                while self._new:
                    self._flows.add(_Flow(self._new.popleft(), now))
                if is_rung or now >= glance_at:
                    glance_at = now + GLANCE
                    for flow in tuple(self._flows):
                        try:
                            self._glance(selector, flow, now)
                        except Exception:
                            log.exception("stream.crashed")
                            self._break(selector, flow)

    def _serve_ready(self, selector: selectors.BaseSelector, listener: socket.socket) -> bool:
        """Forward what has come; return whether somebody rang."""
        is_rung = False
        for key, _ in selector.select(GLANCE if self._flows else None):
            if key.data is None:
                is_rung = bool(listener.recv(4096))
                if not is_rung:
                    raise ConnectionError("the bell is closed")
            else:
                try:
                    self._advance(selector, key.data)
                except Exception:
                    log.exception("stream.crashed")
                    self._break(selector, key.data)
        return is_rung

    def _listen(self, selector: selectors.BaseSelector, flow: _Flow) -> None:
        number = flow.stream.fileno()
        if number is not None:
            selector.register(number, selectors.EVENT_READ, flow)
            flow.number = number

    def _ignore(self, selector: selectors.BaseSelector, flow: _Flow) -> None:
        if flow.number >= 0:
            number, flow.number = flow.number, -1
            selector.unregister(number)

    def _advance(self, selector: selectors.BaseSelector, flow: _Flow) -> None:
        piece = flow.stream.advance()
        if piece:  # else the client has waited on
            flow.spoke = self._ticks()
        self._say(selector, flow, piece)

    def _glance(self, selector: selectors.BaseSelector, flow: _Flow, now: float) -> None:
        if not flow.outlet.connected:
            self._end(selector, flow)
        elif self._finishing and not flow.stream.over:
            self._say(selector, flow, flow.stream.quiet())
        elif flow.number < 0:
            if not flow.outlet.is_full:
                self._listen(selector, flow)
                self._advance(selector, flow)
        elif now - flow.spoke >= flow.stream.tick:
            flow.spoke = now
            self._say(selector, flow, flow.stream.quiet())

    def _say(self, selector: selectors.BaseSelector, flow: _Flow, piece: bytes) -> None:
        flow.task.say(piece)
        if flow.stream.over or not flow.outlet.connected:
            self._end(selector, flow)
        elif flow.outlet.is_full:
            self._ignore(selector, flow)

    def _end(self, selector: selectors.BaseSelector, flow: _Flow) -> None:
        self._ignore(selector, flow)
        self._flows.discard(flow)
        flow.task.is_over = True
        flow.outlet.resume(flow.task)

    def _break(self, selector: selectors.BaseSelector, flow: _Flow) -> None:
        """End a flow that crashed; one that crashed at its end is in a worker's hands already."""
        if not flow.task.is_over:
            flow.task.cut()
            self._end(selector, flow)
