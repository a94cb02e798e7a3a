"""Errors as Anthropic says them, both ways."""

import re
from typing import Any, Final

import msgspec

from core.dialect import EncodedError
from core.dialects.messages.schema import ErrorDetail
from core.errors import ErrorKind, GatewayError, UpstreamProtocolError

_encode: Final = msgspec.json.Encoder().encode
_detail: Final = msgspec.json.Decoder(ErrorDetail).decode
_text: Final = msgspec.json.Decoder(str).decode

# https://docs.anthropic.com/en/api/errors
ERROR_TYPE: Final[dict[ErrorKind, str]] = {
    "invalid_request": "invalid_request_error",
    "unsupported_feature": "invalid_request_error",
    "authentication": "authentication_error",
    "permission": "permission_error",
    "login_required": "permission_error",
    "not_found": "not_found_error",
    "method_not_allowed": "invalid_request_error",
    "unsupported_media_type": "invalid_request_error",
    "request_too_large": "request_too_large",
    "context_overflow": "invalid_request_error",
    "rate_limit": "rate_limit_error",
    "quota_exceeded": "billing_error",
    "content_filter": "invalid_request_error",
    "overloaded": "overloaded_error",
    "timeout": "timeout_error",
    "upstream": "api_error",
    "internal": "api_error",
}
# Where Anthropic's own status differs from what the error carries: its clients know 529 as "overloaded".
ERROR_STATUS: Final[dict[ErrorKind, int]] = {
    "overloaded": 529,
    "quota_exceeded": 402,
    "context_overflow": 400,
}

# Upstream's words to kinds. Its 401 is about our token, never about the client's key.
KIND: Final[dict[str, ErrorKind]] = {
    "invalid_request_error": "invalid_request",
    "authentication_error": "upstream",
    "permission_error": "permission",
    "not_found_error": "not_found",
    "request_too_large": "request_too_large",
    "rate_limit_error": "rate_limit",
    "billing_error": "quota_exceeded",
    "overloaded_error": "overloaded",
    "timeout_error": "timeout",
}

_TOO_LONG: Final = re.compile(r"prompt is too long(?:: (\d{1,12}) tokens > (\d{1,12}) maximum)?")


def encode_error(error: GatewayError) -> EncodedError:
    """Render the envelope of a complete response."""
    return EncodedError(ERROR_STATUS.get(error.kind, error.status), _encode(_envelope(error)))


def error_event(error: GatewayError) -> bytes:
    """Render the event that ends a stream."""
    return b"event: error\ndata: %b\n\n" % _encode(_envelope(error))


def upstream_error(raw: bytes | msgspec.UnsetType) -> GatewayError:
    """Read the `error` object of upstream's own error."""
    try:
        detail = _detail(raw) if isinstance(raw, bytes | msgspec.Raw) else ErrorDetail()
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        detail = ErrorDetail(message=_bare_text(raw))
    message = detail.message or "The model's provider reported an error."
    too_long = _TOO_LONG.search(message)
    if too_long is not None:
        tokens, limit = too_long.groups()
        return GatewayError(
            message,
            kind="context_overflow",
            tokens=None if tokens is None else int(tokens),
            limit=None if limit is None else int(limit),
        )
    if detail.type not in KIND:
        return UpstreamProtocolError(message, code=detail.type or None)
    return GatewayError(message, kind=KIND[detail.type], code=detail.type)


def _envelope(error: GatewayError) -> dict[str, Any]:
    shown: dict[str, Any] = {"type": ERROR_TYPE[error.kind], "message": _message(error)}
    if error.details is not None:
        shown["details"] = error.details
    envelope: dict[str, Any] = {"type": "error", "error": shown}
    if error.upstream_request_id is not None:
        envelope["request_id"] = error.upstream_request_id
    return envelope


def _message(error: GatewayError) -> str:
    if error.kind == "context_overflow":
        # Claude Code reads both numbers and compacts; it knows the sentence by heart.
        if error.tokens is None or error.limit is None:
            return "prompt is too long"
        return f"prompt is too long: {error.tokens} tokens > {error.limit} maximum"
    if error.param is not None and error.param.startswith("$") and error.param not in error.message:
        return f"{error.message} (at {error.param})"
    return error.message


def _bare_text(raw: bytes | msgspec.UnsetType) -> str:
    try:
        return _text(raw) if isinstance(raw, bytes | msgspec.Raw) else ""
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return ""
