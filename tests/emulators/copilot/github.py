"""GitHub's side: the device login, the token exchange, the user pages."""

from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qsl

from tests.emulators.copilot.shapes import Obj, decode, members, string
from tests.emulators.copilot.state import REFRESH_IN, Account, FakeState
from tests.emulators.copilot.wire import TEXT, Reply, Request, json_reply

GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
DOCS: Final = "https://docs.github.com/rest"
NOTICE: Final = "No access to GitHub Copilot was found for this account."


def form(request: Request) -> Obj:
    """Return a body's members, sent as JSON or as a form."""
    try:
        return members(decode(request.body))
    except ValueError:
        return dict(parse_qsl(request.body.decode("utf-8", "replace")))


def device_code(state: FakeState, request: Request) -> Reply:
    """Start a device login."""
    if string(form(request).get("client_id")) not in state.client_ids:
        return _failed("incorrect_client_credentials")
    code = state.open_device()
    return json_reply(
        200,
        {
            "device_code": code.device_code,
            "user_code": code.user_code,
            "verification_uri": f"{state.urls.get('github', '')}/login/device",
            "expires_in": round(code.expires_at - state.clock.now()),
            "interval": code.interval,
        },
    )


def access_token(state: FakeState, request: Request) -> Reply:
    """Answer one poll; like GitHub, failures come with status 200."""
    asked = form(request)
    if string(asked.get("client_id")) not in state.client_ids:
        return _failed("incorrect_client_credentials")
    if asked.get("grant_type") != GRANT:
        return _failed("unsupported_grant_type")
    code = state.devices.get(string(asked.get("device_code")))
    if code is None or code.status == "used":
        return _failed("incorrect_device_code")
    now = state.clock.now()
    if now >= code.expires_at:
        return _failed("expired_token")
    too_early = code.last_poll is not None and now - code.last_poll < code.interval
    code.last_poll = now
    if too_early:
        code.interval += 5
        return _failed("slow_down", interval=code.interval)
    if code.status == "denied":
        return _failed("access_denied")
    if code.status != "approved" and not state.auto_approve:
        return _failed("authorization_pending")
    code.status = "used"
    return json_reply(200, {"access_token": code.github_token, "token_type": "bearer", "scope": "read:user"})


def _failed(error: str, **extra: int) -> Reply:
    uri = "https://docs.github.com/apps/oauth"
    return json_reply(
        200, {"error": error, "error_description": error.replace("_", " "), "error_uri": uri, **extra}
    )


def device_page(state: FakeState, request: Request) -> Reply:
    """Stand in for the page where the user types the code."""
    return Reply(
        200, TEXT, b"This is the fake's device page. Approve through /_fake/devices/{user_code}/approve.\n"
    )


def account_of(state: FakeState, request: Request) -> Account | None:
    """Return whose GitHub token the request carries (`token` or `Bearer`)."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    account = state.accounts.get(token.strip()) if scheme.lower() in {"token", "bearer"} else None
    return None if account is None or account.revoked else account


def _refused(status: int, message: str) -> Reply:
    return json_reply(status, {"message": message, "documentation_url": DOCS, "status": str(status)})


def exchange(state: FakeState, request: Request) -> Reply:
    """Exchange a GitHub token for a Copilot token."""
    account = account_of(state, request)
    if account is None:
        return _refused(401, "Bad credentials")
    if account.blocked_notification is not None:
        return _blocked(account.blocked_notification)
    if not account.can_exchange:
        return _refused(404, "Not Found")
    session = state.open_session(account)
    return json_reply(
        200,
        {
            "token": session.copilot_token,
            "expires_at": int(session.expires_at),
            "refresh_in": REFRESH_IN,
            "sku": account.sku,
            "individual": account.host == "individual",
            "chat_enabled": True,
            "copilotignore_enabled": False,
            "public_suggestions": "disabled",
            "telemetry": "disabled",
            "endpoints": _endpoints(state, account.host),
            "enterprise_list": None,
            "organization_list": [],
            "limited_user_quotas": None,
            "limited_user_reset_date": None,
        },
    )


def _blocked(notification: str) -> Reply:
    details = {
        "message": NOTICE,
        "notification_id": notification,
        "title": "No Copilot access",
        "url": "https://github.com/settings/copilot",
    }
    body = {
        "can_signup_for_limited": False,
        "error_details": details,
        "message": "Resource not accessible by integration",
        "reason": notification,
    }
    return json_reply(403, body)


def _endpoints(state: FakeState, host: str) -> Obj:
    url = state.urls.get(host, "")
    return {"api": url, "proxy": f"{url}/_proxy", "telemetry": f"{url}/_telemetry"}


def copilot_user(state: FakeState, request: Request) -> Reply:
    """Show plan and quota."""
    account = account_of(state, request)
    if account is None:
        return _refused(401, "Bad credentials")
    return json_reply(
        200,
        {
            "login": account.login,
            "access_type_sku": account.sku,
            "copilot_plan": account.plan,
            "chat_enabled": account.blocked_notification is None,
            "assigned_date": None,
            "can_signup_for_limited": False,
            "organization_login_list": [],
            "organization_list": [],
            "endpoints": _endpoints(state, account.user_host or account.host),
            "quota_reset_date": "2026-12-01",
            "quota_reset_date_utc": "2026-12-01T00:00:00.000Z",
            "token_based_billing": True,
            "quota_snapshots": _snapshots(account),
        },
    )


def _snapshots(account: Account) -> Obj:
    left = account.entitlement * account.percent_remaining / 100
    free = {"entitlement": 0, "remaining": 0, "percent_remaining": 100, "unlimited": True,
            "overage_count": 0, "overage_permitted": False}  # fmt: skip
    premium = {
        "entitlement": account.entitlement, "remaining": int(left), "quota_remaining": left,
        "percent_remaining": account.percent_remaining, "unlimited": account.entitlement < 0, "overage_count": 0,
        "overage_permitted": False, "quota_id": "premium_interactions", "has_quota": left > 0,
        "token_based_billing": True, "quota_reset_at": 1_796_083_200,
    }  # fmt: skip
    return {
        "premium_interactions": premium,
        "chat": {**free, "quota_id": "chat"},
        "completions": {**free, "quota_id": "completions"},
    }


def user(state: FakeState, request: Request) -> Reply:
    """Show who the token belongs to."""
    account = account_of(state, request)
    if account is None:
        return _refused(401, "Bad credentials")
    return json_reply(200, {"login": account.login, "id": 583231, "name": account.login.title()})


ROUTES: Final[dict[tuple[str, str], Callable[[FakeState, Request], Reply]]] = {
    ("POST", "/login/device/code"): device_code,
    ("POST", "/login/oauth/access_token"): access_token,
    ("GET", "/login/device"): device_page,
    ("GET", "/copilot_internal/v2/token"): exchange,
    ("GET", "/copilot_internal/user"): copilot_user,
    ("GET", "/user"): user,
}


def quota_headers(account: Account) -> dict[str, str]:
    """Return the quota snapshot headers of a Copilot reply."""
    premium = f"ent={account.entitlement}&ov=0.0&ovPerm=false&rem={account.percent_remaining}&rst=2026-12-01T00%3A00%3A00Z"
    unlimited = "ent=-1&ov=0.0&ovPerm=false&rem=100.0&rst=2026-12-01T00%3A00%3A00Z"
    return {"x-quota-snapshot-premium_interactions": premium, "x-quota-snapshot-chat": unlimited}
