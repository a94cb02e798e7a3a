"""Days and hours by their names."""

import pytest

from core.ledger import slots

NEW_YEAR = 1_767_225_600.0  # 2026-01-01T00:00Z


def test_last_second_of_a_year_is_in_its_own_day() -> None:
    names = [slots.hour_name(slots.hour_of(moment)) for moment in (NEW_YEAR - 1, NEW_YEAR)]
    assert ["2025-12-31T23", "2026-01-01T00"] == names


@pytest.mark.parametrize("moment", [-1e18, -1.0, 1e18, float("inf")])
def test_clock_that_is_far_off_still_has_an_hour(moment: float) -> None:
    name = slots.hour_name(slots.hour_of(moment))
    assert name in {"1970-01-01T00", "9999-12-31T23"}


def test_kinds_cover_the_months_between() -> None:
    day = 86_400
    assert ["ledger-days-2025-11", "ledger-days-2025-12", "ledger-days-2026-01"] == list(
        slots.day_kinds(NEW_YEAR - 32 * day, NEW_YEAR)
    )
    assert ["ledger-hours-2025-12-31", "ledger-hours-2026-01-01"] == list(
        slots.hour_kinds(NEW_YEAR - 1, NEW_YEAR + 1)
    )


@pytest.mark.parametrize("model", ["gpt-4.1", "", "a/b", "m" * 500])
def test_record_key_is_read_back(model: str) -> None:
    assert ("2026-01-01", "laptop", model[:200]) == slots.read_record_key(
        slots.record_key("2026-01-01", "laptop", model)
    )


def test_foreign_key_is_none_of_ours() -> None:
    assert slots.read_record_key("count") is None
