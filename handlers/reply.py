"""From a prepared call to a Flask response: upstream is opened before the status is committed."""

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from flask import Response, request

from core.call import Call
from core.canonical import Usage
from core.copilot.client import UpstreamReply
from core.dialect import Dialect, StreamRelay
from core.errors import GatewayError
from core.exchange import CLIENT_LEFT, Exchange
from core.healing import HealingCall
from core.settings import Settings
from core.stored.turn import Turn
from handlers.deadline import ClientLeftError, Deadline, current_deadline
from handlers.record import admit, exchange, note_error, note_usage, usage_headers
from handlers.services import Services, services

log = logging.getLogger("gateway")

JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream"
UPSTREAM_ID: Final = "x-github-request-id"
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
    try:
        call = given.engine.prepare(surface, body, client_betas())
    except GatewayError:
        _note_request(about, surface, body)
        raise
    if turn is not None:
        call = turn.note(call)
    _note_call(about, call)
    admit(about)
    return _stream(call, given, turn) if call.streams else _complete(call, given, turn)


def client_betas() -> tuple[str, ...]:
    """Return the feature flags of `anthropic-beta`, which may come in several headers or one list."""
    values = ",".join(request.headers.getlist("anthropic-beta")).split(",")
    return tuple(value.strip() for value in values if value.strip())


def _note_request(about: Exchange, surface: Dialect, body: bytes) -> None:
    """Keep what a request asked for that got no further than that."""
    with suppress(GatewayError):
        peek = surface.peek(body)
        about.requested, about.streams = peek.model, peek.stream


def _note_call(about: Exchange, call: Call) -> None:
    about.requested, about.model = call.lane.requested, call.lane.model.id
    about.upstream, about.streams = call.lane.upstream.name, call.streams
    about.losses, about.repairs = call.losses, call.repairs


def _note_reply(about: Exchange, call: Call, upstream: UpstreamReply | None) -> None:
    """Keep what was changed to be accepted, and upstream's own id of the request."""
    about.losses, about.repairs = call.losses, call.repairs
    if upstream is not None:
        about.upstream_id = upstream.headers.get(UPSTREAM_ID, "")


def _complete(call: Call, given: Services, turn: Turn | None) -> Response:
    about, deadline = exchange(), current_deadline()
    pending = HealingCall(given.copilot, call, wanted=deadline.check)
    upstream: UpstreamReply | None = None
    try:
        while (upstream := pending.wait(deadline.slice())) is None:
            pass
        _note_reply(about, pending.call, upstream)
        if call.lane.passes_through:
            reply = upstream.read_all(slices=deadline.slice)
            note_usage(about, call.usage(reply), call.lane.model.prices)
            body = call.complete(reply)
        else:
            body, usage = _fold(call, upstream, deadline)
            note_usage(about, usage, call.lane.model.prices)
    finally:
        pending.close()
        if upstream is not None:
            upstream.close()
    if turn is not None:
        body = turn.complete(body)
    return Response(body, mimetype=JSON, headers=_headers(pending.call, about) | usage_headers(about))


def _fold(call: Call, upstream: UpstreamReply, deadline: Deadline) -> tuple[bytes, Usage]:
    collector = call.collector()
    while not collector.done and (chunk := upstream.read(deadline.slice())) != b"":
        if chunk is not None:
            collector.feed(chunk)
    return collector.close()


def _stream(call: Call, given: Services, turn: Turn | None) -> Response:
    about, deadline = exchange(), current_deadline()
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
        about=about,
        ticks=given.ticks,
    )
    _note_reply(about, pending.call, upstream)
    headers = _headers(pending.call, about) | STREAM_HEADERS
    response = Response(session, mimetype=EVENT_STREAM, headers=headers)
    # A generator that was never started runs no `finally`, so closing is asked of the response as well.
    response.call_on_close(session.close)
    return response


def _headers(call: Call, about: Exchange) -> dict[str, str]:
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
    if about.upstream_id:
        headers[UPSTREAM_ID] = about.upstream_id
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
        if not self._about.over:
            self._note()
        self._pending.close()
        if self._upstream is not None:
            self._upstream.close()

    def _note(self) -> None:
        about, call = self._about, self._pending.call
        _note_reply(about, call, self._upstream)
        note_usage(about, self._relay.usage, call.lane.model.prices)
        if self._relay.failure is not None:
            note_error(about, self._relay.failure)
        elif not (self._relay.done or about.error):
            about.error = CLIENT_LEFT

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
        with suppress(GatewayError):  # the client has its answer
            while self._upstream is not None and self._upstream.read(TRAILER):
                pass

    def _listen(self) -> bytes | None:
        """Return what upstream sent, b"" at its end, None after a tick of silence. Raises `GatewayError`."""
        tick = self._deadline.slice(self._tick)
        if self._upstream is None:
            self._upstream = self._pending.wait(tick)
            return None if self._upstream is None else self._upstream.read(0)
        return self._upstream.read(tick)
