"""One connection of the local server: its requests are judged by their heads, and it may not be slow for ever."""

import logging
import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from msgspec import Struct
from waitress.channel import ClientDisconnected, HTTPChannel

from handlers.deadline import SECONDS_LEFT
from handlers.guard import FAULT, WITHHELD
from handlers.record import LATER
from infra.local.patience import Patience, Phase, Watch
from infra.local.pump import HandedOver, Pump, PumpedTask
from infra.local.server import CLIENT_GONE
from infra.local.strict_http import StrictParser

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

log = logging.getLogger("gateway")

# By its head alone: how many bytes of body a request may send, 0 where it is refused.
Allowance = Callable[["WSGIEnvironment"], int]


class House(Struct, frozen=True, kw_only=True):
    """The rules that hold for every connection.

    allowance: judges heads, in a worker's thread; the app then knows what FAULT and WITHHELD mean. None: every body of
    up to `max_body_bytes` is taken. now: seconds of a clock that never goes back. chore: what a worker does about once a
    second, whether anybody asks or not.
    """

    patience: Patience
    max_body_bytes: int
    allowance: Allowance | None
    now: Callable[[], float]
    chore: Callable[[], object] | None = None


class DoorTask(PumpedTask):
    """A call of the app, which is told what the server found wrong: it has the words for it."""

    def get_environment(self) -> "WSGIEnvironment":
        """Return the environ of PEP 3333 with what the gateway adds."""
        environ = super().get_environment()
        request = cast("StrictParser", self.request)
        environ[CLIENT_GONE] = self.channel.check_client_disconnected
        channel = cast("DoorChannel", self.channel)
        environ[SECONDS_LEFT] = channel.seconds_left
        environ[LATER] = channel.later.append
        if request.error is not None:
            # What waitress quotes of a bad head is left out: it may be a key.
            environ[FAULT] = (request.error.code, str(request.error.body).partition(' "')[0])
        if request.withheld:
            environ[WITHHELD] = True
        return environ


class DoorChannel(HTTPChannel):
    """A connection of waitress's, with a judge between a head and its body.

    The main thread reads; while a worker judges a head (`_judged` is its request), nothing is read, so that the worker
    alone hands on what has come. After a refusal the rest of the request is read and thrown away for a while: closing
    at once would reset the connection, and the client could lose the answer.
    """

    parser_class = StrictParser

    def __init__(self, server: Any, *given: Any, **named: Any) -> None:
        self.house: House = server.house
        self._pump: Pump = server.pump
        self._wake: Callable[[], None] = server.wake
        self._serving: threading.local = server.serving
        self.seconds_left: Callable[[], float] = server.seconds_left
        if self.house.allowance is not None:
            self.error_task_class = cast("Any", DoorTask)  # the app renders errors, too
        self.watch = Watch(self.house.now())
        self._judged: StrictParser | None = None
        self._pumped: PumpedTask | None = None
        self.held = b""  # the head of an answer, to be sent with the first of its body
        self._served = self._sent = 0
        self._ends_with_refusal = self._lingers = self._is_deaf = False
        self.later: deque[Callable[[], None]] = deque()  # what the app wants to do when no client waits
        super().__init__(server, *given, **named)

    # The main thread

    def readable(self) -> bool:
        """Say whether bytes are wanted."""
        self._is_deaf = True  # until it is known: a worker that ends meanwhile must ask for another look
        is_wanted = self._lingers or (self._judged is None and bool(super().readable()))
        self._is_deaf = not is_wanted
        return is_wanted

    def handle_read(self) -> None:
        """Read what has come; after a refusal, throw it away."""
        if not self._lingers:
            super().handle_read()
            return
        try:
            self.recv(self.adj.recv_bytes)  # at the end it closes the connection by itself
        except OSError:
            self.handle_close()

    def writable(self) -> bool:
        """Say whether there is something to send, or to end."""
        return not self._lingers and bool(super().writable())

    def handle_write(self) -> None:
        """Send what is ready; after a refusal say that this was all, and go on listening."""
        if not (self._ends_with_refusal and self.close_when_flushed) or self.will_close:
            super().handle_write()
            return
        self._flush_exception(self._flush_some)  # type: ignore[attr-defined]
        if self.connected and not self.total_outbufs_len:
            self._lingers, self.close_when_flushed = True, False
            with suppress(OSError):
                cast("socket.socket", self.socket).shutdown(socket.SHUT_WR)

    def received(self, data: bytes) -> bool:
        """Take what was read."""
        taken = super().received(data)
        self._look_at_head()
        return taken

    def send(self, data: bytes, do_close: bool = True) -> int:  # noqa: FBT001, FBT002 - waitress's signature
        """Send, and count what went out."""
        sent: int = super().send(data, do_close=do_close)
        self._sent += sent
        return sent

    def mind(self, now: float) -> None:
        """Show the client out when it does not get on; one whose body is too slow is told so."""
        phase, request = self.phase(), self._parsed()
        moved = self._sent if phase == "sending" else request.body_bytes_received if request else 0
        if not self.watch.is_overdue(phase, self._served, moved, now, self.house.patience):
            return
        if phase != "body" or request is None:
            self.handle_close()  # `will_close` would wait for a client that reads
            return
        with self.requests_lock:  # type: ignore[attr-defined]
            request.give_up()
            self._enqueue(request)

    def phase(self) -> Phase:
        """Say what the connection waits for."""
        request = self._parsed()
        if self._lingers:
            return "lingering"
        if self.total_outbufs_len:
            return "sending"
        if self.requests or self._judged is not None:
            return "serving"
        if request is None:
            return "idle"
        return "body" if request.headers_finished else "head"

    def _parsed(self) -> StrictParser | None:
        return cast("StrictParser | None", self.request)

    # The main thread, or the worker that judged

    def _look_at_head(self) -> None:
        """Let a head be judged whose body is still to come."""
        request = self._parsed()
        if request is None or not request.awaits_admission:
            self._judged = None
            return
        self._judged = request
        if self.house.allowance is None:
            self._admit(request, self.house.max_body_bytes)
        else:
            self.server.task_dispatcher.add_task(cast("Any", _Judgement(self, request)))

    def judge(self, request: StrictParser) -> None:
        """Ask how much body may come, and go on accordingly. Where that fails, none: the app will say why."""
        limit, allowance = 0, self.house.allowance
        with suppress(Exception):
            if allowance is not None:
                limit = allowance(DoorTask(self, cast("Any", request)).get_environment())
        self._admit(request, limit)
        if self.connected:
            self._wake()

    def _admit(self, request: StrictParser, limit: int) -> None:
        with self.requests_lock:  # type: ignore[attr-defined]
            held = request.admit(limit, renders=self.house.allowance is not None)
            if request.is_refused:
                self._enqueue(request)
            elif request.expect_continue and not self.requests:
                self.send_continue()
        if held:
            super().received(held)
        self._look_at_head()

    def _enqueue(self, request: StrictParser) -> None:
        """Have a refused request answered in its turn. The lock is held."""
        self.request = None
        if self.will_close or self.close_when_flushed:
            return
        waiting = cast("list[StrictParser]", self.requests)
        waiting.append(request)
        if len(waiting) == 1:
            self.server.add_task(cast("Any", self))

    # The main thread, or the pump

    def handle_close(self) -> None:
        """Close, and let the pump see it at once: upstream shall not work for nobody."""
        super().handle_close()
        if self.requests:
            self._pump.ring()

    @property
    def is_full(self) -> bool:
        """Say whether so much is unsent that nothing more shall be made."""
        return bool(self.total_outbufs_len >= self.adj.outbuf_high_watermark)

    def push(self, chunk: bytes) -> None:
        """Send for the pump, which sees by `connected` whether anybody is there."""
        with suppress(ClientDisconnected):
            self.write_soon(chunk)

    def write_soon(self, data: Any) -> int:
        """Send at once what the socket takes; the main thread sends the rest.

        waitress puts everything into its buffer first, which the main thread sees, and spins until it is sent.
        """
        if not isinstance(data, bytes):
            return int(super().write_soon(data))
        data, self.held = self.held + data, b""
        left = data
        with self.outbuf_lock:
            if self.connected and not self.total_outbufs_len:
                with suppress(OSError):  # waitress will meet it again
                    left = data[self.send(data, do_close=False) :]
            if left or not self.connected:
                super().write_soon(left)
        return len(data)

    def resume(self, task: PumpedTask) -> None:
        """Have a worker end the request whose stream is over."""
        self._pumped = task
        self.server.add_task(cast("Any", self))

    # A worker

    def task_class(self, channel: "DoorChannel", request: Any) -> PumpedTask:  # type: ignore[override]
        """Return what answers a request: a new task, or, once, the one that the pump is done with.

        Once: as soon as its last byte is sent the next request may come, and be answered by another worker.
        """
        pumped, self._pumped = self._pumped, None
        return pumped or DoorTask(channel, request)

    @property
    def wants_main(self) -> bool:
        """Say whether the main thread has to look at this connection: to send, to close, or to listen again."""
        return bool(self.writable() or self._is_deaf)

    def service(self) -> None:
        """Answer one request; a refusal is the last thing that is said."""
        self._serving.channel = self
        try:
            self._serve()
        finally:
            self._serving.channel = None

    def _serve(self) -> None:
        if self._pumped is not None:
            self._conclude(self._pumped)
            return
        self._ends_with_refusal = cast("StrictParser", self.requests[0]).is_refused
        try:
            super().service()
        except HandedOver as handed:
            self._hand_over(handed.task)
        else:
            self._after()

    def _hand_over(self, task: PumpedTask) -> None:
        try:
            self._pump.take(task)
        except Exception:
            log.exception("stream.crashed")
            task.is_over = True
            task.cut()
            self._pumped = task
            self._conclude(task)

    def _conclude(self, task: PumpedTask) -> None:
        """End a request whose stream is over."""
        try:
            task.end()
        except Exception:
            self.logger.exception("Exception while ending a stream")
        with suppress(IndexError):  # the server ends, and has forgotten its requests
            super().service()
        self._pump.ended()
        self._after()

    def _after(self) -> None:
        self._served += 1
        with suppress(IndexError):
            while True:
                self.later.popleft()()


class _Judgement:
    """A worker's task: let one head be judged."""

    def __init__(self, channel: DoorChannel, request: StrictParser) -> None:
        self._channel = channel
        self._request = request

    def service(self) -> None:
        self._channel.judge(self._request)

    def cancel(self) -> None:
        self._channel.cancel()
