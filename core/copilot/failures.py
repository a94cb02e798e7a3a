"""Every failed answer of GitHub and Copilot, and every broken connection, as one GatewayError."""

import html
import math
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final, cast

import msgspec
from msgspec import Struct

from core.copilot.faults import FaultKind, TransportError
from core.errors import STATUS, ErrorKind, GatewayError, followed_by

MAX_ERROR_BODY: Final = 65_536
_MAX_MESSAGE: Final = 2_000
_LARGE_CODE: Final = 1e9  # a number that is a code is smaller
_MAX_DEPTH: Final = 4  # how many JSON texts inside JSON texts are unpacked

# What VS Code's chat-lib does per status, and what published replies mean. Absent: 4xx is the request's fault, 5xx upstream's.
_STATUS_KIND: Final[dict[int, ErrorKind]] = {
    400: "invalid_request",
    401: "login_required",
    402: "quota_exceeded",
    403: "permission",
    404: "not_found",
    408: "timeout",
    413: "request_too_large",
    421: "upstream",
    422: "content_filter",
    424: "upstream",
    429: "rate_limit",
    466: "permission",
    499: "upstream",
    503: "overloaded",
    504: "overloaded",
    529: "overloaded",
}
# Codes say more than the status; a suffix such as ":pro" is cut off before the look-up.
_CODE_KIND: Final[dict[str, ErrorKind]] = {
    "model_not_supported": "not_found",
    "model_max_prompt_tokens_exceeded": "context_overflow",
    "context_length_exceeded": "context_overflow",
    "content_filter": "content_filter",
    "quota_exceeded": "quota_exceeded",
    "free_quota_exceeded": "quota_exceeded",
    "overage_limit_reached": "quota_exceeded",
    "billing_not_configured": "quota_exceeded",
    "additional_spend_limit_reached": "quota_exceeded",
    "session_quota_exceeded": "quota_exceeded",
    "extension_blocked": "permission",
    "upstream_provider_rate_limit": "overloaded",
    "model_overloaded": "overloaded",
    "request_too_large": "request_too_large",
}
# Appended to upstream's own words, where the person who reads them can do something.
_REMEDY: Final[dict[str, str]] = {
    "model_not_supported": (
        "The model may be switched off by a policy, outside the plan, closed to this client identity, "
        "or not offered on this endpoint."
    ),
    "extension_blocked": "GitHub has blocked this client. Stop, and contact GitHub support.",
    "terms": "GitHub refuses this account or client. Stop sending requests, and read GitHub's terms or ask its support.",
    "401": 'Run "copilot-gateway auth" to log in again.',
    "421": "This account belongs to another Copilot host; leave copilot_url empty so that GitHub names the host.",
    "413": "Send fewer or smaller images, or a shorter conversation.",
    "466": "Copilot no longer accepts this client version; update the gateway or its editor_version setting.",
}
_OVERFLOWS: Final = (
    re.compile(
        r"prompt token count of (?P<tokens>[0-9][0-9,]{0,14}) exceeds the limit of (?P<limit>[0-9][0-9,]{0,14})",
        re.IGNORECASE,
    ),
    re.compile(
        r"prompt is too long: (?P<tokens>[0-9][0-9,]{0,14}) tokens > (?P<limit>[0-9][0-9,]{0,14}) maximum",
        re.IGNORECASE,
    ),
    re.compile(
        r"maximum context length is (?P<limit>[0-9][0-9,]{0,14}) tokens.{0,80}?(?P<tokens>[0-9][0-9,]{0,14}) tokens",
        re.IGNORECASE | re.DOTALL,
    ),
)
_FAULT_KIND: Final[dict[FaultKind, ErrorKind]] = {"timeout": "timeout"}
# The second: not on this endpoint (ericc#208).
_UNSUPPORTED_MODEL: Final = frozenset({"model_not_supported", "unsupported_api_for_model"})
_ITEM_OWNERSHIP: Final = "does not belong to this connection"
_PAT_PERMISSION: Final = "copilot requests"
# GitHub's token formats, and the Copilot token's: a server that echoes one must not put it into a client's error.
_TOKENS: Final = re.compile(r"gh[a-z]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,}|tid=[^\s\"']+")
_TITLE: Final = re.compile(r"<title[^>]*>(.{0,300}?)</title", re.IGNORECASE | re.DOTALL)
_TAG: Final = re.compile(r"<[^>]*>")


class Failure(Struct, frozen=True, kw_only=True):
    """A refused request as upstream phrased it."""

    status: int
    message: str
    code: str = ""
    type: str = ""
    authorize_url: str = ""
    retry_after: int | None = None
    request_id: str | None = None

    @property
    def family(self) -> str:
        """The code without its plan suffix (`user_global_rate_limited:pro`)."""
        return self.code.partition(":")[0]

    @property
    def is_unsupported_model(self) -> bool:
        """Whether the model is what is refused, for one of several reasons that the answer does not tell apart."""
        return self.family in _UNSUPPORTED_MODEL

    @property
    def token_is_dead(self) -> bool:
        """Whether a 401 is about the bearer, and not about the request's own content or permissions."""
        text = self.message.lower()
        other = _ITEM_OWNERSHIP in text or _PAT_PERMISSION in text or bool(self.authorize_url)
        return self.status == 401 and not other  # noqa: PLR2004 - the status is the point

    @property
    def is_block(self) -> bool:
        """Whether GitHub has shut this client or account out, so that every further request makes it worse."""
        return self.family == "extension_blocked" or "terms of service" in self.message.lower()


def read_failure(status: int, headers: Mapping[str, str], body: bytes, now: float) -> Failure:
    """Understand a refusal: JSON whatever its content type, four shapes, texts inside texts, HTML.

    `now` is unix seconds, for a `retry-after` given as a date.
    """
    fields = _fields(body)
    message = fields.get("message") or f"Copilot answered with status {status}."
    return Failure(
        status=status,
        message=message[:_MAX_MESSAGE],
        code=fields.get("code", "")[:100],
        type=fields.get("type", "")[:100],
        authorize_url=fields.get("authorize_url", "")[:_MAX_MESSAGE],
        retry_after=retry_after(headers, now),
        request_id=headers.get("x-github-request-id") or headers.get("x-request-id"),
    )


def as_error(failure: Failure, remedy: str = "") -> GatewayError:
    """Turn a refusal into the error that the client gets: kind, code, retry hint, sizes of an overflow.

    `remedy` is what to tell the reader where more is known than upstream's words and the tables here say.
    """
    text = f"{failure.message} {failure.code}"
    overflow = next((match for rule in _OVERFLOWS if (match := rule.search(text))), None)
    kind = "context_overflow" if overflow and failure.status == 400 else _kind(failure)  # noqa: PLR2004
    sizes = (
        {name: int(value.replace(",", "")) for name, value in overflow.groupdict().items()}
        if overflow
        else {}
    )
    return GatewayError(
        f"{failure.message.rstrip()} {remedy}" if remedy else _with_remedy(failure, kind),
        kind=kind,
        status=_status(failure, kind),
        code=failure.code or _own_code(failure),
        retry_after=failure.retry_after,
        tokens=sizes.get("tokens"),
        limit=sizes.get("limit"),
        details={"authorize_url": failure.authorize_url} if failure.authorize_url else None,
        upstream_request_id=failure.request_id,
    )


def unreachable(error: TransportError, server: str = "Copilot") -> GatewayError:
    """Turn a broken connection into an error; `server` names the other side for the reader."""
    kind = _FAULT_KIND.get(error.kind, "upstream")
    return GatewayError(f"{server}: {error.message}.", kind=kind, code=f"upstream_{error.kind}")


def retry_after(headers: Mapping[str, str], now: float) -> int | None:
    """Read `retry-after` as whole seconds from now, whether it came as seconds or as a date; None when absent or odd.

    A part of a second is a second: who asks again too early is refused again.
    """
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]*)?", text):
        return math.ceil(float(text))
    if not text or len(text) > 64:  # noqa: PLR2004 - no date is longer
        return None
    try:
        date = parsedate_to_datetime(text)
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        return max(math.ceil(date.timestamp() - now), 0)
    except (ValueError, OverflowError):
        return None


def _kind(failure: Failure) -> ErrorKind:
    if failure.status == 401 and not failure.token_is_dead:  # noqa: PLR2004
        return "invalid_request" if _ITEM_OWNERSHIP in failure.message.lower() else "permission"
    by_code = _CODE_KIND.get(failure.family)
    # 429 stays 429: clients pace themselves by it, whichever capacity ran out.
    if by_code == "overloaded" and failure.status == 429:  # noqa: PLR2004
        return "rate_limit"
    if by_code is not None:
        return by_code
    server = failure.status >= 500 or failure.status < 400  # noqa: PLR2004 - a redirect is never followed
    return _STATUS_KIND.get(failure.status, "upstream" if server else "invalid_request")


def _status(failure: Failure, kind: ErrorKind) -> int:
    passed_on = kind == "upstream" and failure.status == 424  # noqa: PLR2004 - an agent's dependency failed
    return failure.status if passed_on else STATUS[kind]


def _own_code(failure: Failure) -> str | None:
    if _ITEM_OWNERSHIP in failure.message.lower():
        return "input_item_not_owned"
    return f"upstream_{failure.status}" if failure.status >= 500 else None  # noqa: PLR2004


def _with_remedy(failure: Failure, kind: ErrorKind) -> str:
    key = str(failure.status) if kind != "invalid_request" else ""
    if failure.family in _REMEDY:
        key = failure.family
    elif failure.is_block:
        key = "terms"
    elif failure.status == 401 and kind != "login_required":  # noqa: PLR2004
        key = ""
    remedy = _REMEDY.get(key, "")
    if failure.authorize_url:
        remedy = f"Authorize it first: {failure.authorize_url}"
    return followed_by(failure.message, remedy) if remedy else failure.message.rstrip()


def _fields(body: bytes) -> dict[str, str]:
    """Read message, code and type out of any of the shapes; an empty dict for an empty body."""
    text = body[:MAX_ERROR_BODY].decode("utf-8", "replace").strip()
    fields: dict[str, str] = {}
    for _ in range(_MAX_DEPTH):
        inner = _object(text)
        if inner is None:
            break
        for source in _places(inner):
            for name in ("code", "type", "authorize_url"):
                value = source.get(name)
                value = (
                    f"{value:.0f}" if isinstance(value, float | int) and abs(value) < _LARGE_CODE else value
                )
                if isinstance(value, str) and value and (name, value) != ("type", "error"):
                    fields.setdefault(name, value)
        text = _message(inner)
    fields["message"] = _line(text)
    return {name: _TOKENS.sub("***", value) for name, value in fields.items()}


def _message(body: dict[str, object]) -> str:
    for place in _places(body):
        for name in ("message", "error_description", "detail"):
            value = place.get(name)
            if isinstance(value, str) and value:
                return value
    error = body.get("error")
    return error if isinstance(error, str) else ""


def _places(body: dict[str, object]) -> tuple[dict[str, object], ...]:
    error = body.get("error")
    return (cast("dict[str, object]", error), body) if isinstance(error, dict) else (body,)


def _object(text: str) -> dict[str, object] | None:
    if not text.startswith("{"):
        return None
    try:
        return msgspec.json.decode(text, type=dict[str, object])
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return None


def _line(text: str) -> str:
    """Make one line of it; of a web page only the title survives, and no markup."""
    if text.startswith("<") or "<html" in text[:1000].lower():
        title = _TITLE.search(text)
        inner = html.unescape(_TAG.sub(" ", title[1])) if title else ""
        text = (
            f"Copilot answered with a web page: {inner}"
            if inner.strip()
            else "Copilot answered with a web page."
        )
        text = re.sub(r"[<>]", "", text)
    return " ".join("".join(c if c.isprintable() else " " for c in text[:_MAX_MESSAGE]).split())
