"""What every adapter of a store refuses, whatever it keeps things in."""

import math
import re
from typing import Final

# No dot, no separator, no capitals: no traversal, and no two names for one file where case does not count.
_SECRET_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)
_LEAST, _MOST = -(2**63), 2**63 - 1


def check_names(*names: str) -> None:
    """Raise ValueError unless every name is text, and not empty."""
    if not all(names):
        raise ValueError("kinds, keys, owners and counters have names that are not empty")
    for name in names:
        name.encode()  # raises UnicodeEncodeError, a ValueError, for a lone surrogate


def expiry(expires_at: float | None) -> float:
    """Return a time in unix seconds, infinity for None. Raises ValueError for what is no time."""
    if expires_at is None:
        return math.inf
    if math.isnan(expires_at):
        raise ValueError("expires_at is a time in unix seconds, not NaN")
    return expires_at


def counter_sum(before: int, amount: int) -> int:
    """Return the sum. Raises OverflowError when it leaves 64 bits."""
    after = before + amount
    if not _LEAST <= after <= _MOST:
        raise OverflowError("a counter holds 64 bits")
    return after


def counter_bounds(amount: int) -> tuple[int, int]:
    """Return the least and the most that a counter may hold for the amount to be added to it."""
    return _LEAST - min(amount, 0), _MOST - max(amount, 0)


def check_secret_name(name: str) -> None:
    """Raise ValueError unless the name is one that the port allows."""
    if _SECRET_NAME.fullmatch(name) is None:
        raise ValueError(f"{name!r} is no name for a secret: use a-z, 0-9, '-' and '_'")


def check_secret(secret: str) -> None:
    """Raise ValueError for a secret that is empty, ends with a line break, or is no text."""
    if not secret.rstrip("\r\n") or secret.endswith(("\r", "\n")):
        raise ValueError("a secret is not empty and does not end with a line break")
    secret.encode()  # raises UnicodeEncodeError, a ValueError, for a lone surrogate
