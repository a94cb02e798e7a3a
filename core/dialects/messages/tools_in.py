"""A client's tools from the wire to the canonical model, with real schemas for the tools whose schema only Claude knows."""

import re
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Raw, structs

from core.canonical import HostedTool, Json, Tool, ToolChoice
from core.dialects.messages.blocks_in import cache_in
from core.dialects.messages.schema import ToolChoiceIn, ToolIn, read
from core.errors import InvalidRequestError

_tool: Final = msgspec.json.Decoder(ToolIn).decode
_schema: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_encode: Final = msgspec.json.Encoder().encode

_DATED: Final = re.compile(r"_\d{8}$")

# https://platform.claude.com/docs: these tools are sent without a schema because Claude was trained on it.
_BASH: Final = (
    "Run a command in a persistent bash session.",
    (
        b'{"type":"object","properties":{"command":{"type":"string","description":"The bash command to run. Required unless'
        b' restart is given."},"restart":{"type":"boolean","description":"Set to true to restart the session."}}}'
    ),
)
_TEXT_EDITOR: Final = (
    "View, create and edit text files. Commands: view (a file, or a folder's list), create, str_replace, insert.",
    (
        b'{"type":"object","properties":{"command":{"type":"string","enum":["view","create","str_replace","insert"]},'
        b'"path":{"type":"string","description":"Path of the file or folder."},'
        b'"view_range":{"type":"array","items":{"type":"integer"},"description":"view: first and last line, from 1; -1 is the end."},'
        b'"file_text":{"type":"string","description":"create: the whole content."},'
        b'"old_str":{"type":"string","description":"str_replace: the exact text to replace; it must occur once."},'
        b'"new_str":{"type":"string","description":"str_replace: the text that takes its place."},'
        b'"insert_line":{"type":"integer","description":"insert: the line after which to insert; 0 is the start."},'
        b'"insert_text":{"type":"string","description":"insert: the text to insert."}},"required":["command","path"]}'
    ),
)
_MEMORY: Final = (
    "Keep notes between conversations as files below /memories. Commands: view, create, str_replace, insert, delete, rename.",
    (
        b'{"type":"object","properties":{"command":{"type":"string","enum":["view","create","str_replace","insert","delete",'
        b'"rename"]},"path":{"type":"string","description":"A path below /memories."},'
        b'"view_range":{"type":"array","items":{"type":"integer"}},"file_text":{"type":"string"},"old_str":{"type":"string"},'
        b'"new_str":{"type":"string"},"insert_line":{"type":"integer"},"insert_text":{"type":"string"},'
        b'"old_path":{"type":"string"},"new_path":{"type":"string"}},"required":["command"]}'
    ),
)
KNOWN_TOOLS: Final[dict[str, tuple[str, Json]]] = {
    "bash": _BASH,
    "text_editor": _TEXT_EDITOR,
    "memory": _MEMORY,
}

_MODES: Final[dict[str, Callable[[ToolChoiceIn], ToolChoice]]] = {
    "auto": lambda _: ToolChoice("auto"),
    "any": lambda _: ToolChoice("required"),
    "none": lambda _: ToolChoice("none"),
    "tool": lambda choice: ToolChoice("tool", choice.name),
}


def tool_in(raw: bytes, path: str) -> Tool | HostedTool:
    """Read one tool. Raises `InvalidRequestError`."""
    tool = read(_tool, raw, path)
    if tool.type is not None and tool.type != "custom":
        return _typed_tool(tool, tool.type, raw)
    if not tool.name:
        raise InvalidRequestError(f"A tool needs a name (at {path}.name)", param=f"{path}.name")
    return Tool(
        name=tool.name,
        description=tool.description,
        parameters=object_schema(tool.input_schema, f"{path}.input_schema"),
        strict=tool.strict,
        deferred=bool(tool.defer_loading),
        cache=cache_in(tool.cache_control),
    )


def object_schema(raw: bytes, path: str) -> Json:
    """Return a schema that says it is one of an object: `{}` and friends are refused by upstream models."""
    members = read(_schema, raw, path)
    if "type" in members:
        return bytes(raw)
    added = {"type": Raw(b'"object"'), **members}
    if not members:
        added["properties"] = Raw(b"{}")
    return _encode(added)


def tool_choice_in(choice: ToolChoiceIn | None) -> tuple[ToolChoice | None, bool | None]:
    """Return the choice, and whether parallel calls are wanted (None: not said)."""
    if choice is None:
        return None, None
    reader = _MODES.get(choice.type)
    if reader is None:
        at = "$.tool_choice.type"
        raise InvalidRequestError(f"Expected auto, any, tool or none (at {at})", param=at)
    if choice.type == "tool" and not choice.name:
        raise InvalidRequestError(
            "A tool name is missing (at $.tool_choice.name)", param="$.tool_choice.name"
        )
    parallel = choice.disable_parallel_tool_use
    return reader(choice), None if parallel is None else not parallel


def _typed_tool(tool: ToolIn, tool_type: str, raw: bytes) -> Tool | HostedTool:
    kind = _DATED.sub("", tool_type)
    known = KNOWN_TOOLS.get(kind)
    if known is not None:
        description, parameters = known
        declared = Tool(name=tool.name or kind, description=description, parameters=parameters)
        return structs.replace(declared, cache=cache_in(tool.cache_control))
    return HostedTool(
        "messages", tool_type, bytes(raw), tool.name, "web_search" if kind == "web_search" else ""
    )
