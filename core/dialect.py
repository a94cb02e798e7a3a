"""What the engine asks of a dialect. The three modules in `core/dialects` each export one `Dialect` value."""

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from core.canonical import Reply, Request, StreamEvent, Usage
from core.errors import GatewayError
from core.model import DialectName, Model
from core.names import restore
from core.outgoing import Initiator


class Peek(Struct, frozen=True, kw_only=True):
    """The few facts that routing needs, read without decoding the body.

    include_usage: a chat client asked for the usage chunk.
    initiator: judged from the last item only: "user" when it holds fresh human text, else "agent".
    sealed: the body holds a value that this gateway sealed (see `opaque`), so it cannot pass through untouched.
    """

    model: str
    stream: bool = False
    include_usage: bool = False
    initiator: Initiator = "user"
    sealed: bool = False


class Target(Struct, frozen=True):
    """Whom a request is encoded for. `scope` is a short hash of the account: opaque values of others stay out."""

    model: Model
    scope: str = ""


class Encoded(Struct, frozen=True):
    """A body for upstream. `losses` and `repairs` are short names (`top_k`, `orphan_tool_result`) for the response headers."""

    body: bytes
    losses: tuple[str, ...] = ()
    repairs: tuple[str, ...] = ()
    betas: tuple[str, ...] = ()


class Echo(Struct, frozen=True, kw_only=True):
    """What a reply must repeat of its request. `created` is unix seconds; `new_id("msg_")` makes a fresh id with that prefix.

    input_tokens: a rough estimate for the first event, where a surface wants one before upstream counts.
    request: the decoded request in a translating lane; None when bytes pass through.
    """

    id: str
    model: str
    created: int
    new_id: Callable[[str], str]
    include_usage: bool = False
    input_tokens: int = 0
    scope: str = ""
    request: Request | None = None

    def full_names(self) -> dict[str, str]:
        """Return the tools' own names by the short ones, where the decoded request is at hand."""
        tools = () if self.request is None else self.request.tools
        return restore(tool.name for tool in tools)


class EncodedError(Struct, frozen=True):
    """An error in a surface's own envelope."""

    status: int
    body: bytes


class StreamDecoder(Protocol):
    """Upstream bytes to canonical events. Obeys `grammar` whatever the bytes are."""

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """Return the events that this chunk completes. Raises `GatewayError` (upstream's own error, broken protocol)."""
        ...

    def close(self) -> list[StreamEvent]:
        """Return the last events. Raises `UpstreamProtocolError` when the stream was cut."""
        ...

    @property
    def usage(self) -> Usage | None:
        """What upstream has counted so far; None while it has not. It stands when the stream fails, or is left."""
        ...


class StreamEncoder(Protocol):
    """Canonical events to the surface's bytes; every call returns whole server-sent events, or nothing."""

    def feed(self, event: StreamEvent) -> bytes:
        """Say one event."""
        ...

    def close(self) -> bytes:
        """Say what follows the last event (`[DONE]`)."""
        ...

    def error(self, error: GatewayError) -> bytes:
        """End the stream with an error, legally from any state; nothing when a terminal event was said."""
        ...


class StreamRelay(Protocol):
    """Pass-through: upstream bytes to the same dialect's client, with a tap. Forwards whole events only.

    Repairs what upstream gets wrong (names in `repairs`), puts the asked model id in, drops foreign trailers, and
    guarantees exactly one terminal event.
    """

    def feed(self, chunk: bytes) -> bytes:
        """Return the bytes to forward. Raises `GatewayError` only where nothing terminal was forwarded."""
        ...

    def close(self) -> bytes:
        """Return the last bytes. Raises `UpstreamProtocolError` when the stream was cut before its terminal event."""
        ...

    def error(self, error: GatewayError) -> bytes:
        """End the stream with an error, legally from any state; nothing when a terminal event was forwarded."""
        ...

    @property
    def usage(self) -> Usage | None:
        """What upstream counted, once it said so."""
        ...

    @property
    def done(self) -> bool:
        """Whether the terminal event was forwarded: nothing that upstream still sends matters."""
        ...

    @property
    def failure(self) -> GatewayError | None:
        """What upstream's own terminal event said of a failure, where that event was forwarded as it came."""
        ...


class Dialect(Protocol):
    """One wire format, both ways. All functions are pure; every error is a `GatewayError`."""

    @property
    def name(self) -> DialectName:
        """The dialect's name."""
        ...

    @property
    def path(self) -> str:
        """Where Copilot serves it, below the API host."""
        ...

    @property
    def ping(self) -> bytes:
        """A heartbeat that its clients ignore."""
        ...

    def peek(self, body: bytes) -> Peek:
        """Read the routing facts. Raises `InvalidRequestError` for malformed JSON, no model, wrong types."""
        ...

    def decode_request(self, body: bytes) -> Request:
        """Read a client's body. Raises `InvalidRequestError` with the JSON path."""
        ...

    def encode_request(self, request: Request, target: Target) -> Encoded:
        """Write a body for upstream. Raises `UnsupportedFeatureError` where meaning would change."""
        ...

    def decode_response(self, body: bytes, scope: str = "") -> Reply:
        """Read upstream's complete reply. Raises `UpstreamProtocolError`."""
        ...

    def encode_response(self, reply: Reply, echo: Echo) -> bytes:
        """Write a complete reply for a client. Raises `UpstreamProtocolError` when it cannot be said truthfully."""
        ...

    def decoder(self, scope: str = "") -> StreamDecoder:
        """Return a fresh decoder of upstream's stream."""
        ...

    def encoder(self, echo: Echo) -> StreamEncoder:
        """Return a fresh encoder of a client's stream."""
        ...

    def relay_request(self, body: bytes, target: Target, betas: tuple[str, ...] = ()) -> Encoded:
        """Pass a client's body through: the same bytes but for the model id and named repairs.

        `betas` are the client's feature flags (`anthropic-beta`); `Encoded.betas` those that upstream accepts.
        Raises `InvalidRequestError` for what would only come back as a worse error.
        """
        ...

    def heal(self, body: bytes, error: GatewayError, betas: tuple[str, ...] = ()) -> Encoded | None:
        """Return the upstream body without what upstream has just refused, None when this refusal cannot be helped.

        `betas` are the feature flags that went with it. `Encoded.repairs` names the repair, `losses` what went with it.
        """
        ...

    def relay_response(self, body: bytes, echo: Echo) -> bytes:
        """Pass a complete reply through: the asked model id, missing members filled in, known quirks repaired."""
        ...

    def reply_usage(self, body: bytes) -> Usage | None:
        """Read what upstream's complete reply says it used; None where it does not say. Never raises."""
        ...

    def relay(self, echo: Echo) -> StreamRelay:
        """Return a fresh relay of a stream."""
        ...

    def encode_error(self, error: GatewayError) -> EncodedError:
        """Render an error as the surface's JSON body and status."""
        ...
