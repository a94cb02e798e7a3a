"""POST /v1/responses."""

from flask import Blueprint, Response

from core.dialects.responses import RESPONSES
from handlers.reply import answer

bp = Blueprint("responses", __name__)


@bp.post("/responses")
def create() -> Response:
    """Answer an OpenAI Responses request, streamed or not."""
    return answer(RESPONSES)
