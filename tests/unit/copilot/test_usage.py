"""The quota, as the usage document and as snapshots in reply headers."""

import json
from typing import Any

import pytest

from core.copilot.github import GitHub
from core.copilot.usage import Allowance, Quota, fetch_quota, read_quota_headers
from core.errors import GatewayError
from tests.unit.copilot.doubles import GITHUB, Clock, answers, scripted, settings_at, whole


def told(document: dict[str, Any]) -> Quota:
    clock = Clock()
    with scripted(answers(whole(json.dumps(document).encode()))) as url:
        return fetch_quota(GitHub(now=clock), settings_at(url), GITHUB, now=clock)


def test_the_free_plan_tells_its_quotas_in_its_own_way() -> None:
    quota = told(
        {
            "copilot_plan": "free",
            "quota_snapshots": None,
            "monthly_quotas": {"chat": 50, "completions": 2000},
            "limited_user_quotas": {"chat": 10, "completions": 0, "other": 7},
            "limited_user_reset_date": "2026-12-01",
        }
    )
    assert ("free", "2026-12-01") == (quota.plan, quota.resets_on)
    assert quota.allowances == {
        "chat": Allowance(name="chat", entitlement=50, remaining=10, percent_remaining=20),
        "completions": Allowance(
            name="completions", entitlement=2000, remaining=0, percent_remaining=0, exhausted=True
        ),
        "other": Allowance(name="other", remaining=7),
    }


def test_github_s_rate_limit_is_no_lack_of_permission() -> None:
    clock, limit = (
        Clock(),
        whole(b"{}", "403 Forbidden", "x-ratelimit-remaining: 0", "x-ratelimit-reset: 1000060"),
    )
    with scripted(answers(limit)) as url, pytest.raises(GatewayError) as caught:
        fetch_quota(GitHub(now=clock), settings_at(url), GITHUB, now=clock)
    assert ("rate_limit", 60) == (caught.value.kind, caught.value.retry_after)


@pytest.mark.parametrize(
    ("said", "moment"),
    [(1_796_083_200, "2026-12-01T00:00:00Z"), ("2026-12-01", "2026-12-01"), (0, ""), (1e17, ""), (True, ""), (None, "")],
)  # fmt: skip
def test_a_quota_s_reset_is_a_moment_in_words(said: object, moment: str) -> None:
    quota = told({"quota_snapshots": {"chat": {"quota_reset_at": said}}, "limited_user_reset_date": said})
    assert (moment, moment) == (quota.allowances["chat"].resets_at, quota.resets_on)


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
