"""Whole recorded-like streams: `upstream.sse` to `events.txt` (canonical) and to `client.sse` (passed through)."""

from pathlib import Path

import pytest

from core.dialects.chat import CHAT
from core.errors import GatewayError
from tests.grammar.chat import check_chat_stream
from tests.unit.dialects.chat.wire import SIZES, echo, split

CASES = sorted(path.parent for path in (Path(__file__).parents[3] / "golden" / "chat").glob("*/upstream.sse"))


def pieces(case: Path, size: int | None, *, crlf: bool) -> list[bytes]:
    stream = (case / "upstream.sse").read_bytes()
    return split(stream.replace(b"\n", b"\r\n") if crlf else stream, size)


def decoded(chunks: list[bytes]) -> str:
    decoder, lines = CHAT.decoder("here"), []
    try:
        for chunk in chunks:
            lines += [repr(event) for event in decoder.feed(chunk)]
        lines += [repr(event) for event in decoder.close()]
    except GatewayError as error:
        lines.append(f"{error.kind}: {error.message}")
    return "\n".join(lines) + "\n"


def relayed(chunks: list[bytes]) -> bytes:
    relay, said = CHAT.relay(echo(include_usage=True)), b""
    try:
        for chunk in chunks:
            said += relay.feed(chunk)
        return said + relay.close()
    except GatewayError as error:
        return said + relay.error(error)


@pytest.mark.parametrize("crlf", [False, True], ids=["lf", "crlf"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_stream_matches_golden(case: Path, size: int | None, crlf: bool) -> None:  # noqa: FBT001 - a parameter of pytest
    assert (case / "events.txt").read_text() == decoded(pieces(case, size, crlf=crlf))
    assert (case / "client.sse").read_bytes() == relayed(pieces(case, size, crlf=crlf))
    check_chat_stream((case / "client.sse").read_bytes())
