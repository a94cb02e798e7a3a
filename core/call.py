"""One call, prepared: the lane, what goes upstream, and how the answer comes back."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from core import passthrough, web_search
from core.canonical import Usage
from core.copilot.auto_session import AUTO, AutoSession, auto_entry
from core.copilot.headers import has_image
from core.dialect import Dialect, Echo, StreamDecoder, StreamRelay, Target
from core.distinct_calls import DistinctDecoder, call_ids
from core.errors import GatewayError, invalid_json
from core.images import check_images
from core.model import DialectName, Model
from core.names import LONG_NAMES
from core.outgoing import Outgoing
from core.route import Lane, plan, resolve
from core.search_sources import SourcingDecoder
from core.settings import Settings
from core.stop import StoppingDecoder
from core.translate import Collector, StreamTranslator
from core.web_search import Journey

# Bytes of JSON a token, for the first guess of a prompt's size that some surfaces put in front of a stream.
BYTES_PER_TOKEN = 4
# A repair that the way back has to take part in: the upstream has no stop sequences.
STOP_SEQUENCES = "stop_sequences"

# What a response header cannot list. Some names are the client's own, of members that nobody knows.
UNLISTABLE: Final = re.compile(r"[^\x21-\x2b\x2d-\x7e]")
LONGEST_NAME: Final = 64
MOST_NAMES: Final = 32


def listed(names: Iterable[str]) -> tuple[str, ...]:
    """Return names of losses or repairs as a response header can list them: each once, short, and not too many."""
    safe = tuple(dict.fromkeys(UNLISTABLE.sub("?", name[:LONGEST_NAME]) or "?" for name in names))
    return safe if len(safe) <= MOST_NAMES else (*safe[:MOST_NAMES], "more")


def check_text(body: bytes) -> None:
    """Refuse a body that is no UTF-8: what is only passed on is not looked into. Raises `InvalidRequestError`."""
    try:
        if not body.isascii():
            body.decode()
    except UnicodeDecodeError as error:
        raise invalid_json(error) from None


class Sessions(Protocol):
    """Where sessions of Copilot's Auto mode come from."""

    def current(self) -> AutoSession:
        """Return a session that lives. Raises `GatewayError` when there is none to be had."""
        ...

    def known(self) -> AutoSession | None:
        """Return the session at hand, without asking anybody."""
        ...

    def renewal(self, session: AutoSession, model_id: str) -> Callable[[GatewayError], dict[str, str] | None]:
        """Return what gives other headers when a request within the session is refused; see `Outgoing.renewal`."""
        ...


class Engine(Struct, frozen=True):
    """What preparing a call needs beside the client's bytes; built once by the composition root."""

    settings: Settings
    dialects: Mapping[DialectName, Dialect]
    models: Callable[[], Sequence[Model]]
    scope: Callable[[], str]
    now: Callable[[], float]
    new_id: Callable[[str], str]
    auto: Sessions | None = None

    def lane(self, surface: Dialect, requested: str) -> Lane:
        """Find the model and the lane. Raises `GatewayError` "not_found" or "permission"."""
        return self._lane(surface, requested, self._session(requested))

    def listed(self) -> tuple[Model, ...]:
        """Return the models that clients may name: the catalogue's, and `auto`."""
        models = tuple(self.models())
        if self.auto is None or not self._offers_auto(models):
            return models
        others = (model for model in models if model.id != AUTO)
        return (auto_entry(self.auto.known(), models), *others)

    def find(self, requested: str) -> Model:
        """Return the list's entry that an id means. Raises `GatewayError` "not_found"."""
        settings = self.settings
        return resolve(requested, self.listed(), settings.aliases, settings.small_model)

    def prepare(self, surface: Dialect, body: bytes, betas: tuple[str, ...] = ()) -> "Call":
        """Read a client's body and make the upstream request. Raises `GatewayError` for what cannot be sent."""
        check_text(body)
        peek = surface.peek(body)
        session = self._session(peek.model)
        journey = self._journey(surface, peek.model, body, session)
        lane, request = journey.lane, journey.request
        check_images(body, lane.model)
        target = Target(lane.model, self._scope_of(lane))
        if request is None:
            encoded = surface.relay_request(journey.body, target, betas)
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
            # Names that were shortened on the way out are restored from the request on the way back.
            request=surface.decode_request(body) if LONG_NAMES in encoded.repairs else request,
        )
        outgoing = Outgoing(
            path=lane.upstream.path,
            body=encoded.body,
            # A translated reply is always folded from a stream: complete replies of some models come back empty.
            stream=peek.stream or request is not None,
            initiator=peek.initiator,
            vision=has_image(encoded.body),
            betas=encoded.betas,
            **self._membership(session, lane.model),
        )
        losses = listed((*journey.losses, *encoded.losses))
        repairs = listed((*journey.repairs, *encoded.repairs))
        return Call(lane, echo, outgoing, peek.stream, losses, repairs, self.dialects)

    def _scope_of(self, lane: Lane) -> str:
        """Return whose opaque values may be sent: the account's; on chat, where many vendors meet, the vendor's there."""
        vendor = lane.model.vendor if lane.upstream.name == "chat" else ""
        return f"{self.scope()}/{vendor}" if vendor else self.scope()

    def _offers_auto(self, models: Sequence[Model]) -> bool:
        setting = self.settings.auto
        return setting == "on" or (setting == "catalogue" and any(model.id == AUTO for model in models))

    def _session(self, requested: str) -> AutoSession | None:
        """Return the Auto session that an id asks for; None for an id that names a model."""
        meant = self.settings.aliases.get(requested, requested)
        if self.auto is None or meant.lower() != AUTO or not self._offers_auto(self.models()):
            return None
        return self.auto.current()

    def _lane(self, surface: Dialect, requested: str, session: AutoSession | None) -> Lane:
        if session is not None:
            return plan(surface, requested, session.choose(self.models()), self.dialects)
        settings = self.settings
        model = resolve(requested, self.models(), settings.aliases, settings.small_model)
        return plan(surface, requested, model, self.dialects)

    def _journey(self, surface: Dialect, requested: str, body: bytes, session: AutoSession | None) -> Journey:
        lane = self._lane(surface, requested, session)
        request = None if lane.passes_through else surface.decode_request(body)
        journey = Journey(lane, body, request)
        if not web_search.may_ask(body):
            return journey

        def searcher() -> Model | None:
            # Within a session the models that it covers come first: plans that have only Auto may use no other.
            models = sorted(self.models(), key=lambda model: not (session and session.covers(model.id)))
            return web_search.search_model(self.settings.web_search_model, models)

        return web_search.arrange(journey, searcher, self.dialects)

    def _membership(self, session: AutoSession | None, model: Model) -> dict[str, Any]:
        """Return what makes an outgoing request part of the Auto session."""
        if session is None or self.auto is None or not session.covers(model.id):
            return {}
        return {"headers": session.headers, "renewal": self.auto.renewal(session, model.id)}


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
        surface = self.lane.surface
        if self.lane.passes_through:
            return surface.relay(self.echo)
        return StreamTranslator(self._decoder(), surface.encoder(self.echo))

    def collector(self) -> Collector:
        """Return what folds upstream's stream into the client's complete reply."""
        return Collector(self._decoder(), self.lane.surface, self.echo)

    def healed(self, error: GatewayError) -> "Call | None":
        """Return the call without what upstream has just refused; None when this refusal cannot be helped.

        Only a refusal of the request's own content can: limits, quotas, filters and failures stand. The repair's name
        is the first of `repairs`.
        """
        if error.kind != "invalid_request":
            return None
        sent = self.outgoing
        encoded = self.lane.upstream.heal(sent.body, error, sent.betas)
        if encoded is None or (encoded.body, encoded.betas) == (sent.body, sent.betas):
            return None
        return replace(
            self,
            outgoing=replace(
                sent, body=encoded.body, betas=encoded.betas, vision=sent.vision and has_image(encoded.body)
            ),
            losses=listed((*encoded.losses, *self.losses)),
            repairs=listed((*encoded.repairs, *self.repairs)),
        )

    def complete(self, body: bytes) -> bytes:
        """Return upstream's complete reply for the client."""
        return passthrough.complete(self.lane, body, self.echo, self.dialects)

    def usage(self, body: bytes) -> Usage | None:
        """Return what upstream's complete reply says it used; chat calls may be answered as Anthropic does."""
        found = self.lane.surface.reply_usage(body)
        if found is None and self.lane.surface.name == "chat":
            return self.dialects["messages"].reply_usage(body)
        return found

    def _decoder(self) -> StreamDecoder:
        decoder = self.lane.upstream.decoder(self.echo.scope)
        request = self.echo.request
        taken = call_ids(request) if request is not None and self.lane.upstream.name == "chat" else None
        if taken:
            decoder = DistinctDecoder(decoder, taken)
        if request is not None and any(map(web_search.is_search, request.tools)):
            decoder = SourcingDecoder(decoder)
        if request is None or STOP_SEQUENCES not in self.repairs:
            return decoder
        return StoppingDecoder(decoder, request.stop, self.echo.input_tokens)
