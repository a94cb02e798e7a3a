"""Which models a client gets."""

import pytest

from core.model import Model
from core.preferences import suggest_main, suggest_small, usable

OFFERED = [
    Model(id="gpt-4.1"), Model(id="gpt-5-mini"), Model(id="gpt-5.4"), Model(id="gpt-5.5-codex"), Model(id="gpt-5.5"),
    Model(id="gpt-5.6-mini"), Model(id="gpt-6-astra", preview=True), Model(id="claude-opus-4.8"),
    Model(id="claude-sonnet-4.6"), Model(id="claude-sonnet-5"), Model(id="claude-haiku-4.5"), Model(id="gemini-3.8-flash"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("prefers", "expected"),
    [("claude", ("claude-sonnet-5", "claude-haiku-4.5")), ("gpt", ("gpt-5.5", "gpt-5.6-mini"))],
)
def test_the_newest_released_model_of_the_wanted_family(prefers: str, expected: tuple[str, str]) -> None:
    assert expected == (suggest_main(OFFERED, prefers), suggest_small(OFFERED, prefers))


def test_what_cannot_call_tools_is_not_for_the_main_work() -> None:
    models = [Model(id="claude-sonnet-9", tools=False), Model(id="claude-sonnet-5", tools=True)]
    assert "claude-sonnet-5" == suggest_main(models, "claude")
    assert "claude-sonnet-9" == suggest_main(models[:1], "claude")


def test_the_setting_chooses_the_small_model_if_it_is_there() -> None:
    assert "gpt-4.1" == suggest_small(OFFERED, "claude", "gpt-4.1")
    assert "claude-haiku-4.5" == suggest_small(OFFERED, "claude", "gone")


@pytest.mark.parametrize("prefers", ["claude", "gpt"])
def test_a_catalogue_of_strangers_has_a_first(prefers: str) -> None:
    assert "kimi-k3" == suggest_main([Model(id="kimi-k3")], prefers)


def test_only_what_can_chat_and_is_allowed_is_used() -> None:
    models = [Model(id="a", kind="embeddings"), Model(id="b", policy="unconfigured"), Model(id="c")]
    assert ["c"] == [model.id for model in usable(models)]
