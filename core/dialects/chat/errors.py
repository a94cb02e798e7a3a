"""Errors in OpenAI's envelope, and upstream's own errors read back into kinds."""

import re
from typing import Final

import msgspec
from msgspec import Raw, Struct

from core.dialect import EncodedError
from core.dialects.chat.schema import NOTHING
from core.errors import STATUS, ErrorKind, GatewayError

TYPE: Final[dict[ErrorKind, str]] = {
    "invalid_request": "invalid_request_error",
    "unsupported_feature": "invalid_request_error",
    "authentication": "authentication_error",
    "permission": "permission_error",
    "login_required": "permission_error",
    "not_found": "not_found_error",
    "method_not_allowed": "invalid_request_error",
    "unsupported_media_type": "invalid_request_error",
    "request_too_large": "invalid_request_error",
    "context_overflow": "invalid_request_error",
    "rate_limit": "rate_limit_error",
    "quota_exceeded": "insufficient_quota",
    "content_filter": "invalid_request_error",
    "overloaded": "server_error",
    "timeout": "server_error",
    "upstream": "server_error",
    "internal": "server_error",
}

# What SDKs and agents look for when neither upstream nor the gateway named a code.
CODE: Final[dict[ErrorKind, str]] = {
    "authentication": "invalid_api_key",
    "login_required": "login_required",
    "rate_limit": "rate_limit_exceeded",
    "quota_exceeded": "insufficient_quota",
    "content_filter": "content_filter",
    "request_too_large": "request_too_large",
    "overloaded": "overloaded",
    "timeout": "timeout",
}

# Fixed whatever upstream called it: agents compact when they read this code, and only then.
FIXED_CODE: Final[dict[ErrorKind, str]] = {"context_overflow": "context_length_exceeded"}

# OpenAI says 429 for an empty account; 402 is not in its clients' tables.
STATUS_HERE: Final[dict[ErrorKind, int]] = {"quota_exceeded": 429, "context_overflow": 400}

KIND_OF_CODE: Final[dict[str, ErrorKind]] = {
    "400": "invalid_request",
    "401": "upstream",
    "403": "permission",
    "413": "request_too_large",
    "422": "content_filter",
    "429": "rate_limit",
    "503": "overloaded",
    "504": "timeout",
    "529": "overloaded",
    "additional_spend_limit_reached": "quota_exceeded",
    "agent_mode_limit_exceeded": "rate_limit",
    "billing_not_configured": "quota_exceeded",
    "content_filter": "content_filter",
    "content_filtered": "content_filter",
    "context_length_exceeded": "context_overflow",
    "free_quota_exceeded": "quota_exceeded",
    "insufficient_quota": "quota_exceeded",
    "integration_rate_limited": "rate_limit",
    "invalid_request_body": "invalid_request",
    "invalid_request_error": "invalid_request",
    "model_max_prompt_tokens_exceeded": "context_overflow",
    "model_overloaded": "overloaded",
    "overage_limit_reached": "quota_exceeded",
    "overloaded": "overloaded",
    "overloaded_error": "overloaded",
    "quota_exceeded": "quota_exceeded",
    "rate_limit_error": "rate_limit",
    "rate_limit_exceeded": "rate_limit",
    "rate_limited": "rate_limit",
    "session_quota_exceeded": "quota_exceeded",
    "timeout": "timeout",
    "upstream_provider_rate_limit": "overloaded",
    "user_global_rate_limited": "rate_limit",
    "user_model_rate_limited": "rate_limit",
    "user_weekly_rate_limited": "rate_limit",
}

# `copilot_errors` of these types say that one reference or one function call was skipped; the answer goes on.
SIDE_NOTES: Final = frozenset({"reference", "function"})

_TOO_LONG: Final = re.compile(r"token count of (\d{1,15}) exceeds the limit of (\d{1,15})")


class ErrorBody(Struct, frozen=True):
    """OpenAI's `error` object; clients read all four."""

    message: str
    type: str
    param: str | None
    code: str | None


class Envelope(Struct, frozen=True):
    """What an error looks like, as a body and as the last chunk of a stream."""

    error: ErrorBody


class UpstreamError(Struct):
    """Upstream's `error` object, or one of its `copilot_errors`; nothing in it can be relied on."""

    message: object = None
    code: object = None
    type: object = None
    param: object = None


_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(UpstreamError).decode
_decode_list = msgspec.json.Decoder(list[UpstreamError]).decode
_decode_text = msgspec.json.Decoder(str).decode


def encode_error(error: GatewayError) -> EncodedError:
    """Render an error as body and status."""
    return EncodedError(STATUS_HERE.get(error.kind, error.status), _encode(Envelope(_body(error))))


def _body(error: GatewayError) -> ErrorBody:
    code = FIXED_CODE.get(error.kind) or error.code or CODE.get(error.kind)
    # OpenAI names members from the body down: `messages[0].content`, without the root.
    param = None if error.param is None else error.param.removeprefix("$").removeprefix(".") or None
    if error.kind == "context_overflow" and param is None:
        param = "messages"
    return ErrorBody(
        _scalar(_message(error)), TYPE[error.kind], param and _scalar(param), code and _scalar(code)
    )


def _message(error: GatewayError) -> str:
    if error.kind != "context_overflow" or error.tokens is None or error.limit is None:
        return error.message
    return (
        f"This model's maximum context length is {error.limit} tokens. "
        f"However, your messages resulted in {error.tokens} tokens."
    )


def _scalar(text: str) -> str:
    """Make text encodable: a client's lone surrogate may have got into a message."""
    return text.encode("utf-8", "replace").decode()


def upstream_error(raw: Raw) -> GatewayError:
    """Read upstream's error, sent in a chunk or in place of a body: an object, a list of them, or plain text."""
    first = bytes(raw).lstrip()[:1]
    try:
        if first == b"[":
            found = (_decode_list(raw) or [UpstreamError()])[0]
        elif first == b'"':
            found = UpstreamError(message=_decode_text(raw))
        else:
            found = _decode_object(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = UpstreamError()
    return _gateway_error(found)


def copilot_failure(raw: Raw) -> GatewayError | None:
    """Read `copilot_errors`; None when they are absent, empty or side notes of an answer that goes on."""
    if raw in NOTHING:
        return None
    try:
        failures = [found for found in _decode_list(raw) if str(found.type) not in SIDE_NOTES]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return upstream_error(raw)
    return _gateway_error(failures[0]) if failures else None


def _gateway_error(found: UpstreamError) -> GatewayError:
    code = str(found.code) if isinstance(found.code, str | int) and found.code != "" else None
    kind = _kind(code) or _kind(found.type) or "upstream"
    message = (
        found.message if isinstance(found.message, str) and found.message else "upstream reported an error"
    )
    error = GatewayError(
        message, kind=kind, status=STATUS[kind], code=None if code and code.isdigit() else code
    )
    counts = _TOO_LONG.search(message)
    if counts is not None:
        error.kind, error.status = "context_overflow", STATUS["context_overflow"]
        error.tokens, error.limit = int(counts[1]), int(counts[2])
    return error


def _kind(word: object) -> ErrorKind | None:
    # Codes carry suffixes: `user_global_rate_limited:pro`.
    return KIND_OF_CODE.get(word.partition(":")[0]) if isinstance(word, str) else None
