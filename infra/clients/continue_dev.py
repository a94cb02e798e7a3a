"""Continue, the editor extension and its command `cn`: models in `config.yaml`.

Names as in https://docs.continue.dev/reference.
"""

from typing import Final

from core.model import Model
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


def plan(situation: Situation) -> Plan:
    """Compose the set-up: the two models, for those that Continue lists by name."""
    path = situation.folder("CONTINUE_GLOBAL_DIR", ".continue") / "config.yaml"
    models = dict.fromkeys((situation.main, situation.small))
    settings = (
        Setting(("name",), "Local Config", if_missing=True),
        Setting(("version",), "1.0.0", if_missing=True),
        Setting(("schema",), "v1", if_missing=True),
        *(Setting(("models", Entry("name", title_of(model))), _entry(situation, model)) for model in models),
    )
    return Plan(
        changes=(Change(path, "yaml", settings),),
        steps=(f"In the editor, choose {title_of(situation.main)} in the list of models.",),
        then="cn",
    )


def _entry(situation: Situation, model: Model) -> dict[str, object]:
    able = (("tool_use", model.tools is not False), ("image_input", model.vision is True))
    return {
        "name": title_of(model),
        "provider": "anthropic" if native(model, ("chat", "messages")) == "messages" else "openai",
        "model": model.id,
        "apiBase": f"{situation.openai}/",
        "apiKey": situation.key.spelled("${{ secrets.%s }}"),
        "roles": ["chat", "edit", "apply"],
        "capabilities": [name for name, has in able if has],
        "defaultCompletionOptions": {"contextLength": context_of(model), "maxTokens": output_of(model)},
    }


CLIENT: Final = Client(
    name="continue",
    title="Continue",
    plan=plan,
    surfaces=SURFACES,
    programs=("cn",),
    headless=Headless(
        arguments=("cn", "-p", "{prompt}", "--config", "{file}", "{allow}"),
        allow=("--auto",),
        variables={"CONTINUE_TELEMETRY_ENABLED": "0", "CONTINUE_METRICS_ENABLED": "0"},
    ),
    tested="1.5.47",
)
