"""Whole lanes, from upstream's bytes to the client's: golden streams, every size of read, every place of a cut.

`golden/lanes/<upstream>_to_<surface>/<case>/` holds what upstream sent and what the client then reads.
"""

import itertools
import json
from contextlib import suppress
from pathlib import Path

import pytest

from core.call import Call, Engine
from core.canonical import Usage
from core.errors import GatewayError
from core.model import DialectName, Model
from core.settings import Settings
from core.surfaces import DIALECTS
from tests.e2e.asking import Told, ask, read_reply, read_stream

LANES = Path(__file__).parents[1] / "golden" / "lanes"
CASES = sorted(path.parent for path in LANES.glob("*/*/upstream.sse"))
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}-{case.name}")
every_size = pytest.mark.parametrize("size", [1, 2, 3, 7, 64, None])
NAMES: dict[str, DialectName] = {"chat": "chat", "messages": "messages", "responses": "responses"}


def call_of(case: Path, *, stream: bool = True) -> Call:
    """Prepare the request that the lane's client sends."""
    upstream, _, surface = case.parent.name.partition("_to_")
    model = Model(
        id="golden-1",
        dialects=(NAMES[upstream],),
        efforts=("low", "medium", "high"),
        thinking_budget=(1024, 32_000),
    )
    numbers = itertools.count(1)
    engine = Engine(
        Settings(), DIALECTS, lambda: (model,), lambda: "scope", lambda: 1_700_000_000.0,
        lambda prefix: f"{prefix}{next(numbers):04d}",
    )  # fmt: skip
    asked = ask(surface, "golden-1", "What is it?", stream=stream, tools=True, think=True)
    return engine.prepare(DIALECTS[NAMES[surface]], json.dumps(asked).encode())


def relayed(call: Call, wire: bytes, size: int | None = None) -> bytes:
    """Return what the client reads, as the handler would write it."""
    relay = call.relay()
    said = b""
    try:
        for start in range(0, len(wire), size or max(len(wire), 1)):
            said += relay.feed(wire[start : start + (size or len(wire))])
            if relay.done:
                break
        said += relay.close()
    except GatewayError as error:
        said += relay.error(error)
    return said


def read(case: Path, said: bytes) -> Told:
    return read_stream(case.parent.name.partition("_to_")[2], said)


def test_every_cell_has_its_golden_streams() -> None:
    cells = {f"{upstream}_to_{surface}" for upstream in NAMES for surface in NAMES}
    assert cells == {case.parent.name for case in CASES}


@every_case
@every_size
def test_client_reads_the_golden_stream(case: Path, size: int | None) -> None:
    """AC-66: whatever the size of the reads."""
    said = relayed(call_of(case), (case / "upstream.sse").read_bytes(), size)
    assert (case / "client.sse").read_bytes() == said
    read(case, said)


@every_case
@pytest.mark.parametrize("line_end", [b"\r\n", b"\r"])
def test_line_ends_of_upstream_do_not_matter(case: Path, line_end: bytes) -> None:
    wire = (case / "upstream.sse").read_bytes().replace(b"\n", line_end)
    for size in (1, 7, None):
        told = read(case, relayed(call_of(case), wire, size).replace(line_end, b"\n"))
        assert told == read(case, (case / "client.sse").read_bytes())


@every_case
def test_stream_that_is_cut_anywhere_ends_in_one_error(case: Path) -> None:
    """AC-05, AC-66: only a stream that was whole may end well."""
    wire = (case / "upstream.sse").read_bytes()
    whole = read(case, relayed(call_of(case), wire))
    for at in range(0, len(wire), max(1, len(wire) // 150)):
        told = read(case, relayed(call_of(case), wire[:at]))
        assert whole.text.startswith(told.text), at
        assert whole.thinking.startswith(told.thinking), at
        if told.stop != "error":  # nothing was missing but the trailer
            assert (whole.text, whole.calls, whole.stop) == (told.text, told.calls, told.stop), at


@every_case
def test_stream_and_complete_reply_say_the_same(case: Path) -> None:
    call, wire = call_of(case, stream=False), (case / "upstream.sse").read_bytes()
    streamed = read(case, relayed(call_of(case), wire))
    if call.lane.passes_through:
        return
    collector = call.collector()
    try:
        collector.feed(wire)
        body = collector.close()
    except GatewayError:
        assert "error" == streamed.stop
        return
    assert streamed == read_reply(call.lane.surface.name, body)


@every_case
def test_every_lane_counts_what_upstream_has_counted_when_the_stream_ends_early(case: Path) -> None:
    upstream = case.parent.name.partition("_to_")[0]
    wire = (case / "upstream.sse").read_bytes()
    ends = [at + 2 for at in range(len(wire)) if wire.startswith(b"\n\n", at)]
    for end in ends:
        passed, translated = (
            counted(call_of(case.parents[1] / f"{upstream}_to_{surface}" / case.name), wire[:end])
            for surface in (upstream, case.parent.name.partition("_to_")[2])
        )
        assert passed == translated, end


def counted(call: Call, wire: bytes) -> Usage | None:
    relay = call.relay()
    with suppress(GatewayError):
        relay.feed(wire)
    if not call.lane.passes_through:
        collector = call.collector()
        with suppress(GatewayError):
            collector.feed(wire)
        assert relay.usage == collector.usage
    return relay.usage
