"""Copilot's own account of the quota: the usage document and the snapshots in reply headers."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final, cast
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

from core.copilot.exchange import rate_limit
from core.copilot.failures import as_error, read_failure, unreachable
from core.copilot.faults import TransportError
from core.copilot.github import GitHub
from core.copilot.headers import github_headers
from core.copilot.hosts import hosts_of
from core.errors import GatewayError
from core.settings import Settings

_PATH: Final = "/copilot_internal/user"
_TIMEOUT: Final = 20.0
_SNAPSHOT: Final = "x-quota-snapshot-"
_RATE: Final = "x-usage-ratelimit-"
_RESETS: Final = ("quota_reset_date_utc", "quota_reset_date", "limited_user_reset_date")
_LAST: Final = 2**35  # unix seconds; what is later is no moment


class Allowance(Struct, frozen=True, kw_only=True):
    """One quota. Amounts are credits (or premium requests on old plans); None means "not stated".

    remaining: may be negative, on plans that let usage run over. percent_remaining: may be below 0 for the same reason.
    exhausted: nothing is left; also true of a pooled plan that calls itself unlimited but has run dry.
    """

    name: str
    entitlement: float | None = None
    remaining: float | None = None
    percent_remaining: float | None = None
    unlimited: bool = False
    exhausted: bool = False
    overage_count: float = 0.0
    overage_permitted: bool = False
    resets_at: str = ""


class Quota(Struct, frozen=True, kw_only=True):
    """The account's plan and its quotas by name (`premium_interactions`, `chat`, `completions`)."""

    login: str = ""
    plan: str = ""
    sku: str = ""
    resets_on: str = ""
    credits: bool = False  # billed by tokens, so amounts are credits
    allowances: dict[str, Allowance] = {}


def fetch_quota(github: GitHub, settings: Settings, github_token: str, *, now: Callable[[], float]) -> Quota:
    """Ask GitHub for the quota; raises GatewayError.

    The document also names Copilot hosts. They are ignored: for seats that come through an organisation they can be the
    wrong ones (421), and only the token exchange is right.
    """
    headers = github_headers(settings, github_token)
    try:
        answer = github.fetch("GET", hosts_of(settings).rest + _PATH, headers, timeout=_TIMEOUT)
    except TransportError as error:
        raise unreachable(error, "GitHub") from error
    if answer.status != 200:  # noqa: PLR2004 - the one success
        failure = read_failure(answer.status, answer.headers, answer.body, now())
        raise rate_limit(answer, failure, now()) or as_error(failure)
    try:
        document = msgspec.json.decode(answer.body, type=dict[str, object])
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise GatewayError("GitHub's usage answer cannot be read. Try again.", kind="upstream") from None
    return _quota(document)


def says_quota(headers: Mapping[str, str]) -> bool:
    """Say whether a reply's headers hold a snapshot."""
    return any(name.startswith(_SNAPSHOT) for name in headers)


def read_quota_headers(headers: Mapping[str, str]) -> dict[str, Allowance]:
    """Read the quota snapshots of a reply, by name without the prefix; header names must be lower case."""
    return {
        name.removeprefix(_SNAPSHOT).removeprefix("x-usage-"): _snapshot(name.removeprefix(_SNAPSHOT), value)
        for name, value in headers.items()
        if name.startswith((_SNAPSHOT, _RATE))
    }


def _snapshot(name: str, text: str) -> Allowance:
    try:
        pairs = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=50))
    except ValueError:
        pairs = {}
    entitlement, percent = _number(pairs.get("ent")), _number(pairs.get("rem"))
    unlimited = entitlement == -1
    return Allowance(
        name=name.removeprefix("x-usage-"),
        entitlement=None if unlimited else entitlement,
        # `rem` is a percentage, not an amount.
        remaining=None
        if unlimited or None in {entitlement, percent}
        else (entitlement or 0) * (percent or 0) / 100,
        percent_remaining=percent,
        unlimited=unlimited,
        exhausted=not unlimited and percent is not None and percent <= 0,
        overage_count=_number(pairs.get("ov")) or 0.0,
        overage_permitted=pairs.get("ovPerm") == "true",
        resets_at=pairs.get("rst", ""),
    )


def _quota(document: dict[str, object]) -> Quota:
    snapshots = _members(document.get("quota_snapshots"))
    resets = (document.get(name) for name in _RESETS)
    return Quota(
        login=_text(document.get("login")),
        plan=_text(document.get("copilot_plan")),
        sku=_text(document.get("access_type_sku")),
        resets_on=next((moment for value in resets if (moment := _moment(value))), ""),
        credits=document.get("token_based_billing") is True,
        allowances={name: _allowance(name, _members(entry)) for name, entry in snapshots.items()}
        or _free_allowances(document),
    )


def _free_allowances(document: dict[str, object]) -> dict[str, Allowance]:
    """Read how the Free plan tells its quotas: what a month has, and what is left of it."""
    whole, left = _members(document.get("monthly_quotas")), _members(document.get("limited_user_quotas"))
    return {name: _free_allowance(name, _number(whole.get(name)), _number(left[name])) for name in left}


def _free_allowance(name: str, entitlement: float | None, remaining: float | None) -> Allowance:
    percent = None
    if remaining is not None and entitlement is not None and entitlement >= 1:
        percent = remaining / entitlement * 100
    return Allowance(
        name=name,
        entitlement=entitlement,
        remaining=remaining,
        percent_remaining=percent,
        exhausted=remaining is not None and remaining <= 0,
    )


def _allowance(name: str, entry: dict[str, object]) -> Allowance:
    entitlement = _number(entry.get("entitlement"))
    unlimited = entry.get("unlimited") is True or entitlement == -1
    remaining = _number(entry.get("quota_remaining"))
    remaining = _number(entry.get("remaining")) if remaining is None else remaining
    ran_dry = entry.get("has_quota") is False
    return Allowance(
        name=name,
        entitlement=None if unlimited else entitlement,
        remaining=None if unlimited else remaining,
        percent_remaining=_number(entry.get("percent_remaining")),
        unlimited=unlimited,
        exhausted=ran_dry or (not unlimited and remaining is not None and remaining <= 0),
        overage_count=_number(entry.get("overage_count")) or 0.0,
        overage_permitted=entry.get("overage_permitted") is True,
        resets_at=_moment(entry.get("quota_reset_at")),
    )


def _members(value: object) -> dict[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _moment(value: object) -> str:
    """Return a moment as text, whether it came as text or as unix seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _text(value)
    return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if 0 < value < _LAST else ""


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < 1e18 else None  # noqa: PLR2004 - also drops inf and nan
