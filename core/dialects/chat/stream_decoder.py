"""Upstream's chat stream to canonical events."""

from msgspec import structs

from core.canonical import CUT_OFF, MessageStop, StreamEvent, Usage
from core.dialects.chat.assembly import Assembly
from core.dialects.chat.errors import copilot_failure, upstream_error
from core.dialects.chat.schema import DONE, NULL, Chunk, decode_chunk
from core.dialects.chat.usage import (
    FAILED,
    STOP_REASON,
    decode_price,
    decode_usage,
    severer,
    stop_reason_of,
)
from core.errors import GatewayError, UpstreamProtocolError
from core.sse import EventTooLargeError, SSEDecoder


class Answer:
    """One answer in the making: chunks in, events out; shared by streams and complete replies.

    `_finish` is the severest finish reason seen; nothing is final before `end`, as usage and late thinking follow it.
    """

    def __init__(self, scope: str) -> None:
        self._assembly = Assembly(scope)
        self._finish = ""
        self._usage: Usage | None = None
        self._nano: int | None = None
        self._id = ""
        self._model = ""

    @property
    def finished(self) -> bool:
        """Whether upstream said why it stopped."""
        return bool(self._finish)

    @property
    def usage(self) -> Usage | None:
        """What upstream has counted so far."""
        if self._nano is None:
            return self._usage
        return structs.replace(self._usage or Usage(), nano_credits=self._nano)

    @property
    def empty(self) -> bool:
        """Whether upstream said nothing: no word, no call, no reason."""
        return not self._finish and not self._assembly.spoke

    def feed(self, chunk: Chunk, out: list[StreamEvent]) -> None:
        """Take a chunk. Raises `GatewayError`."""
        if chunk.choices:
            assembly = self._assembly
            if assembly.started is None:
                assembly.start(chunk.id or self._id, chunk.model or self._model, out)
            for choice in chunk.choices:
                delta = choice.delta or choice.message
                if delta is not None:
                    assembly.feed(delta, out)
                if choice.finish_reason:
                    self._finish = severer(self._finish, choice.finish_reason)
                    self._fail_if(choice.finish_reason)
        if chunk.usage != NULL or chunk.copilot_usage != NULL:
            self._count(chunk)
        if chunk.error != NULL:
            raise upstream_error(chunk.error)
        failure = copilot_failure(chunk.copilot_errors)
        if failure is not None:
            raise failure
        self._id = self._id or chunk.id or ""
        self._model = self._model or chunk.model or ""

    def end(self, out: list[StreamEvent]) -> None:
        """Close the answer, deriving the stop reason where upstream gave none (copilot-cli#1572)."""
        assembly = self._assembly
        if assembly.started is None:
            assembly.start(self._id, self._model, out)
        assembly.finish(out, cut=STOP_REASON.get(self._finish) in CUT_OFF)
        reason = stop_reason_of(self._finish, tools=assembly.called, refused=assembly.refused)
        out.append(MessageStop(reason, self.usage or Usage(), raw=self._finish))

    def _count(self, chunk: Chunk) -> None:
        self._usage = decode_usage(chunk.usage) or self._usage
        price = decode_price(chunk.copilot_usage)
        self._nano = self._nano if price is None else price

    @staticmethod
    def _fail_if(finish_reason: str) -> None:
        if finish_reason in FAILED:
            raise UpstreamProtocolError("upstream gave up in the middle of its answer", code=finish_reason)


class ChatStreamDecoder:
    """Chat chunks to canonical events.

    What follows the terminal event is ignored (`_over`). An error waits in `_failure` until the events before it are
    delivered, so that chunk borders change nothing.
    """

    def __init__(self, scope: str) -> None:
        self._sse = SSEDecoder()
        self._answer = Answer(scope)
        self._over = False
        self._failure: GatewayError | None = None

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """Return the events that this chunk completes. Raises `GatewayError`."""
        out: list[StreamEvent] = []
        self._guard(out, chunk)
        return out

    def close(self) -> list[StreamEvent]:
        """Return the last events. Raises `UpstreamProtocolError` when the stream was cut (AC-05)."""
        out: list[StreamEvent] = []
        self._guard(out, None)
        if self._failure is not None:
            raise self._failure  # nobody will ask again
        return out

    @property
    def usage(self) -> Usage | None:
        """What upstream has counted so far."""
        return self._answer.usage

    def _guard(self, out: list[StreamEvent], chunk: bytes | None) -> None:
        if self._failure is None and not self._over:
            try:
                for event in self._sse.close() if chunk is None else self._sse.feed(chunk):
                    self._event(event.data, out)
                if chunk is None:
                    self._cut(out)
            except GatewayError as error:
                self._failure = error
            except EventTooLargeError as error:
                self._failure = UpstreamProtocolError(str(error))
        if self._failure is not None and not out:
            raise self._failure

    def _event(self, data: bytes, out: list[StreamEvent]) -> None:
        answer = self._answer
        if self._over:
            return
        if data[:1] == b"{":
            answer.feed(decode_chunk(data), out)
            return
        data = data.strip()
        if data == DONE:
            if answer.empty:
                raise UpstreamProtocolError("upstream ended its stream before it answered")
            answer.end(out)
            self._over = True
        elif data:
            answer.feed(decode_chunk(data), out)

    def _cut(self, out: list[StreamEvent]) -> None:
        if self._over:
            return
        if not self._answer.finished:
            raise UpstreamProtocolError("upstream's stream ended before its finish reason")
        self._answer.end(out)
        self._over = True
