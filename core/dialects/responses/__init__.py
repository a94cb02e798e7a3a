"""OpenAI's Responses API, as a surface and as an upstream dialect."""

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
from core.dialects.responses import (
    errors,
    heal,
    relay,
    relay_stream,
    request_decode,
    request_encode,
    stream_decoder,
    stream_encoder,
)
from core.dialects.responses.peek import peek
from core.dialects.responses.stream_decoder import reply_usage
from core.errors import GatewayError
from core.model import DialectName


class ResponsesDialect:
    """The three-way contract of `core.dialect.Dialect`; stateless."""

    @property
    def name(self) -> DialectName:
        """The dialect's name."""
        return "responses"

    @property
    def path(self) -> str:
        """Where Copilot serves it."""
        return "/responses"

    @property
    def ping(self) -> bytes:
        """A comment: no client sees it."""
        return b": ping\n\n"

    def peek(self, body: bytes) -> Peek:
        """Read the routing facts."""
        return peek(body)

    def decode_request(self, body: bytes) -> Request:
        """Read a client's body."""
        return request_decode.decode_request(body)

    def encode_request(self, request: Request, target: Target) -> Encoded:
        """Write a body for upstream."""
        return request_encode.encode_request(request, target)

    def decode_response(self, body: bytes, scope: str = "") -> Reply:
        """Read upstream's complete reply."""
        return stream_decoder.decode_response(body, scope)

    def encode_response(self, reply: Reply, echo: Echo) -> bytes:
        """Write a complete reply for a client."""
        return stream_encoder.encode_response(reply, echo)

    def decoder(self, scope: str = "") -> StreamDecoder:
        """Return a fresh decoder of upstream's stream."""
        return stream_decoder.ResponsesDecoder(scope)

    def encoder(self, echo: Echo) -> StreamEncoder:
        """Return a fresh encoder of a client's stream."""
        return stream_encoder.ResponsesEncoder(echo)

    def relay_request(self, body: bytes, target: Target, betas: tuple[str, ...] = ()) -> Encoded:
        """Pass a client's body through."""
        del betas
        return relay.relay_request(body, target)

    def heal(self, body: bytes, error: GatewayError, betas: tuple[str, ...] = ()) -> Encoded | None:
        """Return the body without what upstream refused."""
        del betas
        return heal.heal(body, error)

    def relay_response(self, body: bytes, echo: Echo) -> bytes:
        """Pass a complete reply through."""
        return relay.relay_response(body, echo)

    def reply_usage(self, body: bytes) -> Usage | None:
        """See `Dialect.reply_usage`."""
        return reply_usage(body)

    def relay(self, echo: Echo) -> StreamRelay:
        """Return a fresh relay of a stream."""
        return relay_stream.ResponsesRelay(echo)

    def encode_error(self, error: GatewayError) -> EncodedError:
        """Render an error in OpenAI's envelope."""
        return errors.encode_error(error)


RESPONSES: Final[Dialect] = ResponsesDialect()
