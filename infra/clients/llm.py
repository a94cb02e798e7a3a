"""llm: models in `extra-openai-models.yaml` (https://llm.datasette.io/en/stable/other-models.html)."""

from pathlib import Path
from typing import Final

from core.model import Model
from infra.clients.paths import Entry
from infra.clients.plan import PROVIDER, Change, Client, Headless, Plan, Setting, Situation

FOLDER: Final = "io.datasette.llm"
GIVE_KEY: Final = "Give llm the gateway's key: llm keys set copilot-gateway"


def plan(situation: Situation) -> Plan:
    """Compose the set-up. llm keeps keys in a file of its own, which its own command writes."""
    folder = _folder(situation)
    models = tuple(
        Setting((Entry("model_id", f"{PROVIDER}/{model.id}"),), _entry(situation, model))
        for model in situation.models
    )
    chosen = Setting((), f"{PROVIDER}/{situation.main.id}")
    return Plan(
        changes=(
            Change(folder / "extra-openai-models.yaml", "yaml", models),
            Change(folder / "default_model.txt", "text", (chosen,)),
        ),
        steps=() if situation.key.kind == "none" else (GIVE_KEY,),
        then="llm 'Say hello.'",
        needs_variable=False,
    )


def _folder(situation: Situation) -> Path:
    named = situation.environ.get("LLM_USER_PATH", "")
    return Path(named) if named else situation.application_data() / FOLDER


def _entry(situation: Situation, model: Model) -> dict[str, object]:
    entry: dict[str, object] = {
        "model_id": f"{PROVIDER}/{model.id}",
        "model_name": model.id,
        "api_base": situation.openai,
        "vision": model.vision is True,
        "supports_tools": model.tools is not False,
        "supports_schema": model.structured_outputs is not False,
    }
    if situation.key.kind != "none":
        entry["api_key_name"] = PROVIDER
    return entry


CLIENT: Final = Client(
    name="llm",
    title="llm",
    plan=plan,
    surfaces=("chat",),
    programs=("llm",),
    headless=Headless(arguments=("llm", "{prompt}")),
    tested="0.36",
)
