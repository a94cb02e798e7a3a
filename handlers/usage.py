"""GET /usage: what is left of the subscription."""

import msgspec
from flask import Blueprint, Response

from handlers.reply import JSON
from handlers.services import services

bp = Blueprint("usage", __name__)


@bp.get("/usage")
def show() -> Response:
    """Report Copilot's quota and credits, with the moment they are reset."""
    return Response(msgspec.json.encode(services().quota()), mimetype=JSON)
