"""Web search for models that cannot: natively where the model has it, else through another model, else left out.

Copilot runs a search only on `/responses`. A request that can do nothing but search (no other tool, or the search is
forced) is answered by a model that is served there; one that merely may search goes on without it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct, structs

from core.canonical import HostedTool, Request, Tool, ToolChoice
from core.dialect import Dialect
from core.effort import effort_of
from core.errors import GatewayError, UnsupportedFeatureError, invalid_json
from core.model import DialectName, Model
from core.route import Lane, resolve

OFF: Final = "off"
LOSS: Final = "tools.web_search"
REROUTED: Final = "web_search_rerouted"

# A quotation mark inside a text is escaped, so only a member called `type` matches; results in the history do not.
_WORD: Final = b"web_search"
_ASKED: Final = re.compile(rb'"type"\s*:\s*"web_search(_preview)?(_[0-9][0-9_]*)?"|"web_search_options"\s*:')
_TYPE: Final = re.compile(r"web_search(_preview)?(_[0-9][0-9_]*)?")
# Members of a search tool that Responses has too, or that say nothing there; any other is lost.
_MAPPED: Final = frozenset(
    {"type", "name", "cache_control", "allowed_domains", "user_location", "search_context_size"}
)
_NOTHING: Final = frozenset({b"null", b"[]"})
_ABOUT_TOOLS: Final = frozenset({"tools", "tool_choice", "parallel_tool_calls"})
# OpenAI's documentation: models that are told not to reason cannot search.
_TOO_LITTLE: Final = frozenset({"none", "minimal"})

_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_array: Final = msgspec.json.Decoder(list[Raw] | None).decode
_encode: Final = msgspec.json.Encoder().encode


class _Glance(Struct):
    type: Any = ""


class _Location(Struct):
    """Where the user is: flat in Messages and Responses, nested in Chat Completions."""

    approximate: dict[str, Raw] | None = None


_glance: Final = msgspec.json.Decoder(_Glance).decode
_location: Final = msgspec.json.Decoder(_Location).decode


class Journey(Struct, frozen=True):
    """How one request travels: its lane, the client's body, and the decoded request where the lane translates."""

    lane: Lane
    body: bytes
    request: Request | None
    losses: tuple[str, ...] = ()
    repairs: tuple[str, ...] = ()


def may_ask(body: bytes) -> bool:
    """Tell whether a body may ask for web search; costs one byte search where it does not."""
    return _WORD in body and _ASKED.search(body) is not None


def is_search(tool: Tool | HostedTool) -> bool:
    """Tell whether a tool is a hosted web search, of whatever dialect."""
    return isinstance(tool, HostedTool) and tool.kind == "web_search"


def search_model(setting: str, models: Sequence[Model]) -> Model | None:
    """Return the model that searches for others: the one that the setting names, else the first OpenAI model.

    `models` are in order of preference; among them GPT comes first, and previews come last. None when the setting is
    "off", or there is none that may be used and is served on `/responses`.
    """
    able = [
        model
        for model in models
        if model.kind == "chat" and model.policy == "enabled" and "responses" in model.dialects
    ]
    if setting.lower() == OFF:
        return None
    if setting:
        try:
            return resolve(setting, able, {})
        except GatewayError:
            return None
    openai = [model for model in able if "openai" in model.vendor.lower() or _is_gpt(model)]
    return min(openai, key=lambda model: (model.preview, not _is_gpt(model), not model.picker), default=None)


def arrange(
    journey: Journey, searcher: Callable[[], Model | None], dialects: Mapping[DialectName, Dialect]
) -> Journey:
    """Find a way for a request that asks for web search. Raises `UnsupportedFeatureError` where there is none."""
    lane, request = journey.lane, journey.request
    if request is None and lane.upstream.name == "responses":
        return journey
    request = request or lane.surface.decode_request(journey.body)
    if not any(map(is_search, request.tools)):
        return journey
    if "responses" in lane.model.dialects:
        return _native(journey, request, lane.model, dialects)
    if not _must_search(request):
        return _left_out(journey, request)
    model = searcher()
    if model is None:
        raise UnsupportedFeatureError(
            f"{lane.model.id} cannot search the web, and no other model may do it for it: set "
            "COPILOT_GATEWAY_WEB_SEARCH_MODEL (web_search_model) to a model that Copilot serves on /responses, "
            "or remove the tool",
            param="tools",
        )
    alone, losses = _only_search(request)
    turned = structs.replace(journey, losses=losses, repairs=(REROUTED,))
    return _native(turned, alone, model, dialects)


def without_search(body: bytes) -> bytes:
    """Return a body of any surface without its search tools; every other member keeps its bytes.

    Where no tool is left, what chooses among tools goes too.
    """
    members = _members(body)
    members.pop("web_search_options", None)
    tools = [raw for raw in _array(members.get("tools", b"[]")) or () if not _is_tool(raw)]
    if tools:
        members["tools"] = Raw(_encode(tools))
    elif "functions" not in members:
        members = {name: raw for name, raw in members.items() if name not in _ABOUT_TOOLS}
    else:
        members.pop("tools", None)
    return _encode(members)


def native_tool(tool: HostedTool) -> tuple[HostedTool, tuple[str, ...]]:
    """Return any surface's search tool as Responses' own, and the names of what it cannot say there.

    Raises `InvalidRequestError` for members of the wrong type.
    """
    if tool.dialect == "responses":
        return tool, ()
    try:
        members = {name: raw for name, raw in _members(tool.raw).items() if bytes(raw) not in _NOTHING}
        wire: dict[str, Any] = {"type": "web_search"}
        if "allowed_domains" in members:
            wire["filters"] = {"allowed_domains": members["allowed_domains"]}
        if "user_location" in members:
            wire["user_location"] = _flat(members["user_location"])
        if "search_context_size" in members:
            wire["search_context_size"] = members["search_context_size"]
    except msgspec.DecodeError as error:
        raise invalid_json(error, "$.tools") from None
    lost = tuple(f"{LOSS}.{name}" for name in members if name not in _MAPPED)
    native = HostedTool("responses", "web_search", _encode(wire), name=tool.name, kind="web_search")
    return native, lost


def _native(
    journey: Journey, request: Request, model: Model, dialects: Mapping[DialectName, Dialect]
) -> Journey:
    """Send the request to `model` on `/responses`; a client of Responses has its own bytes passed through."""
    lane = structs.replace(journey.lane, upstream=dialects["responses"], model=model)
    if lane.passes_through:
        return structs.replace(journey, lane=lane, request=None)
    tools: list[Tool | HostedTool] = []
    losses = list(journey.losses)
    for tool in request.tools:
        native, lost = native_tool(tool) if isinstance(tool, HostedTool) and is_search(tool) else (tool, ())
        tools.append(native)
        losses.extend(lost)
    request = structs.replace(request, tools=tuple(tools))
    if effort_of(request.reasoning) in _TOO_LITTLE:
        request = structs.replace(request, reasoning=None)
        losses.append("effort")
    return structs.replace(journey, lane=lane, request=request, losses=tuple(losses))


def _only_search(request: Request) -> tuple[Request, tuple[str, ...]]:
    """Return the request with nothing but its first search tool, and what that loses."""
    search = next(tool for tool in request.tools if is_search(tool))
    others = any(not is_search(tool) for tool in request.tools)
    choice = request.tool_choice
    if choice is not None and choice.mode == "tool":
        choice = ToolChoice("required")  # the same with one tool, and every model knows it
    alone = structs.replace(request, tools=(search,), tool_choice=choice)
    return alone, (("tools",) if others else ())


def _left_out(journey: Journey, request: Request) -> Journey:
    """Leave the search out: the model may answer without it."""
    losses = (*journey.losses, LOSS)
    if journey.request is None:
        return structs.replace(journey, body=without_search(journey.body), losses=losses)
    tools = tuple(tool for tool in request.tools if not is_search(tool))
    request = structs.replace(request, tools=tools, tool_choice=request.tool_choice if tools else None)
    return structs.replace(journey, request=request, losses=losses)


def _must_search(request: Request) -> bool:
    """Tell whether the request makes no sense without its search."""
    choice = request.tool_choice
    if choice is not None and choice.mode == "none":
        return False
    if choice is not None and choice.mode == "tool":
        return any(is_search(tool) and tool.name == choice.name for tool in request.tools)
    return all(map(is_search, request.tools))


def _is_tool(raw: Raw) -> bool:
    kind = _glance(raw).type
    return isinstance(kind, str) and _TYPE.fullmatch(kind) is not None


def _is_gpt(model: Model) -> bool:
    return model.id.lower().startswith("gpt")


def _flat(location: Raw) -> Any:
    """Return where the user is as Responses says it; Chat Completions nests it once more."""
    nested = _location(location).approximate
    return location if nested is None else {"type": "approximate", **nested}
