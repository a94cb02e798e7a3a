"""Qwen Code: `settings.json` (https://qwenlm.github.io/qwen-code-docs, model providers). It knows keys by a variable's name."""

from typing import Final

from core.model import Model
from infra.clients.paths import Entry
from infra.clients.plan import (
    CLIENT_KEY_VARIABLE,
    KEY_VARIABLE,
    Change,
    Client,
    Headless,
    Plan,
    Setting,
    Situation,
    context_of,
    native,
    output_of,
    title_of,
)


def plan(situation: Situation) -> Plan:
    """Compose the set-up: every model under the protocol that it speaks natively."""
    keyed = situation.key.kind == "variable"
    variable = KEY_VARIABLE if keyed else CLIENT_KEY_VARIABLE
    settings = [
        Setting(
            ("modelProviders", _protocol(model), Entry("name", title_of(model))),
            _entry(situation, model, variable),
        )
        for model in situation.models
    ]
    if not keyed:
        settings.append(Setting(("env", variable), situation.key.value))
    settings += [
        Setting(("security", "auth", "selectedType"), _protocol(situation.main)),
        Setting(("model", "name"), situation.main.id),
    ]
    path = situation.home / ".qwen" / "settings.json"
    return Plan(changes=(Change(path, "json", tuple(settings)),), then="qwen")


def _protocol(model: Model) -> str:
    return "anthropic" if native(model, ("chat", "messages")) == "messages" else "openai"


def _entry(situation: Situation, model: Model, variable: str) -> dict[str, object]:
    is_anthropic = _protocol(model) == "anthropic"
    return {
        "id": model.id,
        "name": title_of(model),
        "envKey": variable,
        "baseUrl": situation.url if is_anthropic else situation.openai,
        "generationConfig": {
            "contextWindowSize": context_of(model),
            "modalities": {"image": model.vision is True},
            "samplingParams": {"max_tokens": output_of(model)},
        },
    }


CLIENT: Final = Client(
    name="qwen-code",
    title="Qwen Code",
    plan=plan,
    surfaces=("chat", "messages"),
    programs=("qwen",),
    headless=Headless(arguments=("qwen", "-p", "{prompt}", "{allow}"), allow=("--yolo",)),
    tested="0.15.10",
)
