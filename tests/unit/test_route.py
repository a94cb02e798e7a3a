"""Model ids resolve against the live catalogue, never to another version (AC-47)."""

import pytest

from core.errors import GatewayError
from core.model import Model
from core.route import resolve

CATALOGUE = [
    Model(id=name)
    for name in (
        "claude-sonnet-4.5", "claude-sonnet-4.6", "claude-opus-4.5", "claude-opus-4.6", "claude-opus-4.7", "claude-opus-4.8",
        "claude-opus-4.8-fast", "claude-opus-5", "claude-sonnet-5", "claude-haiku-4.5", "claude-opus-4.1", "claude-sonnet-3.7",
        "gpt-4.1", "gpt-4o", "gpt-5-mini", "gpt-5.5", "gpt-5.3-codex", "gemini-3.8-flash", "kimi-k3",
    )
]  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("claude-sonnet-4.6", "claude-sonnet-4.6"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4.5"),
        ("claude-sonnet-4-6", "claude-sonnet-4.6"),
        ("claude-sonnet-4-6-20260210", "claude-sonnet-4.6"),
        ("claude-opus-4-5-20251101", "claude-opus-4.5"),
        ("claude-opus-4-7", "claude-opus-4.7"),
        ("claude-opus-4-8", "claude-opus-4.8"),
        ("claude-opus-4-8-fast", "claude-opus-4.8-fast"),
        ("claude-opus-4-6[1m]", "claude-opus-4.6"),
        ("claude-opus-4-1-20250805", "claude-opus-4.1"),
        ("claude-haiku-4-5-20251001", "claude-haiku-4.5"),
        ("claude-opus-5", "claude-opus-5"),
        ("claude-sonnet-5", "claude-sonnet-5"),
        ("claude-sonnet-5-20260601", "claude-sonnet-5"),
        ("claude-3-7-sonnet-20250219", "claude-sonnet-3.7"),
        ("claude-3-7-sonnet-latest", "claude-sonnet-3.7"),
        ("opus", "claude-opus-5"),
        ("sonnet", "claude-sonnet-5"),
        ("claude-haiku", "claude-haiku-4.5"),
        ("Claude-Sonnet-4.6", "claude-sonnet-4.6"),
        ("anthropic/claude-sonnet-4.6", "claude-sonnet-4.6"),
        ("GPT-4o-2024-08-06", "gpt-4o"),
        ("gpt-5-5", "gpt-5.5"),
        ("claude-opus-5-0", "claude-opus-5"),
        ("claude-sonnet-5.0", "claude-sonnet-5"),
        ("anthropic.claude-sonnet-4-6", "claude-sonnet-4.6"),
        ("anthropic.claude-opus-4-6-v1", "claude-opus-4.6"),
        ("eu.anthropic.claude-opus-4-6-v1[1m]", "claude-opus-4.6"),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4.5"),
        ("bedrock/global.anthropic.claude-opus-4-8-20260101-v1:0", "claude-opus-4.8"),
    ],
)
def test_spelling_date_and_suffix_are_put_aside(asked: str, found: str) -> None:
    """AC-47."""
    assert found == resolve(asked, CATALOGUE, {}).id


@pytest.mark.parametrize(
    "asked",
    [
        "claude-sonnet-4-7", "claude-opus-6", "claude-3-5-haiku-20241022", "gpt-5", "gpt", "claude", "gpt-6-mini", "llama-4", "",
        "[1m]", "-", "claude-opus-4.8-slow",
    ],
)  # fmt: skip
def test_an_unknown_model_is_a_404_with_the_three_nearest(asked: str) -> None:
    """AC-47."""
    with pytest.raises(GatewayError) as caught:
        resolve(asked, CATALOGUE, {})
    assert ("not_found", 404) == (caught.value.kind, caught.value.status)
    assert sum(model.id in caught.value.message for model in CATALOGUE) >= 3


def test_the_nearest_ids_are_of_the_same_family() -> None:
    with pytest.raises(GatewayError, match=r"Nearest: claude-opus-4\.\d, claude-opus-\S+, claude-opus-\S+\."):
        resolve("claude-opus-4-9", CATALOGUE, {})


def test_an_alias_is_followed_when_nothing_else_matches() -> None:
    assert resolve("fast", CATALOGUE, {"fast": "gpt-5-mini"}).id == "gpt-5-mini"
    assert resolve("gpt-4o", CATALOGUE, {"gpt-4o": "gpt-5-mini"}).id == "gpt-4o"


def test_the_small_model_stands_in_for_retired_haikus() -> None:
    assert resolve("claude-3-5-haiku-20241022", CATALOGUE, {}, "gpt-5-mini").id == "gpt-5-mini"


def test_an_enabled_model_wins_over_a_disabled_twin() -> None:
    twins = [Model(id="claude-opus-9.1", policy="unconfigured"), Model(id="claude-opus-9", policy="enabled")]
    assert resolve("opus", twins, {}).id == "claude-opus-9"


def test_a_long_context_entry_is_preferred_where_upstream_lists_one() -> None:
    models = [*CATALOGUE, Model(id="claude-opus-4.6-1m")]
    assert resolve("claude-opus-4.6[1m]", models, {}).id == "claude-opus-4.6-1m"
