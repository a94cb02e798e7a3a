"""Claude Code: `settings.json`, whose `env` is set for every session.

Names as Claude Code 2.1 has them: https://code.claude.com/docs/en/settings and /env-vars.
"""

from typing import Final

from core.model import Model
from core.preferences import suggest
from infra.clients.plan import (
    KEY_VARIABLE,
    NO_KEY,
    Change,
    Client,
    Headless,
    Plan,
    Setting,
    Situation,
)

# Claude Code takes no smaller window than this (tokens).
LEAST_WINDOW: Final = 100_000
PICKER: Final = {"OPUS": "claude-opus", "SONNET": "claude-sonnet"}
PRINTS_KEY: Final = {"win32": f"cmd /c echo %{KEY_VARIABLE}%"}


def variables(url: str, main: str, small: str) -> dict[str, str]:
    """Return what Claude Code has to have in its environment, but for the key. url: without /v1; the models' ids."""
    return {
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_MODEL": main,
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": small,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }


def comforts(main: Model, models: tuple[Model, ...]) -> dict[str, str]:
    """Return what makes its list of models and its compaction fit: the best of each family, the prompt's true limit."""
    found: dict[str, str] = {}
    for kind, wanted in PICKER.items():
        family = [model for model in models if wanted in model.id] or [main]
        found[f"ANTHROPIC_DEFAULT_{kind}_MODEL"] = suggest(family, (wanted,))
    if main.max_prompt is not None and main.max_prompt >= LEAST_WINDOW:
        found["CLAUDE_CODE_AUTO_COMPACT_WINDOW"] = str(main.max_prompt)
    return found


def plan(situation: Situation) -> Plan:
    """Compose the set-up."""
    path = situation.folder("CLAUDE_CONFIG_DIR", ".claude") / "settings.json"
    named = variables(situation.url, situation.main.id, situation.small.id)
    named |= comforts(situation.main, situation.models)
    settings = [Setting(("env", name), value) for name, value in named.items()]
    if situation.key.kind == "variable":
        prints = PRINTS_KEY.get(situation.platform, f"printenv {KEY_VARIABLE}")
        settings.append(Setting(("apiKeyHelper",), prints))
    else:
        settings.insert(1, Setting(("env", "ANTHROPIC_AUTH_TOKEN"), situation.key.value or NO_KEY))
    return Plan(changes=(Change(path, "json", tuple(settings)),), then="claude")


CLIENT: Final = Client(
    name="claude-code",
    title="Claude Code",
    plan=plan,
    surfaces=("messages",),
    programs=("claude",),
    headless=Headless(
        arguments=("claude", "-p", "{prompt}", "{allow}"), allow=("--dangerously-skip-permissions",)
    ),
    tested="2.1.328",
)
