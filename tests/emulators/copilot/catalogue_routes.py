"""GET /models, policies and the auto mode."""

from tests.emulators.copilot import checks
from tests.emulators.copilot.context import Call
from tests.emulators.copilot.models import kind
from tests.emulators.copilot.shapes import Obj, members, string
from tests.emulators.copilot.wire import Reply, capi_error, json_reply


def list_models(call: Call) -> Reply:
    """List the catalogue as this account sees it; an old API version draws a warning."""
    return json_reply(200, {"object": "list", "data": [_seen(call, entry) for entry in call.state.models]})


def _seen(call: Call, entry: Obj) -> Obj:
    state = call.account.policies.get(string(entry.get("id")))
    seen = {**entry, "policy": {**members(entry.get("policy")), "state": state}} if state else entry
    version = call.request.headers.get("x-github-api-version", "")
    if version < "2025-05-01" and kind(entry) == "chat" and isinstance(entry.get("id"), str):
        warning = {"code": "client_version_deprecated", "message": "Update your client to use this model."}
        return {**seen, "warning_messages": [warning]}
    return seen


def set_policy(call: Call) -> Reply:
    """Accept or withdraw a model's terms for this account."""
    match = checks.POLICY.fullmatch(call.request.path)
    model_id = match[1] if match else ""
    if refusal := checks.body(call):
        return refusal
    entry = call.state.model(model_id)
    if entry is None:
        return checks.not_supported(checks.NOT_SUPPORTED)
    wanted = call.body.get("state")
    if wanted not in {"enabled", "disabled"}:
        return capi_error(400, "state: must be enabled or disabled", "invalid_request_body")
    call.account.policies[model_id] = str(wanted)
    return json_reply(200, {"model": model_id, "state": wanted})


def auto_session(call: Call) -> Reply:
    """Open an auto session: Copilot picks the model."""
    if refusal := checks.body(call):
        return refusal
    return json_reply(
        200,
        {
            "available_models": ["gpt-5-mini", "gpt-4.1", "claude-haiku-4.5"],
            "selected_model": "gpt-5-mini",
            "expires_at": call.now() + 3600,
            "discounted_costs": {"gpt-5-mini": 0.1},
            "session_token": f"auto-{call.state.number():06d}",
        },
    )


def auto_intent(call: Call) -> Reply:
    """Judge whether a prompt needs reasoning."""
    if refusal := checks.body(call):
        return refusal
    hard = len(string(call.body.get("prompt"))) > 400
    scores = {"needs_reasoning": 0.9 if hard else 0.1, "no_reasoning": 0.1 if hard else 0.9}
    label = "needs_reasoning" if hard else "no_reasoning"
    candidates = ["gpt-5-mini"] if hard else ["gpt-4.1", "gpt-5-mini"]
    return json_reply(
        200,
        {
            "predicted_label": label,
            "confidence": 0.9,
            "latency_ms": 12,
            "candidate_models": candidates,
            "scores": scores,
        },
    )
