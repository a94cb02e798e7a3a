"""The keys that `deploy` and `smoke` make by themselves, while another command is at the keys."""

import time
from pathlib import Path

import pytest

from core.access.managed_keys import EDITS, ManagedKeys
from infra.cli.deploy import _first_key
from infra.cli.exits import CommandError
from infra.cli.smoke import temporary_key
from infra.local.state import SqliteStateStore


@pytest.fixture
def state(tmp_path: Path) -> SqliteStateStore:
    return SqliteStateStore(tmp_path / "state.sqlite3", time.time)


def test_command_that_finds_another_at_the_keys_says_so(
    state: SqliteStateStore, capsys: pytest.CaptureFixture[str]
) -> None:
    state.claim(EDITS, "all", "another", expires_at=time.time() + 60)
    keys = ManagedKeys(state, time.time)
    with pytest.raises(CommandError, match="Another command changes the keys"), temporary_key(keys):
        pass
    with pytest.raises(CommandError, match="Another command changes the keys"):
        _first_key(keys)
    assert ("", "") == capsys.readouterr()


def test_key_of_one_run_lives_as_long_as_the_run(state: SqliteStateStore) -> None:
    keys = ManagedKeys(state, time.time)
    with temporary_key(keys) as clear:
        assert keys.authenticate(clear) is not None
    assert (None, []) == (keys.authenticate(clear), keys.list())
