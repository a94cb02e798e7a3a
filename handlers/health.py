"""GET /healthz."""

from flask import Blueprint, Response

bp = Blueprint("health", __name__)


@bp.get("/healthz")
def healthz() -> Response:
    """Say that the process is alive, and nothing more."""
    return Response("ok\n", mimetype="text/plain")
