"""The body of a streamed reply: iterated over by a thread of its own, or driven by a server that waits for many at once."""

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final, Protocol

from core.call import Call
from core.copilot.client import UpstreamReply
from core.dialect import StreamRelay
from core.errors import GatewayError
from core.exchange import CLIENT_LEFT, Exchange
from core.healing import HealingCall
from core.settings import Settings
from handlers.deadline import ClientLeftError, Deadline
from handlers.record import note_error, note_usage

log = logging.getLogger("gateway")

UPSTREAM_ID: Final = "x-github-request-id"
# Seconds for the end of the body after its terminal event, so that the connection can be kept.
TRAILER: Final = 0.05
# Where a server waits for many streams at once: a callable that takes one.
PUMP: Final = "gateway.pump"


class Stream(Protocol):
    """A reply that a server may drive without a thread of its own, instead of iterating over it.

    over: set with the last bytes. tick: seconds without a piece from `advance` after which `quiet` is to be called, again
    and again.
    """

    over: bool
    tick: float

    def fileno(self) -> int | None:
        """Return the socket to wait for; None while there is none: it must be iterated over then."""
        ...

    def advance(self) -> bytes:
        """Return what can be said now, without waiting."""
        ...

    def quiet(self) -> bytes:
        """Return what to say in a silence of `tick` seconds, or because the server ends."""
        ...


def note_reply(about: Exchange, call: Call, upstream: UpstreamReply | None) -> None:
    """Keep what was changed to be accepted, and upstream's own id of the request."""
    about.losses, about.repairs = call.losses, call.repairs
    if upstream is not None:
        about.upstream_id = upstream.headers.get(UPSTREAM_ID, "")


class ReplyStream:
    """One streamed reply. Ends with exactly one terminal event, whatever upstream does.

    `_upstream` is None while upstream has sent no header yet; the client reads pings meanwhile. `_silence` are the seconds
    since the client last read a piece of the answer, whatever upstream sends: much of that is held back or dropped.
    `_next_ping` is how many of them call for a ping.
    """

    def __init__(
        self,
        relay: StreamRelay,
        ping: bytes,
        pending: HealingCall,
        upstream: UpstreamReply | None,
        settings: Settings,
        *,
        deadline: Deadline,
        about: Exchange,
        ticks: Callable[[], float],
    ) -> None:
        self.over = False
        self.tick = min(settings.commit_after, settings.heartbeat)
        self._about = about
        self._ticks = ticks
        self._pending = pending
        self._upstream = upstream
        self._ping = ping
        self._relay = relay
        self._heartbeat = settings.heartbeat
        self._deadline = deadline
        self._silence = self._next_ping = 0.0

    def __iter__(self) -> Iterator[bytes]:
        """Yield whole events as upstream sends them, and a ping wherever it is silent."""
        try:
            if self._upstream is None:
                yield self._ping
                self._next_ping = self._heartbeat
            while not self.over:
                yield from self._guarded(self._wait)
        finally:
            self.close()

    def fileno(self) -> int | None:
        """Return upstream's socket; None while upstream has sent no header, or when its body is at its end."""
        return None if self._upstream is None else self._upstream.fileno()

    def advance(self) -> bytes:
        """Return what can be said now, without waiting; sets `over` with the last of it."""
        return b"".join(self._guarded(self._read))

    def quiet(self) -> bytes:
        """Return what to say after `tick` seconds of silence; sets `over` with the last of it."""
        return b"".join(self._guarded(self._hush))

    def close(self) -> None:
        """Let go of upstream: at once, so that it stops working for a client that left."""
        self.over = True
        if not self._about.over:
            self._note()
        if self._relay.done and not self._about.error:
            self._read_trailer()
        self._pending.close()
        if self._upstream is not None:
            self._upstream.close()

    def _note(self) -> None:
        about, call = self._about, self._pending.call
        note_reply(about, call, self._upstream)
        note_usage(about, self._relay.usage, call.lane.model.prices)
        if self._relay.failure is not None:
            note_error(about, self._relay.failure)
        elif not (self._relay.done or about.error):
            about.error = CLIENT_LEFT

    def _guarded(self, step: Callable[[list[bytes]], None]) -> list[bytes]:
        """Take a step and return what it says; whatever goes wrong in it becomes the end of the stream."""
        out: list[bytes] = []
        try:
            step(out)
        except ClientLeftError:
            self.over = True
        except GatewayError as error:
            log.warning("stream.failed kind=%s code=%s id=%s", error.kind, error.code, self._about.id)
            out.append(self._fail(error))
        except Exception:
            log.exception("stream.crashed")
            out.append(self._fail(GatewayError("The gateway failed; its log says why.", kind="internal")))
        return out

    def _fail(self, error: GatewayError) -> bytes:
        self.over = True
        note_error(self._about, error)
        return self._relay.error(error)

    # Steps: each adds to what is said.

    def _wait(self, out: list[bytes]) -> None:
        """Wait for something to say, for up to a tick."""
        began, left = self._ticks(), self.tick
        while (chunk := self._next(self._deadline.slice(left))) is not None:
            self._take(chunk, out)
            if out or self.over:
                return
            left = began + self.tick - self._ticks()
            if left <= 0:
                break
        self._keep_alive(out)

    def _next(self, seconds: float) -> bytes | None:
        """Return what upstream sends next; None where that is nothing, for so long."""
        if self._upstream is None:
            self._upstream = self._pending.wait(seconds)
            seconds = 0.0
        return None if self._upstream is None else self._upstream.read(seconds)

    def _read(self, out: list[bytes]) -> None:
        """Take what upstream has sent so far."""
        upstream = self._upstream
        while upstream is not None and not self.over and (chunk := upstream.read(0)) is not None:
            self._take(chunk, out)
            if not upstream.at_hand:
                return

    def _hush(self, out: list[bytes]) -> None:
        self._deadline.check()
        self._read(out)  # which also finds that upstream has been silent for too long
        if not (out or self.over):
            self._keep_alive(out)

    def _keep_alive(self, out: list[bytes]) -> None:
        self._silence += self.tick
        if self._silence >= self._next_ping:
            self._next_ping = self._silence + self._heartbeat
            out.append(self._ping)

    def _take(self, chunk: bytes, out: list[bytes]) -> None:
        """Say what upstream sent; b"" is its end."""
        relay = self._relay
        if said := relay.feed(chunk) if chunk else b"":
            self._silence = self._next_ping = 0.0
            out.append(said)
            if self._about.first_token is None:
                self._about.first_token = self._ticks() - self._about.started
        if not chunk or relay.done:
            if last := relay.close():
                out.append(last)
            self.over = True

    def _read_trailer(self) -> None:
        with suppress(GatewayError):  # the client has its answer
            while self._upstream is not None and self._upstream.read(TRAILER):
                pass
