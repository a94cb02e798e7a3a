"""One call, prepared: the lane, what goes upstream, and how the answer comes back."""

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from core import passthrough
from core.copilot.headers import has_image
from core.dialect import Dialect, Echo, StreamRelay, Target
from core.model import DialectName, Model
from core.outgoing import Outgoing
from core.route import Lane, plan, resolve
from core.settings import Settings
from core.translate import Collector, StreamTranslator

# Bytes of JSON a token, for the first guess of a prompt's size that some surfaces put in front of a stream.
BYTES_PER_TOKEN = 4


class Engine(Struct, frozen=True):
    """What preparing a call needs beside the client's bytes; built once by the composition root."""

    settings: Settings
    dialects: Mapping[DialectName, Dialect]
    models: Callable[[], Sequence[Model]]
    scope: Callable[[], str]
    now: Callable[[], float]
    new_id: Callable[[str], str]

    def lane(self, surface: Dialect, requested: str) -> Lane:
        """Find the model and the lane. Raises `GatewayError` "not_found" or "permission"."""
        settings = self.settings
        model = resolve(requested, self.models(), settings.aliases, settings.small_model)
        return plan(surface, requested, model, self.dialects)

    def prepare(self, surface: Dialect, body: bytes, betas: tuple[str, ...] = ()) -> "Call":
        """Read a client's body and make the upstream request. Raises `GatewayError` for what cannot be sent."""
        peek = surface.peek(body)
        lane = self.lane(surface, peek.model)
        target = Target(lane.model, self.scope())
        request = None if lane.passes_through else surface.decode_request(body)
        if request is None:
            encoded = surface.relay_request(body, target, betas)
        else:
            encoded = lane.upstream.encode_request(request, target)
        echo = Echo(
            id=self.new_id(""),
            model=lane.requested,
            created=int(self.now()),
            new_id=self.new_id,
            include_usage=peek.include_usage,
            input_tokens=max(1, len(body) // BYTES_PER_TOKEN),
            scope=target.scope,
            request=request,
        )
        outgoing = Outgoing(
            path=lane.upstream.path,
            body=encoded.body,
            # A translated reply is always folded from a stream: complete replies of some models come back empty.
            stream=peek.stream or request is not None,
            initiator=peek.initiator,
            vision=has_image(encoded.body),
            betas=encoded.betas,
        )
        return Call(lane, echo, outgoing, peek.stream, encoded.losses, encoded.repairs, self.dialects)


class Call(Struct, frozen=True):
    """A request on its way. `streams`: whether the client wants a stream (upstream may stream all the same)."""

    lane: Lane
    echo: Echo
    outgoing: Outgoing
    streams: bool
    losses: tuple[str, ...]
    repairs: tuple[str, ...]
    dialects: Mapping[DialectName, Dialect]

    def relay(self) -> StreamRelay:
        """Return what turns upstream's stream into the client's."""
        surface, upstream = self.lane.surface, self.lane.upstream
        if self.lane.passes_through:
            return surface.relay(self.echo)
        return StreamTranslator(upstream.decoder(self.echo.scope), surface.encoder(self.echo))

    def collector(self) -> Collector:
        """Return what folds upstream's stream into the client's complete reply."""
        return Collector(self.lane, self.echo)

    def complete(self, body: bytes) -> bytes:
        """Return upstream's complete reply for the client."""
        return passthrough.complete(self.lane, body, self.echo, self.dialects)
