"""The pass-through lane: upstream speaks the client's own dialect, so bytes go through but for named repairs."""

from collections.abc import Mapping

from core.dialect import Dialect, Echo
from core.errors import UpstreamProtocolError
from core.model import DialectName
from core.route import Lane


def complete(lane: Lane, body: bytes, echo: Echo, dialects: Mapping[DialectName, Dialect]) -> bytes:
    """Return upstream's complete reply for the client. Raises `GatewayError`.

    Copilot answers some chat calls with an Anthropic body (litellm#29391); that one is translated.
    """
    try:
        if not body.isascii():
            body.decode()  # what no relay looks into a client will read
    except UnicodeDecodeError:
        raise UpstreamProtocolError("upstream sent a reply that is not UTF-8") from None
    try:
        return lane.surface.relay_response(body, echo)
    except UpstreamProtocolError as error:
        if lane.surface.name != "chat" or error.code != "not_a_chat_body":
            raise
    return lane.surface.encode_response(dialects["messages"].decode_response(body, echo.scope), echo)
