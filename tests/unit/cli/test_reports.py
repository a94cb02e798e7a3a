"""What the commands print: models, usage, debug, the introduction."""

from pathlib import Path

import pytest

from core.copilot.headers import VERSION
from core.copilot.usage import Allowance, Quota
from core.model import Model, Prices
from core.settings import Secret, Settings
from infra.cli import debug, models, usage
from infra.cli.console import LOOKS, Style, plain, say
from infra.cli.start import base_url, introduction


@pytest.mark.parametrize("style", LOOKS)
def test_every_style_can_be_said(style: Style, capsys: pytest.CaptureFixture[str]) -> None:
    say("word", style)
    assert ("", "word\n") == capsys.readouterr()


def test_model_is_a_row_of_facts() -> None:
    model = Model(
        id="claude-sonnet-5",
        dialects=("messages", "chat"),
        context_window=200_000,
        max_output=64_000,
        prices=Prices(batch=1_000_000, input=300, output=1500),
        preview=True,
    )
    expected = ("claude-sonnet-5", "messages, chat", "200k", "64k", "300/1500", "enabled, preview")
    assert models.row(model) == expected


def test_model_that_says_little_is_a_row_too() -> None:
    model = Model(id="embed", kind="embeddings", prices=Prices(batch=0))
    assert models.row(model) == ("embed", "embeddings", "-", "-", "-", "enabled")


def test_ids_are_never_cut_however_narrow_the_output(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    models.show([Model(id="a-model-with-quite-a-long-name-1.0")])
    assert "a-model-with-quite-a-long-name-1.0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("allowance", "expected"),
    [
        (Allowance(name="p", entitlement=300, remaining=251.4, percent_remaining=83.8), "251.4 of 300 credits left (83.8 %)"),
        (Allowance(name="p", unlimited=True), "unlimited"),
        (Allowance(name="p", unlimited=True, exhausted=True), "used up"),
        (
            Allowance(name="p", entitlement=300, remaining=-12, percent_remaining=-4, exhausted=True, overage_count=12),
            "used up, -12 of 300 credits left, 12 beyond the plan",
        ),
        (Allowance(name="p"), "not stated"),
    ],
)  # fmt: skip
def test_what_is_left_is_said_in_words(allowance: Allowance, expected: str) -> None:
    assert usage.remainder(allowance, "credits") == expected


def test_usage_names_the_account_its_plan_and_the_next_reset() -> None:
    quota = Quota(
        login="octocat",
        plan="individual",
        sku="monthly",
        resets_on="2026-12-01T00:00:00.000Z",
        allowances={"chat": Allowance(name="chat", unlimited=True)},
    )
    assert usage.lines(quota) == [
        "octocat: plan individual (monthly)",
        "chat: unlimited",
        "resets on 2026-12-01",
    ]


def test_debug_says_that_a_token_is_set_and_never_which(tmp_path: Path) -> None:
    settings = Settings(
        data_dir=str(tmp_path), github_token=Secret("gho_hidden"), api_key=Secret("hidden-key"), port=5000
    )
    told = debug.report(settings)
    assert told["token"] == "settings"
    assert told["changed_settings"] == {"github_token": "(set)", "port": 5000, "api_key": "(set)"}
    assert "hidden" not in repr(told)


def test_debug_knows_the_installed_version() -> None:
    project = Path(__file__).parents[3] / "pyproject.toml"
    assert f'version = "{VERSION}"' in project.read_text()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "http://127.0.0.1:4141"),
        ("0.0.0.0", "http://127.0.0.1:4141"),  # noqa: S104
        ("::", "http://[::1]:4141"),
        ("localhost", "http://localhost:4141"),
    ],
)
def test_base_url_is_one_that_clients_here_can_use(host: str, expected: str) -> None:
    assert base_url(host, 4141) == expected


def test_introduction_says_how_to_point_clients_here() -> None:
    models = [Model(id="gpt-4.1"), Model(id="kimi-k3")]
    text = "\n".join(introduction("http://127.0.0.1:4141", models, keyed=True))
    assert "Unofficial" in text
    assert "Models (2): gpt-4.1, kimi-k3" in text
    assert "OPENAI_BASE_URL=http://127.0.0.1:4141/v1 " in text
    assert "ANTHROPIC_BASE_URL=http://127.0.0.1:4141 " in text
    assert "API_KEY=the gateway's key" in text


def test_text_from_upstream_loses_its_control_characters() -> None:
    assert plain("a\x1b]0;title\x07b\u202ec\n") == "a\ufffd]0;title\ufffdb\ufffdc\n"
