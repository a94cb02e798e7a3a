"""From a prepared call to a Flask response: upstream is opened before the status is committed."""

import logging
from collections.abc import Iterator
from typing import Final

from flask import Response, request

from core.call import Call
from core.copilot.client import PendingReply, UpstreamReply
from core.dialect import Dialect
from core.errors import GatewayError
from handlers.services import Services, services

log = logging.getLogger("gateway")

JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream"
# A proxy that buffers would undo the streaming.
STREAM_HEADERS: Final = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


def answer(surface: Dialect) -> Response:
    """Serve one model call on this surface. Raises `GatewayError` while the status is still open."""
    given = services()
    call = given.engine.prepare(surface, request.get_data(cache=False), client_betas())
    for gate in given.gates:
        gate.enter(f"{surface.name} {call.lane.requested}")
    return _stream(call, given) if call.streams else _complete(call, given)


def client_betas() -> tuple[str, ...]:
    """Return the feature flags of `anthropic-beta`, which may come in several headers or one list."""
    values = ",".join(request.headers.getlist("anthropic-beta")).split(",")
    return tuple(value.strip() for value in values if value.strip())


def _complete(call: Call, given: Services) -> Response:
    upstream = given.copilot.open(call.outgoing)
    try:
        body = call.complete(upstream.read_all()) if call.lane.passes_through else _fold(call, upstream)
    finally:
        upstream.close()
    return Response(body, mimetype=JSON, headers=_headers(call, upstream))


def _fold(call: Call, upstream: UpstreamReply) -> bytes:
    collector = call.collector()
    while chunk := upstream.next():
        collector.feed(chunk)
    return collector.close()[0]


def _stream(call: Call, given: Services) -> Response:
    pending = given.copilot.begin(call.outgoing)
    upstream = pending.wait(given.settings.commit_after)
    session = ReplyStream(call, pending, upstream, given)
    response = Response(session, mimetype=EVENT_STREAM, headers=_headers(call, upstream) | STREAM_HEADERS)
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
        self, call: Call, pending: PendingReply, upstream: UpstreamReply | None, given: Services
    ) -> None:
        self._pending = pending
        self._upstream = upstream
        self._ping = call.lane.surface.ping
        self._relay = call.relay()
        self._settings = given.settings

    def __iter__(self) -> Iterator[bytes]:
        """Yield whole events as upstream sends them, and a ping wherever it is silent."""
        try:
            yield from self._relayed()
        except GatewayError as error:
            log.warning("stream.failed kind=%s message=%r", error.kind, error.message)
            yield self._relay.error(error)
        except Exception:
            log.exception("stream.crashed")
            yield self._relay.error(GatewayError("The gateway failed; its log says why.", kind="internal"))
        finally:
            self.close()

    def close(self) -> None:
        """Let go of upstream: at once, so that it stops working for a client that left."""
        self._pending.close()
        if self._upstream is not None:
            self._upstream.close()

    def _relayed(self) -> Iterator[bytes]:
        while self._upstream is None:
            yield self._ping
            self._upstream = self._pending.wait(self._settings.heartbeat)
        patience = self._settings.commit_after
        while not self._relay.done:
            chunk = self._upstream.read(patience)
            if chunk is None:
                yield self._ping
                patience = self._settings.heartbeat
                continue
            patience = self._settings.commit_after
            if not chunk:
                break
            if out := self._relay.feed(chunk):
                yield out
        if out := self._relay.close():
            yield out
