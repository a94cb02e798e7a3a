"""Healing against the fake Copilot, whose rules refuse what it did not issue or does not take."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.copilot.client import UpstreamReply
from core.errors import GatewayError
from core.healing import HealingCall
from core.settings import Secret, Settings
from core.surfaces import DIALECTS
from handlers.services import Services
from infra.local.services import build_services
from tests.emulators.copilot import DEMO_TOKEN, FakeCopilot
from tests.emulators.copilot.vault import encrypt_reasoning

Start = Callable[..., Services]

THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "Zm9yZWlnbg=="}
CALL = {"type": "function_call", "call_id": "call_1", "name": "ls", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "a.txt"}
PATH = {"chat": "/chat/completions", "messages": "/v1/messages", "responses": "/responses"}
SIGNATURE = "messages.1.content.0: Invalid `signature` in `thinking` block"


@pytest.fixture
def fake() -> Iterator[FakeCopilot]:
    with FakeCopilot() as running:
        yield running


@pytest.fixture
def start(fake: FakeCopilot, tmp_path: Path) -> Iterator[Start]:
    """Return what builds the gateway's services; the catalogue is read at once, before a test changes the fake's."""
    built: list[Services] = []

    def services(**settings: Any) -> Services:
        built.append(
            build_services(
                Settings(
                    github_url=fake.github_url, github_api_url=fake.api_url, github_token=Secret(DEMO_TOKEN),
                    data_dir=str(tmp_path), **settings,
                )
            )
        )  # fmt: skip
        built[-1].catalogue.models()
        return built[-1]

    yield services
    for given in built:
        given.copilot.transport.close()


def begin(given: Services, surface: str, body: dict[str, Any]) -> HealingCall:
    call = given.engine.prepare(DIALECTS[surface], json.dumps(body).encode())  # type: ignore[index]
    return HealingCall(given.copilot, call)


def opened(healing: HealingCall) -> UpstreamReply:
    while (reply := healing.wait(60)) is None:
        pass
    return reply


def finish(healing: HealingCall) -> UpstreamReply:
    reply = opened(healing)
    reply.read_all()
    reply.close()
    return reply


def sent(fake: FakeCopilot, path: str) -> list[Any]:
    return [json.loads(entry.body) for entry in fake.requests(path)]


def model(fake: FakeCopilot, model_id: str) -> dict[str, Any]:
    return next(entry for entry in fake.models if entry.get("id") == model_id)


def claude(**members: Any) -> dict[str, Any]:
    turns = [{"role": "user", "content": "hi"}]
    return {"model": "claude-sonnet-4.6", "max_tokens": 9000, "messages": turns, "stream": True, **members}


def gpt(*items: Any, **members: Any) -> dict[str, Any]:
    return {
        "model": "gpt-5.5",
        "input": [{"role": "user", "content": "hi"}, *items],
        "stream": True,
        **members,
    }


def test_foreign_signatures_are_stripped_after_one_refusal(fake: FakeCopilot, start: Start) -> None:
    """AC-60."""
    said = {"role": "assistant", "content": [THOUGHT, {"type": "text", "text": "hello"}]}
    turns = [{"role": "user", "content": "hi"}, said, {"role": "user", "content": "again"}]
    healing = begin(start(), "messages", claude(messages=turns))
    assert 200 == finish(healing).status
    first, second = sent(fake, PATH["messages"])
    assert turns == first["messages"]
    assert [{"type": "text", "text": "hello"}] == second["messages"][1]["content"]
    assert (("thinking_signature",), ("thinking",)) == (healing.call.repairs, healing.call.losses)


@pytest.mark.parametrize("account", [DEMO_TOKEN, "gho_another"], ids=["another item's", "another account's"])
def test_reasoning_that_was_not_issued_here_is_stripped_after_one_refusal(
    fake: FakeCopilot, start: Start, account: str
) -> None:
    """AC-60: the refusal of another account's item is a 401 that is no reason to log in again."""
    thought = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [],
        "encrypted_content": encrypt_reasoning(account, "rs_2"),
    }
    healing = begin(start(), "responses", gpt(thought, CALL, OUTPUT))
    assert 200 == finish(healing).status
    first, second = sent(fake, PATH["responses"])
    assert (4, [CALL, OUTPUT]) == (len(first["input"]), second["input"][1:])
    assert ("encrypted_content",) == healing.call.repairs
    assert 1 == len(fake.requests("/copilot_internal/v2/token"))


def test_a_renamed_limit_is_found_by_asking(fake: FakeCopilot, start: Start) -> None:
    """AC-65 for a model that the quirks do not know."""
    given = start(quirks={"gpt-5-mini": {"output_limit_name": "max_tokens"}})
    body = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 99}
    finish(begin(given, "chat", body))
    limits = [
        (body.get("max_tokens"), body.get("max_completion_tokens")) for body in sent(fake, PATH["chat"])
    ]
    assert [(99, None), (None, 99)] == limits


def test_a_foreign_thought_signature_is_stripped_from_chat(fake: FakeCopilot, start: Start) -> None:
    """AC-60."""
    said = {
        "role": "assistant",
        "content": "hello",
        "reasoning_opaque": "Zm9yZWlnbg==",
        "reasoning_text": "hm",
    }
    human = {"role": "user", "content": "hi"}
    healing = begin(start(), "chat", {"model": "gemini-3.8-flash", "messages": [human, said, human]})
    finish(healing)
    assert {"role": "assistant", "content": "hello"} == sent(fake, PATH["chat"])[1]["messages"][1]
    assert ("thinking_signature",) == healing.call.repairs


def _no_adaptive(entry: dict[str, Any]) -> None:
    del entry["capabilities"]["supports"]["adaptive_thinking"]


def _no_budget(entry: dict[str, Any]) -> None:
    del entry["capabilities"]["supports"]["max_thinking_budget"]


def _one_effort(entry: dict[str, Any]) -> None:
    entry["capabilities"]["supports"]["reasoning_effort"] = ["high"]


def _short(entry: dict[str, Any]) -> None:
    entry["capabilities"]["limits"]["max_output_tokens"] = 5000


@pytest.mark.parametrize(
    ("change", "asked", "expected"),
    [
        (_no_adaptive, {"thinking": {"type": "adaptive"}}, {"thinking": {"type": "enabled", "budget_tokens": 6750}}),
        (_no_budget, {"thinking": {"type": "enabled", "budget_tokens": 2000}},
         {"thinking": {"type": "adaptive", "display": "summarized"}}),
        (_one_effort, {"output_config": {"effort": "low"}}, {"output_config": None}),
        (_short, {"max_tokens": 9000}, {"max_tokens": 5000}),
    ],
)  # fmt: skip
def test_a_model_that_changed_since_the_catalogue_was_read_is_asked_its_way(
    fake: FakeCopilot, start: Start, change: Callable[[Any], None], asked: Any, expected: Any
) -> None:
    given = start()
    change(model(fake, "claude-sonnet-4.6"))
    assert 200 == finish(begin(given, "messages", claude(**asked))).status
    first, second = sent(fake, PATH["messages"])
    assert (asked, expected) == (
        {name: first.get(name) for name in asked},
        {name: second.get(name) for name in asked},
    )
    assert {**first, **expected} == {**second, **expected}


def test_an_orphan_call_on_responses_gets_its_output(fake: FakeCopilot, start: Start) -> None:
    assert 200 == finish(begin(start(), "responses", gpt(CALL))).status
    assert "function_call_output" == sent(fake, PATH["responses"])[-1]["input"][2]["type"]


# At most once, and only what can be helped


def refuse(
    fake: FakeCopilot, status: int, message: str, code: str = "", *, nth: int = 1, times: int = 1
) -> None:
    body = {"error": {"message": message, "code": code}}
    fake.force("POST", PATH["messages"], status, body, nth=nth, times=times)


def test_a_second_refusal_is_final(fake: FakeCopilot, start: Start) -> None:
    refuse(fake, 400, "`temperature` is deprecated for this model.")
    refuse(fake, 400, "top_k: Extra inputs are not permitted", nth=2)
    healing = begin(start(), "messages", claude(temperature=0.5, top_k=3))
    with pytest.raises(GatewayError, match="top_k"):
        opened(healing)
    assert [(0.5, 3), (None, 3)] == [
        (body.get("temperature"), body["top_k"]) for body in sent(fake, PATH["messages"])
    ]


def test_a_failure_of_the_healed_call_is_told_as_it_is(fake: FakeCopilot, start: Start) -> None:
    refuse(fake, 400, "`temperature` is deprecated for this model.")
    refuse(fake, 429, "slow down", "rate_limited", nth=2)
    with pytest.raises(GatewayError) as caught:
        opened(begin(start(), "messages", claude(temperature=0.5)))
    assert ("rate_limit", 2) == (caught.value.kind, len(fake.requests(PATH["messages"])))


@pytest.mark.parametrize(
    ("status", "message", "code"),
    [
        (401, "unauthorized: token expired", ""), (402, "`temperature` is deprecated", "quota_exceeded"),
        (403, "`temperature` is deprecated", ""), (404, "`temperature` is deprecated", ""),
        (413, "`temperature` is deprecated", ""), (422, "`temperature` is deprecated", ""),
        (429, "`temperature` is deprecated", "rate_limited"), (466, "`temperature` is deprecated", ""),
        (500, "`temperature` is deprecated", ""), (503, "`temperature` is deprecated", ""),
        (400, "`temperature` is deprecated", "content_filter"),
        (400, "`temperature` is deprecated", "model_not_supported"),
        (400, "prompt token count of 9 exceeds the limit of 5; `temperature` is deprecated",
         "model_max_prompt_tokens_exceeded"),
        (400, "something else", "invalid_request_body"),
    ],
)  # fmt: skip
def test_what_no_repair_helps_is_never_sent_changed(
    fake: FakeCopilot, start: Start, status: int, message: str, code: str
) -> None:
    refuse(fake, status, message, code, times=0)
    healing = begin(start(), "messages", claude(temperature=0.5))
    with pytest.raises(GatewayError):
        opened(healing)
    assert {0.5} == {body["temperature"] for body in sent(fake, PATH["messages"])}
    assert () == healing.call.repairs


def test_the_initiator_stays_and_the_log_names_the_repair(
    fake: FakeCopilot, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """The refused request was not counted, so its healed one is still the person's; bodies are never logged."""
    refuse(fake, 400, "`temperature` is deprecated for this model.")
    healing = begin(start(), "messages", claude(temperature=0.5))
    with caplog.at_level(logging.INFO, "gateway"):
        finish(healing)
    initiators = [entry.headers["x-initiator"] for entry in fake.requests(PATH["messages"])]
    assert ["user", "user"] == initiators
    said = [record.getMessage() for record in caplog.records if record.name == "gateway"]
    assert 1 == len(said)
    assert said[0].startswith("upstream.healed repair=sampling model=claude-sonnet-4.6 id=")
