"""What Copilot's Responses endpoint refuses, and the same body without it."""

from core.dialect import Encoded
from core.errors import GatewayError
from core.refused import heal as heal_by


def heal(body: bytes, error: GatewayError) -> Encoded | None:
    """See `Dialect.heal`."""
    return heal_by((), body, error)
