"""Write the generated parts of the documents: the tables of settings, and the API reference.

The words of a setting are in `settings.toml` beside this file, its type and default in `core/settings.py`; the API is
what `core/openapi` says.

    make reference
"""

import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from msgspec.structs import fields

from core.openapi.document import ABOUT, document, paths
from core.openapi.errors import HEADERS, MEANING
from core.openapi.operations import ROUTES
from core.settings import Settings
from infra.setting_values import expected

DOCS: Final = Path(__file__).parents[1]
WORDS: Final = Path(__file__).with_name("settings.toml")
END: Final = "<!-- end -->"
TAKES: Final = {
    "a list of texts (a,b)": "a list",
    "a table (a=b,c=d or JSON)": "a table",
    "true or false": "switch",
}


def settings_table(section: str) -> str:
    """Return the Markdown table of one section of the settings."""
    known = {field.name: field for field in fields(Settings)}
    rows = ["| setting | takes | default | |", "|---|---|---|---|"]
    for entry in words():
        if entry["section"] == section:
            chosen = [known[name] for name in entry["names"]]
            names = ", ".join(f"`{field.name}`" for field in chosen)
            default = entry.get("default") or ", ".join(spelled(field.default) for field in chosen)
            rows.append(f"| {names} | {takes(chosen[0].type)} | {default} | {entry['text']} |")
    return "\n".join(rows)


def words() -> list[dict[str, Any]]:
    """Return the entries of `settings.toml`, in its order."""
    found: list[dict[str, Any]] = tomllib.loads(WORDS.read_text())["setting"]
    return found


def takes(kind: Any) -> str:
    """Return in a word or two what a setting of this type takes."""
    parts = getattr(kind, "__args__", ())
    if type(None) in parts:
        kind = next(part for part in parts if part is not type(None))
    said = expected(kind).removeprefix("one of ")
    said = TAKES.get(said, said)
    return " / ".join(f"`{choice}`" for choice in said.split(", ")) if "Literal" in str(kind) else said


def spelled(default: Any) -> str:
    """Return a default as it would be written in `config.toml`."""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, float) and default.is_integer():
        default = int(default)
    return f"`{default}`" if default not in ("", (), {}) else "empty"


def settings_page(page: str) -> str:
    """Return the page on settings with its tables written anew."""
    return re.sub(
        r"<!-- settings: (.+?) -->\n.*?<!-- end -->",
        lambda match: f"<!-- settings: {match[1]} -->\n\n{settings_table(match[1])}\n\n{END}",
        page,
        flags=re.DOTALL,
    )


def api_page() -> str:
    """Return the whole page on the API."""
    groups = list(dict.fromkeys(route.group for route in ROUTES))
    return "\n".join(
        [
            "# API reference\n",
            "Written by `make reference` from the gateway's own description, which each gateway serves as OpenAPI 3.1 at",
            "`/openapi.json` (no key needed): feed that to a generator of clients, or to a viewer.\n",
            ABOUT,
            *(line for group in groups for line in _group(group)),
            *_pages(),
            *_headers(),
            *_statuses(),
        ]
    )


def _group(group: str) -> Iterable[str]:
    yield f"## {group}\n"
    for route in ROUTES:
        if route.group == group:
            yield f"### `{route.method.upper()} {route.path}`\n"
            yield from _route(route.operation())


def _route(operation: dict[str, Any]) -> Iterable[str]:
    yield f"{operation['summary']}. {operation.get('description', '')}".strip() + "\n"
    parameters = operation.get("parameters", ())
    for parameter in parameters:
        yield f"- `{parameter['name']}` ({parameter['in']}): {parameter['description']}"
    if parameters:
        yield ""
    if "requestBody" in operation:
        yield from _body(operation["requestBody"]["content"]["application/json"]["schema"])
    statuses = operation["responses"]
    kinds = ", ".join(f"`{kind}`" for kind in statuses.get("200", {}).get("content", ()))
    errors = ", ".join(status for status in statuses if status != "200")
    yield f"Answers 200 with {kinds}; else {errors}.\n" if kinds else f"Answers {errors}.\n"


def _body(schema: dict[str, str]) -> Iterable[str]:
    name = schema["$ref"].rpartition("/")[2]
    described = document("")["components"]["schemas"][name]
    required = set(described.get("required", ()))
    members = [
        f"**`{each}`**" if each in required else f"`{each}`" for each in described.get("properties", ())
    ]
    if members:
        yield f"Body: {', '.join(members)}. Those in bold must be there.\n"


def _pages() -> Iterable[str]:
    yield "## Pages\n\n| | |\n|---|---|"
    for path, item in paths().items():
        for method, operation in item.items():
            if not method.startswith("x-") and operation["tags"] == ["Pages"]:
                yield f"| `{method.upper()} {path}` | {operation['summary']} |"
    yield ""


def _headers() -> Iterable[str]:
    described = {
        header: HEADERS[reference["$ref"].rpartition("/")[2]]["description"]
        for route in ROUTES
        for answer in route.operation()["responses"].values()
        for header, reference in answer.get("headers", {}).items()
    }
    yield "## Headers of answers\n\n| header | |\n|---|---|"
    yield from (f"| `{header}` | {described[header]} |" for header in sorted(described))
    yield ""


def _statuses() -> Iterable[str]:
    yield "## Statuses\n\n| status | |\n|---|---|"
    yield from (f"| {status} | {meaning} |" for status, meaning in MEANING.items())
    yield "\nOpenAI's routes say 503 and 429 where Anthropic's say 529 and 402. [When things go wrong](faults.md) has each failure."


def pages() -> dict[Path, str]:
    """Return every page that is written here, whole or in part, as it has to be."""
    settings = DOCS / "settings.md"
    api = "\n".join(line.rstrip() for line in api_page().splitlines()) + "\n"
    return {settings: settings_page(settings.read_text()), DOCS / "api.md": api}


def main() -> None:
    """Write the pages and say which changed."""
    for path, text in pages().items():
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            sys.stdout.write(f"{path.relative_to(DOCS.parent)} written\n")


if __name__ == "__main__":
    main()
