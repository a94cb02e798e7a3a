"""POST /v1/responses, and what belongs to a stored response: read, list its input, delete; also counting an input."""

import msgspec
from flask import Blueprint, Response, request

from core.count import estimate_tokens
from core.dialects.responses import RESPONSES
from core.errors import GatewayError, InvalidRequestError
from core.stored.archive import Archive, Stored
from core.stored.listing import encode_page, read_page
from core.stored.turn import SETTING, Turn, begin
from handlers.record import exchange
from handlers.reply import JSON, answer
from handlers.scope import check_model
from handlers.services import services

bp = Blueprint("responses", __name__)


@bp.post("/responses")
def create() -> Response:
    """Answer an OpenAI Responses request, streamed or not."""
    return answer(RESPONSES, _turn())


@bp.get("/responses/<response_id>")
def show(response_id: str) -> Response:
    """Return a stored response with all that was included."""
    if request.args.get("stream", "false").lower() not in {"", "false", "0"}:
        raise InvalidRequestError(
            "A stored response cannot be streamed again: ask for it without stream.", param="stream"
        )
    return _json(bytes(_stored(response_id).response))


@bp.get("/responses/<response_id>/input_items")
def input_items(response_id: str) -> Response:
    """List what the model was given, with the conversation before it."""
    page = read_page(request.args.to_dict())
    return _json(encode_page(_stored(response_id).input, page))


@bp.delete("/responses/<response_id>")
def delete(response_id: str) -> Response:
    """Forget a stored response."""
    if not _archive().delete(response_id):
        raise _unknown(response_id)
    return _json(msgspec.json.encode({"id": response_id, "object": "response.deleted", "deleted": True}))


@bp.post("/responses/<response_id>/cancel")
def cancel(response_id: str) -> Response:
    """Refuse: only background responses can be cancelled, and there are none."""
    raise InvalidRequestError(
        f"'{response_id[:100]}' is no background response: close the connection to cancel an answer."
    )


@bp.post("/responses/input_tokens")
def count_input() -> Response:
    """Estimate the tokens of a request's input."""
    body = _turn().body
    about = exchange()
    about.requested = RESPONSES.peek(body).model
    given = services()
    lane = given.engine.lane(RESPONSES, about.requested)
    about.model = lane.model.id
    check_model(about, given)
    counted = estimate_tokens(RESPONSES.decode_request(body), lane.model.id)
    answered = {"object": "response.input_tokens", "input_tokens": counted}
    return _json(msgspec.json.encode(answered), {"x-gateway-count": "estimate"})


def _turn() -> Turn:
    settings = services().settings
    archive = _archive() if settings.store_responses else None
    return begin(request.get_data(cache=False), archive, settings.max_body_bytes)


def _archive() -> Archive:
    """Return what the caller's key has stored. Raises `InvalidRequestError` where storing is off."""
    given = services()
    if not given.settings.store_responses:
        raise InvalidRequestError(
            f"Responses are not stored here: the setting {SETTING} turns that on.", code="store_disabled"
        )
    return Archive(given.state, exchange().caller.name, now=given.now, ttl=given.settings.store_ttl)


def _stored(response_id: str) -> Stored:
    stored = _archive().load(response_id)
    if stored is None:
        raise _unknown(response_id)
    return stored


def _unknown(response_id: str) -> GatewayError:
    return GatewayError(f"Response with id '{response_id[:100]}' not found.", kind="not_found")


def _json(body: bytes, headers: dict[str, str] | None = None) -> Response:
    return Response(body, mimetype=JSON, headers=headers)
