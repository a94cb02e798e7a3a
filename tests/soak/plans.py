"""What one request of the soak shall meet: drawn from a seed by the driver, carried in the prompt, obeyed by the upstream."""

import random
import re
from typing import Final

from msgspec import Struct

from tests.e2e.asking import SURFACES
from tests.e2e.hosting import ONLY_MESSAGES

DIALECTS: Final = ("chat", "messages", "responses")
MODEL: Final = {"chat": "gpt-4.1", "messages": ONLY_MESSAGES, "responses": "gpt-5.5"}
# Requests that upstream refuses go to models of their own: a gateway that spares such a model is right to do so.
REFUSING: Final = {dialect: f"soak-refusing-{dialect}" for dialect in DIALECTS}
REFUSALS: Final = frozenset({"limited", "busy"})

# How often each way of delivery is drawn. These reach the client whole:
SOUND: Final = {
    "plain": 20,  # paced, event by event
    "burst": 10,  # everything in one write
    "split": 14,  # writes that end anywhere, also inside a character
    "pause": 6,  # silence in the middle, longer than the heartbeat
    "late_head": 5,  # silence before the head
    "late_frames": 6,  # events twice or too late, after the end
    "stumble": 4,  # a 500 first
    "reset_first": 4,  # a connection that dies first, before it says a byte
}
# These do not, and the client must be told:
BROKEN: Final = {
    "cut": 6,  # the connection ends in the middle
    "reset": 6,  # the same, the hard way
    "end_early": 4,  # a clean end without a terminal event
    "garbage": 4,  # what is no event, then the end
    "page": 2,  # a web page with status 200
    "stall": 2,  # silence for good in the middle
    "deaf": 1,  # silence for good before the head
    "limited": 3,  # 429
    "busy": 3,  # 503
    "failing": 3,  # 500, every time
}
# Either is right: only so many forced renewals of a token are made a minute.
EITHER: Final = {"renew": 2}
FAULTS: Final = SOUND | BROKEN | EITHER
SIZES: Final = (12, 60, 160)  # words
PACES: Final = (0.01, 0.04, 0.1)  # seconds between events
LEAVING: Final = 0.12  # the share of clients that leave
WHOLE: Final = 0.15  # the share of replies that are not streamed

_FORM: Final = re.compile(rb"<soak ([0-9]+) ([a-z_]+) ([0-9.]+) ([0-9]+) ([0-9.]+)>")


class Plan(Struct, frozen=True):
    """One request. `at` is the share of the events after which the fault comes; `leaves` the seconds after which the client leaves."""

    number: int
    surface: str
    dialect: str
    fault: str
    at: float
    words: int
    pace: float
    streams: bool
    leaves: float | None = None

    @property
    def model(self) -> str:
        """The model that reaches the dialect."""
        return (REFUSING if self.fault in REFUSALS else MODEL)[self.dialect]

    @property
    def prompt(self) -> str:
        """What tells the upstream what to do."""
        return f"<soak {self.number} {self.fault} {self.at:.3f} {self.words} {self.pace:g}>"

    @property
    def text(self) -> str:
        """What a whole reply says; no other reply says it."""
        return " ".join(f"{tag(self.number)}{index}" for index in range(self.words))


class Order(Struct, frozen=True):
    """What the upstream reads out of a prompt."""

    number: int
    fault: str
    at: float
    words: int
    pace: float


def draw(seed: int, number: int) -> Plan:
    """Return the plan of this number; the first ones go through every cell."""
    rng = random.Random(f"{seed}:{number}")  # noqa: S311 - a soak must repeat itself
    cells = [(surface, dialect) for surface in SURFACES for dialect in DIALECTS]
    surface, dialect = cells[number % len(cells)]
    (fault,) = rng.choices(list(FAULTS), list(FAULTS.values()))
    return Plan(
        number,
        surface,
        dialect,
        fault,
        at=round(rng.uniform(0, 0.8), 3),
        words=rng.choice(SIZES),
        pace=rng.choice(PACES),
        streams=rng.random() >= WHOLE,
        leaves=rng.expovariate(1.0) if rng.random() < LEAVING else None,
    )


def tag(number: int) -> str:
    """Return what stands before each word's index: two and three bytes a character, for writes to end inside."""
    return f"é{number}語"


def order_of(body: bytes) -> Order | None:
    """Find the order in a request's body."""
    found = _FORM.search(body)
    if found is None:
        return None
    number, fault, at, words, pace = (part.decode() for part in found.groups())
    return Order(int(number), fault, float(at), int(words), float(pace))
