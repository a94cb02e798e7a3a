"""Free-text ("custom") tools for upstreams that know only JSON functions: wrapped on the way up, unwrapped on the way back."""

from typing import Final

import msgspec
from msgspec import Struct

from core.canonical import Tool

_PARAMETERS: Final = (
    b'{"type":"object","properties":{"input":{"type":"string","description":"The complete free-text input."}},'
    b'"required":["input"],"additionalProperties":false}'
)


class _Wrapped(Struct):
    input: str


class _Grammar(Struct):
    syntax: str = ""
    definition: str = ""


_decode = msgspec.json.Decoder(_Wrapped).decode
_decode_grammar = msgspec.json.Decoder(_Grammar).decode
_encode = msgspec.json.Encoder().encode


def wrap_tool(tool: Tool) -> Tool:
    """Return a function tool with one string member `input`; a grammar moves into the description. Others stay as they are."""
    if not tool.custom:
        return tool
    grammar = _grammar(tool.grammar)
    description = "\n\n".join(part for part in (tool.description or "", grammar) if part)
    return msgspec.structs.replace(
        tool, description=description or None, parameters=_PARAMETERS, custom=False, grammar=None, strict=None
    )


def wrap_input(text: str) -> str:
    """Return the JSON arguments that carry a custom tool's free text."""
    return _encode(_Wrapped(text)).decode()


def unwrap_input(arguments: str) -> str:
    """Return the free text that wrapped arguments carry; text that was never wrapped comes back as it is."""
    try:
        return _decode(arguments).input
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return arguments


def _grammar(raw: bytes | None) -> str:
    if raw is None:
        return ""
    try:
        grammar = _decode_grammar(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return ""
    if not grammar.definition:
        return ""
    return f"The input must follow this {grammar.syntax or 'formal'} grammar:\n{grammar.definition}"
