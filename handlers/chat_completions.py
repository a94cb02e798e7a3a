"""POST /v1/chat/completions."""

from flask import Blueprint, Response

from core.dialects.chat import CHAT
from handlers.reply import answer

bp = Blueprint("chat_completions", __name__)


@bp.post("/chat/completions")
def create() -> Response:
    """Answer a Chat Completions request, streamed or not."""
    return answer(CHAT)
