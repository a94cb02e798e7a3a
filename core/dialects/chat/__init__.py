"""OpenAI's Chat Completions: a surface of the gateway, and what Copilot speaks on `/chat/completions`."""

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
from core.dialects.chat import errors, heal, response
from core.dialects.chat.peek import peek
from core.dialects.chat.relay_request import relay_request
from core.dialects.chat.relay_response import relay_response
from core.dialects.chat.relay_stream import ChatStreamRelay
from core.dialects.chat.request_decode import decode_request
from core.dialects.chat.request_encode import encode_request
from core.dialects.chat.stream_decoder import ChatStreamDecoder
from core.dialects.chat.stream_encoder import ChatStreamEncoder
from core.dialects.chat.usage import reply_usage
from core.errors import GatewayError
from core.model import DialectName


class ChatDialect:
    """The `Dialect` of Chat Completions; it holds no state."""

    name: DialectName = "chat"
    path: str = "/chat/completions"
    ping: bytes = b": ping\n\n"

    def peek(self, body: bytes) -> Peek:
        """See `Dialect.peek`."""
        return peek(body)

    def decode_request(self, body: bytes) -> Request:
        """See `Dialect.decode_request`."""
        return decode_request(body)

    def encode_request(self, request: Request, target: Target) -> Encoded:
        """See `Dialect.encode_request`."""
        return encode_request(request, target)

    def decode_response(self, body: bytes, scope: str = "") -> Reply:
        """See `Dialect.decode_response`."""
        return response.decode_response(body, scope)

    def encode_response(self, reply: Reply, echo: Echo) -> bytes:
        """See `Dialect.encode_response`."""
        return response.encode_response(reply, echo)

    def decoder(self, scope: str = "") -> StreamDecoder:
        """See `Dialect.decoder`."""
        return ChatStreamDecoder(scope)

    def encoder(self, echo: Echo) -> StreamEncoder:
        """See `Dialect.encoder`."""
        return ChatStreamEncoder(echo)

    def relay_request(self, body: bytes, target: Target, betas: tuple[str, ...] = ()) -> Encoded:  # noqa: ARG002 - chat has no betas
        """See `Dialect.relay_request`."""
        return relay_request(body, target)

    def heal(self, body: bytes, error: GatewayError, betas: tuple[str, ...] = ()) -> Encoded | None:
        """See `Dialect.heal`."""
        del betas
        return heal.heal(body, error)

    def relay_response(self, body: bytes, echo: Echo) -> bytes:
        """See `Dialect.relay_response`."""
        return relay_response(body, echo)

    def reply_usage(self, body: bytes) -> Usage | None:
        """See `Dialect.reply_usage`."""
        return reply_usage(body)

    def relay(self, echo: Echo) -> StreamRelay:
        """See `Dialect.relay`."""
        return ChatStreamRelay(echo)

    def encode_error(self, error: GatewayError) -> EncodedError:
        """See `Dialect.encode_error`."""
        return errors.encode_error(error)


CHAT: Final[Dialect] = ChatDialect()
