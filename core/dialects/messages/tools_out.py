"""Tools, tool choice and output format from the canonical model to the wire."""

from typing import Any, Final

import msgspec
from msgspec import Raw

from core.canonical import HostedTool, OutputFormat, Request, Tool, ToolChoice
from core.custom_tools import wrap_tool
from core.dialects.messages.blocks_out import with_cache
from core.dialects.messages.output_schema import closed
from core.dialects.messages.tools_in import object_schema
from core.dialects.messages.turns import Piece, raw_members
from core.errors import UnsupportedFeatureError
from core.model import Model
from core.names import short_name
from core.tool_count import check_count

_encode: Final = msgspec.json.Encoder().encode

# The names of the canonical modes on the wire; `none` cannot carry the parallel flag.
CHOICE_TYPE: Final = {"auto": "auto", "none": "none", "required": "any", "tool": "tool"}

WEB_SEARCH_OFF: Final = (
    "This model cannot search the web by itself. Set `web_search_model` in the gateway's settings to search through another "
    "model, or remove the tool"
)


def tools_out(request: Request, repairs: list[str]) -> list[Piece]:
    """Write the tools. Raises `UnsupportedFeatureError` for too many, and for hosted ones that Copilot does not run."""
    check_count(len(request.tools))
    pieces: list[Piece] = []
    for position, tool in enumerate(request.tools):
        if isinstance(tool, HostedTool):
            pieces.append(_hosted(tool, f"$.tools[{position}]"))
            continue
        if tool.custom:
            repairs.append("custom_tools")
        if tool.searches:
            repairs.append("tool_search")
        pieces.append(_function(wrap_tool(tool), f"$.tools[{position}]"))
    return pieces


def tool_choice_out(choice: ToolChoice | None, *, parallel: bool | None) -> dict[str, Any] | None:
    """Write the choice; the parallel flag lives inside it."""
    if choice is None and parallel is not False:
        return None
    wire: dict[str, Any] = {"type": CHOICE_TYPE[choice.mode] if choice is not None else "auto"}
    if choice is not None and choice.mode == "tool":
        wire["name"] = short_name(choice.name)
    if parallel is not None and wire["type"] != "none":
        wire["disable_parallel_tool_use"] = not parallel
    return wire


def without_dialect(schema: bytes) -> bytes:
    """Return a schema without `$schema`, which Copilot's backends refuse."""
    if b'"$schema"' not in schema:
        return schema
    members = raw_members(schema)
    return schema if members.pop("$schema", None) is None else _encode(members)


def format_out(asked: OutputFormat | None, model: Model) -> tuple[dict[str, Any] | None, str | None]:
    """Return the wire format, or else an instruction in words where the model has no such format."""
    if asked is None:
        return None, None
    if asked.kind == "json_schema" and asked.schema is not None:
        schema = without_dialect(asked.schema)
        if model.structured_outputs is not False:
            return {"type": "json_schema", "schema": Raw(closed(schema))}, None
        return (
            None,
            f"Answer with one JSON value and nothing else. It must fit this JSON Schema:\n{schema.decode()}",
        )
    return None, "Answer with one JSON object and nothing else."


def _function(tool: Tool, path: str) -> Piece:
    schema = without_dialect(object_schema(tool.parameters, f"{path}.parameters"))
    wire: dict[str, Any] = {"name": short_name(tool.name)}
    if tool.description is not None:
        wire["description"] = tool.description
    wire["input_schema"] = Raw(schema)
    if tool.strict:
        wire["strict"] = True
    return Piece("custom", with_cache(wire, tool.cache), cached=tool.cache is not None)


def _hosted(tool: HostedTool, path: str) -> Piece:
    if tool.kind == "web_search":
        raise UnsupportedFeatureError(f"{WEB_SEARCH_OFF} (at {path})", param=path)
    if tool.dialect != "messages":
        raise UnsupportedFeatureError(f"This model has no tool of type '{tool.type}' (at {path})", param=path)
    return Piece(tool.type, Raw(tool.raw))
