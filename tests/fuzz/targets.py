"""Every target, in the groups that share a time budget."""

import random
from collections.abc import Callable
from typing import Final

from core.model import DialectName
from tests.fuzz import corpus, doors, readers
from tests.fuzz.holding import decoder_of, lane_of, relay_of, reply_of, request_of
from tests.fuzz.hunting import Target
from tests.fuzz.mutation import Mutator
from tests.fuzz.shapes import BY_NAME


def _stream_of(name: DialectName) -> Callable[[random.Random], bytes]:
    def make(rng: random.Random) -> bytes:
        mutator = Mutator(rng)
        if rng.randrange(20) == 0:
            return mutator.noise()
        own = corpus.streams(name)
        lent = own if rng.randrange(8) else corpus.streams(rng.choice(corpus.DIALECTS))
        return mutator.stream(rng.choice(own), lent)

    return make


def _body_of(
    name: DialectName, samples: Callable[[DialectName], tuple[bytes, ...]]
) -> Callable[[random.Random], bytes]:
    def make(rng: random.Random) -> bytes:
        mutator = Mutator(rng)
        way = rng.randrange(20)
        if way == 0:
            return mutator.noise()
        body = rng.choice(samples(name if way > 1 else rng.choice(corpus.DIALECTS)))
        return mutator.bytes_(body) if way < 4 else mutator.json(body)

    return make


NAMES: Final = corpus.DIALECTS
DECODERS: Final = tuple(
    Target(f"decoder-{name}", _stream_of(name), decoder_of(BY_NAME[name])) for name in NAMES
)
RELAYS: Final = tuple(Target(f"relay-{name}", _stream_of(name), relay_of(BY_NAME[name])) for name in NAMES)
LANES: Final = tuple(
    Target(
        f"lane-{upstream}-to-{surface}", _stream_of(upstream), lane_of(BY_NAME[upstream], BY_NAME[surface])
    )
    for upstream in NAMES
    for surface in NAMES
    if surface != upstream
)
REQUESTS: Final = tuple(
    Target(f"request-{name}", _body_of(name, corpus.requests), request_of(BY_NAME[name])) for name in NAMES
)
REPLIES: Final = tuple(
    Target(f"reply-{name}", _body_of(name, corpus.replies), reply_of(BY_NAME[name])) for name in NAMES
)

GROUPS: Final[dict[str, tuple[Target, ...]]] = {
    "decoders": DECODERS,
    "relays": RELAYS,
    "lanes": LANES,
    "requests": REQUESTS,
    "replies": REPLIES,
    "framing": readers.FRAMING,
    "github": readers.GITHUB,
    "others": readers.OTHERS,
    "doors": doors.DOORS,
}
ALL: Final = {target.name: target for group in GROUPS.values() for target in group}
