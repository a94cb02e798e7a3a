"""The model id `auto` on every surface: Copilot picks the model, the client reads back what it asked for."""

from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pytest

from tests.e2e.hosting import ONLY_MESSAGES, Hosted, Wire
from tests.emulators.copilot import FakeCopilot

SESSION = "/models/session"
TOKEN = "copilot-session-token"
HELLO: Any = [{"role": "user", "content": "Say exactly: pineapple"}]
BODIES: dict[str, dict[str, object]] = {
    "/v1/chat/completions": {"messages": HELLO},
    "/v1/messages": {"messages": HELLO, "max_tokens": 100},
    "/v1/responses": {"input": HELLO},
}
every_surface = pytest.mark.parametrize("path", BODIES)
# What Copilot picks: passes through or is translated, depending on the surface.
PICKS = {"gpt-5-mini": "/chat/completions", "gpt-5.5": "/responses", ONLY_MESSAGES: "/v1/messages"}

Host = Callable[..., Hosted]


def pick(fake: FakeCopilot, selected: str, *others: str) -> None:
    """Let every new session be for this model."""
    picked = {
        "session_token": f"auto-{selected}", "selected_model": selected, "available_models": [selected, *others],
        "expires_at": fake.clock.now() + 3600,
    }  # fmt: skip
    fake.force("POST", SESSION, 200, picked, times=0)


@every_surface
@pytest.mark.parametrize("selected", PICKS)
@pytest.mark.parametrize("stream", [False, True])
def test_auto_answers_on_every_surface(
    host: Host, fake: FakeCopilot, path: str, selected: str, *, stream: bool
) -> None:
    pick(fake, selected)
    reply = Wire(host().url).post(path, {"model": "auto", "stream": stream, **BODIES[path]})
    assert (200, selected) == (reply.status, reply.headers["x-gateway-model"]), reply.text
    assert "pineapple" in reply.text
    assert '"model":"auto"' in reply.text.replace('"model": ', '"model":')
    sent = fake.log[-1]
    assert (f"auto-{selected}", 1) == (sent.headers[TOKEN], len(fake.requests(SESSION)))


def test_the_openai_sdk_talks_to_auto(oai: openai.OpenAI) -> None:
    reply = oai.chat.completions.create(model="auto", messages=HELLO)
    assert ("auto", "pineapple") == (reply.model, reply.choices[0].message.content)
    assert "auto" == oai.responses.create(model="auto", input=HELLO).model


def test_the_anthropic_sdk_talks_to_auto(claude: anthropic.Anthropic) -> None:
    with claude.messages.stream(model="auto", max_tokens=100, messages=HELLO) as stream:
        assert "pineapple" == stream.get_final_text()


def test_one_session_serves_many_requests(host: Host, fake: FakeCopilot) -> None:
    wire = Wire(host().url)
    for path, body in BODIES.items():
        assert 200 == wire.post(path, {"model": "auto", **body}).status
    assert 1 == len(fake.requests(SESSION))


def test_a_search_within_a_session_stays_among_its_models(host: Host, fake: FakeCopilot) -> None:
    """Plans that have only Auto may use no other model."""
    pick(fake, "gemini-3.8-flash", "gpt-5.5")
    body = {"model": "auto", "messages": HELLO, "web_search_options": {}}
    reply = Wire(host().url).post("/v1/chat/completions", body)
    assert (200, "gpt-5.5") == (reply.status, reply.headers["x-gateway-model"])
    assert "auto-gemini-3.8-flash" == fake.log[-1].headers[TOKEN]


def test_a_search_outside_the_session_goes_without_its_token(host: Host, fake: FakeCopilot) -> None:
    pick(fake, "gemini-3.8-flash")
    body = {"model": "auto", "messages": HELLO, "web_search_options": {}}
    reply = Wire(host().url).post("/v1/chat/completions", body)
    assert (200, "gpt-5-mini") == (reply.status, reply.headers["x-gateway-model"])
    assert TOKEN not in fake.log[-1].headers


def test_a_picked_model_that_the_catalogue_has_not_gives_way(host: Host, fake: FakeCopilot) -> None:
    pick(fake, "gpt-99", "grok-4.6", "gpt-4.1")  # the second one is not enabled
    reply = Wire(host().url).post("/v1/chat/completions", {"model": "auto", "messages": HELLO})
    assert ("gpt-4.1", 200) == (reply.headers["x-gateway-model"], reply.status)


@pytest.mark.parametrize("stream", [False, True])
def test_a_dropped_session_is_renewed_before_the_first_byte(
    host: Host, fake: FakeCopilot, *, stream: bool
) -> None:
    stale = {"error": {"message": "The auto mode session has expired.", "code": "session_expired"}}
    wire = Wire(host().url)
    body = {"model": "auto", "messages": HELLO, "stream": stream}
    wire.post("/v1/chat/completions", body)
    fake.force("POST", "/chat/completions", 401, stale, nth=1)
    reply = wire.post("/v1/chat/completions", body)
    assert (200, 2, 3) == (reply.status, len(fake.requests(SESSION)), len(fake.requests("/chat/completions")))
    tokens = [entry.headers[TOKEN] for entry in fake.requests("/chat/completions")]
    assert tokens[0] == tokens[1] != tokens[2]


@every_surface
def test_a_refused_session_is_an_error_of_the_surface(host: Host, fake: FakeCopilot, path: str) -> None:
    fake.force("POST", SESSION, 403, {"error": {"message": "Auto is off.", "code": "off"}}, times=0)
    reply = Wire(host().url).post(path, {"model": "auto", "stream": True, **BODIES[path]})
    assert (403, True) == (
        reply.status,
        "opens no Auto mode session: Auto is off" in reply.json["error"]["message"],
    )


def test_the_list_has_auto(gateway: Wire) -> None:
    listed = [entry["id"] for entry in gateway.get("/v1/models").json["data"]]
    assert 1 == listed.count("auto")
    assert "auto" == gateway.get("/v1/models/auto").json["id"]
    assert "auto" == gateway.get("/v1/models/auto", anthropic_version="2023-06-01").json["id"]


@pytest.mark.parametrize(("setting", "status"), [("off", 404), ("catalogue", 404), ("on", 200)])
def test_the_setting_says_whether_auto_is_offered(host: Host, setting: str, status: int) -> None:
    wire = Wire(host(auto=setting).url)
    listed = [entry["id"] for entry in wire.get("/v1/models").json["data"]]
    reply = wire.post("/v1/chat/completions", {"model": "auto", "messages": HELLO})
    assert (status, status == 200) == (reply.status, "auto" in listed)


def test_an_alias_may_mean_auto_or_take_its_name(host: Host) -> None:
    wire = Wire(host(aliases={"best": "auto", "auto": "gpt-4.1"}).url)
    named = [
        wire.post("/v1/chat/completions", {"model": name, "messages": HELLO}) for name in ("best", "auto")
    ]
    assert ["gpt-5-mini", "gpt-4.1"] == [reply.headers["x-gateway-model"] for reply in named]


def test_tokens_are_counted_for_auto(gateway: Wire) -> None:
    counted = gateway.post("/v1/messages/count_tokens", {"model": "auto", "messages": HELLO})
    assert (200, True) == (counted.status, counted.json["input_tokens"] > 1)
