"""What each client gets."""

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from core.model import Model
from infra.clients.check import arguments
from infra.clients.documents import apply
from infra.clients.plan import KEY_VARIABLE, Client, Key, Situation
from infra.clients.registry import MODULES, SYNONYMS, client, clients
from infra.clients.setup import Setups

Make = Callable[..., Situation]
SECRET = "cgw_canary0123456789"
KEYS = {"none": Key(), "variable": Key("variable", ""), "literal": Key("literal", SECRET)}
PARSERS: dict[str, Callable[[str], Any]] = {
    "json": json.loads, "toml": tomllib.loads, "yaml": YAML(typ="safe", pure=True).load, "text": str,
}  # fmt: skip


def written(chosen: Client, given: Situation) -> dict[str, Any]:
    """Return what the files hold, by their names."""
    made = {}
    for change in chosen.plan(given).changes:
        text, _ = apply("", change.form, change.settings)
        made[change.path.name] = PARSERS[change.form](text)
    return made


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("name", MODULES)
def test_a_set_up_is_made_once_and_taken_back_wholly(
    name: str, kind: str, home: Path, situation: Make
) -> None:
    chosen, given = client(name), situation(key=KEYS[kind])
    setups = Setups(home / "data", lambda: "20260101-000000")
    plan = chosen.plan(given)
    setups.write(name, setups.edits(name, plan), given.key)
    assert [edit for edit in setups.edits(name, plan) if edit.changes] == []
    for file in home.rglob("*"):
        assert not file.is_file() or file.stat().st_mode & 0o077 == 0
    setups.undo(name)
    assert [file for file in home.rglob("*") if file.is_file()] == []


@pytest.mark.parametrize("name", MODULES)
def test_every_client_hears_where_the_gateway_is(name: str, situation: Make) -> None:
    given = situation(url="https://gateway.example")
    plan = client(name).plan(given)
    told = [str(setting.value) for change in plan.changes for setting in change.settings] + list(plan.steps)
    assert "https://gateway.example" in " ".join(told)
    assert given.main.id in " ".join(told)
    assert plan.changes or plan.steps


@pytest.mark.parametrize("name", MODULES)
def test_a_key_in_a_variable_is_named_and_never_written(name: str, situation: Make) -> None:
    plan = client(name).plan(situation(key=KEYS["variable"], environ={KEY_VARIABLE: SECRET}))
    assert SECRET not in repr(plan)
    assert "no-key-needed" not in repr(plan)


def test_claude_code(situation: Make) -> None:
    expected = {
        "env": {
            "ANTHROPIC_BASE_URL": "http://127.0.0.1:4141",
            "ANTHROPIC_AUTH_TOKEN": "no-key-needed",
            "ANTHROPIC_MODEL": "claude-sonnet-4.6",
            "ANTHROPIC_DEFAULT_HAIKU_MODEL": "gpt-5-mini",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "ANTHROPIC_DEFAULT_OPUS_MODEL": "claude-sonnet-4.6",
            "ANTHROPIC_DEFAULT_SONNET_MODEL": "claude-sonnet-4.6",
            "CLAUDE_CODE_AUTO_COMPACT_WINDOW": "200000",
        }
    }
    assert {"settings.json": expected} == written(client("claude-code"), situation())


def test_claude_code_gets_a_key_from_a_command(situation: Make) -> None:
    made = written(client("claude-code"), situation(key=KEYS["variable"]))["settings.json"]
    assert "printenv COPILOT_GATEWAY_API_KEY" == made["apiKeyHelper"]
    assert "ANTHROPIC_AUTH_TOKEN" not in made["env"]


def test_claude_code_gets_no_window_that_it_would_refuse(situation: Make) -> None:
    """It takes 100,000 tokens at least."""
    small = Model(id="claude-haiku-4.5", max_prompt=90_000)
    made = written(client("claude-code"), situation(main=small, models=(small,)))
    assert "CLAUDE_CODE_AUTO_COMPACT_WINDOW" not in made["settings.json"]["env"]


def test_codex(situation: Make) -> None:
    provider = {"name": "Copilot Gateway", "base_url": "http://127.0.0.1:4141/v1", "wire_api": "responses"}
    expected = {
        "model": "claude-sonnet-4.6",
        "model_provider": "copilot-gateway",
        "model_context_window": 200_000,
        "model_providers": {"copilot-gateway": provider},
    }
    assert {"config.toml": expected} == written(client("codex"), situation())
    keyed = written(client("codex"), situation(key=KEYS["variable"]))["config.toml"]
    assert provider | {"env_key": KEY_VARIABLE} == keyed["model_providers"]["copilot-gateway"]


def test_opencode_reaches_every_model_in_its_own_dialect(situation: Make) -> None:
    made = written(client("opencode"), situation())["opencode.json"]["provider"]["copilot-gateway"]["models"]
    packages = {name: entry.get("provider", {}).get("npm") for name, entry in made.items()}
    assert {
        "claude-sonnet-4.6": "@ai-sdk/anthropic",
        "gpt-5.5": "@ai-sdk/openai",
        "gpt-5-mini": "@ai-sdk/openai",
        "kimi-k3": None,
    } == packages
    assert {"context": 400_000, "input": 272_000, "output": 128_000} == made["gpt-5.5"]["limit"]
    assert (True, False) == (made["gpt-5.5"]["attachment"], made["kimi-k3"]["attachment"])


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (0, {"COPILOT_PROVIDER_TYPE": "anthropic", "COPILOT_PROVIDER_BASE_URL": "http://127.0.0.1:4141"}),
        (1, {"COPILOT_PROVIDER_TYPE": "openai", "COPILOT_PROVIDER_WIRE_API": "responses"}),
        (
            3,
            {
                "COPILOT_PROVIDER_WIRE_API": "completions",
                "COPILOT_PROVIDER_BASE_URL": "http://127.0.0.1:4141/v1",
            },
        ),
    ],
)
def test_copilot_cli_speaks_the_models_dialect(model: int, expected: dict[str, str], situation: Make) -> None:
    given = situation()
    text = written(client("copilot-cli"), situation(main=given.models[model]))["copilot-cli.sh"]
    for name, value in expected.items():
        assert f"export {name}={value}\n" in text


def test_a_file_that_is_spelled_jsonc_is_the_one(home: Path, situation: Make) -> None:
    there = home / ".config" / "opencode" / "opencode.jsonc"
    there.parent.mkdir(parents=True)
    there.write_text("{}")
    assert [there] == [change.path for change in client("opencode").plan(situation()).changes]


@pytest.mark.parametrize(
    ("name", "platform", "environ", "expected"),
    [
        ("claude-code", "linux", {"CLAUDE_CONFIG_DIR": "/c"}, "/c/settings.json"),
        ("codex", "linux", {"CODEX_HOME": "/c"}, "/c/config.toml"),
        ("opencode", "darwin", {"XDG_CONFIG_HOME": "/x"}, "/x/opencode/opencode.json"),
        ("vscode", "linux", {}, "HOME/.config/Code/User/chatLanguageModels.json"),
        ("vscode", "darwin", {}, "HOME/Library/Application Support/Code/User/chatLanguageModels.json"),
        ("vscode", "win32", {"APPDATA": "/roaming"}, "/roaming/Code/User/chatLanguageModels.json"),
        ("zed", "darwin", {}, "HOME/.config/zed/settings.json"),
        ("zed", "win32", {"APPDATA": "/roaming"}, "/roaming/Zed/settings.json"),
        ("llm", "darwin", {}, "HOME/Library/Application Support/io.datasette.llm/extra-openai-models.yaml"),
        ("llm", "linux", {"LLM_USER_PATH": "/l"}, "/l/extra-openai-models.yaml"),
    ],
)
def test_files_are_where_each_system_has_them(
    name: str, platform: str, environ: dict[str, str], expected: str, situation: Make
) -> None:
    given = situation(platform=platform, environ=environ)
    assert expected.replace("HOME", str(given.home)) == str(client(name).plan(given).changes[0].path)


def test_cursor_is_told_that_it_cannot_reach_this_machine(situation: Make) -> None:
    near, far = situation(), situation(url="https://gateway.example")
    assert "Cursor's own servers" in client("cursor").plan(near).steps[0]
    assert "Cursor's own servers" not in " ".join(client("cursor").plan(far).steps)


def test_names_are_what_they_say_and_synonyms_lead_to_them() -> None:
    assert list(MODULES) == [each.name for each in clients()]
    assert set(SYNONYMS.values()) <= MODULES.keys()
    assert client("claude") is client("claude-code")


def test_every_client_has_its_page() -> None:
    pages = Path(__file__).parents[3] / "docs" / "clients"
    index = (pages / "index.md").read_text()
    for each in clients():
        page = (pages / f"{each.name}.md").read_text()
        checked = (
            f"Checked by running it: {each.tested}"
            if each.tested
            else "Checked against its documented format only"
        )
        assert checked in page, each.name
        assert f"({each.name}.md)" in index


PACKAGES = {
    "claude-code": "@anthropic-ai/claude-code", "codex": "@openai/codex", "opencode": "opencode-ai",
    "copilot-cli": "@github/copilot", "continue": "@continuedev/cli", "pi": "@mariozechner/pi-coding-agent",
    "qwen-code": "@qwen-code/qwen-code", "droid": "droid",
}  # fmt: skip
PYPI = {"llm": "llm", "aider": "aider-chat"}


def test_the_versions_that_are_named_are_those_that_the_tests_run() -> None:
    folder = Path(__file__).parents[2] / "clients"
    pinned = json.loads((folder / "package.json").read_text())["devDependencies"]
    installed = {name: pinned[package] for name, package in PACKAGES.items()}
    for name, project in PYPI.items():
        lock = (folder / f"{name}.txt").read_text()
        installed[name] = re.findall(rf"^{project}==(\S+)", lock, re.MULTILINE)[0]
    assert installed == {each.name: each.tested for each in clients() if each.tested}


@pytest.mark.parametrize("name", PYPI)
def test_the_locks_of_clients_pin_by_hash_and_name_no_index(name: str) -> None:
    text = (Path(__file__).parents[2] / "clients" / f"{name}.txt").read_text()
    requirements = [part for part in re.split(r"\n(?=\S)", text) if not part.startswith("#")]
    assert [part for part in requirements if "==" not in part or "--hash=sha256:" not in part] == []
    assert re.findall(r"^-.*|\S+://\S+|\S+ @ \S+", text, re.MULTILINE) == []


def test_only_tests_let_a_client_use_its_tools_unasked(situation: Make) -> None:
    for each in clients():
        if each.headless is None:
            continue
        plan = each.plan(situation())
        asked, allowed = (arguments(each.headless, plan, "Hello", allow=allow) for allow in (False, True))
        assert not set(each.headless.allow) & set(asked)
        assert set(each.headless.allow) <= set(allowed)
        assert "Hello" in asked
        assert not any(word.startswith("{") for word in allowed)
