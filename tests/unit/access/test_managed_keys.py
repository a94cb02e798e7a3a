"""Keys that the operator makes: what is shown, what is kept, how long a key is good."""

from pathlib import Path

import pytest

from core.access.caller import UNLIMITED, Caller, Limits
from core.access.keys import KeyCheck, KeyRing
from core.access.managed_keys import CACHE_LIFE, KIND, USES, AnyOf, KeyNameError, ManagedKey, ManagedKeys
from core.access.sessions import Sessions
from core.ports import StoreError
from core.settings import Secret
from infra.local.state import SqliteStateStore
from tests.unit.copilot.doubles import Clock, MemoryState

DAY = 24 * 3600.0


def whose(keys: KeyRing, presented: str) -> str | None:
    caller = keys.authenticate(presented)
    return None if caller is None else caller.name


class CountingState(MemoryState):
    """Counts what is asked of it."""

    loads = 0

    def load(self, kind: str, key: str) -> bytes | None:
        self.loads += 1
        return super().load(kind, key)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(clock: Clock) -> CountingState:
    return CountingState(clock)


@pytest.fixture
def keys(state: CountingState, clock: Clock) -> ManagedKeys:
    return ManagedKeys(state, clock)


def test_a_key_has_256_random_bits_and_opens_under_its_name(keys: ManagedKeys) -> None:
    laptop, phone = keys.create("laptop"), keys.create("phone")
    assert [len(laptop), laptop[:4], laptop != phone] == [47, "cgw_", True]
    assert ["laptop", "phone"] == [whose(keys, laptop), whose(keys, phone)]


def test_every_bit_of_the_entropy_counts(clock: Clock) -> None:
    shown = {
        ManagedKeys(MemoryState(clock), clock, entropy=lambda _, bit=bit: (1 << bit).to_bytes(32)).create("k")
        for bit in range(256)
    }
    assert len(shown) == 256


def test_the_store_holds_no_key(keys: ManagedKeys, state: CountingState) -> None:
    clear = keys.create("laptop")
    assert not any(clear in str(record) or clear[4:] in str(record) for record in state.records.items())


@pytest.mark.parametrize(
    "change",
    [lambda k: k[:-1], lambda k: k + "0", lambda k: k.lower(), lambda k: k[4:], lambda _: "cgw_" + "0" * 43],
)
def test_a_changed_key_is_refused(keys: ManagedKeys, change: object) -> None:
    assert callable(change)
    assert whose(keys, change(keys.create("laptop"))) is None


@pytest.mark.parametrize(
    "presented", ["", "cgw_", "sk-1", "\ud800" * 47, "cgw_" + "ф" * 43, "cgw_" + "0" * 43 + "\n"]
)
def test_text_that_cannot_be_a_key_costs_no_look_up(
    keys: ManagedKeys, state: CountingState, presented: str
) -> None:
    assert (None, 0) == (whose(keys, presented), state.loads)


def test_the_store_is_not_asked_for_every_request(
    keys: ManagedKeys, state: CountingState, clock: Clock
) -> None:
    clear = keys.create("laptop")
    assert [whose(keys, clear) for _ in range(50)] == ["laptop"] * 50
    assert state.loads == 1
    clock.wait(CACHE_LIFE)
    assert ("laptop", 2) == (whose(keys, clear), state.loads)


def test_a_revoked_key_dies_here_at_once_and_elsewhere_within_half_a_minute(
    keys: ManagedKeys, state: CountingState, clock: Clock
) -> None:
    clear, elsewhere = keys.create("laptop"), ManagedKeys(state, clock)
    assert whose(elsewhere, clear) == "laptop"
    assert keys.revoke("laptop")
    assert whose(keys, clear) is None
    clock.wait(30)
    assert whose(elsewhere, clear) is None
    assert not keys.revoke("laptop")


def test_a_clock_that_was_set_back_keeps_no_revoked_key(
    keys: ManagedKeys, state: CountingState, clock: Clock
) -> None:
    clear, elsewhere = keys.create("laptop"), ManagedKeys(state, clock)
    assert whose(elsewhere, clear) == "laptop"
    assert keys.revoke("laptop")
    clock.wait(-3600)
    assert whose(elsewhere, clear) is None


def test_an_expired_key_is_refused_to_the_second_and_still_listed(keys: ManagedKeys, clock: Clock) -> None:
    clear = keys.create("guest", expires_at=clock() + 10)
    assert whose(keys, clear) == "guest"
    clock.wait(9.9)
    assert whose(keys, clear) == "guest"
    clock.wait(0.2)
    assert whose(keys, clear) is None
    assert [key.name for key in keys.list()] == ["guest"]
    clock.wait(31 * DAY)
    assert keys.list() == []


def test_the_list_shows_names_and_times_and_skips_strange_records(
    keys: ManagedKeys, state: CountingState, clock: Clock
) -> None:
    keys.create("first")
    clock.wait(5)
    keys.create("second", expires_at=clock() + DAY)
    state.save(KIND, "strange", b"\xff{")
    assert keys.list() == [
        ManagedKey(name="first", created_at=clock() - 5),
        ManagedKey(name="second", created_at=clock(), expires_at=clock() + DAY),
    ]


@pytest.mark.parametrize("name", ["", " ", "a b", "-x", "x" * 65, "é", "a\n", "static"])
def test_names_that_would_confuse_are_refused(keys: ManagedKeys, name: str) -> None:
    with pytest.raises(KeyNameError):
        keys.create(name)


def test_a_name_is_given_once(keys: ManagedKeys) -> None:
    keys.create("laptop")
    with pytest.raises(KeyNameError, match="already"):
        keys.create("laptop")


def test_cache_cannot_grow_without_end(keys: ManagedKeys) -> None:
    made = [keys.create(f"k{number}") for number in range(300)]
    assert [whose(keys, clear) for clear in made] == [f"k{number}" for number in range(300)]
    assert len(keys._found) <= 256


def test_keys_outlive_the_process(tmp_path: Path, clock: Clock) -> None:
    with_first = SqliteStateStore(tmp_path / "s", clock)
    clear = ManagedKeys(with_first, clock).create("laptop")
    with_first.close()
    again = SqliteStateStore(tmp_path / "s", clock)
    assert whose(ManagedKeys(again, clock), clear) == "laptop"
    again.close()


def test_the_settings_key_and_managed_keys_open_side_by_side(keys: ManagedKeys) -> None:
    clear = keys.create("laptop")
    ring = AnyOf(KeyCheck(Secret("s3cret")), keys)
    assert ["static", "laptop", None] == [whose(ring, k) for k in ("s3cret", clear, "other")]


# Limits, last use, another key under the same name

FEW = Limits(surfaces=("chat",), per_minute=3)


def test_a_key_carries_its_limits_and_its_end(keys: ManagedKeys, clock: Clock) -> None:
    clear = keys.create("agent", clock() + DAY, FEW)
    assert Caller("agent", FEW, clock() + DAY) == keys.authenticate(clear)


def test_a_record_of_an_older_release_is_a_key_without_limits(
    keys: ManagedKeys, state: CountingState
) -> None:
    clear = keys.create("agent", limits=FEW)
    ((_, number),) = [place for place in state.records if place[0] == KIND]
    state.save(KIND, number, b'{"name":"old","created_at":1.0,"expires_at":null}')
    assert Caller("old", UNLIMITED) == ManagedKeys(state, keys._now).authenticate(clear)


def test_limits_change_without_a_new_key(keys: ManagedKeys, state: CountingState, clock: Clock) -> None:
    clear, elsewhere = keys.create("agent", clock() + DAY, FEW), ManagedKeys(state, clock)
    assert elsewhere.authenticate(clear) is not None
    assert Limits(per_day=9) == keys.limit("agent", lambda _: Limits(per_day=9))
    assert Caller("agent", Limits(per_day=9), clock() + DAY) == keys.authenticate(clear)
    clock.wait(CACHE_LIFE)
    assert keys.authenticate(clear) == elsewhere.authenticate(clear)
    assert keys.limit("nobody", lambda old: old) is None


def test_use_is_noted_once_a_minute(keys: ManagedKeys, state: CountingState, clock: Clock) -> None:
    clear = keys.create("agent")
    assert {} == keys.last_used()
    began = clock()
    for _ in range(11):
        assert whose(keys, clear) == "agent"
        clock.wait(10)
    assert {"agent": began + 60} == keys.last_used()
    keys.revoke("agent")
    assert {} == keys.last_used()


def test_a_store_that_takes_no_note_refuses_no_key(clock: Clock) -> None:
    class ReadOnly(MemoryState):
        def save(self, kind: str, key: str, value: bytes, *, expires_at: float | None = None) -> None:
            if kind == USES:
                raise StoreError("full")
            super().save(kind, key, value, expires_at=expires_at)

    keys = ManagedKeys(ReadOnly(clock), clock)
    assert whose(keys, keys.create("agent")) == "agent"


def test_a_rotated_key_is_another_one_with_the_same_limits(keys: ManagedKeys, clock: Clock) -> None:
    old = keys.create("agent", clock() + DAY, FEW)
    new = keys.rotate("agent")
    assert new is not None
    assert (None, Caller("agent", FEW, clock() + DAY)) == (keys.authenticate(old), keys.authenticate(new))
    assert keys.rotate("nobody") is None


def test_a_key_that_has_expired_is_not_rotated_into_another_expired_one(
    keys: ManagedKeys, clock: Clock
) -> None:
    keys.create("agent", clock() + 60)
    clock.wait(61)
    with pytest.raises(KeyNameError, match="has expired"):
        keys.rotate("agent")
    assert 1 == len(keys.list())


def test_an_old_key_may_be_good_for_a_while_yet(keys: ManagedKeys, clock: Clock) -> None:
    old = keys.create("agent")
    new = keys.rotate("agent", grace=60)
    assert new is not None
    assert ["agent", "agent"] == [whose(keys, old), whose(keys, new)]
    clock.wait(61)
    assert [None, "agent"] == [whose(keys, old), whose(keys, new)]
    keys.revoke("agent")
    assert whose(keys, new) is None


def test_browser_sessions_end_with_their_key(keys: ManagedKeys, state: CountingState, clock: Clock) -> None:
    sessions = Sessions(state, clock)
    for end in (keys.revoke, keys.rotate, lambda name: keys.limit(name, lambda _: FEW)):
        keys.revoke("agent")
        keys.create("agent")
        opened, other = sessions.open("agent"), sessions.open("laptop")
        end("agent")
        assert (None, "laptop") == (sessions.key_name(opened), sessions.key_name(other))
    expiring = sessions.open("agent", clock() + 60)
    clock.wait(61)
    assert sessions.key_name(expiring) is None


def test_two_commands_do_not_change_the_keys_at_once(
    keys: ManagedKeys, state: CountingState, clock: Clock
) -> None:
    state.claim("api-key-edit", "all", "another", expires_at=clock() + 10)
    with pytest.raises(KeyNameError, match="Another command"):
        keys.create("agent")
    clock.wait(11)
    assert keys.create("agent")
