"""The control API under /_fake/: steer the fake from another process."""

import re
from collections.abc import Callable
from typing import Any, Final

from tests.emulators.copilot import modes as reply_modes
from tests.emulators.copilot.shapes import Obj, decode, encode, integer, is_object, items, members, string
from tests.emulators.copilot.state import DEMO_TOKEN, Account, FakeState, Forced, Logged
from tests.emulators.copilot.wire import JSON, Reply, Request, json_reply, text_reply

OK: Final[Obj] = {"ok": True}
DECISIONS: Final = {"approve": "approved", "deny": "denied"}
DEVICE: Final = re.compile(r"/_fake/devices/([^/]+)/(approve|deny|expire)")


def handle(state: FakeState, request: Request) -> Reply:
    """Answer one control request."""
    try:
        asked = members(decode(request.body)) if request.body else {}
    except ValueError as error:
        return _wrong(f"the body is not JSON: {error}")
    if match := DEVICE.fullmatch(request.path):
        return _decide(state, match[1], match[2], asked)
    route = ROUTES.get((request.method, request.path.removeprefix("/_fake/")))
    if route is None:
        listed = "\n".join(f"{method} /_fake/{name}" for method, name in ROUTES)
        return text_reply(
            404, f"The control API has:\n{listed}\nPOST /_fake/devices/CODE/(approve|deny|expire)\n"
        )
    return route(state, request, asked)


def _wrong(message: str) -> Reply:
    return json_reply(422, {"ok": False, "message": message})


def _decide(state: FakeState, user_code: str, decision: str, asked: Obj) -> Reply:
    token = string(asked.get("github_token")) or DEMO_TOKEN
    if decision == "expire":
        codes = [code for code in state.devices.values() if code.user_code == user_code]
        for code in codes:
            code.expires_at = state.clock.now() - 1
        return json_reply(200, OK) if codes else _wrong("no such user code")
    found = state.decide_device(user_code, DECISIONS[decision], token)
    return json_reply(200, OK) if found else _wrong("no such user code")


def show_state(state: FakeState, request: Request, asked: Obj) -> Reply:
    """Show urls, accounts, devices, modes and counts."""
    return json_reply(
        200,
        {
            "urls": state.urls,
            "now": state.clock.now(),
            "auto_approve": state.auto_approve,
            "accounts": list(state.accounts.values()),
            "devices": list(state.devices.values()),
            "sessions": list(state.sessions.values()),
            "modes": state.modes,
            "models": [entry.get("id") for entry in state.models],
            "forced": len(state.forced),
            "logged": len(state.log),
        },
    )


def set_modes(state: FakeState, request: Request, asked: Obj) -> Reply:
    """Set modes: {"model": id or "*", "modes": {...}, "replace": bool}."""
    state.rendered.clear()
    wanted, model = members(asked.get("modes")), string(asked.get("model")) or "*"
    if strangers := reply_modes.unknown(wanted):
        return _wrong(f"no such mode: {', '.join(strangers)}")
    if asked.get("replace") is True:
        state.modes.pop(model, None)
    state.set_modes(model, wanted)
    return json_reply(200, {"ok": True, "modes": state.modes})


def drop_modes(state: FakeState, request: Request, asked: Obj) -> Reply:
    """Drop all modes."""
    state.modes.clear()
    state.rendered.clear()
    return json_reply(200, OK)


def realistic_modes(state: FakeState, request: Request, asked: Obj) -> Reply:
    """Set the modes that the live service is reported to show, by model."""
    for model, modes in reply_modes.REALISTIC.items():
        state.set_modes(model, modes)
    return json_reply(200, {"ok": True, "modes": state.modes})


def set_model(state: FakeState, request: Request, asked: Obj) -> Reply:
    """Merge members into a model's entry, or add one: {"id": ..., ...}; {"id": ..., "remove": true} drops it."""
    model_id = string(asked.get("id"))
    with state.lock:
        state.rendered.clear()
        entry = state.model(model_id)
        if asked.get("remove") is True:
            state.models = [kept for kept in state.models if kept.get("id") != model_id]
        elif entry is None:
            state.models.append(asked)
        else:
            _merge(entry, asked)
    return json_reply(200, OK)


def _merge(entry: Obj, change: Obj) -> None:
    for name, value in change.items():
        if value is None:
            entry.pop(name, None)
        elif is_object(value) and is_object(entry.get(name)):
            _merge(entry[name], value)
        else:
            entry[name] = value


def set_account(state: FakeState, request: Request, asked: Obj) -> Reply:
    """Change or add an account: {"github_token": ..., any of its fields}."""
    token = string(asked.get("github_token")) or DEMO_TOKEN
    fields: dict[str, Any] = {name: value for name, value in asked.items() if name != "github_token"}
    if isinstance(fields.get("identity_allowlist"), list):
        fields["identity_allowlist"] = set(items(fields["identity_allowlist"]))
    with state.lock:
        state.rendered.clear()
        account = state.accounts.get(token) or Account(token)
        if strangers := [name for name in fields if not hasattr(account, name)]:
            return _wrong(f"an account has no {', '.join(strangers)}")
        for name, value in fields.items():
            setattr(account, name, value)
        state.accounts[token] = account
    return json_reply(200, {"ok": True, "account": account})


def set_options(state: FakeState, request: Request, asked: Obj) -> Reply:
    """Set auto_approve, body_limit, cached, client_ids, cache_minimum, count_tokens_known, or reject the name."""
    for name, value in asked.items():
        if name not in {
            "auto_approve",
            "body_limit",
            "cached",
            "client_ids",
            "cache_minimum",
            "count_tokens_known",
        }:
            return _wrong(f"no such option: {name}")
        setattr(state, name, set(items(value)) if name == "client_ids" else value)
    return json_reply(200, OK)


def expire_tokens(state: FakeState, request: Request, asked: Obj) -> Reply:
    """End one Copilot token ({"token": ...}) or all."""
    return json_reply(200, {"ok": True, "expired": state.expire_sessions(string(asked.get("token")) or None)})


def move_clock(state: FakeState, request: Request, asked: Obj) -> Reply:
    """Move the clock: {"advance": seconds} or {"freeze": unix seconds or null}."""
    if "freeze" in asked:
        state.clock.freeze(None if asked["freeze"] is None else float(integer(asked["freeze"])))
    state.clock.advance(integer(asked.get("advance")))
    return json_reply(200, {"ok": True, "now": state.clock.now()})


def force(state: FakeState, request: Request, asked: Obj) -> Reply:
    """Force answers: {"method", "path", "nth", "times", "status", "headers", "body", "content_type", "modes"}."""
    if strangers := reply_modes.unknown(asked.get("modes")):
        return _wrong(f"no such mode: {', '.join(strangers)}")
    state.force(
        Forced(
            method=string(asked.get("method")) or "POST",
            path=string(asked.get("path")),
            nth=integer(asked.get("nth"), 1),
            times=integer(asked.get("times"), 1),
            reply=forced_reply(asked) if "status" in asked else None,
            modes=members(asked.get("modes")),
        )
    )
    return json_reply(200, OK)


def forced_reply(asked: Obj) -> Reply:
    """Compose a forced reply; a body that is no string is sent as JSON, `pieces` as a stream."""
    body = asked.get("body", "")
    raw = body.encode() if isinstance(body, str) else encode(body)
    kind = string(asked.get("content_type")) or (
        JSON if not isinstance(body, str) else "text/plain; charset=utf-8"
    )
    pieces = [string(piece).encode() for piece in items(asked["pieces"])] if "pieces" in asked else None
    headers = {name: str(value) for name, value in members(asked.get("headers")).items()}
    return Reply(integer(asked.get("status"), 500), kind, raw, pieces, headers)


def drop_forced(state: FakeState, request: Request, asked: Obj) -> Reply:
    """Drop the queue of forced answers."""
    state.forced.clear()
    return json_reply(200, OK)


def read_log(state: FakeState, request: Request, asked: Obj) -> Reply:
    """Read the log, oldest first; ?path= and ?after=number narrow it."""
    wanted, after = request.query.get("path"), request.query.get("after", "0")
    least = int(after) if after.isdigit() else 0
    chosen = [e for e in list(state.log) if wanted in (None, e.path) and e.number > least]
    return json_reply(200, {"requests": [_shown(entry) for entry in chosen]})


def _shown(entry: Logged) -> Obj:
    body = entry.body.decode("utf-8", "replace")
    names = ("number", "at", "host", "method", "path", "query", "headers", "status", "outcome")
    return {**{name: getattr(entry, name) for name in names}, "body": body}


def drop_log(state: FakeState, request: Request, asked: Obj) -> Reply:
    """Empty the log."""
    state.log.clear()
    return json_reply(200, OK)


def reset(state: FakeState, request: Request, asked: Obj) -> Reply:
    """Return to the state of a fresh fake."""
    state.reset()
    return json_reply(200, OK)


ROUTES: Final[dict[tuple[str, str], Callable[[FakeState, Request, Obj], Reply]]] = {
    ("GET", "state"): show_state,
    ("POST", "modes"): set_modes,
    ("DELETE", "modes"): drop_modes,
    ("POST", "modes/realistic"): realistic_modes,
    ("POST", "models"): set_model,
    ("POST", "accounts"): set_account,
    ("POST", "options"): set_options,
    ("POST", "tokens/expire"): expire_tokens,
    ("POST", "clock"): move_clock,
    ("POST", "force"): force,
    ("DELETE", "force"): drop_forced,
    ("GET", "log"): read_log,
    ("DELETE", "log"): drop_log,
    ("POST", "reset"): reset,
}
