"""Errors with a kind; each surface gives a kind its own look."""

from typing import Final, Literal

import msgspec

from core.redaction import redact

ErrorKind = Literal[
    "invalid_request",  # the client's request is malformed or impossible; `param` holds the JSON path
    "unsupported_feature",  # the target model cannot say what the request says; `param` names the field
    "authentication",  # the client's key is missing or wrong
    "permission",  # the key, the plan or a policy forbids it
    "login_required",  # no GitHub login, or GitHub refuses it: only the operator can help
    "not_found",  # no such model, route or stored response
    "method_not_allowed",
    "unsupported_media_type",
    "request_too_large",
    "context_overflow",  # the prompt is longer than the model's window
    "rate_limit",
    "quota_exceeded",  # the subscription's credits are used up; retrying does not help
    "content_filter",
    "overloaded",  # upstream or its provider is out of capacity
    "timeout",
    "upstream",  # upstream failed or broke its protocol
    "internal",  # a defect of the gateway
]

STATUS: Final[dict[ErrorKind, int]] = {
    "invalid_request": 400,
    "unsupported_feature": 400,
    "authentication": 401,
    "permission": 403,
    # 403 and not 401: clients retry a 401 for a minute, but show a 403 to the user at once.
    "login_required": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "unsupported_media_type": 415,
    "request_too_large": 413,
    "context_overflow": 400,
    "rate_limit": 429,
    "quota_exceeded": 402,
    "content_filter": 400,
    "overloaded": 503,
    "timeout": 504,
    "upstream": 502,
    "internal": 500,
}


class GatewayError(Exception):
    """Anything that ends a request; handlers let it rise, the surface renders it.

    message: one or two sentences for the person who reads the client's error; a secret in it is taken out.
    param: JSON path of the offending member (`$.messages[0].content`), where one exists.
    code: upstream's or our own machine-readable code (`model_not_supported`).
    retry_after: seconds after which a retry may help.
    tokens, limit: prompt size and window, for `context_overflow`.
    details: extra members for the surface's own error object (Anthropic's `error.details`).
    upstream_request_id: GitHub's `x-github-request-id`, what its support asks for.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: ErrorKind,
        status: int | None = None,
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
        tokens: int | None = None,
        limit: int | None = None,
        details: dict[str, object] | None = None,
        upstream_request_id: str | None = None,
    ) -> None:
        self.message = redact(message)
        super().__init__(self.message)
        self.kind: ErrorKind = kind
        self.status = STATUS[kind] if status is None else status
        self.param = param
        self.code = code
        self.retry_after = retry_after
        self.tokens = tokens
        self.limit = limit
        self.details = details
        self.upstream_request_id = upstream_request_id


class InvalidRequestError(GatewayError):
    """The client's request is malformed."""

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message, kind="invalid_request", param=param, code=code)


class UnsupportedFeatureError(GatewayError):
    """The request means something that the target cannot say; dropping it would change the answer."""

    def __init__(self, message: str, *, param: str) -> None:
        super().__init__(message, kind="unsupported_feature", param=param, code="unsupported_feature")


class UpstreamProtocolError(GatewayError):
    """Upstream sent something impossible, or stopped in the middle."""

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message, kind="upstream", code=code)


def invalid_json(error: msgspec.DecodeError | UnicodeDecodeError, path: str = "$") -> InvalidRequestError:
    """Turn a decode error of a client's body into a 400 that carries the JSON path.

    msgspec ends a validation message with "- at `$.path`"; `path` is where the decoded part stands in the body.
    """
    message, separator, at = str(error).partition(" - at `")
    param = path + at.rstrip("`").removeprefix("$") if separator else path
    return InvalidRequestError(f"{message} (at {param})" if separator else message, param=param)


def followed_by(message: str, sentence: str) -> str:
    """Return a message with a sentence of ours after it; upstream's own words often lack their full stop."""
    said = message.rstrip()
    return f"{said}{'' if said.endswith(('.', '!', '?', ':')) else '.'} {sentence}" if said else sentence
