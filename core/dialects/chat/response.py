"""Complete replies, both ways."""

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import UNSET, structs

from core.canonical import CUT_OFF, Refusal, Reply, StopReason, StreamEvent, Text, Thinking, Tool, ToolUse
from core.custom_tools import unwrap_input
from core.dialect import Echo
from core.dialects.chat.calls import is_object
from core.dialects.chat.citations import encode_citation
from core.dialects.chat.errors import upstream_error
from core.dialects.chat.schema import (
    NULL,
    Annotation,
    Chunk,
    Completion,
    OutCall,
    OutChoice,
    OutCustom,
    OutFunction,
    OutMessage,
    decode_chunk,
    encode,
)
from core.dialects.chat.stream_decoder import Answer
from core.dialects.chat.thinking import seal_thinking
from core.dialects.chat.usage import FINISH_REASON, encode_usage
from core.errors import UpstreamProtocolError
from core.grammar import fold
from core.names import restore

ID_PREFIX: Final = "chatcmpl-"


def decode_response(body: bytes, scope: str = "") -> Reply:
    """Read upstream's complete reply; several choices are one answer (AC-04, AC-21).

    Raises `UpstreamProtocolError`, with the code `not_a_chat_body` for the Anthropic body that Copilot sometimes
    sends here (litellm#29391), and upstream's own error.
    """
    chunk = decode_chunk(body)
    check_chat_body(chunk)
    answer = Answer(scope)
    events: list[StreamEvent] = []
    answer.feed(chunk, events)
    answer.end(events)
    reply = fold(events)
    content = tuple(block for block in reply.content if not isinstance(block, ToolUse) or _runs(block, reply))
    return structs.replace(reply, content=content)


def check_chat_body(chunk: Chunk) -> None:
    """Raise what stands in the way of reading the body as a chat reply."""
    if chunk.error != NULL:
        raise upstream_error(chunk.error)
    if chunk.choices is None and (chunk.content != NULL or chunk.type == "message"):
        raise UpstreamProtocolError("upstream answered in another dialect", code="not_a_chat_body")
    if not chunk.choices:
        raise UpstreamProtocolError("upstream's reply has no choices")


def encode_response(reply: Reply, echo: Echo) -> bytes:
    """Write a complete reply. Raises `UpstreamProtocolError` for a call with broken arguments (AC-19, AC-23)."""
    names = ToolNames(echo)
    calls = _calls(reply, names)
    thinking = [block for block in reply.content if isinstance(block, Thinking)]
    thought = "".join(block.text for block in thinking)
    refusal = "".join(block.text for block in reply.content if isinstance(block, Refusal))
    content = "".join(block.text for block in reply.content if isinstance(block, Text))
    message = OutMessage(
        content=content or (None if calls or refusal else ""),
        refusal=refusal or None,
        annotations=tuple(_annotations(reply)),
        reasoning_content=thought or UNSET,
        reasoning_text=thought or UNSET,
        reasoning_opaque=seal_thinking(thinking) or UNSET,
        tool_calls=calls or UNSET,
    )
    finish = finish_reason_of(reply.stop_reason, tools=bool(calls), refused=bool(refusal))
    return encode(
        Completion(
            id=completion_id(echo),
            created=echo.created,
            model=echo.model,
            choices=(OutChoice(message, finish),),
            usage=encode_usage(reply.usage),
        )
    )


def completion_id(echo: Echo) -> str:
    """Return the reply's id with the prefix that chat clients expect."""
    return echo.id if echo.id.startswith(ID_PREFIX) else ID_PREFIX + echo.id


def finish_reason_of(stop_reason: StopReason, *, tools: bool, refused: bool) -> str:
    """Return chat's word; a refusal in the model's own words ends with `stop`.

    Clients run no call that ends otherwise than with `tool_calls` (AC-24), and wait for one that `tool_calls` promises.
    """
    if tools and stop_reason in {"end_turn", "other"}:
        return "tool_calls"
    if stop_reason == "refusal" and refused:
        return "stop"
    if stop_reason == "tool_use" and not tools:
        return "stop"
    return FINISH_REASON[stop_reason]


class ToolNames:
    """The client's own names for its tools, found again from what upstream calls them (AC-61)."""

    def __init__(self, echo: Echo) -> None:
        tools: Sequence[object] = echo.request.tools if echo.request is not None else ()
        mine = [tool for tool in tools if isinstance(tool, Tool)]
        self._names = restore(tool.name for tool in mine)
        self._custom = frozenset(tool.name for tool in mine if tool.custom)

    def own(self, call: ToolUse) -> str:
        """Return the client's name for the tool that is called."""
        return self._names.get(call.name, call.name)

    def is_custom(self, call: ToolUse) -> bool:
        """Tell whether the client declared the tool to take free text."""
        return call.custom or self.own(call) in self._custom


def out_call(call: ToolUse, names: ToolNames) -> OutCall:
    """Write one whole call."""
    name = names.own(call)
    if names.is_custom(call):
        text = call.arguments if call.custom else unwrap_input(call.arguments)
        return OutCall(call.call_id, "custom", custom=OutCustom(name, text))
    return OutCall(call.call_id, "function", function=OutFunction(name, call.arguments or "{}"))


def _calls(reply: Reply, names: ToolNames) -> list[OutCall]:
    return [
        out_call(block, names)
        for block in reply.content
        if isinstance(block, ToolUse) and _runs(block, reply)
    ]


def _runs(call: ToolUse, reply: Reply) -> bool:
    """Tell whether the call is whole; one that the output limit cut is left out, any other is upstream's fault."""
    if call.custom or is_object(call.arguments):
        return True
    if reply.stop_reason in CUT_OFF:
        return False
    raise UpstreamProtocolError(f"upstream called {call.name!r} with arguments that are no JSON object")


def _annotations(reply: Reply) -> Iterable[Annotation]:
    base = 0
    for block in reply.content:
        if isinstance(block, Text):
            for citation in block.citations:
                annotation = encode_citation(citation, base=base, length=len(block.text))
                if annotation is not None:
                    yield annotation
            base += len(block.text)
