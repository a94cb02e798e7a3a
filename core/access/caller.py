"""Who calls, and what the key that was shown allows."""

from typing import Final

from msgspec import Struct


class Limits(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a key may do. Empty or None: no bound of this key's own.

    surfaces: names as in `Exchange.surface`. models: catalogue ids, with `*` for any text.
    per_minute, per_day: requests. at_once: requests under way. tokens_per_day: input and output together.
    credits_per_day: Copilot's AI credits. A day begins at 00:00 UTC, a minute with the clock's.
    """

    surfaces: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    per_minute: int | None = None
    per_day: int | None = None
    at_once: int | None = None
    tokens_per_day: int | None = None
    credits_per_day: float | None = None


UNLIMITED: Final = Limits()


class Caller(Struct, frozen=True):
    """The key that a request showed, by name; the name is empty where no key is asked.

    expires_at: unix seconds; None for a key without an end.
    """

    name: str = ""
    limits: Limits = UNLIMITED
    expires_at: float | None = None

    @property
    def is_owner(self) -> bool:
        """Whether this is the operator: a key with limits is a guest's, who may ask models and see its own use, no more."""
        return self.limits == UNLIMITED
