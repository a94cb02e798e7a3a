"""Refusals as Copilot words them, read the way the client reads them."""

import json
from typing import Any

from core.copilot.failures import as_error, read_failure
from core.dialect import Dialect, Encoded
from core.errors import GatewayError


def refusal(message: str, code: str = "", status: int = 400, *, bare: bool = False) -> GatewayError:
    """Return the error of a refused call; `bare` is the shape of Copilot's Anthropic backends."""
    body: dict[str, Any] = {"message": message}
    if not bare:
        body = {"error": {"message": message, "code": code}}
    return as_error(read_failure(status, {}, json.dumps(body).encode(), 0.0))


def healed(
    dialect: Dialect, body: dict[str, Any], error: GatewayError, betas: tuple[str, ...] = ()
) -> tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]] | None:
    """Return body, repairs and losses after the repair, None where there is none."""
    encoded = dialect.heal(json.dumps(body).encode(), error, betas)
    return None if encoded is None else (json.loads(encoded.body), encoded.repairs, encoded.losses)


def body_of(encoded: Encoded | None) -> bytes:
    """Return the repaired body."""
    assert encoded is not None
    return encoded.body
