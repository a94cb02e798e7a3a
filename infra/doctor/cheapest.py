"""Which model is asked when any will do."""

from collections.abc import Mapping, Sequence
from typing import Final

from core.model import Model

_UNKNOWN: Final = 1e9
_SMALL: Final = ("gpt-5-mini", "gpt-4.1", "gpt-4o", "mini", "haiku", "flash")


def cheapest(models: Sequence[Model], multipliers: Mapping[str, float]) -> Model | None:
    """Return a chat model that the account may use: one that costs no request, else the least per token."""

    def cost(model: Model) -> tuple[bool, float, int]:
        prices = model.prices
        scale = 1_000_000 / max(prices.batch, 1) if prices else 0.0
        per_token = (prices.input + prices.output) * scale if prices else _UNKNOWN
        small = next((rank for rank, part in enumerate(_SMALL) if part in model.id), len(_SMALL))
        return multipliers.get(model.id) != 0, per_token, small

    usable = [
        model for model in models if model.kind == "chat" and model.policy == "enabled" and model.dialects
    ]
    return min(usable, key=cost, default=None)
