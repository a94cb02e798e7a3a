"""Tools and the choice among them, from and to the wire."""

from typing import Any, Final

import msgspec
from msgspec import Raw

from core.canonical import HostedTool, Json, Tool, ToolChoice
from core.dialects.responses.items import TOOL_SEARCH, WEB_SEARCH
from core.dialects.responses.reading import read
from core.dialects.responses.schema import (
    ChoicePeek,
    CustomTool,
    FunctionTool,
    NamespaceTool,
    SearchTool,
    ToolPeek,
    decode_members,
    encode,
    is_set,
)
from core.errors import InvalidRequestError, UnsupportedFeatureError
from core.names import full_name, short_name

EMPTY_SCHEMA: Final = b'{"type":"object","properties":{}}'
SEPARATOR: Final = "__"
MODES: Final = frozenset({"auto", "none", "required"})

_decode_peek = msgspec.json.Decoder(ToolPeek).decode
_decode_function = msgspec.json.Decoder(FunctionTool).decode
_decode_custom = msgspec.json.Decoder(CustomTool).decode
_decode_search = msgspec.json.Decoder(SearchTool).decode
_decode_namespace = msgspec.json.Decoder(NamespaceTool).decode
_decode_names = msgspec.json.Decoder(dict[str, str]).decode
_decode_choice = msgspec.json.Decoder(str | ChoicePeek).decode

AnyTool = Tool | HostedTool


def local_name(name: str, namespace: str | None) -> str:
    """Undo `core.names.full_name`."""
    return name.removeprefix(namespace + SEPARATOR) if namespace else name


# --- From the wire ----------------------------------------------------------------------------------------------


def decode_tools(raws: list[Raw], path: str) -> tuple[list[AnyTool], dict[str, str]]:
    """Read the declared tools; also the descriptions of their namespaces by name."""
    tools: list[AnyTool] = []
    namespaces: dict[str, str] = {}
    for index, raw in enumerate(raws):
        at = f"{path}[{index}]"
        peek = read(_decode_peek, raw, at)
        if peek.type != "namespace":
            tools.append(_decode_tool(raw, peek, at, None))
            continue
        group = read(_decode_namespace, raw, at)
        namespaces[group.name] = group.description or ""
        for inner, member in enumerate(group.tools):
            within = f"{at}.tools[{inner}]"
            tools.append(_decode_tool(member, read(_decode_peek, member, within), within, group.name))
    return tools, namespaces


def _decode_tool(raw: Raw, peek: ToolPeek, path: str, namespace: str | None) -> AnyTool:
    if peek.type == "function":
        function = read(_decode_function, raw, path)
        return Tool(
            name=full_name(_named(function.name, path), namespace),
            description=function.description,
            parameters=_schema(function.parameters),
            strict=function.strict,
            deferred=function.defer_loading,
            namespace=namespace,
        )
    if peek.type == "custom":
        custom = read(_decode_custom, raw, path)
        return Tool(
            name=full_name(_named(custom.name, path), namespace),
            description=custom.description,
            custom=True,
            grammar=bytes(custom.format) if is_set(custom.format) else None,
            deferred=custom.defer_loading,
            namespace=namespace,
        )
    if peek.type == TOOL_SEARCH and (search := read(_decode_search, raw, path)).execution == "client":
        return Tool(
            name=TOOL_SEARCH,
            description=search.description,
            parameters=_schema(search.parameters),
            searches=True,
        )
    if peek.type.startswith(WEB_SEARCH):
        return HostedTool("responses", peek.type, bytes(raw), name=WEB_SEARCH, kind=WEB_SEARCH)
    return HostedTool("responses", peek.type, bytes(raw), name=peek.name or peek.type)


def _named(name: str, path: str) -> str:
    if not name:
        raise InvalidRequestError(f"a tool needs a name (at {path}.name)", param=f"{path}.name")
    return name


def _schema(parameters: object) -> Json:
    """Return the schema's bytes; none and `{}` mean a function without arguments."""
    if not isinstance(parameters, Raw):
        return EMPTY_SCHEMA
    text = bytes(parameters).strip()
    return EMPTY_SCHEMA if text in {b"null", b"{}"} else text


def decode_choice(raw: Raw, tools: list[AnyTool], path: str) -> tuple[ToolChoice, list[AnyTool]]:
    """Read `tool_choice`; `allowed_tools` narrows the tools themselves."""
    choice = read(_decode_choice, raw, path)
    if isinstance(choice, str):
        return ToolChoice(_mode(choice, path)), tools
    if choice.type == "allowed_tools":
        peeks = [read(_decode_peek, tool, f"{path}.tools[{i}]") for i, tool in enumerate(choice.tools)]
        allowed = {peek.name or peek.type for peek in peeks}
        kept = [tool for tool in tools if _is_named(tool, allowed)]
        return ToolChoice(_mode(choice.mode, f"{path}.mode")), kept
    if choice.type in {"function", "custom"}:
        return ToolChoice("tool", _full_name(choice.name, tools)), tools
    return ToolChoice("tool", _hosted_name(choice.type, tools)), tools


def _mode(mode: str, path: str) -> Any:
    if mode not in MODES:
        raise InvalidRequestError(f"unknown tool choice {mode!r} (at {path})", param=path)
    return mode


def _is_named(tool: AnyTool, names: set[str]) -> bool:
    if isinstance(tool, HostedTool):
        return bool(names & {tool.name, tool.type})
    return tool.name in names or local_name(tool.name, tool.namespace) in names


def _full_name(name: str, tools: list[AnyTool]) -> str:
    for tool in tools:
        if isinstance(tool, Tool) and name in {tool.name, local_name(tool.name, tool.namespace)}:
            return tool.name
    return name


def _hosted_name(kind: str, tools: list[AnyTool]) -> str:
    for tool in tools:
        if isinstance(tool, HostedTool) and tool.type == kind:
            return tool.name
    return kind


# --- To the wire ------------------------------------------------------------------------------------------------


def encode_tools(tools: tuple[AnyTool, ...], namespaces: dict[str, str]) -> list[Any]:
    """Write the tools for upstream; those of one namespace that stand together are grouped again."""
    searches = any(tool.searches if isinstance(tool, Tool) else tool.type == TOOL_SEARCH for tool in tools)
    written: list[Any] = []
    group: dict[str, Any] | None = None
    for tool in tools:
        if isinstance(tool, HostedTool):
            written.append(_encode_hosted(tool))
            group = None
            continue
        member = encode_tool(tool, deferred=searches and tool.deferred)
        if tool.namespace is None:
            written.append(member)
            group = None
            continue
        if group is None or group["name"] != tool.namespace:
            description = namespaces.get(tool.namespace, "")
            group = {"type": "namespace", "name": tool.namespace, "description": description, "tools": []}
            written.append(group)
        group["tools"].append(member)
    return written


def encode_tool(tool: Tool, *, deferred: bool = False) -> dict[str, Any]:
    """Write one client tool under its own name."""
    name = short_name(local_name(tool.name, tool.namespace))
    member: dict[str, Any] = {"type": "custom" if tool.custom else "function", "name": name}
    if tool.searches:
        member = {"type": TOOL_SEARCH, "execution": "client"}
    if tool.description is not None:
        member["description"] = tool.description
    if not tool.custom:
        member["parameters"] = Raw(tool.parameters)
        if not tool.searches:
            member["strict"] = bool(tool.strict)
    elif tool.grammar is not None:
        member["format"] = Raw(tool.grammar)
    if deferred:
        member["defer_loading"] = True
    return member


def _encode_hosted(tool: HostedTool) -> Any:
    if tool.dialect == "responses":
        return Raw(tool.raw)
    if tool.kind == "web_search":
        return _search_tool(tool.raw)
    raise UnsupportedFeatureError(
        f"the hosted tool {tool.type} is not available on this model", param="tools"
    )


def _search_tool(raw: Json) -> dict[str, Any]:
    """Write another dialect's web search as OpenAI's; what has no counterpart only tunes it."""
    members = read(decode_members, raw, "$.tools")
    tool: dict[str, Any] = {"type": "web_search"}
    if "allowed_domains" in members:
        tool["filters"] = {"allowed_domains": members["allowed_domains"]}
    if is_set(members.get("user_location")):
        tool["user_location"] = members["user_location"]
    return tool


def encode_choice(choice: ToolChoice, tools: tuple[AnyTool, ...]) -> Any:
    """Write the choice for upstream."""
    if choice.mode != "tool":
        return choice.mode
    for tool in tools:
        if tool.name != choice.name:
            continue
        if isinstance(tool, HostedTool):
            return {"type": tool.type if tool.dialect == "responses" else "web_search"}
        if tool.searches:
            return {"type": TOOL_SEARCH}
        kind = "custom" if tool.custom else "function"
        return {"type": kind, "name": short_name(local_name(tool.name, tool.namespace))}
    return {"type": "function", "name": short_name(choice.name)}


def describe_namespaces(namespaces: dict[str, str]) -> Json:
    """Write the namespaces' descriptions as one JSON value, for `Request.extras`."""
    return encode(namespaces)


def namespaces_of(raw: Json | None) -> dict[str, str]:
    """Undo `describe_namespaces`; anything else is no description."""
    try:
        return {} if raw is None else _decode_names(raw)
    except msgspec.DecodeError:
        return {}
