"""What is pasted into a shell or a file does what it says, whatever upstream calls its models."""

import subprocess
import tomllib
from pathlib import Path

import pytest

from core.model import Model
from handlers.pages.snippets import KEY_VARIABLE, Snippet, snippets

BASE = "https://gateway.example/dev"
HOSTILE = "gpt-5'; touch broken; $(touch broken) `touch broken` \"\\"


def of(name: str, *ids: str, keyed: bool = False, base: str = BASE) -> Snippet:
    models = [Model(id=each) for each in ids]
    return next(each for each in snippets(base, models, "", keyed=keyed) if each.id == name)


def environment_after(text: str, folder: Path, **given: str) -> dict[str, str]:
    """Run the lines in a shell, where `claude` prints its environment."""
    (folder / "claude").write_text("#!/bin/sh\nenv\n")
    (folder / "claude").chmod(0o755)
    environ = {"PATH": f"{folder}:/usr/bin:/bin", **given}
    done = subprocess.run(
        ["sh", "-ec", text], cwd=folder, env=environ, capture_output=True, text=True, check=True
    )
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


def test_claude_code_gets_the_address_and_two_models(tmp_path: Path) -> None:
    snippet = of("claude-code", "claude-sonnet-4.6", "claude-haiku-4.5", "gpt-5-mini")
    found = environment_after(snippet.text, tmp_path)
    assert {
        "ANTHROPIC_BASE_URL": BASE,
        "ANTHROPIC_AUTH_TOKEN": "no-key-needed",
        "ANTHROPIC_MODEL": "claude-sonnet-4.6",
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": "claude-haiku-4.5",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }.items() <= found.items()


def test_a_key_comes_from_the_environment(tmp_path: Path) -> None:
    snippet = of("claude-code", "claude-sonnet-4.6", keyed=True)
    found = environment_after(snippet.text, tmp_path, **{KEY_VARIABLE: "two words"})
    assert "two words" == found["ANTHROPIC_AUTH_TOKEN"]
    assert all(KEY_VARIABLE in each.text for each in snippets(BASE, [Model(id="gpt")], "", keyed=True))


def test_no_name_of_a_model_gets_out_of_its_quotes(tmp_path: Path) -> None:
    found = environment_after(of("claude-code", HOSTILE).text, tmp_path)
    assert (HOSTILE, ["claude"]) == (found["ANTHROPIC_MODEL"], [path.name for path in tmp_path.iterdir()])
    config = tomllib.loads(of("codex", HOSTILE).text)
    assert HOSTILE == config["model"]


def test_codex_gets_a_provider() -> None:
    assert {
        "model": "gpt-5.5",
        "model_provider": "copilot-gateway",
        "model_providers": {
            "copilot-gateway": {
                "name": "Copilot Gateway",
                "base_url": f"{BASE}/v1",
                "wire_api": "responses",
                "env_key": KEY_VARIABLE,
            }
        },
    } == tomllib.loads(of("codex", "claude-sonnet-4.6", "gpt-5.5", keyed=True).text)


@pytest.mark.parametrize("name", ["openai", "anthropic"])
def test_programs_between_the_lines_are_python(name: str) -> None:
    text = of(name, HOSTILE.replace("'", "")).text
    source = text.partition("<<'END'\n")[2].removesuffix("END")
    compile(source, name, "exec")
    assert BASE in text


def test_without_a_usable_model_there_is_nothing_to_paste() -> None:
    unusable = [Model(id="text-embedding", kind="embeddings"), Model(id="locked", policy="disabled")]
    assert [] == snippets(BASE, unusable, "", keyed=False)
