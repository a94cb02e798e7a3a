"""Auto mode against the fake Copilot: one session for everybody, renewed in time, healed when upstream drops it."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from core.copilot.auto import AutoMode
from core.copilot.auto_session import HEADER, AutoSession, auto_entry, read_record, read_session
from core.copilot.client import CopilotClient
from core.errors import ErrorKind, GatewayError
from core.model import Model
from core.outgoing import Outgoing
from core.ports import StoreError
from core.settings import Secret, Settings
from tests.emulators.copilot import FakeCopilot
from tests.unit.copilot.doubles import (
    Clock,
    Ids,
    MemorySecrets,
    MemoryState,
    closed_transports,
    tokens_at,
    transport,
)

__all__ = ["closed_transports"]  # a fixture that closes what `transport` opened

PATH = "/models/session"
CHAT = "/chat/completions"
HELLO = b'{"model":"gpt-5-mini","messages":[{"role":"user","content":"say hello"}]}'
STALE = {"error": {"message": "auto mode session token expired", "code": "invalid_session"}}


@pytest.fixture
def fake() -> Iterator[FakeCopilot]:
    with FakeCopilot() as running:
        yield running


@pytest.fixture
def clock(fake: FakeCopilot) -> Clock:
    return Clock(fake.clock.now())


@pytest.fixture
def state(clock: Clock) -> MemoryState:
    return MemoryState(clock)


@pytest.fixture
def client(fake: FakeCopilot, clock: Clock) -> CopilotClient:
    settings = Settings(github_url=fake.github_url, github_api_url=fake.api_url)
    tokens = tokens_at("", clock, secrets=MemorySecrets(fake.token), settings=settings)
    return CopilotClient(settings, tokens, transport(clock), now=clock, new_id=Ids())


@pytest.fixture
def auto(client: CopilotClient, state: MemoryState, clock: Clock) -> AutoMode:
    return auto_on(client, state, clock)


def auto_on(client: CopilotClient, state: MemoryState, clock: Clock) -> AutoMode:
    return AutoMode(client, state, now=clock, new_id=Ids(), wait=clock.wait)


def say(session: AutoSession, auto: AutoMode) -> Outgoing:
    return Outgoing(
        path=CHAT, body=HELLO, headers=session.headers, renewal=auto.renewal(session, session.selected)
    )


def session(**more: object) -> AutoSession:
    facts = {
        "token": Secret("t"), "selected": "a", "available": ("b", "c"), "expires_at": 0.0, "scope": "", **more,
    }  # fmt: skip
    return AutoSession(**facts)  # type: ignore[arg-type] - the facts of a test


def test_a_session_is_opened_once(fake: FakeCopilot, auto: AutoMode) -> None:
    first = auto.current()
    assert ("gpt-5-mini", ("gpt-5-mini", "gpt-4.1", "claude-haiku-4.5")) == (first.selected, first.available)
    assert first is auto.current()
    asked = fake.requests(PATH)
    assert [b'{"auto_mode":{"model_hints":["auto"]}}'] == [entry.body for entry in asked]


def test_a_session_is_shared_between_processes(
    fake: FakeCopilot, auto: AutoMode, client: CopilotClient, state: MemoryState, clock: Clock
) -> None:
    assert auto.current() == auto_on(client, state, clock).current()
    assert 1 == len(fake.requests(PATH))


def test_many_threads_open_one_session(fake: FakeCopilot, auto: AutoMode) -> None:
    start = Barrier(20)

    def ask(_: int) -> str:
        start.wait(30)
        return auto.current().token

    with ThreadPoolExecutor(20) as pool:
        assert 1 == len(set(pool.map(ask, range(20))))
    assert 1 == len(fake.requests(PATH))


@pytest.mark.parametrize(("left", "sessions"), [(301.0, 1), (299.0, 2), (-1.0, 2)])
def test_a_session_is_renewed_five_minutes_before_its_end(
    fake: FakeCopilot, auto: AutoMode, clock: Clock, left: float, sessions: int
) -> None:
    clock.time = auto.current().expires_at - left
    auto.current()
    assert sessions == len(fake.requests(PATH))


def test_an_old_session_serves_while_no_new_one_is_to_be_had(
    fake: FakeCopilot, auto: AutoMode, clock: Clock
) -> None:
    first = auto.current()
    clock.time = first.expires_at - 100
    fake.force("POST", PATH, 500, "oops", times=0)
    assert first is auto.current()
    clock.time = first.expires_at + 1
    with pytest.raises(GatewayError):
        auto.current()


def test_a_session_that_another_process_is_opening_is_waited_for(
    fake: FakeCopilot, auto: AutoMode, state: MemoryState, client: CopilotClient, clock: Clock
) -> None:
    scope = client.tokens.scope()
    state.claim("copilot-auto-session-lease", scope, "somebody", expires_at=clock() + 3)
    began = clock()
    auto.current()
    assert (1, True) == (len(fake.requests(PATH)), clock() >= began + 3)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (
            (403, {"error": {"message": "Auto is off for you", "code": "feature_disabled"}}),
            ("permission", "feature_disabled"),
        ),
        (
            (429, {"error": {"message": "slow down", "code": "user_global_rate_limited"}}),
            ("rate_limit", "user_global_rate_limited"),
        ),
        ((404, "404 page not found\n"), ("not_found", None)),
        ((500, "oops"), ("upstream", "upstream_500")),
        *(
            ((200, body), ("upstream", "bad_auto_session"))
            for body in (
                "<html>",
                {"selected_model": "gpt-5-mini"},
                {"session_token": "a\r\nb: c"},
                {"session_token": "t", "available_models": "all"},
            )
        ),
    ],
)
def test_a_session_that_fails_says_so_and_is_not_asked_again_at_once(
    fake: FakeCopilot,
    auto: AutoMode,
    clock: Clock,
    reply: tuple[int, object],
    expected: tuple[ErrorKind, str | None],
) -> None:
    fake.force("POST", PATH, *reply, times=0)
    seen = set[tuple[object, ...]]()
    asked = set[int]()
    for _ in range(3):
        with pytest.raises(GatewayError, match="Auto mode") as caught:
            auto.current()
        seen.add((caught.value.kind, caught.value.code))
        asked.add(len(fake.requests(PATH)))
    assert ({expected}, 1) == (seen, len(asked))
    clock.time += 61
    with pytest.raises(GatewayError):
        auto.current()
    assert max(asked) < len(fake.requests(PATH))


def test_a_session_that_upstream_has_dropped_is_renewed_within_the_request(
    fake: FakeCopilot, auto: AutoMode, client: CopilotClient
) -> None:
    old = auto.current()
    fake.force("POST", CHAT, 400, STALE)
    assert b"chat.completion" in client.open(say(old, auto)).read_all()
    new = auto.current()
    sent = [entry.headers.get(HEADER) for entry in fake.requests(CHAT)]
    assert ([old.token, new.token], 2) == (sent, len(fake.requests(PATH)))


def test_a_session_is_renewed_once_a_request(
    fake: FakeCopilot, auto: AutoMode, client: CopilotClient
) -> None:
    fake.force("POST", CHAT, 400, STALE, times=0)
    with pytest.raises(GatewayError, match="session token expired"):
        client.open(say(auto.current(), auto))
    with pytest.raises(GatewayError, match="session token expired"):
        client.open(say(auto.current(), auto))
    # The second request is not repeated: a renewal a minute is enough to tell that the session is not what is wrong.
    assert (3, 2) == (len(fake.requests(CHAT)), len(fake.requests(PATH)))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": {"message": "messages: too few", "code": "invalid_request_body"}}),
        (429, STALE),
        (402, STALE),
    ],
)
def test_other_refusals_leave_the_session_alone(
    fake: FakeCopilot, auto: AutoMode, client: CopilotClient, status: int, body: object
) -> None:
    fake.force("POST", CHAT, status, body)
    with pytest.raises(GatewayError):
        client.open(say(auto.current(), auto))
    assert (1, 1) == (len(fake.requests(CHAT)), len(fake.requests(PATH)))


@pytest.mark.parametrize(
    "reply",
    [
        (200, {"session_token": "other", "selected_model": "claude-haiku-4.5", "available_models": []}),
        (503, "down"),
    ],
)
def test_a_request_is_not_sent_again_without_a_session_for_its_model(
    fake: FakeCopilot, auto: AutoMode, client: CopilotClient, reply: tuple[int, object]
) -> None:
    asked = say(auto.current(), auto)
    fake.force("POST", PATH, *reply, times=0)
    fake.force("POST", CHAT, 400, STALE)
    with pytest.raises(GatewayError, match="session token expired"):
        client.open(asked)
    assert 1 == len(fake.requests(CHAT))


class _Broken(MemoryState):
    def load(self, kind: str, key: str) -> bytes | None:
        raise StoreError("down")

    def claim(self, kind: str, key: str, owner: str, *, expires_at: float) -> bool:
        raise StoreError("down")


def test_without_a_store_every_process_opens_its_own(
    fake: FakeCopilot, client: CopilotClient, clock: Clock
) -> None:
    for _ in range(2):
        assert "gpt-5-mini" == auto_on(client, _Broken(clock), clock).current().selected
    assert 2 == len(fake.requests(PATH))


def test_a_server_whose_clock_is_behind_does_not_make_every_request_ask(
    fake: FakeCopilot, auto: AutoMode, clock: Clock
) -> None:
    clock.time += 100_000
    assert auto.current() is auto.current()
    assert 1 == len(fake.requests(PATH))


def test_the_token_is_told_to_nobody(
    auto: AutoMode, caplog: pytest.LogCaptureFixture, state: MemoryState
) -> None:
    caplog.set_level(logging.DEBUG)
    token = str(auto.current().token)
    assert token not in f"{auto.current()!r} {caplog.text}"


def test_a_broken_record_is_no_session() -> None:
    assert (None, None) == (read_record(b"\xff", ""), read_record(b'{"token":1}', ""))


def test_the_selected_model_is_taken_else_the_first_that_may_be_used() -> None:
    a, b, c = (Model(id=name) for name in "abc")
    off = Model(id="a", policy="disabled")
    words = Model(id="b", kind="embeddings", dialects=())
    asked = session()
    chosen = [asked.choose(models).id for models in ([c, b, a], [c, b], [off, c, b], [off, words, c])]
    assert ["a", "b", "b", "c"] == chosen
    with pytest.raises(GatewayError, match="no model that is in your catalogue") as caught:
        asked.choose([Model(id="d")])
    assert (404, "auto_without_model") == (caught.value.status, caught.value.code)


def test_the_list_entry_has_the_limits_of_the_picked_model() -> None:
    picked = Model(id="a", vendor="OpenAI", context_window=1000, dialects=("responses",))
    entries = [auto_entry(one, [picked]) for one in (None, session(), session(selected="x", available=()))]
    assert [("auto", None), ("auto", 1000), ("auto", None)] == [(e.id, e.context_window) for e in entries]


def test_a_session_lives_as_long_as_upstream_says() -> None:
    body = b'{"session_token":"t","selected_model":"m","expires_at":5000,"discounted_costs":{"m":0.1}}'
    read = read_session(body, "scope", 1000.0)
    assert session(selected="m", available=(), expires_at=5000.0, scope="scope") == read


def test_a_session_needs_no_more_than_its_token() -> None:
    body = b'{"session_token":"t","selected_model":null,"available_models":null,"expires_at":null}'
    read = read_session(body, "scope", 1000.0)
    assert session(selected="", available=(), expires_at=1360.0, scope="scope") == read
