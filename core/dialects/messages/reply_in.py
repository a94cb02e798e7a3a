"""Upstream's complete reply to the canonical model."""

from typing import Final

import msgspec
from msgspec import UnsetType

from core.canonical import CUT_OFF, Block, Reply, ToolUse, Usage
from core.dialects.messages.errors import upstream_error
from core.dialects.messages.schema import CountedIn, ReplyIn
from core.dialects.messages.stream_decoder import stream_block
from core.dialects.messages.values import STOP_REASON, is_object, usage_in
from core.errors import UpstreamProtocolError

_reply: Final = msgspec.json.Decoder(ReplyIn).decode
_counted: Final = msgspec.json.Decoder(CountedIn).decode


def read_reply(body: bytes) -> ReplyIn:
    """Read the envelope. Raises `GatewayError`, also for an error that came with status 200."""
    try:
        wire = _reply(body)
        if not body.isascii():
            body.decode()  # blocks that are only passed on are not looked into
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamProtocolError("upstream sent a reply that is no Messages object") from None
    if wire.type == "error" or not isinstance(wire.error, UnsetType):
        raise upstream_error(wire.error)
    if wire.stop_reason is None:
        raise UpstreamProtocolError("upstream sent a reply without a stop_reason")
    return wire


def reply_usage(body: bytes) -> Usage | None:
    """Read what a complete reply says it used; None where it does not say, or cannot be read."""
    try:
        counted = _counted(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return None if counted.usage is None else usage_in(counted.usage, counted.copilot_usage)


def decode_response(body: bytes, scope: str = "") -> Reply:
    """Read upstream's complete reply. Raises `GatewayError`."""
    wire = read_reply(body)
    reason = STOP_REASON.get(wire.stop_reason or "", "other")
    content = tuple(stream_block(raw, scope) for raw in wire.content)
    if reason not in CUT_OFF:
        _check_calls(content)
    return Reply(
        id=wire.id,
        model=wire.model,
        content=content,
        stop_reason=reason,
        stop_sequence=wire.stop_sequence,
        usage=usage_in(wire.usage, wire.copilot_usage),
    )


def _check_calls(content: tuple[Block, ...]) -> None:
    for block in content:
        if isinstance(block, ToolUse) and not is_object(block.arguments):
            raise UpstreamProtocolError(
                f"upstream called {block.name} with arguments that are no JSON object"
            )
