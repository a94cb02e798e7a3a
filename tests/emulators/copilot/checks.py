"""The checks every Copilot call passes, in the order in which the real front makes them."""

import re
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Final

from tests.emulators.copilot import chat_rules, messages_content, responses_rules
from tests.emulators.copilot.context import Call
from tests.emulators.copilot.conversation import picture_from_url
from tests.emulators.copilot.models import CHAT, MESSAGES, RESPONSES, endpoints, limit, supports
from tests.emulators.copilot.shapes import decode, is_object, members
from tests.emulators.copilot.state import Account, FakeState
from tests.emulators.copilot.wire import Reply, Request, capi_error, text_reply

EDITOR: Final = re.compile(r"[A-Za-z][\w.-]*/\d[\w.+-]*")
INTEGRATIONS: Final = frozenset(
    {
        "vscode-chat",
        "copilot-developer-cli",
        "jetbrains-chat",
        "vscode-copilot-chat",
        "copilot-language-server",
    }
)
COUNT: Final = "/v1/messages/count_tokens"
FIXED: Final = frozenset({CHAT, RESPONSES, MESSAGES, COUNT, "/embeddings", "/models", "/models/session",
                          "/models/session/intent", "/_ping"})  # fmt: skip
POLICY: Final = re.compile(r"/models/([^/]+)/policy")
PATH_OF: Final = {COUNT: MESSAGES}
NOT_SUPPORTED: Final = "The requested model is not supported."


def authorize(state: FakeState, request: Request) -> tuple[Account, bool] | Reply:
    """Return the account and whether its token was exchanged, or the refusal."""
    header = request.headers.get("authorization", "")
    if not header:
        return text_reply(400, "bad request: missing Authorization header\n")
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        return text_reply(401, "unauthorized: malformed Authorization header\n")
    session = state.sessions.get(token.strip())
    if session is not None:
        if state.clock.now() >= session.expires_at:
            return text_reply(401, "unauthorized: token expired\n")
        account = state.accounts.get(session.github_token)
        return (account, True) if account else text_reply(401, "unauthorized: token revoked\n")
    account = state.accounts.get(token.strip())
    if account is None or account.revoked or not account.raw_token_allowed:
        return text_reply(401, "unauthorized: invalid token\n")
    return account, False


def editor_version(call: Call) -> Reply | None:
    """Exchanged tokens belong to an editor, which must name itself."""
    version = call.request.headers.get("editor-version", "")
    if not call.exchanged or EDITOR.fullmatch(version):
        return None
    fault = "unknown" if version else "missing"
    return text_reply(400, f"bad request: {fault} Editor-Version header for IDE auth\n")


def integration(call: Call) -> Reply | None:
    """Exchanged tokens are tied to a known integration."""
    given = call.request.headers.get("copilot-integration-id", "")
    if not call.exchanged or given in INTEGRATIONS:
        return None
    return text_reply(403, f"forbidden: token is not authorized for integration {given!r}\n")


def host(call: Call) -> Reply | None:
    """Each account is served by one host."""
    return None if call.account.host == call.request.host else text_reply(421, "Misdirected Request")


def scripted(call: Call) -> Reply | None:
    """Give the forced answer, or the account's quota or rate limit."""
    if call.forced is not None:
        return call.forced
    account = call.account
    if account.quota_code is not None:
        reply = capi_error(402, "You have no quota", account.quota_code)
        reply.headers["retry-after"] = formatdate(time.time() + 86_400, usegmt=True)
        return reply
    if account.rate_limit_code is not None:
        reply = capi_error(429, "Sorry, you have exceeded your rate limit.", account.rate_limit_code)
        reply.headers |= {"retry-after": account.retry_after, "x-ratelimit-exceeded": account.rate_limit_code}
        return reply
    return None


def size(call: Call) -> Reply | None:
    """Refuse bodies over the limit."""
    too_big = len(call.request.body) > call.state.body_limit
    return text_reply(413, "Request Entity Too Large\n") if too_big else None


def path(call: Call) -> Reply | None:
    """Refuse paths Copilot has not, among them everything under another prefix."""
    wanted, method = call.request.path, call.request.method
    known = wanted in FIXED or POLICY.fullmatch(wanted)
    reading = wanted in {"/models", "/_ping"}
    if wanted == COUNT and not call.state.count_tokens_known:
        known = None
    fits = method == "GET" if reading else method == "POST"
    return None if known and fits else text_reply(404, "404 page not found\n")


FRONT: Final[tuple[Callable[[Call], Reply | None], ...]] = (
    editor_version,
    integration,
    host,
    scripted,
    size,
    path,
)


def body(call: Call) -> Reply | None:
    """Decode the body into the call; it must be a JSON object."""
    try:
        decoded = decode(call.request.body)
    except ValueError:
        return chat_rules.invalid("failed to parse request: invalid JSON")
    if not is_object(decoded):
        return chat_rules.invalid("failed to parse request: not an object")
    call.body = decoded
    return None


def model(call: Call) -> Reply | None:
    """Resolve the model: listed, policy accepted, open to this client, offered on this path."""
    wanted = call.body.get("model")
    found = call.state.model(wanted) if isinstance(wanted, str) else None
    if found is None or not _permitted(call, found):
        return not_supported(NOT_SUPPORTED)
    asked_path = PATH_OF.get(call.request.path, call.request.path)
    if asked_path not in endpoints(found):
        return not_supported("Model is not supported for this request.")
    call.model = found
    call.modes = {**call.state.modes_for(str(wanted)), **call.modes}
    return None


def _permitted(call: Call, found: dict[str, object]) -> bool:
    model_id, allowed = str(found["id"]), call.account.identity_allowlist
    policy = members(found.get("policy")).get("state", "enabled")
    if call.account.policies.get(model_id, policy) != "enabled":
        return False
    if allowed is not None:
        return model_id in allowed
    return call.exchanged or found.get("preview") is not True


def not_supported(message: str) -> Reply:
    """Refuse a model as the real front does: JSON in a plain-text body."""
    return capi_error(400, message, "model_not_supported", param="model", type="invalid_request_error")


def vision(call: Call) -> Reply | None:
    """Refuse images that were not announced, that the model cannot see, or that live elsewhere."""
    images = _images(call)
    if not images:
        return None
    if call.request.headers.get("copilot-vision-request", "").lower() != "true":
        return capi_error(
            400, "missing required Copilot-Vision-Request header for vision requests", "invalid_request_body"
        )
    if not supports(call.model, "vision"):
        return capi_error(400, "vision is not supported by this model", "invalid_request_body")
    sight = members(members(members(call.model.get("capabilities")).get("limits")).get("vision"))
    if len(images) > int(sight.get("max_prompt_images", 1)) * 4:
        return capi_error(400, "too many images in request", "invalid_request_body")
    return _pictures(images, int(sight.get("max_prompt_image_size", 0)))


def _images(call: Call) -> list[str]:
    """Return every image's address; a base64 source counts as a data URL."""
    match call.request.path:
        case "/chat/completions":
            return chat_rules.image_urls(call.body)
        case "/responses":
            return responses_rules.image_urls(call.body)
        case _:
            sources = messages_content.image_sources(call.body)
            return [
                f"data:{source.get('media_type')};base64,{source.get('data')}"
                for source in sources
                if source.get("type") == "base64"
            ]


def _pictures(images: list[str], most: int) -> Reply | None:
    for image in images:
        picture = picture_from_url(image)
        if picture is None:
            return capi_error(400, "external image URLs are not supported", "")
        if picture.size <= 0:
            return capi_error(400, "invalid image data", "invalid_request_body")
        if most and picture.size > most:
            return text_reply(413, "Request Entity Too Large\n")
    return None


def prompt_limit(call: Call) -> int:
    """Return the longest prompt in tokens that the model takes."""
    return limit(call.model, "max_prompt_tokens", 128_000)
