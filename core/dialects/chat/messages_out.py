"""The canonical conversation as Copilot's chat wants it: results directly after their calls, the rest after them."""

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import UNSET, Raw

from core.canonical import (
    Block,
    CacheBreakpoint,
    Compaction,
    Image,
    Message,
    Native,
    Refusal,
    ServerToolResult,
    ServerToolUse,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from core.custom_tools import wrap_input
from core.dialects.chat.call_ids import numbered, sent_id
from core.dialects.chat.calls import is_object
from core.dialects.chat.draft import Notes, Part, TextPart, Turn, thin_breakpoints
from core.dialects.chat.render import images_of, told
from core.dialects.chat.schema import OutCall, OutFunction
from core.errors import UnsupportedFeatureError
from core.names import short_name
from core.opaque import comes_home

NO_RESULT: Final = "[no result: the call was interrupted]"
FAILED: Final = "[the tool failed]"
IMAGE_FOLLOWS: Final = "[an image: see the next user message]"


def encode_messages(messages: Sequence[Message], notes: Notes) -> list[Turn]:
    """Write the conversation. Raises `UnsupportedFeatureError` for a block that chat cannot say."""
    if notes.target.model.numbered_call_ids:
        _number_calls(messages, notes)
    turns: list[Turn] = []
    index = 0
    while index < len(messages):
        calls: list[ToolUse] = []
        if messages[index].role == "assistant":
            calls = _assistant(messages[index], turns, notes)
            index += 1
        end = index
        while end < len(messages) and messages[end].role != "assistant":
            end += 1
        _answers(calls, messages[index:end], turns, notes)
        index = end
    _check_prefill(turns, notes)
    if thin_breakpoints(turns):
        notes.repair("cache_breakpoints")
    return turns


def _number_calls(messages: Sequence[Message], notes: Notes) -> None:
    calls = [block for message in messages for block in message.content if isinstance(block, ToolUse)]
    notes.call_ids = numbered((call.call_id, call.name) for call in calls)
    if any(given != call_id for call_id, given in notes.call_ids.items()):
        notes.repair("numbered_call_ids")


def _check_prefill(turns: list[Turn], notes: Notes) -> None:
    if turns and turns[-1].role == "assistant" and not notes.target.model.prefill:
        raise UnsupportedFeatureError(
            f"{notes.target.model.id} does not continue an assistant message: end with a user message",
            param="messages",
        )


# --- the assistant's turn ---


def _assistant(message: Message, turns: list[Turn], notes: Notes) -> list[ToolUse]:
    """Write one assistant message, none when nothing of it can be said (AC-33); return its calls."""
    calls = [block for block in message.content if isinstance(block, ToolUse)]
    text = _spoken(message.content, notes)
    turn = Turn(
        role="assistant", content=text or None, name=message.name or UNSET, copilot_cache_control=UNSET
    )
    turn.copilot_cache_control = notes.mark(_last_mark(message.content))
    if calls:
        turn.tool_calls = [_call(call, notes) for call in calls]
    _think(turn, message, notes)
    if text or calls or turn.reasoning_opaque is not UNSET:
        turns.append(turn)
    return calls


def _spoken(content: Iterable[Block], notes: Notes) -> str:
    """Join what was said. Neighbours run on; after a call a new paragraph begins. Claude refuses blanks at the end."""
    text, apart = "", False
    for block in content:
        if isinstance(block, Thinking):
            continue
        if isinstance(block, ToolUse):
            apart = True
            continue
        if isinstance(block, Text) and block.citations:
            notes.lose("citations")
        said = block.text if isinstance(block, Refusal) else told(block)
        if said is None:
            raise _unsayable(block)
        apart = apart or isinstance(block, ServerToolUse | ServerToolResult)
        text = f"{text}\n\n{said}" if text and apart and said else text + said
        apart = isinstance(block, ServerToolUse | ServerToolResult)
    return text.rstrip()


def _think(turn: Turn, message: Message, notes: Notes) -> None:
    """Give thinking back to its issuer, and to nobody else (AC-31)."""
    blocks = [block for block in message.content if isinstance(block, Thinking)]
    home = [b for b in blocks if b.opaque is not None and comes_home(b.opaque, "chat", notes.target.scope)]
    if len(home) < len(blocks):
        notes.lose("thinking")
    if home:
        turn.reasoning_text = "".join(block.text for block in home) or UNSET
        turn.reasoning_opaque = next(
            block.opaque.value for block in reversed(home) if block.opaque is not None
        )


def _call(call: ToolUse, notes: Notes) -> OutCall:
    arguments = call.arguments
    if call.custom:
        arguments = wrap_input(arguments)
    elif not is_object(arguments):
        notes.repair("tool_arguments")
        arguments = wrap_input(arguments)
    function = OutFunction(short_name(call.name), arguments)
    return OutCall(sent_id(call.call_id, notes.call_ids), "function", function=function)


# --- what follows it ---


def _answers(calls: list[ToolUse], messages: Sequence[Message], turns: list[Turn], notes: Notes) -> None:
    """Write the results of the calls first, one for each, then everything else in its order (AC-30, AC-46)."""
    open_calls = {call.call_id: call for call in calls}
    answered: set[int] = set()
    images: list[Part] = []
    for block in (block for message in messages for block in message.content):
        if isinstance(block, ToolResult) and open_calls.pop(block.call_id, None) is not None:
            answered.add(id(block))
            turns.append(_result(block, notes))
            images += _result_images(block, notes)
    for call_id in open_calls:
        notes.repair("orphan_tool_use")
        turns.append(Turn(role="tool", tool_call_id=sent_id(call_id, notes.call_ids), content=NO_RESULT))
    if images:
        turns.append(Turn(role="user", content=images))
    for message in messages:
        rest = [block for block in message.content if id(block) not in answered]
        if message.role == "system":
            turns += _system(message, notes)
        elif rest:
            turns.append(_user(message, rest, notes))


def _result(result: ToolResult, notes: Notes) -> Turn:
    return Turn(
        role="tool",
        tool_call_id=sent_id(result.call_id, notes.call_ids),
        content=_result_text(result),
        copilot_cache_control=notes.mark(result.cache or _last_mark(result.content)),
    )


def _result_text(result: ToolResult) -> str:
    texts: list[str] = [FAILED] if result.is_error else []
    for block in result.content:
        if isinstance(block, Image):
            continue
        said = told(block)
        if said is None:
            raise _unsayable(block)
        texts.append(said)
    if any(True for block in result.content for _ in images_of(block)):
        texts.append(IMAGE_FOLLOWS)
    return "\n".join(texts)


def _result_images(result: ToolResult, notes: Notes) -> list[Part]:
    """Carry a result's images into the user message that follows all results (AC-28)."""
    images: list[Part] = [notes.image(image) for block in result.content for image in images_of(block)]
    return [TextPart(f"The result of tool call {result.call_id} shows:"), *images] if images else []


def _system(message: Message, notes: Notes) -> list[Turn]:
    """Write instructions in their place (AC-38), cut where a cache mark stands as only whole messages carry one."""
    turns: list[Turn] = []
    texts: list[str] = []
    last = len(message.content) - 1
    for index, block in enumerate(message.content):
        said = told(block)
        if said is None:
            raise _unsayable(block)
        texts.append(said)
        mark = notes.mark(_mark_of(block))
        if mark is not UNSET or index == last:
            text = "\n\n".join(texts)
            texts = []
            if text:
                turn = Turn(
                    role="system", content=text, name=message.name or UNSET, copilot_cache_control=mark
                )
                turns.append(turn)
    return turns


def _user(message: Message, blocks: Sequence[Block], notes: Notes) -> Turn:
    parts = [part for block in blocks for part in _parts(block, notes)]
    only = parts[0] if len(parts) == 1 else None
    return Turn(
        role="user",
        content=only.text if isinstance(only, TextPart) else parts,
        name=message.name or UNSET,
        copilot_cache_control=notes.mark(_last_mark(blocks)),
    )


def _parts(block: Block, notes: Notes) -> list[Part]:
    if isinstance(block, ToolResult):  # the call it answers is gone
        notes.repair("orphan_tool_result")
        return [
            TextPart(f"[result of an earlier tool call]\n{_result_text(block)}"),
            *_result_images(block, notes),
        ]
    if isinstance(block, Native) and block.dialect == "chat":
        return [Raw(block.raw)]
    text = told(block)
    images: list[Part] = [notes.image(image) for image in images_of(block)]
    if text is None and not images:
        raise _unsayable(block)
    return [*([] if text is None else [TextPart(text)]), *images]


def _last_mark(blocks: Iterable[Block]) -> CacheBreakpoint | None:
    return next((mark for block in reversed(list(blocks)) if (mark := _mark_of(block)) is not None), None)


def _mark_of(block: Block) -> CacheBreakpoint | None:
    return getattr(block, "cache", None)


def _unsayable(block: Block) -> UnsupportedFeatureError:
    if isinstance(block, Native):
        name = f"{block.type!r} block of the {block.dialect} dialect"
    elif isinstance(block, Compaction):
        name = "compaction block, which only its own model can read"
    else:
        name = f"{type(block).__name__.lower()} block where it stands"
    return UnsupportedFeatureError(f"a chat model cannot be given this {name}", param="messages")
