"""A client's tools, and what it says on how they may be used."""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from core.canonical import HostedTool, Json, OutputFormat, Tool, ToolChoice
from core.dialects.chat.parts_in import CacheControl, breakpoint_of
from core.dialects.chat.reading import first_byte, read
from core.dialects.chat.schema import NULL, encode
from core.errors import InvalidRequestError

MODES: Final[dict[str, Literal["auto", "none", "required"]]] = {
    "auto": "auto",
    "none": "none",
    "required": "required",
    "any": "required",
}
NO_PARAMETERS: Final = b'{"type":"object","properties":{}}'


class _Typed(Struct):
    type: str = ""


class _Function(Struct):
    name: str
    description: str | None = None
    parameters: Raw = NULL
    strict: bool | None = None


class _Custom(Struct):
    name: str
    description: str | None = None
    format: Raw = NULL


class _FunctionTool(Struct):
    function: _Function
    cache_control: CacheControl | None = None


class _CustomTool(Struct):
    custom: _Custom


class _Grammar(Struct):
    syntax: str
    definition: str


class _CustomFormat(Struct):
    type: str = "text"
    grammar: _Grammar | None = None


class _FlatGrammar(Struct):
    syntax: str
    definition: str
    type: Literal["grammar"] = "grammar"


class _Named(Struct):
    name: str


class _Allowed(Struct):
    mode: str
    tools: list["_Choice"]


class _Choice(Struct):
    type: str = ""
    function: _Named | None = None
    custom: _Named | None = None
    allowed_tools: _Allowed | None = None


class _Schema(Struct):
    name: str
    schema: Raw | UnsetType = UNSET
    strict: bool | None = None
    description: str | None = None


class _Format(Struct):
    type: str
    json_schema: _Schema | None = None


_typed = msgspec.json.Decoder(_Typed)
_function_tool = msgspec.json.Decoder(_FunctionTool)
_custom_tool = msgspec.json.Decoder(_CustomTool)
_custom_format = msgspec.json.Decoder(_CustomFormat | None)
_functions = msgspec.json.Decoder(_Function)
_string = msgspec.json.Decoder(str)
_members = msgspec.json.Decoder(dict[str, Raw])
_choice = msgspec.json.Decoder(_Choice)
_named = msgspec.json.Decoder(_Named)
_format = msgspec.json.Decoder(_Format | None)


def decode_tools(found: Sequence[Raw]) -> tuple[Tool | HostedTool, ...]:
    """Read `tools`. An unknown kind is kept for upstream to judge. Raises `InvalidRequestError`."""
    return tuple(_tool(raw, f"$.tools[{index}]") for index, raw in enumerate(found))


def decode_functions(found: Sequence[Raw]) -> tuple[Tool, ...]:
    """Read the legacy `functions`."""
    return tuple(
        _from_function(read(_functions, raw, f"$.functions[{index}]"), f"$.functions[{index}]")
        for index, raw in enumerate(found)
    )


def _tool(raw: Raw, path: str) -> Tool | HostedTool:
    kind = read(_typed, raw, path).type
    if kind in {"function", ""}:
        found = read(_function_tool, raw, path)
        return _from_function(found.function, f"{path}.function", found.cache_control)
    if kind == "custom":
        custom = read(_custom_tool, raw, path).custom
        return Tool(
            name=custom.name,
            description=custom.description,
            custom=True,
            grammar=_grammar(custom.format, f"{path}.custom.format"),
        )
    web: Literal["web_search", ""] = "web_search" if kind.startswith("web_search") else ""
    return HostedTool("chat", kind, bytes(raw), name=kind, kind=web)


def _from_function(function: _Function, path: str, cache: CacheControl | None = None) -> Tool:
    return Tool(
        name=function.name,
        description=function.description,
        parameters=_parameters(function.parameters, f"{path}.parameters"),
        strict=function.strict,
        cache=breakpoint_of(cache),
    )


def _parameters(raw: Raw, path: str) -> Json:
    first = first_byte(raw)
    if first == b"n":
        return NO_PARAMETERS
    if first != b"{":
        raise InvalidRequestError(f"expected a JSON Schema object (at {path})", param=path)
    return bytes(raw)


def _grammar(raw: Raw, path: str) -> Json | None:
    """Return the grammar of a custom tool in the flat form that Responses has."""
    found = read(_custom_format, raw, path)
    if found is None or found.grammar is None:
        return None
    return encode(_FlatGrammar(found.grammar.syntax, found.grammar.definition))


def decode_choice(raw: Raw, path: str = "$.tool_choice") -> tuple[ToolChoice | None, frozenset[str] | None]:
    """Read `tool_choice` in all its forms; the second value names the only tools that are allowed, where it says so."""
    first = first_byte(raw)
    if first == b"n":
        return None, None
    if first == b'"':
        return ToolChoice(_mode(read(_string, raw, path), path)), None
    choice = read(_choice, raw, path)
    if choice.allowed_tools is not None:
        allowed = choice.allowed_tools
        names = frozenset(_name(tool, f"{path}.allowed_tools") for tool in allowed.tools)
        return ToolChoice(_mode(allowed.mode, f"{path}.allowed_tools.mode")), names
    return ToolChoice("tool", _name(choice, path)), None


def decode_function_call(raw: Raw) -> ToolChoice | None:
    """Read the legacy `function_call`: a mode or a name."""
    first = first_byte(raw)
    if first == b"n":
        return None
    if first == b'"':
        return ToolChoice(_mode(read(_string, raw, "$.function_call"), "$.function_call"))
    return ToolChoice("tool", read(_named, raw, "$.function_call").name)


def decode_format(raw: Raw) -> OutputFormat | None:
    """Read `response_format`; plain text is no format. Raises `InvalidRequestError`."""
    path = "$.response_format"
    found = read(_format, raw, path)
    if found is None or found.type == "text":
        return None
    if found.type == "json_object":
        return OutputFormat("json_object")
    if found.type != "json_schema":
        raise InvalidRequestError(f"unknown format {found.type!r} (at {path}.type)", param=f"{path}.type")
    form = found.json_schema
    if form is None:
        raise InvalidRequestError(
            f"the schema is missing (at {path}.json_schema)", param=f"{path}.json_schema"
        )
    if form.schema is UNSET or form.schema == NULL:
        return OutputFormat("json_schema", form.name, None, form.strict, form.description)
    read(_members, form.schema, f"{path}.json_schema.schema")
    return OutputFormat("json_schema", form.name, bytes(form.schema), form.strict, form.description)


def _mode(word: str, path: str) -> Literal["auto", "none", "required"]:
    mode = MODES.get(word)
    if mode is None:
        raise InvalidRequestError(f"expected auto, none, required or a tool (at {path})", param=path)
    return mode


def _name(choice: _Choice, path: str) -> str:
    named = choice.function or choice.custom
    if named is None:
        raise InvalidRequestError(f"expected auto, none, required or a tool (at {path})", param=path)
    return named.name
