"""What the functions of single endpoints do with the table, against what their roles let them."""

import time
from pathlib import Path
from typing import Any

import pytest

from core.access.managed_keys import ManagedKeys
from core.settings import Settings
from handlers import create_app
from infra.aws import services as cloud
from infra.local.state import SqliteStateStore

PLACE = {"COPILOT_GATEWAY_TABLE": "t", "COPILOT_GATEWAY_SECRET": "s"}


class Watched:
    """A store that tells what it was asked for."""

    def __init__(self, state: SqliteStateStore) -> None:
        self._state = state
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.asked.append(name)
        return getattr(self._state, name)


@pytest.mark.parametrize(
    ("only", "asked"), [("health", ["load"]), ("models", ["load", "save"]), (None, ["load", "save"])]
)
def test_function_that_may_only_read_notes_no_use_of_a_key(
    only: str | None, asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = SqliteStateStore(tmp_path / "state.sqlite3", time.time)
    key = ManagedKeys(state, time.time).create("laptop")
    watched = Watched(state)
    monkeypatch.setattr(cloud, "WatchedStore", lambda _store: watched)
    client = create_app(cloud.build_services(Settings(), PLACE, only), only).test_client()
    answer = client.get("/nowhere", headers={"Host": "localhost", "x-api-key": key})
    assert (404, asked) == (answer.status_code, watched.asked)
