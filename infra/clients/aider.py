"""aider: `.aider.conf.yml`, and what it has to know of the models in two files beside (https://aider.chat/docs/config)."""

from typing import Final

from core.model import Model
from infra.clients.paths import Entry
from infra.clients.plan import Change, Client, Headless, Plan, Setting, Situation, context_of, output_of

GIVE_KEY: Final = "aider reads the key from OPENAI_API_KEY: set it to the gateway's key where aider runs."


def plan(situation: Situation) -> Plan:
    """Compose the set-up. The prefix `openai/` is aider's way to say which protocol a model speaks."""
    main, small = situation.main, situation.small
    settings = [
        Setting(("openai-api-base",), situation.openai),
        Setting(("model",), f"openai/{main.id}"),
        Setting(("weak-model",), f"openai/{small.id}"),
        Setting(("model-settings-file",), str(situation.home / ".aider.model.settings.yml"), if_missing=True),
    ]
    if situation.key.kind != "variable":
        settings.insert(1, Setting(("openai-api-key",), situation.key.value))
    models = tuple(dict.fromkeys((main, small)))
    return Plan(
        changes=(
            Change(situation.home / ".aider.conf.yml", "yaml", tuple(settings)),
            Change(
                situation.home / ".aider.model.settings.yml", "yaml",
                tuple(Setting((Entry("name", f"openai/{model.id}"),), _settings(model)) for model in models),
            ),
            Change(
                situation.home / ".aider.model.metadata.json", "json",
                tuple(Setting((f"openai/{model.id}",), _metadata(model)) for model in models),
            ),
        ),
        steps=(GIVE_KEY,) if situation.key.kind == "variable" else (),
        then="aider",
        needs_variable=False,
    )  # fmt: skip


def _settings(model: Model) -> dict[str, object]:
    """Return what aider would know of a model with a famous name."""
    return {
        "name": f"openai/{model.id}",
        "edit_format": "diff",
        "use_repo_map": True,
        "use_temperature": model.sampling and not model.efforts,
    }


def _metadata(model: Model) -> dict[str, object]:
    return {
        "max_input_tokens": context_of(model),
        "max_output_tokens": output_of(model),
        "max_tokens": output_of(model),
        "supports_vision": model.vision is True,
        "litellm_provider": "openai",
        "mode": "chat",
    }


CLIENT: Final = Client(
    name="aider",
    title="aider",
    plan=plan,
    surfaces=("chat",),
    programs=("aider",),
    headless=Headless(
        arguments=(
            "aider", "--message", "{prompt}", "--no-git", "--yes-always", "--no-check-update", "--analytics-disable",
            "--no-show-release-notes", "--no-pretty",
        )
    ),
    tested="0.86.2",
)  # fmt: skip
