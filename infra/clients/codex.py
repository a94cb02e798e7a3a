"""Codex CLI: `config.toml` with a model provider of its own, over the Responses API.

Names as in https://developers.openai.com/codex/config-reference.
"""

from typing import Final

from infra.clients.plan import (
    KEY_VARIABLE,
    PROVIDER,
    TITLE,
    Change,
    Client,
    Headless,
    Plan,
    Setting,
    Situation,
    context_of,
)


def plan(situation: Situation) -> Plan:
    """Compose the set-up."""
    provider: dict[str, object] = {"name": TITLE, "base_url": situation.openai, "wire_api": "responses"}
    if situation.key.kind == "variable":
        provider["env_key"] = KEY_VARIABLE
    elif situation.key.kind == "literal":
        provider["experimental_bearer_token"] = situation.key.value
    settings = (
        Setting(("model",), situation.main.id),
        Setting(("model_provider",), PROVIDER),
        Setting(("model_context_window",), context_of(situation.main)),
        Setting(("model_providers", PROVIDER), provider),
    )
    path = situation.folder("CODEX_HOME", ".codex") / "config.toml"
    return Plan(changes=(Change(path, "toml", settings),), then="codex")


CLIENT: Final = Client(
    name="codex",
    title="Codex CLI",
    plan=plan,
    surfaces=("responses",),
    programs=("codex",),
    headless=Headless(arguments=("codex", "exec", "--skip-git-repo-check", "{allow}", "{prompt}"), allow=("--dangerously-bypass-approvals-and-sandbox",)),
    prefers="gpt",
    tested="0.169.0",
)  # fmt: skip
