"""Who calls, and what the key that was shown allows."""

from msgspec import Struct


class Limits(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a key may do. Empty or None: no bound of this key's own.

    surfaces: names as in `Exchange.surface`. models: catalogue ids, with `*` for any text.
    per_minute: requests. at_once: requests under way. tokens_per_day: input and output together.
    credits_per_day: Copilot's AI credits. A day begins at 00:00 UTC.
    """

    surfaces: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    per_minute: int | None = None
    at_once: int | None = None
    tokens_per_day: int | None = None
    credits_per_day: float | None = None


class Caller(Struct, frozen=True):
    """The key that a request showed, by name; the name is empty where no key is asked."""

    name: str = ""
    limits: Limits = Limits()
