"""How long something took, many times over: a sum, and a histogram with fixed bounds."""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Struct

# Upper bounds in seconds; what takes longer is counted behind the last one. They are part of the names in the store.
BOUNDS: Final = (0.1, 0.25, 0.5, 1.0, 1.5, 2.5, 4.0, 6.0, 10.0, 15.0, 25.0, 40.0, 60.0, 120.0, 300.0)
LONGER: Final = "longer"
_PLACES: Final = (*(str(int(bound * 1000)) for bound in BOUNDS), LONGER)
_PLACE_OF: Final = {name: place for place, name in enumerate(_PLACES)}


class Spread(Struct):
    """Times by how long they were. `buckets` has a count for each of `BOUNDS` and one for what took longer."""

    count: int = 0
    microseconds: int = 0
    buckets: list[int] = msgspec.field(default_factory=lambda: [0] * len(_PLACES))

    def take(self, seconds: float) -> None:
        """Count one time."""
        self.count += 1
        self.microseconds += int(seconds * 1e6)
        self.buckets[bisect_left(BOUNDS, seconds)] += 1

    def add(self, other: "Spread") -> None:
        """Count all that another one counted."""
        self.count += other.count
        self.microseconds += other.microseconds
        self.buckets = [mine + others for mine, others in zip(self.buckets, other.buckets, strict=True)]

    @property
    def mean(self) -> float | None:
        """The mean in seconds; None of nothing."""
        return self.microseconds / self.count / 1e6 if self.count else None

    def quantile(self, part: float) -> float | None:
        """Return about how many seconds `part` of the times (0.5, 0.95) stayed below; None of nothing.

        Within a bucket the times are taken to be spread evenly; what took longer than the last bound counts as that.
        """
        rank, below = part * self.count, 0
        for place, count in enumerate(self.buckets):
            if count and below + count >= rank:
                if place == len(BOUNDS):
                    return BOUNDS[-1]
                least = BOUNDS[place - 1] if place else 0.0
                return least + (BOUNDS[place] - least) * max(rank - below, 0.0) / count
            below += count
        return None

    def amounts(self, name: str) -> Iterator[tuple[str, int]]:
        """Yield what is not 0 as counters that begin with `name`; the name itself is the sum in microseconds."""
        if not self.count:
            return
        yield name, self.microseconds
        for place, count in zip(_PLACES, self.buckets, strict=True):
            if count:
                yield f"{name}.{place}", count

    def read(self, place: str, amount: int) -> None:
        """Take back what `amounts` wrote; `place` is what follows the name and its dot, empty for the sum."""
        if not place:
            self.microseconds += amount
        elif (at := _PLACE_OF.get(place)) is not None:
            self.buckets[at] += amount
            self.count += amount
