"""One invocation: the event that goes in, and the answer as far as it has come out."""

import json
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from tests.emulators.runtime_api.wire import PATIENCE

# answered: to the end. failed: the error trailers, after the first byte. error: before it. truncated, crashed, timeout:
# the connection or the process ended in the middle.
Outcome = Literal["answered", "failed", "error", "truncated", "crashed", "timeout"]
SEPARATOR: Final = bytes(8)
LONGEST_PRELUDE: Final = 1024 * 1024
CONNECTIONS_OWN: Final = {
    "connection",
    "keep-alive",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "content-length",
}


class RefusedError(Exception):
    """The Runtime API refuses what the runtime sent."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind, self.message = kind, message


@dataclass(eq=False)
class Invocation:
    """Filled by the Runtime API's side, read by whoever invoked. `seconds` is what the function may take; it is stopped `mercy` later."""

    id: str
    event: bytes
    seconds: float = PATIENCE
    mercy: float = 0.0
    echo: str = ""
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    cookies: list[str] = field(default_factory=list[str])
    streamed: bool = False
    result: Any = None
    error: dict[str, Any] = field(default_factory=dict[str, Any])
    outcome: Outcome | None = None
    client_left: Callable[[], bool] = lambda: False
    _prelude: bytes | None = b""
    taken: threading.Event = field(default_factory=threading.Event)
    _begun: threading.Event = field(default_factory=threading.Event)
    _over: threading.Event = field(default_factory=threading.Event)
    _pieces: queue.SimpleQueue[bytes | None] = field(default_factory=queue.SimpleQueue)

    # What comes from the runtime.

    def feed(self, piece: bytes) -> None:
        """Take a chunk of a streamed answer. Raises RefusedError."""
        if self._prelude is None:
            self._pieces.put(piece)
            return
        self._prelude += piece
        head, separator, body = self._prelude.partition(SEPARATOR)
        if not separator:
            if len(self._prelude) > LONGEST_PRELUDE:
                raise RefusedError("InvalidPrelude", "no eight NULs")
            return
        self._prelude = None
        self._begin(head)
        if body:
            self._pieces.put(body)

    def begun_whole(self) -> None:
        """Check at the end of a stream that its prelude was complete. Raises RefusedError."""
        if self._prelude is not None:
            raise RefusedError("InvalidPrelude", "the stream ended before its eight NULs")

    def finish(self, outcome: Outcome) -> None:
        """End the answer, once."""
        if self.outcome is None:
            self.outcome = outcome
            self._pieces.put(None)
            self.taken.set()
            self._begun.set()
            self._over.set()

    def _begin(self, head: bytes) -> None:
        try:
            prelude = json.loads(head)
        except ValueError as error:
            raise RefusedError("InvalidPrelude", "no JSON before the eight NULs") from error
        if not isinstance(prelude, dict) or not isinstance(prelude.get("statusCode"), int):
            raise RefusedError("InvalidPrelude", "no statusCode")
        self.status, self.headers = prelude["statusCode"], prelude.get("headers", {})
        self.cookies, self.streamed = prelude.get("cookies", []), True
        values = [*self.headers.values(), *self.cookies]
        if not all(isinstance(value, str) for value in values):
            raise RefusedError("InvalidPrelude", "a header is no text")
        if wrong := CONNECTIONS_OWN & {name.lower() for name in self.headers}:
            raise RefusedError("InvalidPrelude", f"headers that are the connection's: {wrong}")
        self._begun.set()

    # What goes to the caller.

    def wait_begun(self, seconds: float = PATIENCE) -> bool:
        """Wait for the head, or for an end without one; False when neither came."""
        return self._begun.wait(seconds)

    def wait_over(self, seconds: float = PATIENCE) -> bool:
        return self._over.wait(seconds)

    def pieces(self, seconds: float = PATIENCE) -> Iterator[bytes]:
        """Yield what comes, as it comes. Raises queue.Empty after so many seconds of silence."""
        while (piece := self._pieces.get(timeout=seconds)) is not None:
            yield piece

    def body(self) -> bytes:
        return b"".join(self.pieces())
