"""What to paste to point a client at this gateway, for the status page."""

import json
import shlex
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from core.model import Model
from core.preferences import suggest_main, suggest_small, usable

KEY_VARIABLE: Final = "COPILOT_GATEWAY_API_KEY"
NO_KEY: Final = "no-key-needed"
TERMINAL: Final = "In a terminal"


class Snippet(Struct, frozen=True):
    """One block to copy. id: for links within the page. where: what to do with it."""

    id: str
    title: str
    where: str
    text: str


def snippets(base: str, models: Sequence[Model], small: str, *, keyed: bool) -> list[Snippet]:
    """Return the blocks for these models; none where no model can be used.

    base: the gateway's address, without a slash at the end. small: the setting `small_model`. keyed: a key is asked.
    """
    able = usable(models)
    if not able:
        return []
    claude, gpt = suggest_main(able, "claude"), suggest_main(able, "gpt")
    return [
        _claude_code(base, claude, suggest_small(able, "claude", small), keyed=keyed),
        _codex(base, gpt, keyed=keyed),
        _openai(base, gpt, keyed=keyed),
        _anthropic(base, claude, keyed=keyed),
        _curl(base, gpt, keyed=keyed),
    ]


def _claude_code(base: str, main: str, small: str, *, keyed: bool) -> Snippet:
    lines = (
        f"export ANTHROPIC_BASE_URL={shlex.quote(base)}",
        f"export ANTHROPIC_AUTH_TOKEN={_key(keyed=keyed)}",
        f"export ANTHROPIC_MODEL={shlex.quote(main)}",
        f"export ANTHROPIC_DEFAULT_HAIKU_MODEL={shlex.quote(small)}",
        "export CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1",
        "claude",
    )
    return Snippet("claude-code", "Claude Code", TERMINAL, "\n".join(lines))


def _codex(base: str, main: str, *, keyed: bool) -> Snippet:
    lines = [
        f"model = {_quoted(main)}",
        'model_provider = "copilot-gateway"',
        "",
        "[model_providers.copilot-gateway]",
        'name = "Copilot Gateway"',
        f"base_url = {_quoted(base + '/v1')}",
        'wire_api = "responses"',
        *([f'env_key = "{KEY_VARIABLE}"'] if keyed else []),
    ]
    return Snippet("codex", "Codex", "At the top of ~/.codex/config.toml", "\n".join(lines))


def _openai(base: str, main: str, *, keyed: bool) -> Snippet:
    text = f"""export OPENAI_BASE_URL={shlex.quote(base + "/v1")}
export OPENAI_API_KEY={_key(keyed=keyed)}
python3 - <<'END'
from openai import OpenAI

reply = OpenAI().chat.completions.create(
    model={_quoted(main)},
    messages=[{{"role": "user", "content": "Say hello."}}],
)
print(reply.choices[0].message.content)
END"""
    return Snippet("openai", "OpenAI SDK", TERMINAL, text)


def _anthropic(base: str, main: str, *, keyed: bool) -> Snippet:
    text = f"""export ANTHROPIC_BASE_URL={shlex.quote(base)}
export ANTHROPIC_API_KEY={_key(keyed=keyed)}
python3 - <<'END'
from anthropic import Anthropic

reply = Anthropic().messages.create(
    model={_quoted(main)},
    max_tokens=1024,
    messages=[{{"role": "user", "content": "Say hello."}}],
)
print(reply.content[0].text)
END"""
    return Snippet("anthropic", "Anthropic SDK", TERMINAL, text)


def _curl(base: str, main: str, *, keyed: bool) -> Snippet:
    body = json.dumps({"model": main, "messages": [{"role": "user", "content": "Say hello."}]})
    key = [f'  -H "Authorization: Bearer ${KEY_VARIABLE}" \\'] if keyed else []
    lines = (
        f"curl {shlex.quote(base + '/v1/chat/completions')} \\",
        *key,
        "  -H 'Content-Type: application/json' \\",
        f"  -d {shlex.quote(body)}",
    )
    return Snippet("curl", "curl", TERMINAL, "\n".join(lines))


def _key(*, keyed: bool) -> str:
    """Return what a shell puts in the key's place."""
    return f'"${KEY_VARIABLE}"' if keyed else NO_KEY


def _quoted(text: str) -> str:
    """Return a string as TOML and Python both write it."""
    return json.dumps(text)
