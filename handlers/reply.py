"""From a prepared call to a Flask response: upstream is opened before the status is committed."""

import logging
from collections.abc import Callable, Iterator
from typing import Final

from flask import Response, request

from core.call import Call
from core.copilot.client import UpstreamReply
from core.dialect import Dialect, StreamRelay
from core.errors import GatewayError
from core.exchange import CLIENT_LEFT, Exchange
from core.healing import HealingCall
from core.settings import Settings
from core.stored.turn import Turn
from handlers.deadline import ClientLeftError, Deadline, current_deadline
from handlers.record import admit, exchange, note_error
from handlers.services import Services, services

log = logging.getLogger("gateway")

JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream"
TRAILER: Final = (
    0.05  # seconds for the end of the body after its terminal event, so that the connection can be kept
)
# A proxy that buffers would undo the streaming.
STREAM_HEADERS: Final = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


def answer(surface: Dialect, turn: Turn | None = None) -> Response:
    """Serve one model call on this surface. Raises `GatewayError` while the status is still open.

    turn: the request, where it was read already because it may continue a stored conversation or be kept itself.
    """
    given = services()
    body = request.get_data(cache=False) if turn is None else turn.body
    about = exchange()
    about.surface = surface.name
    call = given.engine.prepare(surface, body, client_betas())
    if turn is not None:
        call = turn.note(call)
    about.requested, about.model = call.lane.requested, call.lane.model.id
    about.upstream, about.streams = call.lane.upstream.name, call.streams
    admit(about)
    return _stream(call, given, turn) if call.streams else _complete(call, given, turn)


def client_betas() -> tuple[str, ...]:
    """Return the feature flags of `anthropic-beta`, which may come in several headers or one list."""
    values = ",".join(request.headers.getlist("anthropic-beta")).split(",")
    return tuple(value.strip() for value in values if value.strip())


def _complete(call: Call, given: Services, turn: Turn | None) -> Response:
    deadline = current_deadline()
    pending = HealingCall(given.copilot, call, wanted=deadline.check)
    upstream: UpstreamReply | None = None
    try:
        while (upstream := pending.wait(deadline.slice())) is None:
            pass
        if call.lane.passes_through:
            body = call.complete(upstream.read_all(slices=deadline.slice))
        else:
            body = _fold(call, upstream, deadline)
    finally:
        pending.close()
        if upstream is not None:
            upstream.close()
    if turn is not None:
        body = turn.complete(body)
    return Response(body, mimetype=JSON, headers=_headers(pending.call, upstream))


def _fold(call: Call, upstream: UpstreamReply, deadline: Deadline) -> bytes:
    collector = call.collector()
    while not collector.done and (chunk := upstream.read(deadline.slice())) != b"":
        if chunk is not None:
            collector.feed(chunk)
    return collector.close()[0]


def _stream(call: Call, given: Services, turn: Turn | None) -> Response:
    deadline = current_deadline()
    pending = HealingCall(given.copilot, call, wanted=deadline.check)
    upstream = pending.wait(deadline.slice(given.settings.commit_after))
    relay = call.relay() if turn is None else turn.watch(call.relay())
    session = ReplyStream(
        relay,
        call.lane.surface.ping,
        pending,
        upstream,
        given.settings,
        deadline=deadline,
        about=exchange(),
        ticks=given.ticks,
    )
    headers = _headers(pending.call, upstream) | STREAM_HEADERS
    response = Response(session, mimetype=EVENT_STREAM, headers=headers)
    # A generator that was never started runs no `finally`, so closing is asked of the response as well.
    response.call_on_close(session.close)
    return response


def _headers(call: Call, upstream: UpstreamReply | None) -> dict[str, str]:
    """Say what was done: the model that answers, the lane, what was lost or repaired on the way."""
    headers = {
        "x-gateway-model": call.lane.model.id,
        "x-gateway-upstream": call.lane.upstream.name,
        "x-gateway-initiator": call.outgoing.initiator,
    }
    if call.losses:
        headers["x-gateway-losses"] = ", ".join(call.losses)
    if call.repairs:
        headers["x-gateway-repairs"] = ", ".join(call.repairs)
    if upstream is not None and "x-github-request-id" in upstream.headers:
        headers["x-github-request-id"] = upstream.headers["x-github-request-id"]
    return headers


class ReplyStream:
    """The body of a streamed reply. Ends with exactly one terminal event, whatever upstream does.

    `_upstream` is None while upstream has sent no header yet; the client reads pings meanwhile.
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
        self._about = about
        self._ticks = ticks
        self._pending = pending
        self._upstream = upstream
        self._ping = ping
        self._relay = relay
        self._tick = settings.commit_after
        self._heartbeat = settings.heartbeat
        self._deadline = deadline

    def __iter__(self) -> Iterator[bytes]:
        """Yield whole events as upstream sends them, and a ping wherever it is silent."""
        try:
            yield from self._relayed()
        except ClientLeftError:
            return
        except GatewayError as error:
            log.warning("stream.failed kind=%s code=%s id=%s", error.kind, error.code, self._about.id)
            yield self._fail(error)
        except Exception:
            log.exception("stream.crashed")
            yield self._fail(GatewayError("The gateway failed; its log says why.", kind="internal"))
        finally:
            self.close()

    def close(self) -> None:
        """Let go of upstream: at once, so that it stops working for a client that left."""
        self._about.usage = self._relay.usage
        if not (self._relay.done or self._about.error):
            self._about.error = CLIENT_LEFT
        self._pending.close()
        if self._upstream is not None:
            self._upstream.close()

    def _fail(self, error: GatewayError) -> bytes:
        note_error(self._about, error)
        return self._relay.error(error)

    def _relayed(self) -> Iterator[bytes]:
        silence, next_ping = 0.0, 0.0
        if self._upstream is None:
            yield self._ping
            next_ping = self._heartbeat
        while not self._relay.done:
            chunk = self._listen()
            if chunk is None:
                silence += self._tick
                if silence >= next_ping:
                    yield self._ping
                    next_ping = silence + self._heartbeat
                continue
            silence, next_ping = 0.0, 0.0
            if not chunk:
                break
            if out := self._relay.feed(chunk):
                if self._about.first_token is None:
                    self._about.first_token = self._ticks() - self._about.started
                yield out
        else:
            self._read_trailer()
        if out := self._relay.close():
            yield out

    def _read_trailer(self) -> None:
        if self._upstream is not None:
            while self._upstream.read(TRAILER):
                pass

    def _listen(self) -> bytes | None:
        """Return what upstream sent, b"" at its end, None after a tick of silence. Raises `GatewayError`."""
        tick = self._deadline.slice(self._tick)
        if self._upstream is None:
            self._upstream = self._pending.wait(tick)
            return None if self._upstream is None else self._upstream.read(0)
        return self._upstream.read(tick)
