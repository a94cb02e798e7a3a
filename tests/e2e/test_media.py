"""Images that upstream cannot show a model: refused by the gateway, in every cell, before anything is sent."""

import json
from typing import Any

import pytest

from tests.e2e.asking import PATH, SURFACES, UPSTREAM_PATH, ask, error_of
from tests.e2e.hosting import ONLY_MESSAGES, Wire
from tests.emulators.calling import PNG
from tests.emulators.copilot import FakeCopilot

UPSTREAMS = {"chat": "gpt-4.1", "messages": ONLY_MESSAGES, "responses": "gpt-5.5"}

BAD: dict[str, tuple[Any, Any]] = {
    "no-url": (None, "url"),
    "no-base64": ("data:image/png,abc", "base64"),
    "broken-base64": ("data:image/png;base64,%%%%", "base64"),
    "another-type": ("data:image/tiff;base64,aGk=", "image/tiff"),
    "a-file": ("file:///etc/passwd", "URL"),
    "a-private-address": ("http://192.168.1.5/a.png", "cannot reach"),
    "too-large": (f"data:image/png;base64,{'A' * 4_400_000}", "3145728"),
}


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("upstream", list(UPSTREAMS))
@pytest.mark.parametrize("case", list(BAD))
def test_a_bad_image_is_refused_here_with_its_place(
    gateway: Wire, fake: FakeCopilot, surface: str, upstream: str, case: str
) -> None:
    """Reported problem 58."""
    url, words = BAD[case]
    body = json.dumps(ask(surface, UPSTREAMS[upstream], "What is it?", image=True))
    shown = json.loads(body, object_hook=lambda part: _replaced(part, url))
    before = len(fake.requests(UPSTREAM_PATH[upstream]))
    answer = gateway.post(PATH[surface], shown)
    assert 400 == answer.status, answer.text
    message = error_of(surface, answer.body)["message"]
    assert words.lower() in message.lower()
    assert "content[1]" in message
    assert before == len(fake.requests(UPSTREAM_PATH[upstream]))


def _replaced(part: dict[str, Any], url: Any) -> dict[str, Any]:
    """Put another URL in the picture's place; Messages has a source of its own for the data in one."""
    if part.get("type") == "base64":
        head, _, data = (url or "").partition(";base64,")
        inline = data and head.startswith("data:")
        source = {"type": "base64", "media_type": head.removeprefix("data:"), "data": data}
        return source if inline else {"type": "url", "url": url}
    if part.get("url", "").endswith(PNG):
        return {"url": url}
    if str(part.get("image_url", "")).endswith(PNG):
        return {**part, "image_url": url}
    return part
