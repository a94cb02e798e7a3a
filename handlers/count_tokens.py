"""POST /v1/messages/count_tokens: upstream's count when it has one, else a local estimate."""

import logging

import msgspec
from flask import Blueprint, Response, request

from core.call import Call
from core.count import estimate_tokens
from core.dialects.messages import MESSAGES
from core.dialects.messages.relay_request import counting_request
from core.errors import GatewayError
from handlers.deadline import ask
from handlers.record import exchange
from handlers.reply import JSON, client_betas
from handlers.scope import check_model
from handlers.services import Services, services

log = logging.getLogger("gateway")

bp = Blueprint("count_tokens", __name__)


class Count(msgspec.Struct):
    """The answer, upstream's and ours."""

    input_tokens: int


@bp.post("/messages/count_tokens")
def create() -> Response:
    """Count a prompt. The header `x-gateway-count` says who did: `upstream` or `estimate`."""
    given = services()
    body = request.get_data(cache=False)
    about = exchange()
    about.requested = MESSAGES.peek(body).model
    lane = given.engine.lane(MESSAGES, about.requested)
    about.model = lane.model.id
    check_model(about, given)
    if lane.passes_through and given.settings.upstream_count_tokens:
        call = given.engine.prepare(MESSAGES, body, client_betas())
        # A web search may have turned the request over to a model that answers elsewhere.
        counted = _upstream_count(given, call) if call.lane.passes_through else None
        if counted is not None:
            return _answer(counted, "upstream")
    return _answer(estimate_tokens(MESSAGES.decode_request(body), lane.model.id), "estimate")


def _upstream_count(given: Services, call: Call) -> int | None:
    """Ask Copilot; None when it does not count (not every account's does) or fails."""
    outgoing = msgspec.structs.replace(
        call.outgoing,
        path=f"{call.outgoing.path}/count_tokens",
        body=counting_request(call.outgoing.body),
        stream=False,
        renewal=None,
    )
    try:
        count = msgspec.json.decode(ask(given.copilot, outgoing), type=Count).input_tokens
    except (GatewayError, msgspec.DecodeError) as error:
        log.info("count_tokens.estimated reason=%s", getattr(error, "kind", type(error).__name__))
        return None
    return count if count > 1 else None


def _answer(count: int, source: str) -> Response:
    return Response(msgspec.json.encode(Count(count)), mimetype=JSON, headers={"x-gateway-count": source})
