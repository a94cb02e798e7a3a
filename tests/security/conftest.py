"""Gateways to attack: one as people start it at home, one with a key. Both are real processes in front of the fake Copilot."""

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import (
    fake,
    gateway,
    gateway_url,
    host,
    one_fake,
    scripted,
    scripted_url,
    started,
    upstream,
)
from tests.e2e.hosting import Wire
from tests.emulators.copilot import FakeCopilot
from tests.security.attacks import KEY

__all__ = [
    "fake", "gateway", "gateway_url", "host", "locked", "locked_url", "one_fake", "scripted", "scripted_url", "upstream"
]  # fmt: skip


@pytest.fixture(scope="session")
def locked_url(one_fake: FakeCopilot, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from started(one_fake, tmp_path_factory.mktemp("locked"), api_key=KEY, max_body_bytes=1_000_000)


@pytest.fixture
def locked(locked_url: str, fake: FakeCopilot) -> Wire:
    """A gateway with a key, which the attacker does not have, and bodies of up to a megabyte."""
    return Wire(locked_url)
