"""GET and POST /dashboard: what went through the gateway, how it stands, and what waits for an approval."""

from typing import Final
from urllib.parse import urlencode

from flask import Blueprint, Response, request

from core.ledger.figures import Figures
from core.ledger.ledger import Row
from core.ledger.report import NO_KEY, NO_MODEL
from core.ledger.summary import total, totals_by
from core.ports import StoreError
from handlers.account import look_at_account
from handlers.pages import page
from handlers.pages.chart import draw
from handlers.pages.keyring import key_rows
from handlers.pages.spans import SPANS, last_day, slots_of, span_named
from handlers.services import services
from handlers.sign_in import about, ask_key, submit, visit

bp = Blueprint("dashboard", __name__)

PURPOSE: Final = "The dashboard shows what goes through this gateway."
GONE: Final = (
    "That request does not wait any more: it was answered elsewhere, its client left, or its time was over."
)
# Seconds after which the page looks again: soon where requests wait for a person.
SOON: Final = 3
LATER: Final = 30
GROUPS: Final = {"model": "By model", "key": "By key"}


@bp.get("/dashboard")
def show() -> Response:
    """Show the dashboard."""
    return visit(PURPOSE, _dashboard)


@bp.post("/dashboard")
def act() -> Response:
    """Let a request pass, or refuse it."""
    return submit(PURPOSE, _dashboard, _answered, urlencode(_chosen()))


@bp.errorhandler(StoreError)
def on_store_error(error: StoreError) -> Response:
    """Say what is wrong with the store; nothing else can be shown without it."""
    return ask_key(PURPOSE, str(error), 503)


def _answered(action: str) -> str | None:
    approvals = services().approvals
    if approvals is None or action not in {"approve", "refuse"}:
        return None
    is_done = approvals.answer(request.form.get("id", ""), action == "approve")
    return "" if is_done else GONE


def _chosen() -> dict[str, str]:
    """Return the range and the grouping that the address names, or the usual ones."""
    by = request.args.get("by", "")
    return {
        "range": span_named(request.args.get("range", "")).name,
        "by": by if by in GROUPS else next(iter(GROUPS)),
    }


def _dashboard(opened: str, error: str = "", status: int = 200) -> Response:
    given = services()
    chosen = _chosen()
    approvals = given.approvals
    is_still = "still" in request.args
    return page(
        "dashboard.html",
        status,
        error=error,
        spans=SPANS,
        groups=GROUPS,
        chosen=chosen,
        still=is_still,
        refresh=0 if is_still else LATER if approvals is None else SOON,
        now=given.now(),
        pending=None if approvals is None else approvals.pending(),
        account=look_at_account(),
        breaker=None if given.breaker is None else given.breaker.open_models(),
        recent=given.ledger.recent_errors(),
        keys=key_rows(given.state, given.now, _today()),
        **_books(chosen),
        **about(opened),
    )


def _books(chosen: dict[str, str]) -> dict[str, object]:
    """Return what the ledger says of the range."""
    given = services()
    span = span_named(chosen["range"])
    slots = slots_of(span, given.ledger, given.now())
    rows = [row for slot in slots for row in slot.rows]
    name_of = _model if chosen["by"] == "model" else _key
    figures = total(rows)
    names = [name for name, _ in _busiest(totals_by(rows, name_of))]
    return {
        "span": span,
        "total": figures,
        "errors": _largest(figures.errors),
        "models": _busiest(totals_by(rows, _model)),
        "callers": _busiest(totals_by(rows, _key)),
        "charts": (
            draw("requests", slots, name_of, lambda each: each.requests, names, least=2),
            draw("credits", slots, name_of, lambda each: each.credits, names),
        ),
    }


def _today() -> dict[str, Figures]:
    given = services()
    return totals_by(last_day(given.ledger, given.now()), lambda row: row.key)


def _model(row: Row) -> str:
    return row.model or NO_MODEL


def _key(row: Row) -> str:
    return row.key or NO_KEY


def _busiest(named: dict[str, Figures]) -> list[tuple[str, Figures]]:
    return sorted(named.items(), key=lambda item: (-item[1].requests, item[0]))


def _largest(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
