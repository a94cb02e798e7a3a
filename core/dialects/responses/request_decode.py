"""A client's request body to the canonical request."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, Raw, Struct

from core.canonical import Json, Message, OutputFormat, Reasoning, Request, Text, Tool
from core.dialects.responses.history import decode_input
from core.dialects.responses.peek import MODEL_MISSING
from core.dialects.responses.reading import read
from core.dialects.responses.schema import (
    JSON_ERRORS,
    MOST,
    Absent,
    TextConfig,
    TextFormat,
    decode_any,
    decode_members,
    is_set,
)
from core.dialects.responses.tools import AnyTool, decode_choice, decode_tools, describe_namespaces
from core.errors import InvalidRequestError

NAMESPACES: Final = "namespaces"  # our own name in `extras` for the descriptions of tool namespaces
REASONING: Final = "reasoning."  # prefix in `extras` of what only this dialect knows of reasoning
NO_STORE: Final = b"false"
ENCRYPTED: Final = "reasoning.encrypted_content"
# Clients that send every member say what is so anyway.
DEFAULTS: Final[dict[str, bytes]] = {"truncation": b'"disabled"'}


class RequestBody(Struct):
    """The members that the canonical request knows."""

    model: str | None = None
    input: Raw | Absent = UNSET
    instructions: str | None = None
    stream: bool | None = None
    tools: list[Raw] | None = None
    tool_choice: Raw | Absent = UNSET
    parallel_tool_calls: bool | None = None
    max_output_tokens: Annotated[int, Meta(ge=1, le=MOST)] | None = None
    temperature: float | None = None
    top_p: float | None = None
    reasoning: Raw | Absent = UNSET
    text: TextConfig | None = None
    user: str | None = None
    prompt_cache_key: str | None = None


KNOWN: Final = frozenset(RequestBody.__struct_fields__)

_decode_body = msgspec.json.Decoder(RequestBody).decode
_decode_format = msgspec.json.Decoder(TextFormat).decode
_decode_names = msgspec.json.Decoder(list[str]).decode


def decode_request(raw: bytes) -> Request:
    """Read a request. Raises `InvalidRequestError` with the JSON path, `UnsupportedFeatureError` for file ids."""
    body = read(_decode_body, raw, "$")
    if not body.model:
        raise InvalidRequestError(MODEL_MISSING, param="$.model")
    extras = {name: bytes(value) for name, value in decode_members(raw).items() if _is_extra(name, value)}
    tools, namespaces = decode_tools(body.tools or [], "$.tools")
    searches = any(isinstance(tool, Tool) and tool.searches for tool in tools)
    messages, within = _messages(body, searches=searches)
    found, others = decode_tools(within, "$.input")
    declared = {tool.name for tool in tools}  # a search may find a tool again
    tools += {tool.name: tool for tool in found if tool.name not in declared}.values()
    namespaces = {**others, **namespaces}
    if any(namespaces.values()):
        extras[NAMESPACES] = describe_namespaces(namespaces)
    choice = None
    if is_set(body.tool_choice):
        choice, tools = decode_choice(body.tool_choice, tools, "$.tool_choice")
    return _request(body, messages, tools, choice, extras)


def _request(
    body: RequestBody,
    messages: tuple[Message, ...],
    tools: list[AnyTool],
    choice: Any,
    extras: dict[str, Json],
) -> Request:
    text = body.text or TextConfig()
    return Request(
        model=body.model or "",
        messages=messages,
        stream=bool(body.stream),
        tools=tuple(tools),
        tool_choice=choice,
        parallel_tools=body.parallel_tool_calls,
        max_output=body.max_output_tokens,
        temperature=body.temperature,
        top_p=body.top_p,
        reasoning=_reasoning(body.reasoning, extras),
        verbosity=text.verbosity,
        format=_format(text.format),
        user=body.user,
        cache_key=body.prompt_cache_key,
        extras=extras,
    )


def _is_extra(name: str, value: Raw) -> bool:
    """Tell whether a member says something that the canonical request does not."""
    if name in KNOWN or bytes(value) in {b"null", DEFAULTS.get(name)}:
        return False
    return name != "include" or not _comes_anyway(value)


def _comes_anyway(include: Raw) -> bool:
    """Tell whether only that is to be included which every answer has, asked for or not: nothing is lost without asking."""
    try:
        return all(name == ENCRYPTED for name in _decode_names(include))
    except JSON_ERRORS:
        return False


def _messages(body: RequestBody, *, searches: bool) -> tuple[tuple[Message, ...], list[Raw]]:
    leading = (Message("system", (Text(body.instructions),)),) if body.instructions else ()
    if not isinstance(body.input, Raw):
        raise InvalidRequestError("input is required", param="$.input")
    history = decode_input(body.input, "$.input", searches=searches)
    messages = (*leading, *history.messages())
    if not messages:
        raise InvalidRequestError("input is empty (at $.input)", param="$.input")
    return messages, history.tools


def _reasoning(raw: Raw | Absent, extras: dict[str, Json]) -> Reasoning | None:
    """Read `reasoning`; members that only this dialect knows go to `extras` under their dotted name."""
    if not is_set(raw):
        return None
    members = read(decode_members, raw, "$.reasoning")
    words = {name: _word(members.pop(name, None), name) for name in ("effort", "summary", "generate_summary")}
    extras.update({REASONING + name: bytes(value) for name, value in members.items() if is_set(value)})
    effort, summary = words["effort"], words["summary"] or words["generate_summary"]
    if effort == "none":
        return Reasoning(mode="off", summary=summary)
    return Reasoning(effort=effort, summary=summary) if effort or summary else None


def _word(raw: Raw | None, name: str) -> str | None:
    value = None if raw is None else read(decode_any, raw, f"$.reasoning.{name}")
    if value is None or isinstance(value, str):
        return value
    raise InvalidRequestError(f"expected a string (at $.reasoning.{name})", param=f"$.reasoning.{name}")


def _format(raw: Raw | Absent | None) -> OutputFormat | None:
    if not is_set(raw):
        return None
    wire = read(_decode_format, raw, "$.text.format")
    if wire.type == "text":
        return None
    if wire.type == "json_object":
        return OutputFormat("json_object")
    if wire.type != "json_schema" or not is_set(wire.schema):
        raise InvalidRequestError(
            "a format is text, json_object, or json_schema with a schema", param="$.text.format"
        )
    read(decode_members, wire.schema, "$.text.format.schema")
    return OutputFormat(
        "json_schema", wire.name, bytes(wire.schema), strict=wire.strict, description=wire.description
    )


def asks_to_store(extras: dict[str, Json]) -> bool:
    """Tell whether the client said `store: true`."""
    return extras.get("store", NO_STORE) != NO_STORE
