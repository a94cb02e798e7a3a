"""The headers of every request to GitHub and Copilot, and the deep scan for images that one of them depends on."""

from typing import Final, cast

import msgspec

from core.outgoing import Initiator, Outgoing
from core.settings import Settings

VERSION: Final = "0.1.0"
PRODUCT: Final = f"copilot-gateway/{VERSION}"
_ANTHROPIC_VERSION: Final = "2023-06-01"
_REST_VERSION: Final = "2025-04-01"  # what VS Code's chat-lib sends to the token exchange

# VS Code's intents. A session that sends none is treated as a panel conversation.
_INTENT: Final[dict[str, str]] = {
    "/chat/completions": "conversation-panel",
    "/responses": "conversation-agent",
    "/v1/messages": "messages-proxy",
    "/v1/messages/count_tokens": "messages-proxy",
    "/embeddings": "copilot-panel",
    "/models": "model-access",
    "/models/session": "model-access",
}
# opencode, the one third-party client that GitHub blesses by name, sends this on every path.
_DIRECT_INTENT: Final = "conversation-edits"
_MESSAGES: Final = "/v1/messages"

# Every image part has one of these; a quotation mark inside a text is escaped and does not match.
_IMAGE_MARKS: Final = (b'image"', b'"image_url"')
_IMAGE_TYPES: Final = frozenset({"image", "image_url", "input_image", "computer_screenshot"})
_TURNS: Final = ("messages", "input")
_PARTS: Final = ("content", "output")


def github_headers(settings: Settings, github_token: str = "") -> dict[str, str]:
    """Headers for GitHub itself: device login (no token), token exchange, usage."""
    headers = {"accept": "application/json", "user-agent": PRODUCT}
    if settings.identity == "vscode":
        headers |= _editor(settings)
    if github_token:
        headers |= {"authorization": f"token {github_token}", "x-github-api-version": _REST_VERSION}
    return headers


def copilot_headers(
    settings: Settings, bearer: str, outgoing: Outgoing, *, initiator: Initiator, request_id: str
) -> dict[str, str]:
    """Headers for one request to Copilot. `initiator` may differ from the outgoing one: our own retries are `agent`."""
    vscode = settings.identity == "vscode"
    headers = dict(outgoing.headers)
    headers |= {
        "authorization": f"Bearer {bearer}",
        "user-agent": PRODUCT,
        "x-github-api-version": settings.api_version,
        "x-request-id": request_id,
        "x-initiator": initiator,
        "openai-intent": _INTENT.get(outgoing.path, "conversation-panel") if vscode else _DIRECT_INTENT,
        "accept": "text/event-stream" if outgoing.stream else "application/json",
    }
    if vscode:
        headers |= _editor(settings) | {"copilot-integration-id": "vscode-chat"}
    if outgoing.body:
        headers["content-type"] = "application/json"
    if outgoing.vision:
        headers["copilot-vision-request"] = "true"
    if outgoing.path.startswith(_MESSAGES):
        headers["anthropic-version"] = _ANTHROPIC_VERSION
        if outgoing.betas:
            headers["anthropic-beta"] = ",".join(outgoing.betas)
    return headers


def has_image(body: bytes) -> bool:
    """Say whether an outgoing body of any dialect shows the model an image, also inside a tool result.

    Copilot refuses an image without its vision header. Words about images in texts, tool inputs and schemas don't count.
    A body without the marks costs a byte search; only one with them is parsed.
    """
    if not any(mark in body for mark in _IMAGE_MARKS):
        return False
    try:
        request = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return False
    if not isinstance(request, dict):
        return False
    top = cast("dict[str, object]", request)
    pending: list[object] = [top.get(name) for name in _TURNS]
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending += cast("list[object]", item)
        elif isinstance(item, dict):
            part = cast("dict[str, object]", item)
            kind = part.get("type")
            if isinstance(kind, str) and kind in _IMAGE_TYPES:
                return True
            pending += [part.get(name) for name in _PARTS]
    return False


def _editor(settings: Settings) -> dict[str, str]:
    plugin = settings.editor_plugin_version
    return {
        "editor-version": settings.editor_version,
        "editor-plugin-version": plugin,
        "user-agent": f"GitHubCopilotChat/{plugin.rpartition('/')[2]}",
    }
