"""The function whose chunks are timed: each says when it was made."""

import time
from collections.abc import Iterable, Iterator
from typing import Any

from infra.aws.app import handler_for


def app(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    count, gap = environ["QUERY_STRING"].split(",")
    start("200 OK", [("Content-Type", "text/event-stream")])
    return events(int(count), float(gap))


def events(count: int, gap: float) -> Iterator[bytes]:
    for _ in range(count):
        if gap:
            time.sleep(gap)
        yield b"data: %.9f\n\n" % time.monotonic()


handler = handler_for(app)
