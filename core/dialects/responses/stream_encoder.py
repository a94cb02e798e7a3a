"""Canonical events to the stream, or the complete response, of a Responses client."""

from typing import Literal

from msgspec import Raw, structs

from core.canonical import (
    CUT_OFF,
    Block,
    BlockCitation,
    BlockDelta,
    BlockOpaque,
    BlockStart,
    BlockStop,
    Compaction,
    MessageStart,
    MessageStop,
    Native,
    Opaque,
    Refusal,
    Reply,
    ServerToolResult,
    ServerToolUse,
    StreamEvent,
    Text,
    Thinking,
    Tool,
    ToolUse,
)
from core.dialect import Echo
from core.dialects.responses.envelope import INCOMPLETE_REASON, Envelope
from core.dialects.responses.errors import failed_error
from core.dialects.responses.items import WEB_SEARCH, is_object
from core.dialects.responses.schema import decode_members
from core.dialects.responses.wire import Wire
from core.dialects.responses.writers import (
    CallWriter,
    MessageWriter,
    ReasoningWriter,
    SearchWriter,
    ToolSearchWriter,
    WholeWriter,
    Writer,
)
from core.errors import GatewayError, UpstreamProtocolError
from core.grammar import unfold
from core.names import restore
from core.opaque import seal

State = Literal["new", "open", "over"]


class ResponsesEncoder:
    """Writes one response.

    Invariants: `_state` goes new, open, over and never back; at most one item is open (`_writer`), and it is closed
    only when the next block or the end is known, because its status depends on that; `_output` holds the closed ones.
    """

    def __init__(self, echo: Echo) -> None:
        self._echo = echo
        self._envelope = Envelope(echo)
        self._wire = Wire()
        self._state: State = "new"
        self._writer: Writer | None = None
        self._output: list[Raw] = []
        self._refused = False
        self._signature: Opaque | None = None
        tools = (
            [tool for tool in echo.request.tools if isinstance(tool, Tool)]
            if echo.request is not None
            else []
        )
        self._names = restore(tool.name for tool in tools)
        self._tools = {tool.name: tool for tool in tools}
        self.response = b""

    def feed(self, event: StreamEvent) -> bytes:
        """Say one event."""
        if isinstance(event, BlockDelta):
            writer = self._writer
            if writer is None:
                return b""
            if writer.prefix is None:
                return writer.delta(event.text)
            writer.pieces.append(event.text)
            return self._wire.delta(writer.prefix, event.text)
        return self._other(event)

    def close(self) -> bytes:
        """Say nothing: a Responses stream ends with its terminal event."""
        return b""

    def error(self, error: GatewayError) -> bytes:
        """End with `response.failed`; an open item is left open, so that no client acts on half a call."""
        if self._state == "over":
            return b""
        out = self._begin()
        self._state = "over"
        self.response = self._envelope.render("failed", self._output, error=failed_error(error))
        return out + self._wire.event("response.failed", {"response": Raw(self.response)})

    def _other(self, event: StreamEvent) -> bytes:
        writer = self._writer
        match event:
            case BlockStart():
                return self._start(event.block)
            case BlockStop():
                return b"" if writer is None else writer.stop()
            case BlockOpaque():
                if writer is not None:
                    self._keep(writer, event.opaque)
                return b""
            case BlockCitation():
                return b"" if writer is None else writer.cite(event.citation)
            case MessageStart():
                return self._begin()
            case MessageStop():
                return self._end(event)
            case _:
                return b""

    def _begin(self) -> bytes:
        if self._state != "new":
            return b""
        self._state = "open"
        response = Raw(self._envelope.render("in_progress", []))
        return self._wire.event("response.created", {"response": response}) + self._wire.event(
            "response.in_progress", {"response": response}
        )

    # --- items ---------------------------------------------------------------------------------------------------

    def _start(self, block: Block) -> bytes:
        writer = self._writer
        if writer is not None and writer.takes(block):
            self._refused = self._refused or isinstance(block, Refusal)
            return writer.start(block)
        out = self._finish(whole=True)
        writer = self._writer = self._open(block)
        if writer is None:
            return out
        if isinstance(writer, MessageWriter):
            out += writer.begin()
        return out + writer.start(self._restored(block) if isinstance(block, ToolUse) else block)

    def _restored(self, call: ToolUse) -> ToolUse:
        """Give a call its tool's own name and namespace back, which upstream may not have been able to take."""
        name = self._names.get(call.name, call.name)
        tool = self._tools.get(name)
        namespace = call.namespace if tool is None else tool.namespace
        return structs.replace(call, name=name, namespace=namespace)

    def _call(self, call: ToolUse) -> Writer:
        tool = self._tools.get(self._names.get(call.name, call.name))
        self._signature = call.opaque
        if tool is not None and tool.searches:
            return ToolSearchWriter(self._wire, len(self._output), self._echo.new_id("tsc_"))
        wrapped = not call.custom and tool is not None and tool.custom
        custom = call.custom or wrapped
        item_id = self._echo.new_id("ctc_" if custom else "fc_")
        return CallWriter(self._wire, len(self._output), item_id, custom=custom, wrapped=wrapped)

    def _open(self, block: Block) -> Writer | None:
        """Return a writer for the block; None for what no output item can say (another dialect's own blocks)."""
        wire, index, new_id = self._wire, len(self._output), self._echo.new_id
        match block:
            case Text():
                return MessageWriter(wire, index, new_id("msg_"), block.phase)
            case Refusal():
                self._refused = True
                return MessageWriter(wire, index, new_id("msg_"), None)
            case ToolUse():
                return self._call(block)
            case Thinking():
                return ReasoningWriter(wire, index, new_id("rs_"))
            case ServerToolUse(name=name) | ServerToolResult(name=name) if name == WEB_SEARCH:
                return SearchWriter(wire, index, new_id("ws_"))
            case Compaction():
                members = {"type": "compaction", "encrypted_content": seal(block.opaque, "responses")}
                return WholeWriter(wire, index, new_id("cmp_"), members)
            case Native() if block.dialect == "responses":
                return WholeWriter(wire, index, new_id("item_"), dict(decode_members(block.raw)))
            case _:
                return None

    def _finish(self, *, whole: bool) -> bytes:
        """Close the open item; a signature that hung on a call follows as a reasoning item of its own."""
        writer, self._writer = self._writer, None
        if writer is None:
            return b""
        out = writer.finish(whole=whole)
        self._output.append(writer.item)
        signature, self._signature = self._signature, None
        if signature is None:
            return out
        reasoning = ReasoningWriter(self._wire, len(self._output), self._echo.new_id("rs_"))
        out += reasoning.start(Thinking("", signature)) + reasoning.finish(whole=True)
        self._output.append(reasoning.item)
        return out

    def _keep(self, writer: Writer, opaque: Opaque) -> None:
        if isinstance(writer, (CallWriter, ToolSearchWriter)):
            self._signature = opaque
        else:
            writer.opaque(opaque)

    # --- the end -------------------------------------------------------------------------------------------------

    def _end(self, stop: MessageStop) -> bytes:
        out = self._begin() + self._finish(whole=stop.stop_reason not in CUT_OFF)
        reason = (
            None
            if stop.stop_reason == "refusal" and self._refused
            else INCOMPLETE_REASON.get(stop.stop_reason)
        )
        status = "completed" if reason is None else "incomplete"
        self._state = "over"
        self.response = self._envelope.render(status, self._output, usage=stop.usage, incomplete=reason)
        return out + self._wire.event(f"response.{status}", {"response": Raw(self.response)})


def encode_response(reply: Reply, echo: Echo) -> bytes:
    """Write a complete reply. A call that was cut off is left out; a broken one is an `UpstreamProtocolError`."""
    content = tuple(block for block in reply.content if not _is_broken(block))
    if len(content) < len(reply.content) and reply.stop_reason not in CUT_OFF:
        raise UpstreamProtocolError("upstream called a tool with arguments that are not a JSON object")
    encoder = ResponsesEncoder(echo)
    for event in unfold(structs.replace(reply, content=content)):
        encoder.feed(event)
    return encoder.response


def _is_broken(block: Block) -> bool:
    return isinstance(block, ToolUse) and not block.custom and not is_object(block.arguments)
