"""GET /usage: what is left of the subscription, and what went through this gateway."""

import msgspec
from flask import Blueprint, Response

from core.dialects.chat import CHAT
from core.errors import GatewayError
from core.ledger.report import Report, report
from core.ports import StoreError
from handlers.record import exchange, note_error
from handlers.reply import JSON
from handlers.services import services

bp = Blueprint("usage", __name__)


@bp.get("/usage")
def show() -> Response:
    """Report Copilot's quota and credits with the moment they are reset, and under `gateway` the ledger.

    A guest's key sees what it used itself, and nothing of the account. Where GitHub does not tell the quota, `error` says
    why, beside the ledger.
    """
    caller = exchange().caller
    if not caller.is_owner:
        return _json({"gateway": _report(caller.name)})
    told = _report(None)
    try:
        return _json({**msgspec.to_builtins(services().quota()), "gateway": told})
    except GatewayError as error:
        if told is None:
            raise
        note_error(exchange(), error)
        return _json({**msgspec.json.decode(CHAT.encode_error(error).body), "gateway": told})


def _report(only: str | None) -> Report | None:
    """Return the ledger's part; None while the store fails, which its own log line tells."""
    given = services()
    try:
        return report(given.ledger, given.now(), only)
    except StoreError:
        return None


def _json(document: dict[str, object]) -> Response:
    return Response(msgspec.json.encode(document), mimetype=JSON)
