"""A login that several processes look at: who asks GitHub, and what becomes of the answer."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import Struct

from core.access.sessions import LIFE, Sessions, form_token, is_form_token
from core.copilot.device_login import DeviceCode, LoginGranted, LoginPending
from core.copilot.pending_login import KEY, KIND, LoginProgress, PendingLogin
from core.errors import GatewayError
from core.ports import StoreError
from core.settings import Secret
from tests.unit.copilot.doubles import Clock, MemoryState

Outcome = LoginPending | LoginGranted | GatewayError


class ScriptedLogin:
    """GitHub's side: gives codes, and answers polls by a script. `during` runs while GitHub is thinking."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.codes, self.polls = clock, 0, 0
        self.script: list[Outcome] = []
        self.during: Callable[[], object] = lambda: None

    def start(self) -> DeviceCode:
        self.codes += 1
        return DeviceCode(
            device_code=f"secret-{self.codes}", user_code=f"CODE-{self.codes}", verification_uri="https://x/login/device",
            expires_at=self.clock() + 900, interval=5,
        )  # fmt: skip

    def poll_once(self, code: DeviceCode) -> LoginPending | LoginGranted:
        self.polls += 1
        self.during()
        outcome = self.script.pop(0) if self.script else LoginPending(code.interval)
        if isinstance(outcome, GatewayError):
            raise outcome
        return outcome


class World(Struct):
    clock: Clock
    github: ScriptedLogin
    state: MemoryState
    kept: list[str]

    def process(self) -> PendingLogin:
        """Return the login as one more process knows it."""
        names = iter(range(1000))
        mine = object()
        return PendingLogin(
            self.github,  # type: ignore[arg-type] # the two methods that are used
            self.state, self.kept.append, now=self.clock, new_id=lambda prefix: f"{prefix}{id(mine)}-{next(names)}",
        )  # fmt: skip


@pytest.fixture
def world() -> World:
    clock = Clock()
    return World(clock, ScriptedLogin(clock), MemoryState(clock), [])


GRANTED = LoginGranted(Secret("gho_fresh"))


def phase(progress: LoginProgress | None) -> str:
    return "none" if progress is None else progress.phase


def test_nothing_is_asked_before_its_time_and_once_when_it_has_come(world: World) -> None:
    one, other = world.process(), world.process()
    one.start()
    assert ["waiting", "waiting", 0] == [phase(one.look()), phase(other.look()), world.github.polls]
    world.clock.wait(5)
    assert ["waiting", "waiting", 1] == [phase(other.look()), phase(one.look()), world.github.polls]


def test_two_that_look_at_the_same_moment_ask_once(world: World) -> None:
    one, other = world.process(), world.process()
    one.start()
    world.clock.wait(5)
    seen: list[str] = []
    world.github.during = lambda: seen.append(phase(other.look()))
    one.look()
    assert (["waiting"], 1) == (seen, world.github.polls)


def test_many_threads_ask_once_and_keep_the_token_once(world: World) -> None:
    world.process().start()
    world.clock.wait(5)
    world.github.script = [GRANTED, GatewayError("asked twice", kind="login_required")]
    threads = [threading.Thread(target=world.process().look) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (1, ["gho_fresh"], "granted") == (world.github.polls, world.kept, phase(world.process().look()))


def test_the_outcome_is_seen_by_every_process_for_a_while(world: World) -> None:
    one, other = world.process(), world.process()
    one.start()
    world.clock.wait(5)
    world.github.script = [GRANTED]
    assert ["granted", "granted"] == [phase(one.look()), phase(other.look())]
    world.clock.wait(601)
    assert "none" == phase(other.look())


def test_no_token_and_after_the_end_no_device_code_is_stored(world: World) -> None:
    login = world.process()
    login.start()
    world.clock.wait(5)
    world.github.script = [GRANTED]
    login.look()
    assert "gho_fresh" not in str(world.state.records)
    assert "secret-1" not in str(world.state.records)


def test_a_login_that_is_cancelled_while_github_thinks_stays_cancelled(world: World) -> None:
    one, other = world.process(), world.process()
    one.start()
    world.clock.wait(5)
    world.github.during = other.cancel
    assert "none" == phase(one.look())
    assert "none" == phase(other.look())


def test_a_login_begun_anew_while_github_thinks_shows_the_new_code(world: World) -> None:
    one, other = world.process(), world.process()
    one.start()
    world.clock.wait(5)
    world.github.during = other.start
    progress = one.look()
    assert progress is not None
    assert ("waiting", "CODE-2") == (progress.phase, progress.user_code)


def test_a_process_that_dies_while_asking_holds_nobody_up_for_long(world: World) -> None:
    one, other = world.process(), world.process()
    one.start()
    world.clock.wait(5)

    def die() -> None:
        raise KeyboardInterrupt

    world.github.during = die
    world.state.release = lambda *_args, **_kwargs: None  # type: ignore[method-assign] # it died
    with pytest.raises(KeyboardInterrupt):
        one.look()
    world.github.during = lambda: None
    other.look()
    assert 1 == world.github.polls
    world.clock.wait(30)
    other.look()
    assert 2 == world.github.polls


def test_a_token_that_cannot_be_kept_ends_the_login_with_the_reason(world: World) -> None:
    def refuse(_token: Secret) -> None:
        raise StoreError("Secrets Manager may not be used.")

    world.process().start()
    login = PendingLogin(
        world.github,  # type: ignore[arg-type] # the two methods that are used
        world.state, refuse, now=world.clock, new_id=lambda prefix: prefix + "x",
    )  # fmt: skip
    world.clock.wait(5)
    world.github.script = [GRANTED]
    progress = login.look()
    assert progress is not None
    assert "ended" == progress.phase
    assert "could not be kept. Secrets Manager may not be used." in progress.message


@pytest.mark.parametrize(
    "record", [b"", b"\xff", b"{}", b'{"phase": "other"}', b"[" * 10_000, b'{"phase":"waiting"}']
)
def test_a_strange_record_is_no_crash(world: World, record: bytes) -> None:
    world.state.save(KIND, KEY, record)
    assert phase(world.process().look()) in {"none", "waiting"}


def test_what_is_shown_holds_no_device_code(world: World) -> None:
    login = world.process()
    login.start()
    assert "secret-1" not in repr(login.look())


# Sessions


def test_a_session_is_known_by_its_hash_alone_and_ends(world: World) -> None:
    sessions = Sessions(world.state, world.clock)
    session = sessions.open("laptop")
    assert "laptop" == sessions.key_name(session)
    assert session not in str(world.state.records)
    world.clock.wait(LIFE)
    assert sessions.key_name(session) is None


@pytest.mark.parametrize("shown", ["", "x", "x" * 5000, "\ud800", "\0"])
def test_any_other_text_is_no_session(world: World, shown: str) -> None:
    Sessions(world.state, world.clock).open("laptop")
    assert Sessions(world.state, world.clock).key_name(shown) is None


def test_a_form_belongs_to_one_session() -> None:
    assert is_form_token("one", form_token("one"))
    assert not any(is_form_token("one", shown) for shown in ("", form_token("other"), "\ud800", "one"))


def test_the_record_is_json_for_whoever_looks_into_the_table(world: World) -> None:
    world.process().start()
    stored: Any = json.loads(world.state.load(KIND, KEY) or b"")
    assert "waiting" == stored["phase"]
