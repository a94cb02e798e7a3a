"""opencode and Kilo, which is made from it: a provider with every model on the surface that it speaks natively.

Names as in https://opencode.ai/docs/providers and https://opencode.ai/config.json.
"""

from pathlib import Path
from typing import Final

from core.model import DialectName, Model
from infra.clients.plan import (
    PROVIDER,
    SURFACES,
    TITLE,
    Change,
    Client,
    Headless,
    Plan,
    Setting,
    Situation,
    context_of,
    native,
    output_of,
    window_of,
)

PACKAGES: Final[dict[DialectName, str]] = {
    "chat": "@ai-sdk/openai-compatible",
    "messages": "@ai-sdk/anthropic",
    "responses": "@ai-sdk/openai",
}


def provider(situation: Situation) -> dict[str, object]:
    """Return the provider with all models."""
    return {
        "npm": PACKAGES["chat"],
        "name": TITLE,
        "options": {"baseURL": situation.openai, "apiKey": situation.key.spelled("{env:%s}")},
        "models": {model.id: _entry(model) for model in situation.models},
    }


def _entry(model: Model) -> dict[str, object]:
    entry: dict[str, object] = {
        "name": model.name or model.id,
        "limit": {"context": window_of(model), "input": context_of(model), "output": output_of(model)},
        "tool_call": model.tools is not False,
        "attachment": model.vision is True,
        "reasoning": bool(model.efforts),
    }
    if model.vision:
        entry["modalities"] = {"input": ["text", "image"], "output": ["text"]}
    if (surface := native(model, SURFACES)) != "chat":
        entry["provider"] = {"npm": PACKAGES[surface]}
    return entry


def _plan(situation: Situation, path: Path, then: str) -> Plan:
    settings = (
        Setting(("provider", PROVIDER), provider(situation)),
        Setting(("model",), f"{PROVIDER}/{situation.main.id}"),
        Setting(("small_model",), f"{PROVIDER}/{situation.small.id}"),
    )
    return Plan(changes=(Change(path, "json", settings),), then=then)


def plan(situation: Situation) -> Plan:
    """Compose the set-up of opencode."""
    folder = situation.config() / "opencode"
    return _plan(situation, _chosen(folder, "opencode"), "opencode")


def plan_kilo(situation: Situation) -> Plan:
    """Compose the set-up of Kilo."""
    return _plan(situation, _chosen(situation.config() / "kilo", "kilo"), "kilo")


def _chosen(folder: Path, name: str) -> Path:
    """Return the one of both spellings that is there: both programs read JSON with comments."""
    spelled = folder / f"{name}.jsonc"
    return spelled if spelled.exists() else folder / f"{name}.json"


CLIENT: Final = Client(
    name="opencode",
    title="opencode",
    plan=plan,
    surfaces=SURFACES,
    programs=("opencode",),
    headless=Headless(
        arguments=("opencode", "run", "{prompt}"), variables={"OPENCODE_DISABLE_AUTOUPDATE": "1"}
    ),
    tested="1.18.33",
)
KILO: Final = Client(
    name="kilo",
    title="Kilo Code (CLI)",
    plan=plan_kilo,
    surfaces=SURFACES,
    programs=("kilo",),
    headless=Headless(arguments=("kilo", "run", "{allow}", "{prompt}"), allow=("--auto",)),
)
