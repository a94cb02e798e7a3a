"""Errors in OpenAI's envelope, and upstream's error codes as kinds."""

from typing import Final

from core.dialect import EncodedError
from core.dialects.responses.schema import WireError, encode
from core.errors import ErrorKind, GatewayError, followed_by

# What OpenAI calls them: (type, code). A code of our own or upstream's replaces the one here in bodies.
LOOK: Final[dict[ErrorKind, tuple[str, str | None]]] = {
    "invalid_request": ("invalid_request_error", None),
    "unsupported_feature": ("invalid_request_error", "unsupported_feature"),
    "authentication": ("authentication_error", "invalid_api_key"),
    "permission": ("permission_error", "permission_denied"),
    "login_required": ("permission_error", "login_required"),
    "not_found": ("invalid_request_error", "not_found"),
    "method_not_allowed": ("invalid_request_error", "method_not_allowed"),
    "unsupported_media_type": ("invalid_request_error", "unsupported_media_type"),
    "request_too_large": ("invalid_request_error", "request_too_large"),
    "context_overflow": ("invalid_request_error", "context_length_exceeded"),
    "rate_limit": ("rate_limit_error", "rate_limit_exceeded"),
    "quota_exceeded": ("insufficient_quota", "insufficient_quota"),
    "content_filter": ("invalid_request_error", "content_filter"),
    "overloaded": ("server_error", "server_error"),
    "timeout": ("server_error", "server_error"),
    "upstream": ("server_error", "server_error"),
    "internal": ("server_error", "server_error"),
}

# Kinds whose code clients act upon (Codex compacts, waits or gives up by it): upstream's own word would hide it.
FIXED_CODE: Final[frozenset[ErrorKind]] = frozenset({"context_overflow", "rate_limit", "quota_exceeded"})

# OpenAI's clients know 429 for used-up credits, not 402.
STATUS: Final[dict[ErrorKind, int]] = {"quota_exceeded": 429}

# In a stream the code says whether a client may ask again; what is not here is the client's own fault.
FAILED_CODE: Final[dict[ErrorKind, str]] = {
    "context_overflow": "context_length_exceeded",
    "rate_limit": "rate_limit_exceeded",
    "quota_exceeded": "insufficient_quota",
    "overloaded": "server_error",
    "timeout": "server_error",
    "upstream": "server_error",
    "internal": "server_error",
    "content_filter": "invalid_prompt",
}

# Codes of upstream's `response.failed` and `error` events; a suffix after ":" names the plan.
KIND: Final[dict[str, ErrorKind]] = {
    "context_length_exceeded": "context_overflow",
    "model_max_prompt_tokens_exceeded": "context_overflow",
    "rate_limit_exceeded": "rate_limit",
    "rate_limited": "rate_limit",
    "user_model_rate_limited": "rate_limit",
    "user_global_rate_limited": "rate_limit",
    "user_weekly_rate_limited": "rate_limit",
    "integration_rate_limited": "rate_limit",
    "agent_mode_limit_exceeded": "rate_limit",
    "insufficient_quota": "quota_exceeded",
    "quota_exceeded": "quota_exceeded",
    "free_quota_exceeded": "quota_exceeded",
    "overage_limit_reached": "quota_exceeded",
    "session_quota_exceeded": "quota_exceeded",
    "content_filter": "content_filter",
    "invalid_prompt": "content_filter",
    "model_overloaded": "overloaded",
    "server_is_overloaded": "overloaded",
    "slow_down": "overloaded",
    "service_unavailable": "overloaded",
    "upstream_provider_rate_limit": "overloaded",
    "not_found": "not_found",
    "request_too_large": "request_too_large",
    "bad_request": "invalid_request",
}


def error_from_upstream(error: WireError | None, fallback: str) -> GatewayError:
    """Return upstream's own error as one of ours, with its code kept."""
    code = "" if error is None or error.code is None else str(error.code)
    kind = KIND.get(code.partition(":")[0], "upstream")
    if code.startswith("invalid_"):
        kind = KIND.get(code, "invalid_request")
    message = error.message if error is not None and error.message else fallback
    return GatewayError(message, kind=kind, code=code or None)


def message_of(error: GatewayError) -> str:
    """Return the message as OpenAI's clients parse it."""
    if error.kind == "context_overflow" and error.tokens is not None and error.limit is not None:
        return (
            f"This model's maximum context length is {error.limit} tokens. "
            f"However, your messages resulted in {error.tokens} tokens."
        )
    if error.kind == "rate_limit" and error.retry_after is not None and "try again in" not in error.message:
        return followed_by(error.message, f"Please try again in {error.retry_after}s.")
    return error.message


def encode_error(error: GatewayError) -> EncodedError:
    """Render an error as a JSON body and a status."""
    kind_type, kind_code = LOOK[error.kind]
    code = kind_code if error.kind in FIXED_CODE or error.code is None else error.code
    param = None if error.param is None else error.param.removeprefix("$").removeprefix(".")
    members: dict[str, object] = {
        "message": message_of(error),
        "type": kind_type,
        "param": param or None,
        "code": code,
        **(error.details or {}),
    }
    status = STATUS.get(error.kind, error.status)
    return EncodedError(status, encode({"error": members}))


def failed_error(error: GatewayError) -> dict[str, str]:
    """Return the `error` member of a `response.failed`."""
    return {"code": FAILED_CODE.get(error.kind, "invalid_prompt"), "message": message_of(error)}
