"""All clients by name. A module is imported when one of its clients is asked for."""

from importlib import import_module
from typing import Final, cast

from infra.clients.plan import Client

MODULES: Final[dict[str, tuple[str, str]]] = {
    "claude-code": ("claude_code", "CLIENT"),
    "codex": ("codex", "CLIENT"),
    "opencode": ("opencode", "CLIENT"),
    "copilot-cli": ("copilot_cli", "CLIENT"),
    "aider": ("aider", "CLIENT"),
    "llm": ("llm", "CLIENT"),
    "qwen-code": ("qwen", "CLIENT"),
    "pi": ("pi", "CLIENT"),
    "droid": ("droid", "CLIENT"),
    "kilo": ("opencode", "KILO"),
    "crush": ("editors", "CRUSH"),
    "continue": ("continue_dev", "CLIENT"),
    "cline": ("by_hand", "CLINE"),
    "zed": ("editors", "ZED"),
    "vscode": ("editors", "VS_CODE"),
    "cursor": ("by_hand", "CURSOR"),
    "xcode": ("by_hand", "XCODE"),
    "jetbrains": ("by_hand", "JETBRAINS"),
    "raycast": ("editors", "RAYCAST"),
    "open-webui": ("by_hand", "OPEN_WEBUI"),
}
# Other names that people type.
SYNONYMS: Final = {
    "claude": "claude-code", "codex-cli": "codex", "copilot": "copilot-cli", "qwen": "qwen-code", "cn": "continue",
    "vs-code": "vscode", "code": "vscode", "jetbrains-ai": "jetbrains", "openwebui": "open-webui",
    "factory": "droid", "kilo-code": "kilo", "kilocode": "kilo", "charm": "crush",
}  # fmt: skip


def client(name: str) -> Client:
    """Return the client. Raises KeyError."""
    module, attribute = MODULES[SYNONYMS.get(name, name)]
    return cast("Client", getattr(import_module(f"infra.clients.{module}"), attribute))


def clients() -> list[Client]:
    """Return all clients, in the order in which they are shown."""
    return [client(name) for name in MODULES]
