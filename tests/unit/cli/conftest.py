"""Consoles that follow the test and not the developer's terminal."""

from collections.abc import Iterator

import pytest

from infra.cli import console


@pytest.fixture(autouse=True)
def plain_consoles(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for variable in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "NO_COLOR", "COLUMNS"):
        monkeypatch.delenv(variable, raising=False)
    yield
    console.people.cache_clear()
    console.result.cache_clear()
