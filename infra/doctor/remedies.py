"""What to do: by obstacle on the way, by what GitHub says of the account, by the status of a refusal."""

from collections.abc import Mapping
from typing import Final

from core.copilot.faults import Obstacle, TransportError
from core.errors import GatewayError
from infra.cli.exits import BY_KIND, FAILURE, UNREACHABLE
from infra.doctor.findings import Wrong

_NO_PROXY: Final = "Check HTTPS_PROXY, or switch it off (--no-proxy-env)."
BY_OBSTACLE: Final[Mapping[Obstacle, str]] = {
    "name": "Check the network and its name server; behind a company proxy, set HTTPS_PROXY.",
    "network": "Check the network and the firewall; behind a company proxy, set HTTPS_PROXY.",
    "certificate": "Set REQUESTS_CA_BUNDLE to a file with your company's certificate authority.",
    "clock": "Set this machine's clock.",
    "identity": "Something on the way answers in the server's place: ask whoever runs this network.",
    "handshake": "Something on the way breaks TLS: ask whoever runs this network, or set HTTPS_PROXY.",
    "bundle": "Correct REQUESTS_CA_BUNDLE (or SSL_CERT_FILE), or unset it.",
    "proxy": _NO_PROXY,
    "proxy_login": "Put user and password into HTTPS_PROXY: http://user:password@host:port.",
    "proxy_rules": "Ask whoever runs the proxy to allow this host.",
    "proxy_url": _NO_PROXY,
}
# What is wrong with this machine's own settings, and not with the way.
_OWN: Final = frozenset({"bundle", "proxy_url"})
_AGAIN: Final = "Try again later; https://www.githubstatus.com says whether GitHub is well."
_PLAN: Final = "Get a plan, or ask your organisation for a seat: https://github.com/settings/copilot."
_POLICY: Final = (
    "Ask whoever runs your organisation's Copilot, or look at https://github.com/settings/copilot."
)
_SPEND: Final = "Wait for the reset, or allow more spending at https://github.com/settings/billing."
_ASK_GITHUB: Final = "Stop sending requests and ask GitHub's support."
_REGION: Final = "GitHub does not serve Copilot where you are; only GitHub can help."
# `notification_id` of the exchange's refusal, and codes of our own.
BY_CODE: Final[Mapping[str, str]] = {
    "no_copilot_access": _PLAN,
    "not_signed_up": _PLAN,
    "subscription_ended": _PLAN,
    "expired_coupon": _PLAN,
    "revoked_coupon": _PLAN,
    "billing_locked": "Settle the bill at https://github.com/settings/billing.",
    "enterprise_managed_user_account": _POLICY,
    "feature_flag_blocked": _POLICY,
    "snippy_not_configured": "Choose what to do with public code at https://github.com/settings/copilot.",
    "trade_restricted": _REGION,
    "trade_restricted_country": _REGION,
    "access_revoked": _ASK_GITHUB,
    "spammy_user": _ASK_GITHUB,
    "programmatic_token_generation": _ASK_GITHUB,
    "go_http_client": _ASK_GITHUB,
    "extension_blocked": _ASK_GITHUB,
    "server_error": _AGAIN,
    "empty_catalogue": _PLAN,
    "insufficient_quota": _SPEND,
    "quota_exceeded": _SPEND,
}
# Of a refused request. What our own error messages say already is not repeated.
BY_STATUS: Final[Mapping[int, str]] = {
    402: _SPEND,
    429: "Wait, then try again; fewer requests help.",
    451: _REGION,
    500: _AGAIN,
    502: _AGAIN,
    503: _AGAIN,
    504: _AGAIN,
}
_SSO: Final = ("saml", "single sign-on", " sso")
_SSO_REMEDY: Final = (
    "Authorize the login for your organisation's single sign-on: https://github.com/settings/applications."
)


def from_fault(error: TransportError) -> Wrong:
    """Return what a broken connection means for its check."""
    own = error.obstacle in _OWN
    remedy = BY_OBSTACLE[error.obstacle] if error.obstacle else _AGAIN
    return Wrong(f"{error.message}.", remedy, FAILURE if own else UNREACHABLE)


def from_refusal(error: GatewayError) -> Wrong:
    """Return what a refusal of GitHub or Copilot means for its check."""
    remedy = BY_CODE.get(error.code or "", "")
    if any(sign in error.message.lower() for sign in _SSO):
        remedy = _SSO_REMEDY
    elif not remedy and error.kind in {"upstream", "timeout", "overloaded"} and error.code != "host_refused":
        remedy = _AGAIN
    own = error.code in {"host_refused", "empty_catalogue"}
    return Wrong(error.message, remedy, FAILURE if own else BY_KIND.get(error.kind, FAILURE))
