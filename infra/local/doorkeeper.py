"""waitress's server with manners at the door: it shows slow clients out and keeps a place free for the next one."""

import contextlib
import errno
import logging
import math
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher

from core.errors import GatewayError
from infra.local.channel import DoorChannel, House
from infra.local.patience import Phase
from infra.local.pump import Pump, watched

if TYPE_CHECKING:
    import socket

    from _typeshed.wsgi import WSGIApplication

log = logging.getLogger("gateway")

# select() on Windows ends at 512 sockets.
CONNECTIONS: Final = 500 if sys.platform == "win32" else 2048
# Files that this many connections, each with one of its own to upstream, and everything else need.
FILES: Final = 2 * CONNECTIONS + 256
# Seconds that open replies have to end when the server does, and to say that they cannot.
GRACE: Final = 5
LAST_WORDS: Final = 2
# The longest pause, in seconds, after which it is seen whether they have.
GLANCE: Final = 0.05
# Who is shown out when there is no place left, in this order; whoever is being served stays.
SPARE: Final[tuple[Phase, ...]] = ("lingering", "idle", "head")
# Who is waited for when the server ends.
OPEN: Final[frozenset[Phase]] = frozenset({"body", "serving", "sending"})
# One in so many makes room at once: looking for the longest unused ones is not for every newcomer.
SHARE: Final = 16


class Workers(ThreadedTaskDispatcher):
    """The threads that answer, made when they are needed: up to `most`.

    Streams without a thread are open replies, too: they get the same time to end.
    """

    def __init__(self, pump: Pump, most: int) -> None:
        super().__init__()
        self._pump = pump
        self._most = most
        self._hiring = threading.Lock()

    def add_task(self, task: Any) -> None:
        """Have a task done by an idle thread, or by a new one."""
        with self._hiring:
            with self.lock:
                self.queue.append(task)
                self.queue_cv.notify()
                hired = len(self.threads) - self.stop_count
                is_short = len(self.queue) > hired - self.active_count and hired < self._most
            if is_short:
                self.set_thread_count(hired + 1)

    def start_new_thread(self, target: Any, thread_no: int) -> None:
        """Start a thread. Where the system gives none, those there are have to do, and the next task asks again."""
        try:
            super().start_new_thread(target, thread_no)
        except RuntimeError as error:
            log.warning("server.no_thread reason=%s", error)
            # waitress has the lock, has noted the thread before it starts, and counts it as busy right after.
            self.threads.discard(thread_no)
            self.active_count -= 1

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:  # noqa: FBT001, FBT002 - waitress's
        """Let open replies end, for `timeout` seconds in all; return whether requests were cancelled."""
        began = time.monotonic()
        self._pump.drain(timeout)
        left: Any = max(0.0, timeout - (time.monotonic() - began))  # whatever the stub says
        return bool(super().shutdown(cancel_pending, left))


class Chore:
    """What a worker does beside answering: a task, as waitress knows them."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self.is_under_way = False

    def service(self) -> None:
        """Do it."""
        try:
            self._call()
        finally:
            self.is_under_way = False

    def cancel(self) -> None:
        """Leave it: the server ends."""


class DoorServer(TcpWSGIServer):
    """Serves one listening socket.

    `_stopping` is set when no more requests are wanted, `_over` when those under way have no time left.
    Connections beyond `room` take the place of unused ones; where all are in use, newcomers wait in the system's queue.
    """

    channel_class = DoorChannel
    active_channels: dict[int, DoorChannel]  # type: ignore[assignment]  # as it is, whatever the stub says

    def __init__(
        self, app: "WSGIApplication", listener: "socket.socket", house: House, threads: int, **options: Any
    ) -> None:
        self.house = house
        self.pump = Pump(house.now)
        self.serving = threading.local()  # `channel`: what this thread serves
        self._stopping = self._over = False
        self._chore = None if house.chore is None else Chore(house.chore)
        self.room = room_for(CONNECTIONS)
        # waitress counts its listener and its trigger, and must be asked once more to find everybody busy.
        options["connection_limit"] = self.room + 3
        adjustments = Adjustments(sockets=[listener], threads=threads, **options)
        self._workers = Workers(self.pump, threads)
        place = (listener.family, listener.type, listener.proto, listener.getsockname())
        super().__init__(
            watched(app),
            {},
            _sock=listener,
            dispatcher=self._workers,
            adj=adjustments,
            sockinfo=place,
            bind_socket=False,
        )

    def stop(self) -> None:
        """Have `run` end. A signal's handler may call it, in the middle of anything."""
        self._stopping = True
        self.wake()

    def wake(self) -> None:
        """Have the main thread look at all connections now."""
        super().pull_trigger()

    def pull_trigger(self) -> None:
        """Do what waitress asks for: wake the main thread, unless the connection that a worker serves has nothing for it.

        waitress asks after every answer, and a turn of the main thread costs a twelfth of one.
        """
        channel: DoorChannel | None = getattr(self.serving, "channel", None)
        if channel is None or channel.wants_main:
            super().pull_trigger()

    def run(self) -> None:
        """Serve until `stop`. Open replies may end by themselves for a while; then they are told that this was all."""
        while not self._stopping:
            self._turn(self.adj.asyncore_loop_timeout)
        # Whoever comes now is refused by the system, and not let down later.
        self.asyncore.dispatcher.close(self)
        self._drain(GRACE)
        self._over = True
        self.pump.finish()
        self._drain(LAST_WORDS)
        self.task_dispatcher.shutdown(timeout=LAST_WORDS)

    def seconds_left(self) -> float:
        """Return how long an answer may still take. Raises GatewayError when the server ends."""
        if self._over:
            raise GatewayError(
                "The gateway is being stopped. Ask again when it is back.",
                kind="overloaded",
                code="shutting_down",
            )
        return math.inf

    def _turn(self, seconds: float) -> None:
        """Wait for connections for up to so many seconds, and do what they ask for."""
        self.asyncore.loop(seconds, use_poll=self.adj.asyncore_use_poll, map=self._map, count=1)  # type: ignore[attr-defined]  # not in the stub

    def _drain(self, seconds: float) -> None:
        """Let open requests end, for up to so many seconds; close connections that have none."""
        ends = self.house.now() + seconds
        while (left := ends - self.house.now()) > 0:
            phases = [(channel, channel.phase()) for channel in tuple(self.active_channels.values())]
            if not any(phase in OPEN for _, phase in phases):
                return
            for channel, phase in phases:
                if phase == "idle":
                    channel.handle_close()
            self._turn(min(left, GLANCE))

    def close(self) -> None:
        """Listen no more."""
        self.pump.close()
        super().close()

    def accept(self) -> Any:
        """Take the next connection; where the system has no file for it, unused ones are closed."""
        if len(self.active_channels) >= self.room:
            self._make_room()
        try:
            return super().accept()
        except OSError as error:
            if error.errno in {errno.EMFILE, errno.ENFILE}:
                self._make_room()
            raise

    def maintenance(self, now: float) -> None:
        """Look at every connection, and have the chore done, once a second; waitress's own clock may be set back, ours not."""
        del now
        current = self.house.now()
        for channel in list(self.active_channels.values()):
            channel.mind(current)
        if self._chore is not None and not self._chore.is_under_way:
            self._chore.is_under_way = True
            self._workers.add_task(self._chore)

    def _make_room(self) -> None:
        """Close the connections that are unused for longest."""
        spare = [channel for channel in self.active_channels.values() if channel.phase() in SPARE]
        spare.sort(key=lambda channel: (SPARE.index(channel.phase()), channel.last_activity))
        for channel in spare[: max(1, self.room // SHARE)]:
            channel.handle_close()


def room_for(connections: int) -> int:
    """Let this process open as many files as it may, up to what is needed, and return how many connections fit."""
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return connections
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return connections if soft == resource.RLIM_INFINITY else max(16, min(connections, (soft - 256) // 2))
