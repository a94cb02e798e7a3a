"""The schema of a tool's arguments, as OpenAI's models take it."""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Raw

from core.canonical import Json
from core.errors import InvalidRequestError

NULL: Final = Raw(b"null")
OBJECT: Final = Raw(b'"object"')
EMPTY: Final = Raw(b"{}")
# OpenAI's words, in a refusal, for a schema that `clean_schema` puts right.
INVALID_SCHEMA: Final = r"object schema missing properties|schema must be a json schema of .type: .object"

_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_encode: Final = msgspec.json.Encoder().encode


def clean_schema(schema: Json) -> Raw:
    """Return the schema as an object schema without `$schema` (AC-42); one that is fine stays byte for byte.

    A schema that says no `properties` is refused ("object schema missing properties"), and MCP tools without
    arguments have such ones (ericc PR#192).
    """
    try:
        members = _members(schema)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequestError(
            "a tool's parameters must be a JSON Schema object", param="tools"
        ) from error
    fine = "$schema" not in members and members.get("type", NULL) != NULL
    if fine and (members["type"] != OBJECT or "properties" in members):
        return Raw(schema)
    members.pop("$schema", None)
    if members.get("type", NULL) == NULL:
        members["type"] = OBJECT
    if members["type"] == OBJECT:
        members.setdefault("properties", EMPTY)
    return Raw(_encode(members))


def with_schema(function: Mapping[str, Raw]) -> dict[str, Raw] | None:
    """Return a function's members with its schema put right; None where it is right already."""
    schema = function.get("parameters", NULL)
    clean = clean_schema(EMPTY if schema == NULL else schema)
    return None if clean == schema else {**function, "parameters": clean}
