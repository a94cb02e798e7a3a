"""Claude Code's models and command."""

import pytest

from core.model import Model
from core.settings import Settings
from infra.cli.claude_code import Choice, announce, choose, variables
from infra.cli.exits import CommandError

CATALOGUE = [
    Model(id="gpt-5-mini"),
    Model(id="claude-sonnet-4.6"),
    Model(id="claude-sonnet-5"),
    Model(id="claude-sonnet-6", preview=True),
    Model(id="claude-haiku-4.5"),
    Model(id="claude-haiku-9", policy="unconfigured"),
    Model(id="text-embedding-3-small", kind="embeddings"),
]


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        (CATALOGUE, Choice("claude-sonnet-5", "claude-haiku-4.5")),
        ([Model(id="gpt-4.1"), Model(id="gpt-5-mini")], Choice("gpt-5-mini", "gpt-5-mini")),
        ([Model(id="kimi-k3")], Choice("kimi-k3", "kimi-k3")),
        (
            [Model(id="claude-opus-4.8"), Model(id="claude-opus-4.10")],
            Choice("claude-opus-4.10", "claude-opus-4.10"),
        ),
    ],
)
def test_newest_released_models_are_chosen_where_nobody_can_be_asked(
    models: list[Model], expected: Choice
) -> None:
    assert choose(models, Settings()) == expected


def test_configured_small_model_is_kept() -> None:
    assert choose(CATALOGUE, Settings(small_model="gpt-5-mini")).small == "gpt-5-mini"


@pytest.mark.parametrize("models", [[], [Model(id="x", kind="embeddings")], [Model(id="$(reboot)")]])
def test_catalogue_without_a_usable_model_is_an_error(models: list[Model]) -> None:
    with pytest.raises(CommandError):
        choose(models, Settings())


def test_everything_that_claude_code_needs_is_set() -> None:
    assert variables("http://127.0.0.1:4141", Choice("a", "b"), keyed=False) == {
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:4141",
        "ANTHROPIC_AUTH_TOKEN": "no-key-needed",
        "ANTHROPIC_MODEL": "a",
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": "b",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }


def test_key_is_named_and_not_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    announce("http://127.0.0.1:4141", Choice("a", "b"), keyed=True)
    shown = capsys.readouterr()
    assert "COPILOT_GATEWAY_API_KEY" in shown.err
