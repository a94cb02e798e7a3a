"""pi: models in `models.json`, the chosen one in `settings.json` (its own docs/models.md and docs/settings.md)."""

from typing import Final

from core.model import DialectName, Model
from infra.clients.plan import (
    KEY_VARIABLE,
    PROVIDER,
    SURFACES,
    Change,
    Client,
    Headless,
    Plan,
    Setting,
    Situation,
    context_of,
    native,
    output_of,
)

APIS: Final[dict[DialectName, str]] = {
    "chat": "openai-completions",
    "messages": "anthropic-messages",
    "responses": "openai-responses",
}


def plan(situation: Situation) -> Plan:
    """Compose the set-up. One base URL serves its OpenAI and its Anthropic client: the gateway answers without /v1, too."""
    folder = situation.folder("PI_CODING_AGENT_DIR", ".pi", "agent")
    provider = {
        "baseUrl": situation.url,
        "api": APIS["chat"],
        # pi takes the name of a variable for what it holds.
        "apiKey": KEY_VARIABLE if situation.key.kind == "variable" else situation.key.value,
        "models": [_entry(model) for model in situation.models],
    }
    chosen = (
        Setting(("defaultProvider",), PROVIDER),
        Setting(("defaultModel",), situation.main.id),
    )
    return Plan(
        changes=(
            Change(folder / "models.json", "json", (Setting(("providers", PROVIDER), provider),)),
            Change(folder / "settings.json", "json", chosen),
        ),
        then="pi",
    )


def _entry(model: Model) -> dict[str, object]:
    return {
        "id": model.id,
        "name": model.name or model.id,
        "api": APIS[native(model, SURFACES)],
        "reasoning": bool(model.efforts),
        "input": ["text", "image"] if model.vision else ["text"],
        "contextWindow": context_of(model),
        "maxTokens": output_of(model),
    }


CLIENT: Final = Client(
    name="pi",
    title="pi",
    plan=plan,
    surfaces=SURFACES,
    programs=("pi",),
    headless=Headless(arguments=("pi", "-p", "{prompt}"), variables={"PI_OFFLINE": "1"}),
    tested="0.73.1",
)
