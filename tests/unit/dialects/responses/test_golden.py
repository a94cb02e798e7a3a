"""Recorded shapes, compared whole: what upstream or a client said, and what must come of it."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.canonical import Reply
from core.dialects.responses import RESPONSES
from core.grammar import fold
from tests.grammar.responses import check_responses_stream
from tests.unit.dialects.responses.shapes import SIZES, decode, encode_stream, relay, target

GOLDEN = Path(__file__).parents[3] / "golden" / "responses"
STREAMS = sorted(path.parent for path in GOLDEN.glob("*/upstream.sse"))
REQUESTS = sorted(path.parent for path in GOLDEN.glob("*/client_request.json"))


def tagged(reply: Reply) -> Any:
    """Return the reply as JSON that names each block's type."""
    builtins: Any = json.loads(msgspec.json.encode(reply))
    builtins["content"] = [
        {"block": type(block).__name__, **fields}
        for block, fields in zip(reply.content, builtins["content"], strict=True)
    ]
    return builtins


def test_there_are_cases() -> None:
    assert STREAMS
    assert REQUESTS


@pytest.mark.parametrize("case", STREAMS, ids=lambda case: case.name)
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("size", SIZES)  # chunk borders fall anywhere
def test_stream_matches_golden(case: Path, size: int | None, line_end: bytes) -> None:
    upstream = (case / "upstream.sse").read_bytes()
    events = decode(upstream.replace(b"\n", line_end), size)
    assert tagged(fold(events)) == json.loads((case / "reply.json").read_text())
    client = (case / "client.sse").read_bytes()
    check_responses_stream(client)
    assert encode_stream(events) == client


@pytest.mark.parametrize("case", STREAMS, ids=lambda case: case.name)
@pytest.mark.parametrize("size", SIZES)
def test_relayed_stream_matches_golden(case: Path, size: int | None) -> None:
    assert relay((case / "upstream.sse").read_bytes(), size) == (case / "relayed.sse").read_bytes()


@pytest.mark.parametrize("case", REQUESTS, ids=lambda case: case.name)
def test_request_matches_golden(case: Path) -> None:
    raw = (case / "client_request.json").read_bytes()
    encoded = RESPONSES.encode_request(RESPONSES.decode_request(raw), target(sampling=False))
    sent = {
        "body": json.loads(encoded.body),
        "losses": list(encoded.losses),
        "repairs": list(encoded.repairs),
    }
    assert sent == json.loads((case / "upstream_request.json").read_text())
    relayed = RESPONSES.relay_request(raw, target(sampling=False))
    told = {
        "body": json.loads(relayed.body),
        "losses": list(relayed.losses),
        "repairs": list(relayed.repairs),
    }
    assert told == json.loads((case / "relayed_request.json").read_text())
