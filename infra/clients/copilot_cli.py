"""GitHub Copilot CLI with a provider of one's own: it reads that from its environment only (`copilot help providers`)."""

import shlex
from typing import Final

from core.model import DialectName
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

HEAD: Final = "# How GitHub Copilot CLI reaches Copilot Gateway. Read it into your shell: . {path}\n"
WIRE: Final[dict[DialectName, dict[str, str]]] = {
    "chat": {"COPILOT_PROVIDER_TYPE": "openai", "COPILOT_PROVIDER_WIRE_API": "completions"},
    "responses": {"COPILOT_PROVIDER_TYPE": "openai", "COPILOT_PROVIDER_WIRE_API": "responses"},
    "messages": {"COPILOT_PROVIDER_TYPE": "anthropic"},
}


def variables(situation: Situation) -> dict[str, str]:
    """Return what the program reads, but for the key."""
    main = situation.main
    surface = native(main, SURFACES)
    return {
        "COPILOT_PROVIDER_BASE_URL": situation.url if surface == "messages" else situation.openai,
        **WIRE[surface],
        "COPILOT_MODEL": main.id,
        "COPILOT_PROVIDER_MAX_PROMPT_TOKENS": str(context_of(main)),
        "COPILOT_PROVIDER_MAX_OUTPUT_TOKENS": str(output_of(main)),
        "COPILOT_OFFLINE": "true",
    }


def plan(situation: Situation) -> Plan:
    """Compose the set-up: a file of our own, for a shell to read."""
    path = situation.config() / PROVIDER / "copilot-cli.sh"
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables(situation).items()]
    key = situation.key
    shown = f'"${KEY_VARIABLE}"' if key.kind == "variable" else shlex.quote(key.value)
    lines.append(f"export COPILOT_PROVIDER_API_KEY={shown}")
    text = HEAD.format(path=shlex.quote(str(path))) + "\n".join(lines) + "\n"
    return Plan(
        changes=(Change(path, "text", (Setting((), text),)),),
        steps=(f"Read the file into the shell that starts the program: . {shlex.quote(str(path))}",),
        then="copilot",
    )


CLIENT: Final = Client(
    name="copilot-cli",
    title="GitHub Copilot CLI",
    plan=plan,
    surfaces=SURFACES,
    programs=("copilot",),
    headless=Headless(
        arguments=("sh", "-c", '. "$0" && exec copilot -p "$@"', "{file}", "{prompt}", "{allow}"),
        allow=("--allow-all-tools",),
    ),
    tested="1.0.102",
)
