"""The record of the request being served: begun before any check, told to the observers after the answer's last byte."""

import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, cast

from flask import Response, g, request

from core.canonical import Usage
from core.errors import GatewayError
from core.exchange import Exchange, Observer
from core.ledger.figures import NANO
from core.ledger.prices import credits_of
from core.model import Prices
from handlers.deadline import Deadline
from handlers.scope import check_model
from handlers.services import Services, services

# Under this environ key the record can be found by what is around the app.
RECORD: Final = "gateway.exchange"

log = logging.getLogger("gateway")

# Under this environ key a server that calls `close` before the client has all leaves a function, which takes what is to
# be called after the last byte.
LATER: Final = "gateway.later"
# What asks for a model, by its rule: known before the body is read, so that a refusal at the door is one of this surface.
SURFACES: Final = {
    "/chat/completions": "chat",
    "/responses": "responses",
    "/messages": "messages",
    "/messages/count_tokens": "count_tokens",
    "/responses/input_tokens": "count_tokens",
    "/embeddings": "embeddings",
}
MOST_TOKENS: Final = 2**40  # what upstream counts beyond that is no count


def begin() -> None:
    """Open the record."""
    given = services()
    method, matched = request.method, request.url_rule
    rule = "" if matched is None else matched.rule
    g.exchange = request.environ[RECORD] = asked = Exchange(
        id=given.new_id("req_"),
        began_at=given.now(),
        started=given.ticks(),
        route=f"{method} {rule}" if rule else "",
        surface=SURFACES.get(rule.removeprefix("/v1"), "") if method == "POST" else "",
    )
    if asked.surface:
        given.under_way.add(asked.id)


def exchange() -> Exchange:
    """Return the record of the request being served."""
    return cast("Exchange", g.exchange)


def admit(asked: Exchange, given: Services, deadline: Deadline) -> None:
    """Let a request pass every gate, now that its model is known. Raises GatewayError, and what else a gate raises."""
    check_model(asked, given)
    asked.wanted = deadline.check
    for gate in given.gates:
        leave = gate.enter(asked)
        if leave is not None:
            asked.leaving.append(leave)
    asked.admitted = True


def note_usage(asked: Exchange, usage: Usage | None, prices: Prices | None) -> None:
    """Keep what upstream counted, and what that costs."""
    if usage is None or not all(0 <= count <= MOST_TOKENS for count in _counts(usage)):
        return
    asked.usage, asked.credits = usage, credits_of(usage, prices)


def usage_headers(asked: Exchange) -> dict[str, str]:
    """Return the request's own figures, for an answer that begins when they are known."""
    usage, spent = asked.usage, asked.credits
    if usage is None:
        return {}
    headers = {
        "x-gateway-input-tokens": str(usage.input_tokens),
        "x-gateway-cached-tokens": str(usage.cache_read_tokens),
        "x-gateway-output-tokens": str(usage.output_tokens),
    }
    return headers if spent is None else {**headers, "x-gateway-credits": f"{spent:.6f}"}


def note_error(asked: Exchange, error: GatewayError) -> None:
    """Keep what a request failed with."""
    asked.error, asked.message = error.kind, error.message
    asked.code, asked.retry_after = error.code or "", error.retry_after
    asked.upstream_id = error.upstream_request_id or asked.upstream_id


def close_with(response: Response, given: Services) -> Response:
    """Give the answer its id, under both vendors' names, and end the record once with the answer's last byte."""
    asked = exchange()
    asked.status = response.status_code
    response.headers.extend({"request-id": asked.id, "x-request-id": asked.id})
    later: Callable[[Callable[[], None]], object] = request.environ.get(LATER, _at_once)
    response.call_on_close(partial(_end, given, asked, later))
    return response


def _end(given: Services, asked: Exchange, later: Callable[[Callable[[], None]], object]) -> None:
    """Tell those who wait for this request's end at once: its client may ask again as soon as it has read the last byte."""
    if asked.over:
        return
    asked.over, asked.duration = True, given.ticks() - asked.started
    given.under_way.discard(asked.id)
    _tell(asked.leaving, asked)
    later(partial(_tell, given.observers, asked))


def _tell(listeners: Iterable[Observer], asked: Exchange) -> None:
    for tell in listeners:
        try:
            tell(asked)
        except Exception:
            log.exception("record.failed id=%s", asked.id)


def _at_once(call: Callable[[], None]) -> None:
    call()


def _counts(usage: Usage) -> tuple[int, ...]:
    return (
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
        (usage.nano_credits or 0) // NANO,
    )
