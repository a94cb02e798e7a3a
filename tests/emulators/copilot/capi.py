"""Copilot's own API: run the checks in order, then let the brain answer in the caller's dialect."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from tests.emulators.copilot import (
    chat,
    chat_rules,
    checks,
    messages,
    messages_content,
    messages_rules,
    messages_stream,
    responses,
    responses_rules,
)
from tests.emulators.copilot.brain import answer
from tests.emulators.copilot.catalogue_routes import auto_intent, auto_session, list_models, set_policy
from tests.emulators.copilot.chat_stream import ChatStream
from tests.emulators.copilot.context import Call, Spoken
from tests.emulators.copilot.conversation import Conversation
from tests.emulators.copilot.embeddings import embed
from tests.emulators.copilot.github import quota_headers
from tests.emulators.copilot.modes import delivery
from tests.emulators.copilot.responses_stream import ResponsesStream
from tests.emulators.copilot.state import FakeState
from tests.emulators.copilot.usage import measure
from tests.emulators.copilot.wire import (
    PLAIN,
    SSE,
    Reply,
    Request,
    anthropic_error,
    capi_error,
    json_reply,
    text_reply,
)

CACHED_BODY: Final = 65_536  # bytes
CACHED_REPLIES: Final = 256
Rule = Callable[[Call], Reply | None]


def handle(state: FakeState, request: Request) -> Reply:
    """Answer one request to Copilot."""
    request_id = request.headers.get("x-request-id") or f"00000000-0000-4000-8000-{state.number():012d}"
    reply = _checked(state, request, request_id)
    reply.headers = {
        "x-request-id": request_id,
        "x-github-request-id": f"FAKE:{state.number():06X}:1A2B:3C4D",
        "x-github-backend": "Kubernetes",
        **reply.headers,
    }
    return reply


def _checked(state: FakeState, request: Request, request_id: str) -> Reply:
    owner = checks.authorize(state, request)
    if isinstance(owner, Reply):
        return owner
    account, exchanged = owner
    call = Call(state, request, account, exchanged, request_id)
    # A forced answer counts calls that got this far; its modes apply to this call alone.
    forced = state.take_forced(request)
    if forced is not None:
        call.modes = dict(forced.modes)
        call.forced = (
            None if forced.reply is None else replace(forced.reply, headers=dict(forced.reply.headers))
        )
    reply = _first(checks.FRONT, call) or (_rendered(call) if state.cached else _routed(call))
    if call.modes and reply.delivery == PLAIN:
        reply = _delivered(reply, call)
    reply.headers = {**quota_headers(account), **reply.headers}
    return reply


def _delivered(reply: Reply, call: Call) -> Reply:
    how = delivery(call.modes)
    if reply.pieces is None and (how.gzip or how.split_utf8 or how.stamp):
        reply.pieces, how = [reply.body], replace(how, crlf=False)
    if how.gzip:
        reply.headers["content-encoding"] = "gzip"
    reply.delivery = how
    return reply


def _first(rules: tuple[Rule, ...], call: Call) -> Reply | None:
    for rule in rules:
        if refusal := rule(call):
            return refusal
    return None


def _routed(call: Call) -> Reply:
    route = ROUTES.get((call.request.method, call.request.path))
    return route(call) if route else set_policy(call)


def _rendered(call: Call) -> Reply:
    """Answer from the replies rendered before; only bytes, account and two headers tell requests apart."""
    headers, known = call.request.headers, call.state.rendered
    if call.modes or len(call.request.body) > CACHED_BODY:
        return _routed(call)
    key = (
        call.account.github_token, str(call.exchanged), call.request.path, call.request.body.decode("latin-1"),
        headers.get("copilot-vision-request", ""), headers.get("anthropic-beta", ""),
    )  # fmt: skip
    if key not in known:
        if len(known) >= CACHED_REPLIES:
            known.clear()
        reply = _routed(call)
        known[key] = _delivered(reply, call) if call.modes else reply
    return replace(known[key], headers=dict(known[key].headers))


def _chat(call: Call) -> Reply:
    if refusal := _first((checks.body, checks.model, checks.vision, *chat_rules.RULES), call):
        return refusal
    asked = chat.read(call)
    if refusal := _capi_overflow(call, asked):
        return refusal
    spoken = _speak(call, asked, writes=False)
    return _stream(ChatStream(call, spoken).pieces()) if call.streams else chat.reply(call, spoken)


def _responses(call: Call) -> Reply:
    if refusal := _first((checks.body, checks.model, checks.vision, *responses_rules.RULES), call):
        return refusal
    asked = responses.read(call)
    if refusal := _capi_overflow(call, asked):
        return refusal
    spoken = _speak(call, asked, writes=False)
    return _stream(ResponsesStream(call, spoken).pieces()) if call.streams else responses.reply(call, spoken)


def _messages(call: Call) -> Reply:
    rules = (checks.body, checks.model, checks.vision, *messages_rules.RULES, *messages_content.RULES)
    if refusal := _first(rules, call):
        return refusal
    asked = messages.read(call)
    most = checks.prompt_limit(call)
    if asked.prompt_tokens > most:
        message = f"prompt is too long: {asked.prompt_tokens} tokens > {most} maximum"
        return anthropic_error(message, f"req_{call.request_id}")
    spoken = _speak(call, asked, writes=True)
    return _stream(messages_stream.pieces(call, spoken)) if call.streams else messages.reply(call, spoken)


def _count_tokens(call: Call) -> Reply:
    rules = (checks.body, checks.model, checks.vision, *messages_rules.COUNT_RULES, *messages_content.RULES)
    if refusal := _first(rules, call):
        return refusal
    return json_reply(200, {"input_tokens": messages.read(call).prompt_tokens})


def _embeddings(call: Call) -> Reply:
    return _first((checks.body, checks.model), call) or embed(call)


def _capi_overflow(call: Call, asked: Conversation) -> Reply | None:
    most = checks.prompt_limit(call)
    if asked.prompt_tokens <= most:
        return None
    message = f"prompt token count of {asked.prompt_tokens} exceeds the limit of {most}"
    return capi_error(400, message, "model_max_prompt_tokens_exceeded")


def _speak(call: Call, asked: Conversation, *, writes: bool) -> Spoken:
    given = answer(asked, stamped=call.on("stamp"))
    usage = measure(call.state, call.account.github_token, asked, given, writes=writes)
    return Spoken(asked, given, usage, call.state.number())


def _stream(pieces: list[bytes]) -> Reply:
    return Reply(200, SSE, pieces=pieces, headers={"cache-control": "no-cache"})


def _ping(_: Call) -> Reply:
    return text_reply(200, "OK")


ROUTES: Final[dict[tuple[str, str], Callable[[Call], Reply]]] = {
    ("POST", "/chat/completions"): _chat,
    ("POST", "/responses"): _responses,
    ("POST", "/v1/messages"): _messages,
    ("POST", "/v1/messages/count_tokens"): _count_tokens,
    ("POST", "/embeddings"): _embeddings,
    ("GET", "/models"): list_models,
    ("POST", "/models/session"): auto_session,
    ("POST", "/models/session/intent"): auto_intent,
    ("GET", "/_ping"): _ping,
}
