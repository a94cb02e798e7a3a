"""The record of the request being served: begun before any check, told to the observers after the answer's last byte."""

import logging
from functools import partial
from typing import cast

from flask import Response, g, request

from core.errors import GatewayError
from core.exchange import Exchange
from handlers.deadline import current_deadline
from handlers.services import Services, services

log = logging.getLogger("gateway")


def begin() -> None:
    """Open the record."""
    given = services()
    rule = request.url_rule
    g.exchange = Exchange(
        id=given.new_id("req_"),
        began_at=given.now(),
        started=given.ticks(),
        route="" if rule is None else f"{request.method} {rule.rule}",
    )


def exchange() -> Exchange:
    """Return the record of the request being served."""
    return cast("Exchange", g.exchange)


def admit(asked: Exchange) -> None:
    """Let a request pass every gate, now that its model is known. Raises what a gate raises."""
    asked.wanted = current_deadline().check
    for gate in services().gates:
        leave = gate.enter(asked)
        if leave is not None:
            asked.leaving.append(leave)
    asked.admitted = True


def note_error(asked: Exchange, error: GatewayError) -> None:
    """Keep what a request failed with."""
    asked.error, asked.message = error.kind, error.message
    asked.code, asked.retry_after = error.code or "", error.retry_after
    asked.upstream_id = error.upstream_request_id or asked.upstream_id


def close_with(response: Response) -> Response:
    """Give the answer its id, under both vendors' names, and end the record with the answer's last byte."""
    asked = exchange()
    asked.status = response.status_code
    response.headers["request-id"] = response.headers["x-request-id"] = asked.id
    response.call_on_close(partial(_end, services(), asked))
    return response


def _end(given: Services, asked: Exchange) -> None:
    asked.duration = given.ticks() - asked.started
    leaving, asked.leaving = asked.leaving, []
    for tell in (*leaving, *given.observers):
        try:
            tell(asked)
        except Exception:
            log.exception("record.failed id=%s", asked.id)
