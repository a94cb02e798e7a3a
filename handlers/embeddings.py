"""POST /v1/embeddings."""

from flask import Blueprint, Response, request

from core import embeddings
from core.errors import InvalidRequestError
from core.outgoing import Outgoing
from core.route import resolve
from handlers.deadline import ask, current_deadline
from handlers.record import admit, exchange, note_usage, usage_headers
from handlers.reply import JSON
from handlers.services import services

bp = Blueprint("embeddings", __name__)


@bp.post("/embeddings")
def create() -> Response:
    """Embed text; batches over the model's limit are split and joined again."""
    given, about = services(), exchange()
    asked = embeddings.decode_request(request.get_data(cache=False))
    about.requested, settings = asked.model, given.settings
    model = resolve(asked.model, given.catalogue.models(), settings.aliases, kind="embeddings")
    if model.kind != "embeddings":
        raise InvalidRequestError(f"'{model.id}' is not an embeddings model.", param="$.model")
    sent = embeddings.with_texts(asked, model.id)
    about.model = model.id
    admit(about, given, current_deadline())
    replies: list[embeddings.EmbeddingsReply] = []
    try:
        for body, count in embeddings.encode_batches(sent, model.id, model.max_inputs):
            reply = ask(given.copilot, Outgoing(path="/embeddings", body=body))
            replies.append(embeddings.decode_reply(reply, count))
    finally:  # the batches before the one that failed were answered, and cost
        note_usage(about, embeddings.usage_of(replies), model.prices)
    headers = {"x-gateway-model": model.id, **usage_headers(about)}
    return Response(embeddings.encode_response(replies, asked), mimetype=JSON, headers=headers)
