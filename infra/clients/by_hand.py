"""Programs whose settings are not a file that we may write: what a person types where."""

from typing import Final
from urllib.parse import urlsplit

from core.copilot.hosts import is_loopback
from infra.clients.plan import TITLE, Client, Plan, Situation, context_of, output_of

PUBLIC: Final = (
    "Cursor's own servers call the gateway, and refuse an address such as this one: put the gateway where they "
    "reach it over https, with a key (docs/aws.md), and run this again with --url."
)
CONTAINER: Final = (
    "In a container, 127.0.0.1 is the container itself: the gateway then has to listen beyond this machine (--host, "
    "with a key) and be named as the container sees it, host.docker.internal; add that name to allowed_hosts."
)


def plan_cursor(situation: Situation) -> Plan:
    """Say what goes into Cursor's settings. Its servers make the calls, so they have to reach the gateway."""
    steps = [
        "Cursor Settings, Models, API Keys: turn on OpenAI API Key and enter " + situation.key.shown() + ".",
        f"Turn on Override OpenAI Base URL and enter {situation.openai}",
        f"Add Custom Model: {situation.main.id}, and {situation.small.id}; turn them on and press Verify.",
    ]
    if _is_local(situation.url):
        steps.insert(0, PUBLIC)
    return Plan(steps=tuple(steps), needs_variable=False)


def plan_cline(situation: Situation) -> Plan:
    """Say what goes into Cline: the extension's panel, or the command of its own that writes its settings."""
    main = situation.main
    key = '"$COPILOT_GATEWAY_API_KEY"' if situation.key.kind == "variable" else "KEY"
    return Plan(
        steps=(
            "In the editor: Cline's settings, API Provider: OpenAI Compatible.",
            f"Base URL: {situation.openai}",
            f"API Key: {situation.key.shown()}. Model ID: {main.id}",
            f"Model Configuration: Context Window Size {context_of(main)}, Max Output Tokens {output_of(main)}.",
            f"Supports Images: {'on' if main.vision else 'off'}.",
            f"On the command line instead: cline auth openai-compatible -b {situation.openai} -m {main.id} -k {key}",
        ),
        then="cline",
        needs_variable=False,
    )


def plan_xcode(situation: Situation) -> Plan:
    """Say what goes into Xcode 26's settings. Xcode adds /v1 by itself."""
    steps = [
        "Xcode, Settings, Intelligence: Add a Model Provider (Add a Chat Provider in later versions).",
        f"Choose Internet Hosted. URL: {situation.url}  API Key: {situation.key.shown()}  API Key Header: x-api-key",
        f"Description: {TITLE}",
        f"Open the provider and choose the models to show, {situation.main.id} first.",
    ]
    return Plan(steps=tuple(steps), needs_variable=False)


def plan_jetbrains(situation: Situation) -> Plan:
    """Say what goes into the AI Assistant of JetBrains' editors."""
    return Plan(
        steps=(
            "Settings, Tools, AI Assistant, Providers & API keys; Third-party AI providers: OpenAI-compatible.",
            f"URL: {situation.openai}  API Key: {situation.key.shown()}  Tool calling: on. Press Test Connection.",
            f"Models Assignment: core features {situation.main.id}, instant helpers {situation.small.id}.",
            f"Context window: {context_of(situation.main)}.",
        ),
        needs_variable=False,
    )


def plan_open_webui(situation: Situation) -> Plan:
    """Say how Open WebUI is started, or what its administrator enters."""
    key = "$COPILOT_GATEWAY_API_KEY" if situation.key.kind == "variable" else "KEY"
    task = f"TASK_MODEL_EXTERNAL={situation.small.id}"
    steps = [
        f"Admin Panel, Settings, Connections, OpenAI API: add {situation.openai} with {situation.key.shown()}.",
        f"In a chat, choose {situation.main.id}; the list holds every model of your subscription.",
        f"Settings, Interface, Task Model (External): {situation.small.id}, for titles and tags.",
        f"Or before its first start: OPENAI_API_BASE_URL={situation.openai} OPENAI_API_KEY={key} {task}",
    ]
    if _is_local(situation.url):
        steps.append(CONTAINER)
    return Plan(steps=tuple(steps), needs_variable=False)


def _is_local(url: str) -> bool:
    return is_loopback(urlsplit(url).hostname or "")


CURSOR: Final = Client(
    name="cursor", title="Cursor", plan=plan_cursor, surfaces=("chat",), programs=("cursor",)
)
CLINE: Final = Client(name="cline", title="Cline", plan=plan_cline, surfaces=("chat",), programs=("cline",))
XCODE: Final = Client(
    name="xcode",
    title="Xcode",
    plan=plan_xcode,
    surfaces=("chat",),
    programs=("xcodebuild",),
    lists_models=True,
)
JETBRAINS: Final = Client(
    name="jetbrains",
    title="JetBrains AI Assistant",
    plan=plan_jetbrains,
    surfaces=("chat",),
    lists_models=True,
)
OPEN_WEBUI: Final = Client(
    name="open-webui",
    title="Open WebUI",
    plan=plan_open_webui,
    surfaces=("chat",),
    programs=("open-webui",),
    lists_models=True,
)
