"""Anthropic's Messages API: the dialect of Claude, and of the clients that were made for it."""

from typing import Final

from core.canonical import Reply, Request, Usage
from core.dialect import (
    Dialect,
    Echo,
    Encoded,
    EncodedError,
    Peek,
    StreamDecoder,
    StreamEncoder,
    StreamRelay,
    Target,
)
from core.dialects.messages import heal
from core.dialects.messages.errors import encode_error
from core.dialects.messages.peek import peek
from core.dialects.messages.relay_reply import relay_response
from core.dialects.messages.relay_request import relay_request
from core.dialects.messages.relay_stream import MessagesRelay
from core.dialects.messages.reply_in import decode_response, reply_usage
from core.dialects.messages.reply_out import encode_response
from core.dialects.messages.request_decode import decode_request
from core.dialects.messages.request_encode import encode_request
from core.dialects.messages.stream_decoder import MessagesDecoder
from core.dialects.messages.stream_encoder import MessagesEncoder
from core.errors import GatewayError
from core.model import DialectName


class MessagesDialect:
    """Anthropic's Messages; see `core.dialect.Dialect` for what each function promises."""

    name: DialectName = "messages"
    path: str = "/v1/messages"
    ping: bytes = b'event: ping\ndata: {"type": "ping"}\n\n'

    def peek(self, body: bytes) -> Peek:
        """Read the routing facts."""
        return peek(body)

    def decode_request(self, body: bytes) -> Request:
        """Read a client's body."""
        return decode_request(body)

    def encode_request(self, request: Request, target: Target) -> Encoded:
        """Write a body for upstream."""
        return encode_request(request, target)

    def decode_response(self, body: bytes, scope: str = "") -> Reply:
        """Read upstream's complete reply."""
        return decode_response(body, scope)

    def encode_response(self, reply: Reply, echo: Echo) -> bytes:
        """Write a complete reply for a client."""
        return encode_response(reply, echo)

    def decoder(self, scope: str = "") -> StreamDecoder:
        """Return a fresh decoder of upstream's stream."""
        return MessagesDecoder(scope)

    def encoder(self, echo: Echo) -> StreamEncoder:
        """Return a fresh encoder of a client's stream."""
        return MessagesEncoder(echo)

    def relay_request(self, body: bytes, target: Target, betas: tuple[str, ...] = ()) -> Encoded:
        """Pass a client's body through."""
        return relay_request(body, target, betas)

    def heal(self, body: bytes, error: GatewayError, betas: tuple[str, ...] = ()) -> Encoded | None:
        """Return the body without what upstream refused."""
        return heal.heal(body, error, betas)

    def relay_response(self, body: bytes, echo: Echo) -> bytes:
        """Pass a complete reply through."""
        return relay_response(body, echo)

    def reply_usage(self, body: bytes) -> Usage | None:
        """See `Dialect.reply_usage`."""
        return reply_usage(body)

    def relay(self, echo: Echo) -> StreamRelay:
        """Return a fresh relay of a stream."""
        return MessagesRelay(echo)

    def encode_error(self, error: GatewayError) -> EncodedError:
        """Render an error as Anthropic's JSON body and status."""
        return encode_error(error)


MESSAGES: Final[Dialect] = MessagesDialect()
