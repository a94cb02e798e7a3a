"""Taking out the one member that upstream names as foreign, wherever in the body it stands."""

import re
from typing import Final

import msgspec
from msgspec import Raw

from core.dialects.messages.schema import TypeOf
from core.refused import Refused, encode, first_byte, items_of, members_of

NAMED: Final = re.compile(r"([A-Za-z0-9_$.-]{1,200}): Extra inputs are not permitted", re.IGNORECASE)
# Without these the request would ask for something else: then the refusal stands.
MEANING: Final = frozenset({
    "model", "messages", "system", "tools", "tool_choice", "stop_sequences", "max_tokens", "output_format", "format",
    "schema", "container", "mcp_servers", "input", "input_schema", "content", "source", "data", "text", "tool_use_id",
    "is_error", "disable_parallel_tool_use",
})  # fmt: skip
MOST_DIGITS: Final = 6

_tag: Final = msgspec.json.Decoder(TypeOf).decode


def drop_named(refused: Refused, match: re.Match[str]) -> bool:
    """Take out every member that the refusal names; all of them must be such as may go."""
    paths = [path.split(".") for path in dict.fromkeys(NAMED.findall(match.string))]
    return all(_drop(refused, path) for path in paths)


def _drop(refused: Refused, path: list[str]) -> bool:
    top, inner = path[0], path[1:]
    if path[-1] in MEANING or top not in refused.members:
        return False
    if not inner:
        return b'"format"' not in bytes(refused.members[top]) and refused.drop(top)
    rest = without(refused.members[top], inner)
    if rest is None:
        return False
    refused.members[top] = rest
    refused.losses.append(".".join(path))
    return True


def without(value: Raw, path: list[str]) -> Raw | None:
    """Return the value without the member at `path`; None when there is no such member.

    Upstream's paths hold the names of union members (`ephemeral`, `tool_use`, `custom`), which no JSON key has: a
    part that repeats the object's own `type`, or that is no member of it, is such a name.
    """
    head, rest = path[0], path[1:]
    first = first_byte(value)
    if first == b"[":
        return _without_in_array(value, head, rest)
    if first != b"{":
        return None
    members = members_of(value)
    if rest and (head not in members or head == _tag(value).type):
        return without(value, rest)
    if head not in members:
        return None
    if not rest:
        del members[head]
        return Raw(encode(members))
    inner = without(members[head], rest)
    if inner is None:
        return None
    members[head] = inner
    return Raw(encode(members))


def _without_in_array(value: Raw, head: str, rest: list[str]) -> Raw | None:
    if not rest:
        return None
    if not re.fullmatch(rf"[0-9]{{1,{MOST_DIGITS}}}", head):
        return without(value, rest)
    items = items_of(value)
    inner = without(items[int(head)], rest) if int(head) < len(items) else None
    if inner is None:
        return None
    items[int(head)] = inner
    return Raw(encode(items))
