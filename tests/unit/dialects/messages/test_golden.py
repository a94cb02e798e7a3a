"""Whole files: `streams/<case>/` (upstream.sse, canonical.json, client.sse) and `requests/<case>/` (client.json, canonical.json, upstream.json)."""

from pathlib import Path

import msgspec
import pytest

from core.dialect import Target
from core.dialects.messages import MESSAGES
from core.grammar import fold
from core.model import Model
from tests.grammar.messages import check_messages_stream
from tests.unit.dialects.messages.strategies import echo
from tests.unit.dialects.messages.wire import SIZES, decode, split

GOLDEN = Path(__file__).parents[3] / "golden" / "messages"
STREAMS = sorted((GOLDEN / "streams").iterdir())
REQUESTS = sorted((GOLDEN / "requests").iterdir())

SONNET = Model(
    id="claude-sonnet-4.6", max_output=64_000, adaptive_thinking=True, thinking_budget=(1024, 32_000),
    efforts=("low", "medium", "high", "max"),
)  # fmt: skip


def shown(value: object) -> object:
    """Return a canonical value as its golden file shows it: each struct under its own name."""
    if isinstance(value, msgspec.Struct):
        members = {name: shown(getattr(value, name)) for name in value.__struct_fields__}
        defaults = dict(zip(value.__struct_fields__[::-1], value.__struct_defaults__[::-1], strict=False))
        kept = {name: member for name, member in members.items() if shown(defaults.get(name, ...)) != member}
        return {type(value).__name__: kept}
    if isinstance(value, tuple):
        return [shown(item) for item in value]
    if isinstance(value, dict):
        return {name: shown(member) for name, member in value.items()}
    return value.decode() if isinstance(value, bytes) else value


@pytest.mark.parametrize("case", STREAMS, ids=lambda case: case.name)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_stream_matches_golden(case: Path, size: int | None, line_end: bytes) -> None:
    wire = (case / "upstream.sse").read_bytes().replace(b"\n", line_end)
    assert shown(fold(decode(wire, size))) == msgspec.json.decode((case / "canonical.json").read_bytes())
    relay = MESSAGES.relay(echo())
    out = b"".join(relay.feed(piece) for piece in split(wire, size)) + relay.close()
    assert out == (case / "client.sse").read_bytes()
    check_messages_stream(out)


@pytest.mark.parametrize("case", REQUESTS, ids=lambda case: case.name)
def test_request_matches_golden(case: Path) -> None:
    body = (case / "client.json").read_bytes()
    assert shown(MESSAGES.decode_request(body)) == msgspec.json.decode((case / "canonical.json").read_bytes())
    relayed = MESSAGES.relay_request(body, Target(SONNET)).body
    assert msgspec.json.decode(relayed) == msgspec.json.decode((case / "upstream.json").read_bytes())
