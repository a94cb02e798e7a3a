"""GET /usage: what is left of the subscription, and what went through this gateway."""

import msgspec
from flask import Blueprint, Response

from core.errors import GatewayError
from core.ledger.report import Report, report
from core.ports import StoreError
from handlers.errors import render
from handlers.record import exchange
from handlers.reply import JSON
from handlers.services import services

bp = Blueprint("usage", __name__)


@bp.get("/usage")
def show() -> Response:
    """Report Copilot's quota and credits with the moment they are reset, and under `gateway` the ledger.

    A guest's key sees what it used itself, and nothing of the account. Where GitHub does not tell the quota, the error has
    the ledger beside it.
    """
    caller = exchange().caller
    if not caller.is_owner:
        return _json({"gateway": _report(caller.name)})
    try:
        quota = services().quota()
    except GatewayError as error:
        answer = render(error)
        answer.set_data(_encoded({**msgspec.json.decode(answer.get_data()), "gateway": _report(None)}))
        return answer
    return _json({**msgspec.to_builtins(quota), "gateway": _report(None)})


def _report(only: str | None) -> Report | None:
    """Return the ledger's part; None while the store fails, which its own log line tells."""
    given = services()
    try:
        return report(given.ledger, given.now(), only)
    except StoreError:
        return None


def _json(document: dict[str, object]) -> Response:
    return Response(_encoded(document), mimetype=JSON)


def _encoded(document: dict[str, object]) -> bytes:
    return msgspec.json.encode(document)
