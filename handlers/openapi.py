"""GET /openapi.json: this API, described. Open like its source: it tells nothing of this installation."""

from flask import Blueprint, Response, request

from handlers.reply import JSON

bp = Blueprint("openapi", __name__)


@bp.get("/openapi.json")
def show() -> Response:
    """Return the OpenAPI document with the address at which the client reached this gateway."""
    from core.openapi.document import encode  # noqa: PLC0415 - few ask, and it is of no use to others

    return Response(encode(_server()), mimetype=JSON)


def _server() -> str:
    """Return our address. A proxy's word on TLS is only repeated here to whoever sent it: nothing is trusted for it."""
    secure = request.is_secure or request.headers.get("X-Forwarded-Proto") == "https"
    return f"{'https' if secure else 'http'}://{request.host}{request.root_path}"
