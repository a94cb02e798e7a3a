"""The canonical request to a body for Copilot's chat."""

from hashlib import sha256
from typing import Final

from msgspec import UNSET, Struct, UnsetType

from core.canonical import Request
from core.dialect import Encoded, Target
from core.dialects.chat.draft import SAMPLING, Notes, Turn
from core.dialects.chat.messages_out import encode_messages
from core.dialects.chat.schema import encode
from core.dialects.chat.tools_out import (
    Format,
    OutChoice,
    OutTool,
    encode_choice,
    encode_format,
    encode_reasoning,
    encode_tools,
)
from core.errors import InvalidRequestError, UnsupportedFeatureError

MOST_STOPS: Final = 4
LONGEST_USER: Final = 64


class _StreamOptions(Struct, frozen=True):
    include_usage: bool = True


class _Body(Struct, kw_only=True):
    """The body, in upstream's order of members; what is unset is not sent (AC-40: nulls never)."""

    model: str
    messages: list[Turn]
    stream: bool = True
    stream_options: _StreamOptions = _StreamOptions()
    n: int = 1
    max_tokens: int | UnsetType = UNSET
    max_completion_tokens: int | UnsetType = UNSET
    temperature: float | UnsetType = UNSET
    top_p: float | UnsetType = UNSET
    frequency_penalty: float | UnsetType = UNSET
    presence_penalty: float | UnsetType = UNSET
    seed: int | UnsetType = UNSET
    stop: list[str] | UnsetType = UNSET
    tools: list[OutTool] | UnsetType = UNSET
    tool_choice: OutChoice | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType = UNSET
    reasoning_effort: str | UnsetType = UNSET
    thinking_budget: int | UnsetType = UNSET
    verbosity: str | UnsetType = UNSET
    response_format: Format | UnsetType = UNSET
    user: str | UnsetType = UNSET


def encode_request(request: Request, target: Target) -> Encoded:
    """Write a body for upstream, always a streaming one.

    Raises `UnsupportedFeatureError` where meaning would change, `InvalidRequestError` when nothing is left to send.
    """
    notes = Notes(target)
    turns = encode_messages(request.messages, notes)
    if not turns:
        raise InvalidRequestError("there must be a message", param="messages")
    body = _Body(model=target.model.id, messages=turns)
    _limit(body, request, notes)
    _sample(body, request, notes)
    _use_tools(body, request, notes)
    body.reasoning_effort, body.thinking_budget = encode_reasoning(
        request.reasoning, request.max_output, notes
    )
    body.response_format = encode_format(request.format, notes)
    _identify(body, request, notes)
    for name in request.extras:
        notes.lose(name)
    if request.asks_citations:
        notes.lose("citations")
    return Encoded(encode(body), notes.losses, notes.repairs)


def _limit(body: _Body, request: Request, notes: Notes) -> None:
    """Say the output limit under the name that the model knows (AC-65), and not more than it can give."""
    limit, most = request.max_output, notes.target.model.max_output
    if limit is None:
        return
    if most is not None and limit > most:
        notes.lose("max_output")
        limit = most
    setattr(body, notes.target.model.output_limit_name, limit)


def _sample(body: _Body, request: Request, notes: Notes) -> None:
    for name in SAMPLING:
        value = getattr(request, name)
        if value is not None and notes.target.model.sampling:
            setattr(body, name, value)
        elif value is not None:
            notes.lose(name)
    if request.top_k is not None:
        notes.lose("top_k")
    body.seed = UNSET if request.seed is None else request.seed
    if request.choices != 1:
        raise UnsupportedFeatureError("Copilot gives one answer a request: n must be 1", param="n")
    if len(request.stop) > MOST_STOPS:
        raise UnsupportedFeatureError(f"a chat model takes at most {MOST_STOPS} stop sequences", param="stop")
    body.stop = list(request.stop) or UNSET


def _use_tools(body: _Body, request: Request, notes: Notes) -> None:
    if request.forces_missing_tool:
        notes.lose("tool_choice")
    body.tools = encode_tools(request.tools, notes)
    if body.tools is UNSET:
        return
    body.tool_choice = encode_choice(request.tool_choice)
    if request.parallel_tools is not None and notes.target.model.parallel_tools is not False:
        body.parallel_tool_calls = request.parallel_tools
    elif request.parallel_tools:
        notes.lose("parallel_tools")


def _identify(body: _Body, request: Request, notes: Notes) -> None:
    """Say who asks. A long id is hashed: chat takes 64 characters, and Claude Code's has 150 (AC-40)."""
    if request.user is not None:
        long = len(request.user) > LONGEST_USER
        body.user = sha256(request.user.encode("utf-8", "replace")).hexdigest() if long else request.user
    if request.cache_key is not None:
        notes.lose("cache_key")
    if request.verbosity is not None and "OpenAI" in notes.target.model.vendor:
        body.verbosity = request.verbosity
    elif request.verbosity is not None:
        notes.lose("verbosity")
