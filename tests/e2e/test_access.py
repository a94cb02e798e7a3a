"""What a key may do, through the whole gateway: scopes, limits, a model that refuses, a person who approves."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from core.access.breaker import Breaker
from core.access.caller import UNLIMITED, Limits
from core.access.managed_keys import ManagedKeys
from core.access.tally import Tally
from core.settings import Secret, Settings
from infra.wiring import REQUESTS_PER_DAY, REQUESTS_PER_MINUTE, ceilings
from tests.e2e.asking import PATH, SURFACES, UPSTREAM_PATH, ask, error_of
from tests.e2e.conftest import Host
from tests.e2e.hosting import PATIENCE, Answer, Hosted, Wire
from tests.emulators.copilot import FakeCopilot

OWN = "the-owners-key"
CHAT = "gpt-4.1"
CLAUDE = "claude-opus-4.8"


@pytest.fixture
def locked(host: Host) -> Hosted:
    return host(api_key=Secret(OWN))


def holder(gateway: Hosted, limits: Limits) -> Wire:
    """Return a client with a new key."""
    key = ManagedKeys(gateway.services.state, time.time).create("agent", None, limits)
    return Wire(gateway.url, {"x-api-key": key})


def until(holds: Callable[[], bool]) -> None:
    """Wait for what follows an answer: gates learn how it ended after its last byte."""
    for _ in range(PATIENCE * 100):
        if holds():
            return
        threading.Event().wait(0.01)
    pytest.fail("it never held")


def told(answer: Answer, surface: str) -> tuple[int, Any]:
    return answer.status, error_of(surface, answer.body)["message"]


@pytest.mark.parametrize("surface", SURFACES)
def test_who_shows_no_key_is_told_how(locked: Hosted, surface: str) -> None:
    answer = Wire(locked.url).post(PATH[surface], ask(surface, CHAT, "hi"))
    assert (401, "Bearer") == (answer.status, answer.headers["www-authenticate"])
    assert "x-api-key" in told(answer, surface)[1]


@pytest.mark.parametrize("surface", SURFACES)
def test_a_surface_beyond_the_keys_is_a_403_in_its_own_envelope(
    locked: Hosted, fake: FakeCopilot, surface: str
) -> None:
    client = holder(locked, Limits(surfaces=("embeddings",)))
    answer = client.post(PATH[surface], ask(surface, CHAT, "hi", stream=False))
    expected = f"The key agent may not use {surface}; it may use embeddings."
    assert (403, expected) == told(answer, surface)
    assert "false" == answer.headers["x-should-retry"]
    assert [] == [entry.path for entry in fake.log if entry.path in UPSTREAM_PATH.values()]


@pytest.mark.parametrize("surface", SURFACES)
def test_a_model_beyond_the_keys_is_a_403_that_names_it(
    locked: Hosted, fake: FakeCopilot, surface: str
) -> None:
    client = holder(locked, Limits(models=("claude-*",)))
    answer = client.post(PATH[surface], ask(surface, CHAT, "hi", stream=True))
    expected = f"The key agent may not use the model {CHAT}; it may use claude-*."
    assert (403, expected) == told(answer, surface)
    assert 200 == client.post(PATH[surface], ask(surface, CLAUDE, "hi", stream=False)).status


def test_counting_embedding_and_stored_answers_are_scoped_too(locked: Hosted) -> None:
    client = holder(locked, Limits(surfaces=("chat",), models=("claude-*",)))
    asked: list[Callable[[], Answer]] = [
        lambda: client.post("/v1/messages/count_tokens", ask("messages", CLAUDE, "hi")),
        lambda: client.post("/v1/responses/input_tokens", ask("responses", CLAUDE, "hi")),
        lambda: client.post("/v1/embeddings", {"model": "text-embedding-3-small", "input": "hi"}),
        lambda: client.get("/v1/responses/resp_1"),
        lambda: client.send("DELETE", "/v1/responses/resp_1"),
    ]
    assert [403] * 5 == [act().status for act in asked]


def test_the_list_of_models_shows_what_the_key_may_use(locked: Hosted) -> None:
    client = holder(locked, Limits(models=("claude-*",)))
    for headers in ({}, {"anthropic_version": "2023-06-01"}):
        ids = [model["id"] for model in client.get("/v1/models", **headers).json["data"]]
        assert ids
        assert all(name.startswith("claude-") for name in ids)
    assert [200, 403] == [client.get(f"/v1/models/{name}").status for name in (CLAUDE, CHAT)]


def test_a_guests_key_does_not_sign_in(locked: Hosted) -> None:
    client = holder(locked, Limits(per_day=1000))
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    body = f"action=sign-in&key={client.headers['x-api-key']}".encode()
    answer = Wire(locked.url).send("POST", "/login", body, form)
    assert (403, True, False) == (answer.status, "has limits" in answer.text, "set-cookie" in answer.headers)


def test_a_used_up_day_is_a_429_that_says_until_when(locked: Hosted, fake: FakeCopilot) -> None:
    client = holder(locked, Limits(per_day=2))
    answers = [client.post(PATH["chat"], ask("chat", CHAT, "hi")) for _ in range(3)]
    assert [200, 200, 429] == [answer.status for answer in answers]
    assert 1 <= int(answers[2].headers["retry-after"]) <= 24 * 3600
    assert 200 == Wire(locked.url, {"x-api-key": OWN}).post(PATH["chat"], ask("chat", CHAT, "hi")).status


def test_tokens_of_answers_use_the_budget_up(locked: Hosted) -> None:
    client, body = holder(locked, Limits(tokens_per_day=1)), ask("messages", CHAT, "hi", stream=True)
    tally = Tally(locked.services.state, "key agent", now=time.time)
    assert 200 == client.post(PATH["messages"], body).status
    until(lambda: tally.today().tokens > 0)
    answer = client.post(PATH["messages"], body)
    assert 429 == answer.status
    assert "1 tokens a day" in error_of("messages", answer.body)["message"]


def test_one_good_key_of_two_is_enough(locked: Hosted) -> None:
    body = ask("messages", CHAT, "hi")
    for bearer, own in (("nonsense", OWN), (OWN, "nonsense")):
        answer = Wire(locked.url).post(
            PATH["messages"], body, authorization=f"Bearer {bearer}", x_api_key=own
        )
        assert 200 == answer.status


# Ceilings


def test_ceilings_are_on_unless_nothing_is_spent() -> None:
    real, stand_in = Settings(), Settings(copilot_url="http://127.0.0.1:9")
    assert Limits(per_minute=REQUESTS_PER_MINUTE, per_day=REQUESTS_PER_DAY) == ceilings(real)
    assert UNLIMITED == ceilings(stand_in)
    off = Settings(requests_per_minute=0, requests_per_day=0)
    chosen = Settings(copilot_url="http://127.0.0.1:9", requests_per_minute=5, credits_per_day=2.5)
    assert [UNLIMITED, Limits(per_minute=5, credits_per_day=2.5)] == [ceilings(off), ceilings(chosen)]


def test_a_ceiling_that_is_set_holds_for_the_open_door(host: Host) -> None:
    client = Wire(host(requests_per_day=2).url)
    assert [200, 200, 429] == [client.post(PATH["chat"], ask("chat", CHAT, "hi")).status for _ in range(3)]


# The breaker


def refusals(breaker: Breaker) -> int:
    circuit = breaker._circuits.get(CHAT)
    return 0 if circuit is None else circuit._refusals


@pytest.mark.parametrize("stream", [False, True])
def test_a_model_that_refuses_is_asked_five_times_and_others_go_on(
    host: Host, fake: FakeCopilot, *, stream: bool
) -> None:
    """Case 45: agents hammer after a 429."""
    gateway = host()
    client, breaker = Wire(gateway.url), gateway.services.breaker
    assert breaker is not None
    fake.force("POST", "/chat/completions", 429, {"error": {"message": "slow", "code": "user_model_rate_limited"}},
               headers={"retry-after": "200"}, times=0)  # fmt: skip
    body = ask("chat", CHAT, "hi", stream=stream)
    answers: list[Answer] = []
    for count in range(1, 13):
        answers.append(client.post(PATH["chat"], body))
        until(lambda: refusals(breaker) == min(count, 5))  # noqa: B023 - asked at once
    assert [429] * 12 == [answer.status for answer in answers]
    assert all(0 < int(answer.headers["retry-after"]) <= 200 for answer in answers)
    assert 5 == len(fake.requests("/chat/completions"))
    assert "does not ask gpt-4.1 again" in error_of("chat", answers[-1].body)["message"]
    for surface in ("messages", "responses"):
        assert 429 == client.post(PATH[surface], ask(surface, CHAT, "hi")).status
    assert 5 == len(fake.requests("/chat/completions"))
    fake.state.forced.clear()
    assert [200, 429] == [
        client.post(PATH["chat"], ask("chat", model, "hi")).status for model in (CLAUDE, CHAT)
    ]


# Approval


def test_requests_wait_until_they_are_answered_elsewhere(host: Host) -> None:
    gateway = host(manual=True)
    approvals = gateway.services.approvals
    assert approvals is not None
    statuses: dict[bool, int] = {}

    def post(*, approved: bool) -> None:
        statuses[approved] = Wire(gateway.url).post(PATH["chat"], ask("chat", CHAT, "hi")).status

    for approved in (True, False):
        thread = threading.Thread(target=post, kwargs={"approved": approved})
        thread.start()
        with approvals._changed:
            assert approvals._changed.wait_for(lambda: bool(approvals._waiting), PATIENCE)
        (waiting,) = approvals.pending()
        assert ("chat", CHAT) == (waiting.surface, waiting.model)
        assert approvals.answer(waiting.id, approved)
        thread.join(PATIENCE)
    assert {True: 200, False: 403} == statuses
