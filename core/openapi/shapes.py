"""Short spellings of JSON Schema (draft 2020-12), the language in which OpenAPI 3.1 describes bodies."""

from typing import Any

Schema = dict[str, Any]


def text(description: str = "", /, **more: Any) -> Schema:
    """Describe a string. more: `minLength`, `enum`, `format` and the like."""
    return _with({"type": "string"}, description, more)


def picture() -> Schema:
    """Describe where a picture is."""
    return text("An http(s) URL, or a `data:` URL with base64.", pattern="^(https?://|data:[^,]*;base64,.)")


def whole(description: str = "", /, **more: Any) -> Schema:
    """Describe an integer."""
    return _with({"type": "integer"}, description, more)


def number(description: str = "", /, **more: Any) -> Schema:
    """Describe a number."""
    return _with({"type": "number"}, description, more)


def switch(description: str = "") -> Schema:
    """Describe true or false."""
    return _with({"type": "boolean"}, description, {})


def only(*values: str) -> Schema:
    """Describe text that is one of these."""
    return {"const": values[0]} if len(values) == 1 else {"enum": list(values)}


def many(items: Schema, description: str = "", /, **more: Any) -> Schema:
    """Describe a list."""
    return _with({"type": "array", "items": items}, description, more)


def members(required: str = "", description: str = "", /, **properties: Schema) -> Schema:
    """Describe an object: further members are allowed everywhere. required: names, separated by spaces."""
    found: Schema = {"type": "object", "properties": properties}
    if required:
        found["required"] = required.split()
    return _with(found, description, {})


def anything(description: str = "") -> Schema:
    """Describe an object of any shape."""
    return _with({"type": "object"}, description, {})


def maybe(schema: Schema) -> Schema:
    """Allow null as well."""
    return {"anyOf": [schema, {"type": "null"}]}


def either(*schemas: Schema, description: str = "") -> Schema:
    """Describe what fits at least one of these."""
    return _with({"anyOf": list(schemas)}, description, {})


def named(name: str) -> Schema:
    """Point to a schema among the document's components."""
    return {"$ref": f"#/components/schemas/{name}"}


def _with(schema: Schema, description: str, more: dict[str, Any]) -> Schema:
    return {**schema, **more, **({"description": description} if description else {})}
