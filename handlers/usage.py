"""GET /usage: what is left of the subscription, and what went through this gateway."""

import msgspec
from flask import Blueprint, Response

from core.ledger.report import Report, report
from core.ports import StoreError
from handlers.record import exchange
from handlers.reply import JSON
from handlers.services import services

bp = Blueprint("usage", __name__)


@bp.get("/usage")
def show() -> Response:
    """Report Copilot's quota and credits with the moment they are reset, and under `gateway` the ledger.

    A guest's key sees what it used itself, and nothing of the account.
    """
    caller = exchange().caller
    if not caller.is_owner:
        return _json({"gateway": _report(caller.name)})
    return _json({**msgspec.to_builtins(services().quota()), "gateway": _report(None)})


def _report(only: str | None) -> Report | None:
    """Return the ledger's part; None while the store fails, which its own log line tells."""
    given = services()
    try:
        return report(given.ledger, given.now(), only)
    except StoreError:
        return None


def _json(document: dict[str, object]) -> Response:
    return Response(msgspec.json.encode(document), mimetype=JSON)
