"""What the mutations start from: golden streams, requests and replies of each dialect, and every name in them."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from core.model import DialectName
from tests.emulators.calling import PNG
from tests.fuzz import shapes

GOLDEN = Path(__file__).parents[1] / "golden"
# Files of a golden case that hold a stream, or a request, of the dialect that its directory is named after.
STREAMS = ("upstream.sse", "client.sse", "relayed.sse")
REQUESTS = ("client.json", "upstream.json", "client_request.json")
DIALECTS: tuple[DialectName, ...] = ("chat", "messages", "responses")


@cache
def streams(dialect: DialectName) -> tuple[bytes, ...]:
    """Return whole streams of a dialect."""
    found = sorted(path for name in STREAMS for path in (GOLDEN / dialect).rglob(name))
    return (*(path.read_bytes() for path in found), *shapes.STREAMS[dialect])


@cache
def requests(dialect: DialectName) -> tuple[bytes, ...]:
    """Return whole requests of a dialect."""
    found = sorted(path for name in REQUESTS for path in (GOLDEN / dialect).rglob(name))
    rich = (json.dumps(request).replace("<png>", PNG).encode() for request in shapes.REQUESTS[dialect])
    return (*(path.read_bytes() for path in found), *rich)


@cache
def replies(dialect: DialectName) -> tuple[bytes, ...]:
    """Return complete replies of a dialect."""
    return tuple(json.dumps(reply).encode() for reply in shapes.REPLIES[dialect])


@cache
def vocabulary() -> tuple[dict[str, tuple[Any, ...]], tuple[str, ...]]:
    """Return the values that each member has anywhere in the corpus, and all members' names."""
    seen: dict[str, dict[str, Any]] = {}
    for value in _documents():
        for name, member in _members(value):
            seen.setdefault(name, {})[json.dumps(member, sort_keys=True)] = member
    return {name: tuple(values.values()) for name, values in seen.items()}, tuple(sorted(seen))


def _documents() -> Iterator[Any]:
    for dialect in DIALECTS:
        for body in (*requests(dialect), *replies(dialect)):
            yield json.loads(body)
        for stream in streams(dialect):
            for line in stream.splitlines():
                data = line.removeprefix(b"data: ")
                if data[:1] == b"{":
                    yield json.loads(data)


def _members(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, member in value.items():
            yield name, member
            yield from _members(member)
    elif isinstance(value, list):
        for item in value:
            yield from _members(item)
