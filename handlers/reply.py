"""From a prepared call to a Flask response: upstream is opened before the status is committed."""

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from flask import Response, request
from werkzeug.datastructures import Headers

from core.call import Call
from core.copilot.client import UpstreamReply
from core.dialect import Dialect
from core.errors import GatewayError
from core.exchange import Exchange
from core.healing import HealingCall
from core.stored.turn import Turn
from handlers.deadline import Deadline, current_deadline
from handlers.record import admit, exchange, note_usage, usage_headers
from handlers.services import Services, services
from handlers.stream import PUMP, UPSTREAM_ID, ReplyStream, Stream, note_reply

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream"
# A proxy that buffers would undo the streaming.
STREAM_HEADERS: Final = {"X-Accel-Buffering": "no"}


class Answer(Response):
    """A model's answer, whose headers are as they must be: nothing is left for Werkzeug to put right in a copy of them."""

    def get_wsgi_headers(self, environ: "WSGIEnvironment") -> Headers:  # noqa: ARG002 - Werkzeug's signature
        """Return the headers."""
        return self.headers


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
    deadline = current_deadline()
    admit(about, given, deadline)
    respond = _stream if call.streams else _complete
    return respond(call, given, turn, about, deadline)


def client_betas() -> tuple[str, ...]:
    """Return the feature flags of `anthropic-beta`; WSGI makes one list of several headers."""
    values = request.headers.get("anthropic-beta", "").split(",")
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


def _complete(
    call: Call, given: Services, turn: Turn | None, about: Exchange, deadline: Deadline
) -> Response:
    pending = HealingCall(given.copilot, call, wanted=deadline.check)
    upstream: UpstreamReply | None = None
    try:
        while (upstream := pending.wait(deadline.slice())) is None:
            pass
        note_reply(about, pending.call, upstream)
        if call.lane.passes_through:
            reply = upstream.read_all(slices=deadline.slice)
            note_usage(about, call.usage(reply), call.lane.model.prices)
            body = call.complete(reply)
        else:
            body = _fold(call, upstream, deadline, about)
    finally:
        pending.close()
        if upstream is not None:
            upstream.close()
    if turn is not None:
        body = turn.complete(body)
    return Answer(body, mimetype=JSON, headers=_headers(pending.call, about) | usage_headers(about))


def _fold(call: Call, upstream: UpstreamReply, deadline: Deadline, about: Exchange) -> bytes:
    """Return the complete reply that upstream's stream comes to; what was counted is kept however that ends."""
    collector = call.collector()
    try:
        while not collector.done and (chunk := upstream.read(deadline.slice())) != b"":
            if chunk is not None:
                collector.feed(chunk)
        return collector.close()
    finally:
        note_usage(about, collector.usage, call.lane.model.prices)


def _stream(call: Call, given: Services, turn: Turn | None, about: Exchange, deadline: Deadline) -> Response:
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
    note_reply(about, pending.call, upstream)
    headers = _headers(pending.call, about) | STREAM_HEADERS
    response = Answer(session, mimetype=EVENT_STREAM, headers=headers)
    pump: Callable[[Stream], None] | None = request.environ.get(PUMP)
    if pump is not None and (turn is None or turn.archive is None):  # keeping an answer takes time
        pump(session)
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
