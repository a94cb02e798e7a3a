"""The soak can fail: what a judge must catch, it catches."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from tests.soak.client import Heard
from tests.soak.judge import complaint
from tests.soak.plans import FAULTS, Plan, draw, order_of
from tests.soak.verdict import Figures, findings
from tests.soak.watch import Sample

PLAN = Plan(
    number=7, surface="chat", dialect="chat", fault="plain", at=0.5, words=12, pace=0.01, streams=True
)
ERROR = {"message": "cut", "type": "api_error", "param": None, "code": None}


def frame(**choice: Any) -> bytes:
    body = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    choices = [{"index": 0, "finish_reason": None, **choice}]
    return b"data: %b\n\n" % json.dumps({**body, "choices": choices}).encode()


def events() -> list[bytes]:
    """What a client hears of the plan when nothing goes wrong."""
    words = PLAN.text.split(" ")
    said = [frame(delta={"content": f"{' ' if at else ''}{word}"}) for at, word in enumerate(words)]
    return [
        frame(delta={"role": "assistant", "content": ""}), *said,
        frame(delta={}, finish_reason="stop"), b"data: [DONE]\n\n",
    ]  # fmt: skip


FAILED = [*events()[:5], b"data: %b\n\n" % json.dumps({"error": ERROR}).encode()]


def heard(parts: list[bytes], **fields: Any) -> Heard:
    return Heard(status=200, body=b"".join(parts), whole=True, **fields)


def test_a_whole_reply_is_right() -> None:
    assert complaint(PLAN, heard(events())) is None


def test_a_failure_that_is_told_is_right() -> None:
    assert complaint(replace(PLAN, fault="cut"), heard(FAILED)) is None


SPOILT: dict[str, list[bytes]] = {
    "lost": [*events()[:4], *events()[5:]],
    "doubled": [*events()[:5], *events()[4:]],
    "swapped": [*events()[:4], events()[5], events()[4], *events()[6:]],
    "of another stream": [event.replace(rb"\u00e97", rb"\u00e98") for event in events()],
    "no end": events()[:-2],
    "half an end": events()[:-1],
    "two ends": [*events(), b"data: [DONE]\n\n"],
    "an error after the end": [*events(), FAILED[-1]],
    "an error for a sound reply": FAILED,
    "cut within an event": [*events()[:5], events()[5][:20]],
    "empty": [],
}


@pytest.mark.parametrize("spoilt", SPOILT.values(), ids=SPOILT)
def test_a_stream_that_is_not_what_upstream_said_is_caught(spoilt: list[bytes]) -> None:
    assert complaint(PLAN, heard(spoilt)) is not None


@pytest.mark.parametrize(
    "parts",
    [events(), [*FAILED[:2], *FAILED[3:]], [*FAILED, FAILED[-1]], FAILED[:-1]],
    ids=["success", "a lost event", "two errors", "no error"],
)
def test_a_broken_upstream_that_is_not_told_rightly_is_caught(parts: list[bytes]) -> None:
    assert complaint(replace(PLAN, fault="cut"), heard(parts)) is not None


def test_a_wrong_status_a_hang_and_a_broken_connection_are_caught() -> None:
    body = json.dumps({"error": ERROR}).encode()
    limited = replace(PLAN, fault="limited")
    assert complaint(limited, Heard(status=429, body=body, whole=True)) is None
    assert complaint(limited, Heard(status=502, body=body, whole=True)) is not None
    assert complaint(limited, Heard(status=429, body=b"{}", whole=True)) is not None
    busy = replace(PLAN, fault="busy")
    spared = json.dumps(
        {"error": {**ERROR, "message": "(The gateway does not ask soak again for 9 s: ...)"}}
    ).encode()
    assert complaint(busy, Heard(status=429, body=spared, whole=True)) is None
    assert complaint(busy, Heard(status=429, body=body, whole=True)) is not None
    assert complaint(PLAN, Heard(status=429, body=spared, whole=True)) is not None
    assert complaint(PLAN, Heard(status=502, body=body, whole=True)) is not None
    assert complaint(PLAN, Heard(hung=True)) is not None
    assert complaint(PLAN, Heard(status=200, body=b"".join(events()))) is not None


def test_plans_follow_from_the_seed_and_reach_the_upstream() -> None:
    plans = [draw(1, number) for number in range(2000)]
    assert plans == [draw(1, number) for number in range(2000)]
    assert set(FAULTS) == {plan.fault for plan in plans}
    assert len({(plan.surface, plan.dialect, plan.streams) for plan in plans}) == 18
    for plan in plans:
        order = order_of(json.dumps({"say": plan.prompt}).encode())
        assert order is not None
        assert (plan.number, plan.fault, plan.at, plan.words, plan.pace) == (
            order.number, order.fault, order.at, order.words, order.pace,
        )  # fmt: skip


# What the gateway may hold

MEGABYTE = 2**20
REST = Sample(rss=60 * MEGABYTE, threads=2, files=9, sockets={"client listen": 1})
BUSY = Sample(rss=70 * MEGABYTE, threads=257, files=20, sockets={"client established": 9})
SOUND = Figures(
    seconds=9.0, streams=200, count={"requests": 9}, complaints=[], logged=[], exit_code=0,
    samples=(REST, [BUSY] * 9, REST), lags=[0.5], still_open=0, first=[0.1],
)  # fmt: skip


def at_rest(**fields: Any) -> Figures:
    return replace(SOUND, samples=(REST, [BUSY] * 9, replace(REST, **fields)))


def rising(step: int) -> Figures:
    during = [replace(BUSY, rss=BUSY.rss + at * step) for at in range(30)]
    return replace(SOUND, samples=(REST, during, REST))


LEAKS: dict[str, Figures] = {
    "threads": at_rest(threads=270),
    "files": at_rest(files=60),
    "clients": at_rest(sockets={"client close_wait": 1}),
    "upstream": at_rest(sockets={"upstream established": 65}),
    "others": at_rest(sockets={"other established": 1}),
    "memory": rising(2 * MEGABYTE),
    "an upstream that goes on": replace(SOUND, lags=[0.1, 30.0]),
    "an upstream that never ends": replace(SOUND, still_open=1),
    "a crash": replace(SOUND, exit_code=1),
    "a traceback": replace(SOUND, logged=["Traceback"]),
    "a wrong reply": replace(SOUND, complaints=["lost"]),
    "nothing done": replace(SOUND, count={}),
}


def test_a_gateway_that_holds_nothing_passes() -> None:
    assert findings(SOUND) == []
    assert findings(rising(100_000)) == []
    assert findings(at_rest(threads=202)) == []


@pytest.mark.parametrize("figures", LEAKS.values(), ids=LEAKS)
def test_a_gateway_that_holds_on_to_something_is_caught(figures: Figures) -> None:
    assert len(findings(figures)) == 1
