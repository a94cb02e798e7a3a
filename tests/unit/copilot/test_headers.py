"""Request headers of both identities, and the scan for images."""

import json

import pytest

from core.copilot.headers import PRODUCT, copilot_headers, github_headers, has_image
from core.outgoing import Outgoing
from core.settings import Settings

VSCODE = Settings()
DIRECT = Settings(identity="direct")


def made(settings: Settings, outgoing: Outgoing) -> dict[str, str]:
    return copilot_headers(settings, "tok", outgoing, initiator=outgoing.initiator, request_id="r-1")


def test_vscode_headers_are_complete() -> None:
    expected = {
        "authorization": "Bearer tok",
        "user-agent": "GitHubCopilotChat/0.38.0",
        "x-github-api-version": "2026-01-09",
        "x-request-id": "r-1",
        "x-initiator": "agent",
        "openai-intent": "conversation-panel",
        "accept": "text/event-stream",
        "editor-version": "vscode/1.110.0",
        "editor-plugin-version": "copilot-chat/0.38.0",
        "copilot-integration-id": "vscode-chat",
        "content-type": "application/json",
    }
    assert expected == made(
        VSCODE, Outgoing(path="/chat/completions", body=b"{}", stream=True, initiator="agent")
    )


def test_the_direct_identity_names_this_product_and_no_editor() -> None:
    expected = {
        "authorization": "Bearer tok",
        "user-agent": PRODUCT,
        "x-github-api-version": "2026-01-09",
        "x-request-id": "r-1",
        "x-initiator": "user",
        "openai-intent": "conversation-edits",
        "accept": "application/json",
        "content-type": "application/json",
    }
    assert expected == made(DIRECT, Outgoing(path="/chat/completions", body=b"{}"))


def test_anthropic_headers_go_to_messages_only() -> None:
    betas = ("interleaved-thinking-2025-05-14", "context-management-2025-06-27")
    messages = made(VSCODE, Outgoing(path="/v1/messages", body=b"{}", betas=betas))
    chat = made(VSCODE, Outgoing(path="/chat/completions", body=b"{}", betas=betas))
    assert (messages["anthropic-version"], messages["anthropic-beta"]) == ("2023-06-01", ",".join(betas))
    assert [name for name in chat if name.startswith("anthropic")] == []


@pytest.mark.parametrize(
    ("path", "intent"),
    [
        ("/chat/completions", "conversation-panel"),
        ("/responses", "conversation-agent"),
        ("/v1/messages", "messages-proxy"),
        ("/embeddings", "copilot-panel"),
        ("/models", "model-access"),
    ],
)
def test_every_endpoint_has_its_intent(path: str, intent: str) -> None:
    assert intent == made(VSCODE, Outgoing(path=path, body=b""))["openai-intent"]


def test_further_headers_never_replace_ours() -> None:
    """AC-54: nothing that comes with a request overrides the initiator or the bearer."""
    outgoing = Outgoing(
        path="/responses",
        body=b"{}",
        initiator="user",
        headers={"x-initiator": "agent", "authorization": "x", "copilot-session-token": "s"},
    )
    headers = made(VSCODE, outgoing)
    assert ("user", "Bearer tok", "s") == (
        headers["x-initiator"],
        headers["authorization"],
        headers["copilot-session-token"],
    )


def test_vision_is_announced_only_when_there_is_an_image() -> None:
    assert (
        made(VSCODE, Outgoing(path="/responses", body=b"{}", vision=True))["copilot-vision-request"] == "true"
    )
    assert "copilot-vision-request" not in made(VSCODE, Outgoing(path="/responses", body=b"{}"))


def test_github_gets_the_token_word_and_only_when_there_is_one() -> None:
    assert github_headers(VSCODE, "gho_x")["authorization"] == "token gho_x"
    assert "authorization" not in github_headers(VSCODE)


IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}}
URL = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}
INPUT = {"type": "input_image", "image_url": "data:image/png;base64,iVBO"}


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "user", "content": [URL]}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, IMAGE]}]},
        {
            "messages": [
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [IMAGE]}]}
            ]
        },
        {"messages": [{"role": "tool", "tool_call_id": "t", "content": [URL]}]},
        {"input": [{"role": "user", "content": [INPUT]}]},
        {"input": [{"type": "function_call_output", "call_id": "c", "output": [INPUT]}]},
        {
            "input": [
                {"type": "computer_call_output", "output": {"type": "computer_screenshot", "image_url": "x"}}
            ]
        },
    ],
)
def test_an_image_is_found_wherever_a_model_sees_it(body: object) -> None:
    assert has_image(json.dumps(body).encode())


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "user", "content": 'what is "image_url"?'}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": json.dumps(IMAGE)}]}]},
        {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "input": {"type": "image"}}]}]},
        {"messages": [], "tools": [{"input_schema": {"properties": {"type": {"enum": ["image"]}}}}]},
        {"input": "image"},
        [],
        {"messages": None},
    ],
)
def test_words_about_images_are_no_image(body: object) -> None:
    assert not has_image(json.dumps(body).encode())


@pytest.mark.parametrize(
    "body", [b'{"image"', b'"image"', b'\xff"image"', b'{"messages":' + b"[" * 100_000 + b'"image"']
)
def test_a_broken_body_has_no_image(body: bytes) -> None:
    assert not has_image(body)
