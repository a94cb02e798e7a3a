"""What is counted of requests. Sums only: of one request or of a year of them, in the same room."""

from collections.abc import Mapping
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from core.exchange import CLIENT_LEFT, Exchange
from core.ledger.spread import Spread

NANO: Final = 1_000_000_000  # billionths of a credit make one
_ERROR: Final = "error"
_FAILURES: Final = 400  # the least status that is none of success
_Name = TypeVar("_Name", str, int)


class Figures(Struct):
    """Sums over requests.

    repaired: requests that were changed to be accepted. input_tokens: with what was read from and written to the cache.
    priced: requests of which it is known what they cost; nano_credits: that, in billionths of a credit.
    errors: by kind, as in `Exchange.error`. upstream_errors: the part of these that failed after every gate; statuses: by
    the first digit of the answer's status. Neither is kept in the store.
    first_token: of what had one. duration: of requests that went well.
    """

    requests: int = 0
    streams: int = 0
    repaired: int = 0
    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    priced: int = 0
    nano_credits: int = 0
    errors: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    upstream_errors: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    statuses: dict[int, int] = msgspec.field(default_factory=dict[int, int])
    first_token: Spread = msgspec.field(default_factory=Spread)
    duration: Spread = msgspec.field(default_factory=Spread)

    def take(self, done: Exchange) -> None:
        """Count one request."""
        self.requests += 1
        self.streams += done.streams
        self.repaired += bool(done.repairs)
        status = done.status // 100
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if (usage := done.usage) is not None:
            self.input_tokens += usage.input_tokens
            self.cache_read_tokens += usage.cache_read_tokens
            self.cache_write_tokens += usage.cache_write_tokens
            self.output_tokens += usage.output_tokens
            self.reasoning_tokens += usage.reasoning_tokens
        if done.credits is not None:
            self.priced += 1
            self.nano_credits += round(done.credits * NANO)
        if done.first_token is not None:
            self.first_token.take(done.first_token)
        if done.error:
            self.errors[done.error] = self.errors.get(done.error, 0) + 1
            if done.admitted and done.error != CLIENT_LEFT:
                self.upstream_errors[done.error] = self.upstream_errors.get(done.error, 0) + 1
        elif done.status < _FAILURES:
            self.duration.take(done.duration)

    def add(self, other: "Figures") -> None:
        """Count all that another one counted."""
        for name in COUNTERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        _add(self.errors, other.errors)
        _add(self.upstream_errors, other.upstream_errors)
        _add(self.statuses, other.statuses)
        self.first_token.add(other.first_token)
        self.duration.add(other.duration)

    @property
    def credits(self) -> float:
        """What the priced requests cost, in AI credits."""
        return self.nano_credits / NANO

    @property
    def failures(self) -> int:
        """Requests that ended with an error, and streams whose client went before their end."""
        return sum(self.errors.values())

    @property
    def cache_hit_rate(self) -> float | None:
        """Which part of the input was read from a prompt cache, 0 to 1; None without any input."""
        return self.cache_read_tokens / self.input_tokens if self.input_tokens else None

    def amounts(self) -> dict[str, int]:
        """Return what is not 0, as counters for the store; `read` takes them back."""
        plain = {name: amount for name in COUNTERS if (amount := getattr(self, name))}
        errors = {f"{_ERROR}.{kind}": count for kind, count in self.errors.items()}
        spreads = {
            name: amount for spread in SPREADS for name, amount in getattr(self, spread).amounts(spread)
        }
        return {**plain, **errors, **spreads}

    def read(self, amounts: Mapping[str, int]) -> "Figures":
        """Count what the store kept, and return self; names that another release made are passed over."""
        for name, amount in amounts.items():
            group, _, rest = name.partition(".")
            if group in COUNTERS and not rest:
                setattr(self, group, getattr(self, group) + amount)
            elif group in SPREADS:
                getattr(self, group).read(rest, amount)
            elif group == _ERROR:
                self.errors[rest] = self.errors.get(rest, 0) + amount
        return self


COUNTERS: Final = frozenset(field.name for field in msgspec.structs.fields(Figures) if field.type is int)
SPREADS: Final = frozenset(field.name for field in msgspec.structs.fields(Figures) if field.type is Spread)


def _add(mine: dict[_Name, int], others: Mapping[_Name, int]) -> None:
    for name, count in others.items():
        mine[name] = mine.get(name, 0) + count
