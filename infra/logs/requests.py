"""One line for each request, once it is over."""

import logging
from typing import Final

from core.exchange import Exchange
from infra.logs.records import Members

EVENT: Final = "request.done"
_LINE: Final = EVENT + " %s"
# Asked every few seconds by whatever watches over the gateway.
_QUIET: Final = frozenset({"GET /healthz", "HEAD /healthz"})
_LONGEST: Final = 200  # characters of what others have written

log = logging.getLogger("gateway")


def log_request(exchange: Exchange) -> None:
    """Log a request that is over; it is an observer of `Services`."""
    level = logging.DEBUG if exchange.route in _QUIET else logging.INFO
    if log.isEnabledFor(level):
        log.log(level, _LINE, Members(members(exchange)))


def members(exchange: Exchange) -> dict[str, object]:
    """Return what the line says: names and numbers, and only those that are known."""
    model = exchange.model or exchange.requested
    known: dict[str, object] = {
        "id": exchange.id,
        "route": exchange.route,
        "key": exchange.caller.name,
        "model": model[:_LONGEST],
        "requested": exchange.requested[:_LONGEST] if exchange.requested != model else "",
        "upstream": exchange.upstream,
        "status": exchange.status,
        "error": exchange.error,
        "code": exchange.code[:_LONGEST],
        "message": exchange.told[:_LONGEST],
        "first_token": _rounded(exchange.first_token),
        "duration": _rounded(exchange.duration),
        **_consumption(exchange),
        "losses": ",".join(exchange.losses),
        "repairs": ",".join(exchange.repairs),
        "upstream_id": exchange.upstream_id[:_LONGEST],
    }
    return {name: value for name, value in known.items() if value not in {"", None}}


def _consumption(exchange: Exchange) -> dict[str, object]:
    usage = exchange.usage
    if usage is None:
        return {}
    return {
        "input": usage.input_tokens,
        "cached": usage.cache_read_tokens,
        "output": usage.output_tokens,
        "reasoning": usage.reasoning_tokens or None,
        "credits": _rounded(exchange.credits),
    }


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 3)
