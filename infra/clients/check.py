"""See whether a client gets answers: by running it, where it is installed, else by making its kind of request."""

import http.client
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from core.model import DialectName
from infra.clients.plan import KEY_VARIABLE, Client, Headless, Plan, Situation, native
from infra.clients.setup import Setups
from infra.smoke import Smoke

QUESTION: Final = "What is 317 * 23? Answer with the number, and use no tools."
ANSWER: Final = "7291"
PATIENCE: Final = 300.0  # seconds for the whole run of a client
TOLD: Final = 300  # characters of a client's own words
# Where a person's own settings could lie, when the client is tried in a home of its own.
FOLDERS: Final = (
    "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "CLAUDE_CONFIG_DIR", "CODEX_HOME",
    "LLM_USER_PATH", "PI_CODING_AGENT_DIR", "CONTINUE_GLOBAL_DIR", "APPDATA", "LOCALAPPDATA",
)  # fmt: skip

Mark = Literal["ok", "FAILED", "skipped"]


class Finding(Struct, frozen=True):
    """What one check found."""

    name: str
    mark: Mark
    told: str


def check(client: Client, situation: Situation, setups: Setups) -> Iterator[Finding]:
    """Yield what is found. A client that was not set up is tried with the set-up in a home of its own."""
    program = next(filter(None, map(shutil.which, client.programs)), None)
    if client.headless is not None and program is not None:
        yield _run(client, situation, setups)
        return
    why = (
        "it cannot be run without a person"
        if client.headless is None
        else f"{client.programs[0]} is not installed"
    )
    yield Finding(client.title, "skipped", f"{why}; these are the requests that it makes:")
    yield from _requests(client, situation)


def _run(client: Client, situation: Situation, setups: Setups) -> Finding:
    with TemporaryDirectory(prefix="copilot-gateway-check-") as folder:
        home, work = Path(folder) / "home", Path(folder) / "work"
        home.mkdir()
        work.mkdir()
        environ = dict(situation.environ)
        if not setups.exists(client.name):
            environ = {name: value for name, value in environ.items() if name not in FOLDERS}
            environ |= {"HOME": str(home), "USERPROFILE": str(home)}
            situation = msgspec.structs.replace(situation, home=home, environ=environ)
            rehearsal = Setups(Path(folder) / "data", lambda: "check")
            rehearsal.write(client.name, rehearsal.edits(client.name, client.plan(situation)), situation.key)
        return _ask(client, client.plan(situation), environ, work)


def _ask(client: Client, plan: Plan, environ: Mapping[str, str], work: Path) -> Finding:
    headless = client.headless
    assert headless is not None  # noqa: S101 - the caller has looked
    command = arguments(headless, plan, QUESTION)
    try:
        done = subprocess.run(  # noqa: S603 - the client's own command, found on the path
            command, cwd=work, env={**environ, **headless.variables}, stdin=subprocess.DEVNULL,
            capture_output=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        return Finding(client.title, "FAILED", f"does not run: {error}")
    said = done.stdout.decode(errors="replace").strip()
    if done.returncode == 0 and ANSWER in said.replace(",", "").replace(" ", ""):
        return Finding(client.title, "ok", f"asked {QUESTION!r}, and it said: {said[-TOLD:]}")
    complaint = done.stderr.decode(errors="replace").strip()
    return Finding(
        client.title, "FAILED", f"exit code {done.returncode}: {(said + ' ' + complaint).strip()[-TOLD:]}"
    )


def arguments(headless: Headless, plan: Plan, prompt: str, *, allow: bool = False) -> list[str]:
    """Return the command that makes a client answer one prompt and end. allow: it may use its tools unasked."""
    file = str(plan.changes[0].path) if plan.changes else ""
    given = {"{prompt}": (prompt,), "{file}": (file,), "{allow}": headless.allow if allow else ()}
    return [filled for word in headless.arguments for filled in given.get(word, (word,))]


def _requests(client: Client, situation: Situation) -> Iterator[Finding]:
    probe = Smoke(situation.url, _sent_key(situation))
    if client.lists_models:
        yield _tried("GET /v1/models", lambda: _listing(probe))
    surface = native(situation.main, client.surfaces)
    yield _tried(f"POST {REQUESTS[surface][0]}", lambda: _answer(probe, surface, situation.main.id))


def _tried(name: str, look: Callable[[], tuple[Mark, str]]) -> Finding:
    try:
        return Finding(name, *look())
    except (OSError, http.client.HTTPException) as error:
        return Finding(name, "FAILED", f"the connection broke: {type(error).__name__} {error}")


def _listing(probe: Smoke) -> tuple[Mark, str]:
    reply = probe.models_reply()
    return ("ok", "the models are listed") if reply.status == HTTPStatus.OK else ("FAILED", reply.says())


def _answer(probe: Smoke, surface: DialectName, model: str) -> tuple[Mark, str]:
    path, headers, body, ending = REQUESTS[surface]
    sent = json.dumps({"model": model, "stream": True, **body}).encode()
    reply = probe.ask("POST", path, {**headers, **_credentials(surface, probe.key)}, sent)
    if reply.status != HTTPStatus.OK:
        return "FAILED", f"{model}: {reply.says()}"
    if ending not in reply.body:
        return "FAILED", f"{model}: the stream did not end as it should"
    return "ok", f"{model} streams an answer, tools on offer"


def _sent_key(situation: Situation) -> str:
    if situation.key.kind == "variable":
        return situation.environ.get(KEY_VARIABLE, "")
    return situation.key.value if situation.key.kind == "literal" else ""


def _credentials(surface: DialectName, key: str) -> dict[str, str]:
    if not key:
        return {}
    return {"x-api-key": key} if surface == "messages" else {"authorization": f"Bearer {key}"}


_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"path": {"type": "string", "description": "the file"}},
    "required": ["path"],
    "additionalProperties": False,
}
_TOOL: Final[dict[str, Any]] = {"name": "read_file", "description": "Read a file."}
_FUNCTION: Final[dict[str, Any]] = {**_TOOL, "parameters": _SCHEMA}
_SYSTEM: Final = "You are a coding agent."
# Route, headers, body and how a whole stream ends: the least that agents of this kind send.
REQUESTS: Final[dict[DialectName, tuple[str, dict[str, str], dict[str, Any], bytes]]] = {
    "chat": (
        "/v1/chat/completions",
        {},
        {
            "messages": [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": QUESTION}],
            "tools": [{"type": "function", "function": _FUNCTION}],
            "stream_options": {"include_usage": True},
        },
        b"[DONE]",
    ),
    "messages": (
        "/v1/messages?beta=true",
        {"anthropic-version": "2023-06-01"},
        {
            "max_tokens": 1024,
            "system": [{"type": "text", "text": _SYSTEM, "cache_control": {"type": "ephemeral"}}],
            "messages": [{"role": "user", "content": [{"type": "text", "text": QUESTION}]}],
            "tools": [{**_TOOL, "input_schema": _SCHEMA}],
        },
        b"event: message_stop",
    ),
    "responses": (
        "/v1/responses",
        {},
        {
            "instructions": _SYSTEM,
            "input": [
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": QUESTION}]}
            ],
            "tools": [{"type": "function", "strict": False, **_FUNCTION}],
            "store": False,
        },
        b"response.completed",
    ),
}
