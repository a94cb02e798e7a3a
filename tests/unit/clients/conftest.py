"""A home directory of a test's own, and a situation in it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.model import Model
from infra.clients.plan import Key, Situation

MODELS = (
    Model(
        id="claude-sonnet-4.6", name="Claude Sonnet 4.6", dialects=("chat", "messages"), context_window=264_000,
        max_prompt=200_000, max_output=64_000, vision=True, tools=True, efforts=("low", "high"),
    ),
    Model(
        id="gpt-5.5", name="GPT-5.5", dialects=("responses",), context_window=400_000, max_prompt=272_000,
        max_output=128_000, vision=True, tools=True, efforts=("low", "high"),
    ),
    Model(id="gpt-5-mini", name="GPT-5 mini", dialects=("chat", "responses"), max_prompt=128_000, tools=True),
    Model(id="kimi-k3", dialects=("chat",), vision=False),
)  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def situation(home: Path) -> Callable[..., Situation]:
    """Return what makes a situation; every part can be given."""

    def make(**given: Any) -> Situation:
        usual = {
            "url": "http://127.0.0.1:4141", "key": Key(), "main": MODELS[0], "small": MODELS[2], "models": MODELS,
            "home": home, "environ": {}, "platform": "linux",
        }  # fmt: skip
        return Situation(**(usual | given))

    return make
