"""What a request cost: by upstream's own word, else by the catalogue's prices."""

from core.canonical import Usage
from core.ledger.figures import NANO
from core.model import Prices


def credits_of(usage: Usage, prices: Prices | None) -> float | None:
    """Return AI credits; None where neither upstream nor the catalogue names a price.

    Where the catalogue has no price for cached tokens, they count as any other input. An input longer than the prices hold for
    is charged by the next ones from its first token on, as the models' vendors do.
    """
    if usage.nano_credits is not None:
        return usage.nano_credits / NANO
    while prices is not None and prices.beyond is not None and usage.input_tokens > prices.context_max > 0:
        prices = prices.beyond
    if prices is None or prices.batch <= 0:
        return None
    read, written = usage.cache_read_tokens, usage.cache_write_tokens
    fresh = max(usage.input_tokens - read - written, 0)
    cost = (
        fresh * prices.input
        + read * (prices.cache_read or prices.input)
        + written * (prices.cache_write or prices.input)
        + usage.output_tokens * prices.output
    )
    return cost / prices.batch
