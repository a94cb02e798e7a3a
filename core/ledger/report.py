"""The ledger's part of `/usage` and of the command `check-usage`."""

from msgspec import Struct

from core.ledger.ledger import Ledger, Row
from core.ledger.slots import DAY, hour_name, hour_of
from core.ledger.summary import Summary, summarise, total, totals_by

DAYS = 30
# Names that no API key and no model has.
NO_KEY, NO_MODEL = "(no key)", "(no model)"


class Report(Struct, frozen=True, kw_only=True):
    """What went through the gateway. Days are UTC; today is the last of the thirty, and all others are sums of these."""

    today: Summary
    last_30_days: Summary
    by_key: dict[str, Summary]
    by_model: dict[str, Summary]
    by_day: dict[str, Summary]


def report(ledger: Ledger, now: float, only: str | None = None) -> Report:
    """Return what the ledger says of the last days. only: of the API key of this name. Raises StoreError."""
    rows = [row for row in ledger.days(now - (DAYS - 1) * DAY, now) if only is None or row.key == only]
    day = hour_name(hour_of(now))[:10]
    return Report(
        today=summarise(total(row for row in rows if row.slot == day)),
        last_30_days=summarise(total(rows)),
        by_key=_by(rows, "key", NO_KEY),
        by_model=_by(rows, "model", NO_MODEL),
        by_day=_by(rows, "slot", ""),
    )


def _by(rows: list[Row], name: str, none: str) -> dict[str, Summary]:
    sums = totals_by(rows, lambda row: getattr(row, name) or none)
    return {each: summarise(figures) for each, figures in sums.items()}
