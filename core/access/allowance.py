"""A gate that counts: what one key may use, and what all of them together may."""

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from msgspec import Struct

from core.access.caller import Limits
from core.access.slots import Slots
from core.access.tally import Tally, Used, seconds_to_midnight, seconds_to_minute
from core.errors import GatewayError
from core.exchange import Exchange, Leave
from core.ledger.figures import NANO
from core.ports import StateStore, StoreError

SLOT_PAUSE: Final = 2  # seconds; nobody knows when a request under way ends
LARGEST: Final = 10**15  # of one answer's tokens or billionths: upstream may say anything


class Rule(Struct, frozen=True):
    """One bound of `Limits`. setting: what it is called for all keys together. words: of what there are so many."""

    limit: str
    setting: str
    words: str
    amount: Callable[[Used], float]
    seconds_left: Callable[[float], int]
    of_requests: bool = False  # then the request that asks is in the amount


RULES: Final = (
    Rule("per_minute", "requests_per_minute", "requests a minute", lambda used: used.minute, seconds_to_minute, of_requests=True),
    Rule("per_day", "requests_per_day", "requests a day", lambda used: used.day, seconds_to_midnight, of_requests=True),
    Rule("tokens_per_day", "tokens_per_day", "tokens a day", lambda used: used.tokens, seconds_to_midnight),
    Rule("credits_per_day", "credits_per_day", "AI credits a day", lambda used: used.nano / NANO, seconds_to_midnight),
)  # fmt: skip


class Account(Struct):
    """What somebody may use, and has used. name: of the key; empty for all keys together."""

    name: str
    limits: Limits
    tally: Tally

    def check(self, used: Used, now: float, *, counted: int) -> None:
        """Raise GatewayError `rate_limit` when something is used up. counted: 1 when the asking request is in `used`."""
        for rule in RULES:
            limit: float | None = getattr(self.limits, rule.limit)
            if limit is not None and rule.amount(used) - rule.of_requests * counted >= limit:
                raise _refusal(self.name, rule, limit, rule.seconds_left(now))


class Allowances:
    """What keys may use by their own limits, and all of them together by `overall`. now: unix seconds.

    A key's own limits are kept even where that means to refuse: without the store its requests fail. What all may use
    together is a guard against loops, and without the store it does not stand in the way.
    """

    def __init__(self, state: StateStore, overall: Limits, *, now: Callable[[], float]) -> None:
        self._state, self._now = state, now
        self._slots = Slots(state, now=now)
        self._tallies: dict[str, Tally] = {}
        self._overall = Account("", overall, Tally(state, "all", now=now)) if _counts(overall) else None

    def enter(self, asked: Exchange) -> Leave | None:
        """Count the request. Raises GatewayError `rate_limit`, and StoreError for a key with limits of its own."""
        own = self._own(asked)
        most = asked.caller.limits.at_once
        if own is None and most is None and self._overall is None:
            return None
        if most is not None and not self._slots.take(asked.caller.name, most, asked.id):
            raise _too_many(asked.caller.name, most)
        try:
            self._count(own)
        except BaseException:
            self._free(asked)
            raise
        return self._leave

    def _count(self, own: Account | None) -> None:
        now = self._now()
        accounts = [account for account in (own, self._overall) if account is not None]
        for account in accounts:
            account.check(account.tally.seen(), now, counted=0)
        for account in accounts:
            try:
                used = account.tally.add(requests=1, per_minute=account.limits.per_minute)
            except StoreError:
                if account is own:
                    raise
            else:
                account.check(used, now, counted=1)

    def _leave(self, asked: Exchange) -> None:
        self._free(asked)
        usage = asked.usage
        tokens = 0 if usage is None else usage.input_tokens + usage.output_tokens
        spent = {"tokens": _sane(tokens), "nano": _sane((asked.credits or 0.0) * NANO)}
        if not any(spent.values()):
            return
        own = self._own(asked)
        with suppress(StoreError):
            if own is not None:
                own.tally.add(**spent)
            if self._overall is not None and self._overall.limits.credits_per_day is not None:
                self._overall.tally.add(nano=spent["nano"])

    def _own(self, asked: Exchange) -> Account | None:
        caller = asked.caller
        if not _counts(caller.limits):
            return None
        tally = self._tallies.get(caller.name)
        if tally is None:
            tally = self._tallies[caller.name] = Tally(self._state, f"key {caller.name}", now=self._now)
        return Account(caller.name, caller.limits, tally)

    def _free(self, asked: Exchange) -> None:
        if asked.caller.limits.at_once is not None:
            self._slots.give_back(asked.caller.name, asked.id)


def _counts(limits: Limits) -> bool:
    return any(getattr(limits, rule.limit) is not None for rule in RULES)


def _sane(amount: float) -> int:
    return round(min(max(amount, 0), LARGEST))


def _refusal(name: str, rule: Rule, limit: float, seconds: int) -> GatewayError:
    whose = f"The key {name} may use" if name else f"The setting {rule.setting} lets this gateway use"
    return GatewayError(
        f"{whose} {limit:,} {rule.words}, and they are used up. They begin anew in {seconds:,} s.",
        kind="rate_limit",
        code=f"{'key' if name else 'gateway'}_{rule.setting}",
        retry_after=seconds,
    )


def _too_many(name: str, most: int) -> GatewayError:
    return GatewayError(
        f"The key {name} may have {most} requests under way at once, and has. Wait until one of them is over.",
        kind="rate_limit",
        code="key_at_once",
        retry_after=SLOT_PAUSE,
    )
