"""Quota snapshots in reply headers."""

import pytest

from core.copilot.usage import Allowance, read_quota_headers


def test_a_snapshot_s_rem_is_a_percentage() -> None:
    headers = {
        "x-quota-snapshot-premium_interactions": "ent=300&ov=2.0&ovPerm=true&rem=50.0&rst=2026-12-01T00%3A00%3A00Z",
        "content-type": "x",
    }
    expected = Allowance(
        name="premium_interactions",
        entitlement=300,
        remaining=150,
        percent_remaining=50,
        overage_count=2,
        overage_permitted=True,
        resets_at="2026-12-01T00:00:00Z",
    )
    assert read_quota_headers(headers) == {"premium_interactions": expected}


def test_minus_one_means_unlimited() -> None:
    found = read_quota_headers({"x-quota-snapshot-chat": "ent=-1&rem=0"})["chat"]
    assert (True, False, None) == (found.unlimited, found.exhausted, found.remaining)


def test_a_negative_rest_is_exhausted() -> None:
    assert read_quota_headers({"x-quota-snapshot-chat": "ent=300&rem=-12.5"})["chat"].exhausted


def test_rate_limit_windows_are_listed_too() -> None:
    assert list(read_quota_headers({"x-usage-ratelimit-weekly": "ent=100&rem=3"})) == ["ratelimit-weekly"]


@pytest.mark.parametrize(
    "text", ["", "&&&", "ent=nan&rem=inf", "ent=1e400", "ent=x&rem=y", "a=" * 1000, "%ff=%ff"]
)
def test_odd_snapshots_do_no_harm(text: str) -> None:
    found = read_quota_headers({"x-quota-snapshot-chat": text})["chat"]
    assert (None, None) == (found.entitlement, found.percent_remaining)
