"""POST /v1/messages."""

from flask import Blueprint, Response

from core.dialects.messages import MESSAGES
from handlers.reply import answer

bp = Blueprint("messages", __name__)


@bp.post("/messages")
def create() -> Response:
    """Answer an Anthropic Messages request, streamed or not."""
    return answer(MESSAGES)
