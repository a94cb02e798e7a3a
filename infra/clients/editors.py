"""Editors and launchers whose settings are files: Zed, VS Code, Raycast, and crush in the terminal."""

from typing import Final

from core.model import DialectName, Model
from infra.clients.paths import Entry
from infra.clients.plan import (
    PROVIDER,
    SURFACES,
    TITLE,
    Change,
    Client,
    Headless,
    Key,
    Plan,
    Setting,
    Situation,
    context_of,
    native,
    output_of,
    title_of,
)

# VS Code calls a surface by a name of its own and wants the whole URL.
VSCODE: Final[dict[DialectName, tuple[str, str]]] = {
    "chat": ("chat-completions", "chat/completions"),
    "messages": ("messages", "messages"),
    "responses": ("responses", "responses"),
}
ZED_KEY: Final[dict[str, str]] = {
    "none": "Zed wants some key, though the gateway asks for none: type any text at `agent: open settings`, {title}.",
    "variable": "Zed reads the key from COPILOT_GATEWAY_API_KEY: set it where Zed starts.",
    "literal": "Type the gateway's key at `agent: open settings`, {title}: Zed keeps it in the system's keychain.",
}


def plan_zed(situation: Situation) -> Plan:
    """Compose Zed's set-up (https://zed.dev/docs/ai/llm-providers). Zed derives the key's variable from the title."""
    folder = (
        situation.application_data() / "Zed" if situation.platform == "win32" else situation.config() / "zed"
    )
    place = ("language_models", "openai_compatible", TITLE)
    settings = (
        Setting((*place, "api_url"), situation.openai),
        Setting((*place, "available_models"), [_zed(model) for model in situation.models]),
        Setting(("agent", "default_model"), {"provider": TITLE, "model": situation.main.id}, if_missing=True),
    )
    return Plan(
        changes=(Change(folder / "settings.json", "json", settings),),
        steps=(
            ZED_KEY[situation.key.kind].format(title=TITLE),
            f"Choose {situation.main.name or situation.main.id} in the agent panel.",
        ),
        then="zed",
    )


def _zed(model: Model) -> dict[str, object]:
    return {
        "name": model.id,
        "display_name": title_of(model),
        "max_tokens": context_of(model),
        "max_output_tokens": output_of(model),
        "capabilities": {
            "tools": model.tools is not False,
            "images": model.vision is True,
            "parallel_tool_calls": model.parallel_tools is True,
            "prompt_cache_key": False,
        },
    }


def plan_vscode(situation: Situation) -> Plan:
    """Compose VS Code's set-up: a custom endpoint of Copilot Chat, all surfaces (https://code.visualstudio.com/docs)."""
    folder = situation.application_data() / "Code" / "User"
    provider: dict[str, object] = {
        "name": TITLE,
        "vendor": "customendpoint",
        "models": [_vscode(situation, model) for model in situation.models],
    }
    if situation.key.kind == "none":
        provider["apiKey"] = Key().value
    steps = [
        "Choose a model of Copilot Gateway in the chat's list of models; `Manage Models` shows them all."
    ]
    if situation.key.kind != "none":
        steps.insert(
            0, f"In `Manage Models`, enter {situation.key.shown()} for {TITLE}: VS Code keeps it as a secret."
        )
    change = Change(folder / "chatLanguageModels.json", "json", (Setting((Entry("name", TITLE),), provider),))
    return Plan(changes=(change,), steps=tuple(steps), then="code", needs_variable=False)


def _vscode(situation: Situation, model: Model) -> dict[str, object]:
    kind, path = VSCODE[native(model, SURFACES)]
    return {
        "id": model.id,
        "name": model.name or model.id,
        "url": f"{situation.openai}/{path}",
        "apiType": kind,
        "toolCalling": model.tools is not False,
        "vision": model.vision is True,
        "maxInputTokens": context_of(model),
        "maxOutputTokens": output_of(model),
    }


def plan_raycast(situation: Situation) -> Plan:
    """Compose Raycast's set-up: `providers.yaml` (https://manual.raycast.com/ai/custom-providers)."""
    path = situation.home / ".config" / "raycast" / "ai" / "providers.yaml"
    provider: dict[str, object] = {
        "id": PROVIDER,
        "name": TITLE,
        "base_url": situation.openai,
        "models": [_raycast(model) for model in situation.models],
    }
    steps = ["In Raycast's settings, AI, turn on Custom Providers; then choose a model of Copilot Gateway."]
    if situation.key.kind == "variable":
        steps.insert(0, "Raycast reads no variables: run this again with the key itself, --key -.")
    else:
        provider["api_keys"] = {PROVIDER: situation.key.value}
    change = Change(path, "yaml", (Setting(("providers", Entry("id", PROVIDER)), provider),))
    return Plan(changes=(change,), steps=tuple(steps), needs_variable=False)


def _raycast(model: Model) -> dict[str, object]:
    abilities = {
        "temperature": {"supported": model.sampling and not model.efforts},
        "vision": {"supported": model.vision is True},
        "system_message": {"supported": True},
        "tools": {"supported": model.tools is not False},
    }
    return {
        "id": model.id,
        "name": model.name or model.id,
        "context": context_of(model),
        "abilities": abilities,
    }


def plan_crush(situation: Situation) -> Plan:
    """Compose crush's set-up (https://github.com/charmbracelet/crush, custom providers)."""
    folder = situation.config() / "crush"
    provider = {
        "name": TITLE,
        "type": "openai-compat",
        "base_url": situation.openai,
        "api_key": situation.key.spelled("$%s"),
        "models": [_crush(model) for model in situation.models],
    }
    settings = (
        Setting(("providers", PROVIDER), provider),
        Setting(("models", "large"), {"provider": PROVIDER, "model": situation.main.id}),
        Setting(("models", "small"), {"provider": PROVIDER, "model": situation.small.id}),
    )
    return Plan(changes=(Change(folder / "crush.json", "json", settings),), then="crush")


def _crush(model: Model) -> dict[str, object]:
    return {
        "id": model.id,
        "name": model.name or model.id,
        "context_window": context_of(model),
        "default_max_tokens": output_of(model),
        "can_reason": bool(model.efforts),
        "supports_attachments": model.vision is True,
    }


ZED: Final = Client(name="zed", title="Zed", plan=plan_zed, surfaces=("chat",), programs=("zed", "zeditor"))
VS_CODE: Final = Client(
    name="vscode", title="VS Code (custom endpoint)", plan=plan_vscode, surfaces=SURFACES, programs=("code",)
)
RAYCAST: Final = Client(name="raycast", title="Raycast", plan=plan_raycast, surfaces=("chat",))
CRUSH: Final = Client(
    name="crush",
    title="crush",
    plan=plan_crush,
    surfaces=("chat",),
    programs=("crush",),
    headless=Headless(arguments=("crush", "run", "{prompt}")),
)
