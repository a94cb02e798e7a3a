"""Factory droid: custom models in `settings.json` (https://docs.factory.ai/cli/byok/overview)."""

import re
from typing import Final

from core.model import DialectName, Model
from infra.clients.paths import Entry
from infra.clients.plan import (
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
    title_of,
)

PROVIDERS: Final[dict[DialectName, str]] = {
    "chat": "generic-chat-completion-api",
    "messages": "anthropic",
    "responses": "openai",
}


def plan(situation: Situation) -> Plan:
    """Compose the set-up: the two models under names of their own."""
    models = dict.fromkeys((situation.main, situation.small))
    settings = [
        Setting(("customModels", Entry("displayName", title_of(model))), _entry(situation, model))
        for model in models
    ]
    settings.append(Setting(("sessionDefaultSettings", "model"), f"custom:{_slug(situation.main)}"))
    return Plan(
        changes=(Change(situation.home / ".factory" / "settings.json", "json", tuple(settings)),),
        steps=(
            "droid wants to be logged in at Factory, or FACTORY_API_KEY to be set, also for models of one's own.",
        ),
        then="droid",
    )


def _entry(situation: Situation, model: Model) -> dict[str, object]:
    surface = native(model, SURFACES)
    return {
        "model": model.id,
        "id": f"custom:{_slug(model)}",
        "displayName": title_of(model),
        "baseUrl": situation.url if surface == "messages" else situation.openai,
        "apiKey": situation.key.spelled("${%s}"),
        "provider": PROVIDERS[surface],
        "maxContextLimit": context_of(model),
        "maxOutputTokens": output_of(model),
        "noImageSupport": model.vision is not True,
    }


def _slug(model: Model) -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "-", title_of(model)).strip("-")


CLIENT: Final = Client(
    name="droid",
    title="Factory droid",
    plan=plan,
    surfaces=SURFACES,
    programs=("droid",),
    headless=Headless(
        arguments=("droid", "exec", "{allow}", "{prompt}"), allow=("--skip-permissions-unsafe",)
    ),
    tested="0.215.0",
)
