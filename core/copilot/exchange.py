"""The exchange of the long-lived GitHub token for a Copilot token that lives half an hour."""

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from core.copilot.failures import Failure, read_failure, unreachable
from core.copilot.faults import TransportError
from core.copilot.github import Answer, GitHub
from core.copilot.headers import github_headers
from core.copilot.hosts import copilot_base, hosts_of
from core.errors import ErrorKind, GatewayError
from core.settings import Settings

_PATH: Final = "/copilot_internal/v2/token"
_TIMEOUT: Final = 20.0
_GRACE: Final = 60.0  # VS Code counts a token's life as refresh_in + 60 s, by its own clock
# What a refresh_in is clamped to. Tokens are renewed five minutes before their end, so less made every request exchange.
_LIFE: Final = (300.0, 86_400.0)
_PATS: Final = ("ghp_", "github_pat_")
_UNREADABLE: Final = "upstream_unreadable"
# The codes of what passes by itself, mostly: GitHub's own failures, and a page in place of an answer.
SERVER_FAULTS: Final = frozenset({*(f"upstream_{status}" for status in range(500, 600)), _UNREADABLE})
_T = TypeVar("_T")


class Grant(Struct, frozen=True, kw_only=True):
    """What the exchange gave: the token, the host that takes it, and until when (unix seconds, our clock)."""

    value: str
    base_url: str
    expires_at: float
    sku: str = ""

    def __repr__(self) -> str:
        return f"Grant(base_url={self.base_url!r}, expires_at={self.expires_at!r}, sku={self.sku!r})"


class _Reply(Struct):
    # Only what VS Code insists on when its strict schema fails; everything else is read leniently.
    token: str
    refresh_in: float
    endpoints: msgspec.Raw = msgspec.Raw(b"null")
    sku: msgspec.Raw = msgspec.Raw(b"null")


class _Endpoints(Struct):
    api: str = ""


class _Refusal(Struct):
    """The 403 envelope; its nested message is the one for people."""

    message: str | None = None
    title: str | None = None
    url: str | None = None
    notification_id: str | None = None


class _Envelope(Struct):
    error_details: _Refusal | None = None


# status -> (kind, what the operator can do)
_REFUSED: Final[dict[int, tuple[ErrorKind, str]]] = {
    401: (
        "login_required",
        (
            'GitHub no longer accepts this login. Run "copilot-gateway auth"; a token that is set '
            "(COPILOT_GATEWAY_GITHUB_TOKEN) goes before it, so remove that first."
        ),
    ),
    403: ("permission", "GitHub refuses this account a Copilot token."),
    404: (
        "login_required",
        (
            "The OAuth app of this GitHub login may not exchange its token for a Copilot token. "
            'Log in again with "copilot-gateway auth", or set identity to "direct" to use the login as it is.'
        ),
    ),
    429: ("rate_limit", "GitHub limits how often this account may ask it. Wait, then try again."),
}


def refuse_unusable(github_token: str, settings: Settings) -> None:
    """Raise GatewayError `login_required` for a token that GitHub is known to refuse here, before it is sent."""
    direct = settings.identity == "direct"
    if github_token.startswith("ghp_" if direct else _PATS):
        raise GatewayError(
            "The GitHub token is a personal access token, and GitHub does not exchange those for Copilot tokens. "
            'Run "copilot-gateway auth" and use the login that it stores.',
            kind="login_required",
            code="personal_access_token",
        )
    if not github_token.isascii() or not github_token.isprintable() or " " in github_token:
        raise GatewayError(
            'The stored GitHub token is damaged. Run "copilot-gateway auth".',
            kind="login_required",
            code="bad_token",
        )


def exchange(github: GitHub, settings: Settings, github_token: str, now: Callable[[], float]) -> Grant:
    """Fetch a Copilot token; raises GatewayError for every way in which that fails, with a remedy."""
    hosts = hosts_of(settings)
    try:
        answer = github.fetch(
            "GET",
            hosts.rest + _PATH,
            github_headers(settings, github_token),
            timeout=_TIMEOUT,
            limit=1_000_000,
        )
    except TransportError as error:
        raise unreachable(error, "GitHub's token exchange") from error
    if answer.status != 200:  # noqa: PLR2004 - the one success
        raise _refusal(answer, now())
    try:
        reply = msgspec.json.decode(answer.body, type=_Reply)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        reply = None
    if reply is None or not _is_header_text(reply.token):
        raise GatewayError(
            "GitHub's token exchange gave an unreadable answer. Try again.", kind="upstream", code=_UNREADABLE
        )
    least, most = _LIFE
    return Grant(
        value=reply.token,
        base_url=copilot_base(hosts, _lenient(reply.endpoints, _Endpoints, _Endpoints()).api),
        expires_at=now() + min(max(reply.refresh_in, least), most) + _GRACE,
        sku=_lenient(reply.sku, str, ""),
    )


def _refusal(answer: Answer, now: float) -> GatewayError:
    failure = read_failure(answer.status, answer.headers, answer.body, now)
    if (limit := rate_limit(answer, failure, now)) is not None:
        return limit
    if answer.status not in _REFUSED:
        return GatewayError(
            f"GitHub's token exchange failed (status {answer.status}). Try again.",
            kind="upstream",
            code=f"upstream_{answer.status}",
            retry_after=failure.retry_after,
        )
    kind, message = _REFUSED[answer.status]
    refusal = _envelope(answer.body)
    if refusal is not None:
        message = " ".join(part for part in (refusal.title, refusal.message or message, refusal.url) if part)
    elif answer.status == 403:  # noqa: PLR2004
        message = f"{message} {failure.message}"
    return GatewayError(
        message[:2000],
        kind=kind,
        code=(refusal.notification_id if refusal else failure.code) or None,
        retry_after=failure.retry_after,
        upstream_request_id=failure.request_id,
    )


def rate_limit(answer: Answer, failure: Failure, now: float) -> GatewayError | None:
    """Return the error of GitHub's REST limits, which say 403; None where the answer is something else."""
    if answer.status != 403 or not _is_rate_limit(answer, failure):  # noqa: PLR2004
        return None
    kind, message = _REFUSED[429]
    return GatewayError(message, kind=kind, retry_after=failure.retry_after or _until_reset(answer, now))


def _is_rate_limit(answer: Answer, failure: Failure) -> bool:
    return answer.headers.get("x-ratelimit-remaining") == "0" or "rate limit" in failure.message.lower()


def _until_reset(answer: Answer, now: float) -> int | None:
    text = answer.headers.get("x-ratelimit-reset", "")
    return max(int(int(text) - now), 0) if text.isascii() and text.isdigit() and len(text) < 16 else None  # noqa: PLR2004


def _envelope(body: bytes) -> _Refusal | None:
    try:
        return msgspec.json.decode(body, type=_Envelope).error_details
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return None


def _is_header_text(token: str) -> bool:
    return bool(token) and token.isascii() and token.isprintable()


def _lenient(raw: msgspec.Raw, kind: type[_T], default: _T) -> _T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return default
